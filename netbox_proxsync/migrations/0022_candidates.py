import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
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
            field=django.contrib.postgres.fields.ArrayField(base_field=models.PositiveBigIntegerField(), blank=True, default=list, editable=False, size=None),
        ),
    ]
