from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0016_cluster_state'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='object_events',
            field=models.CharField(default='always', max_length=30),
        ),
    ]
