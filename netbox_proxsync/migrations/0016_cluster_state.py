from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0015_schedule'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='cluster_state',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
    ]
