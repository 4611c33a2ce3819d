import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0017_object_events'),
    ]

    operations = [
        migrations.AlterField(
            model_name='proxmoxguest',
            name='virtual_machine',
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='proxsync_guests',
                to='virtualization.virtualmachine',
            ),
        ),
    ]
