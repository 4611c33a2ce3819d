from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0017_limited_runs_and_what_was_seen'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='object_events',
            field=models.CharField(default='always', max_length=30),
        ),
    ]
