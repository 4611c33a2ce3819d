from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0022_candidates'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='acknowledged_faults',
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.AddField(
            model_name='proxmoxguest',
            name='known_until',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
