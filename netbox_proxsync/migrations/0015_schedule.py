from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0014_run_changes'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='next_sync',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='sync_interval',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
