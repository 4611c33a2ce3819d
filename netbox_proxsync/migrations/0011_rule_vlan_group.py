import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('ipam', '0097_merge_ipaddress_host_index_and_multi_protocol_services'),
        ('netbox_proxsync', '0010_backup_coverage'),
    ]

    operations = [
        migrations.AddField(
            model_name='mappingrule',
            name='vlan_group',
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name='+',
                to='ipam.vlangroup',
            ),
        ),
    ]
