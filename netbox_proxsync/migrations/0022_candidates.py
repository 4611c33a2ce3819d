import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('netbox_proxsync', '0021_shared_objects'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='adopt_by_name',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='proxmoxguest',
            name='candidate_ids',
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveBigIntegerField(), blank=True, default=list, editable=False, size=None
            ),
        ),
        migrations.CreateModel(
            name='FormerEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('cluster_identity', models.JSONField(default=dict)),
                ('deleted', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'former endpoint',
                'verbose_name_plural': 'former endpoints',
                'ordering': ('pk',),
            },
        ),
        migrations.CreateModel(
            name='KeptBinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=30)),
                ('key', models.CharField(max_length=200)),
                ('unit', models.CharField(max_length=100)),
                ('object_id', models.PositiveBigIntegerField()),
                ('values', models.JSONField(default=dict)),
                ('created_by_sync', models.BooleanField(default=False)),
                ('first_seen', models.DateTimeField()),
                ('missing_since', models.DateTimeField(null=True)),
                ('unmanaged', models.BooleanField(default=False)),
                (
                    'former',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='bindings',
                        to='netbox_proxsync.formerendpoint',
                    ),
                ),
                (
                    'object_type',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contenttypes.contenttype'
                    ),
                ),
            ],
            options={
                'verbose_name': 'kept binding',
                'verbose_name_plural': 'kept bindings',
                'ordering': ('pk',),
                'indexes': [models.Index(fields=['object_type', 'object_id'], name='netbox_prox_object__kept_idx')],
            },
        ),
    ]
