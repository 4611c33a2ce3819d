import django.db.models.deletion
from django.db import migrations, models

from . import _shared_objects

# Makes a table that every branch of netbox-branching has. Left to itself, that looks at other operations only.
fake_on_branch = False


def remember_bound(apps, schema_editor):
    _shared_objects.remember_bound(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0020_addresses'),
    ]

    operations = [
        migrations.CreateModel(
            name='SharedObject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('model', models.CharField(max_length=100)),
                ('within', models.CharField(blank=True, max_length=200)),
                ('name', models.CharField(max_length=200)),
                ('object_id', models.PositiveBigIntegerField()),
                (
                    'endpoint',
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name='shared_objects',
                        to='netbox_proxsync.proxmoxendpoint',
                    ),
                ),
            ],
            options={
                'verbose_name': 'shared object',
                'verbose_name_plural': 'shared objects',
                'ordering': ('endpoint_id', 'model', 'within', 'name'),
                'indexes': [models.Index(fields=['model', 'name'], name='netbox_prox_model_9a0352_idx')],
                'constraints': [
                    models.UniqueConstraint(
                        fields=('endpoint', 'model', 'within', 'name'), name='netbox_proxsync_sharedobject_unique_value'
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name='syncrun',
            name='shared_objects',
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.RunPython(remember_bound, migrations.RunPython.noop),
    ]
