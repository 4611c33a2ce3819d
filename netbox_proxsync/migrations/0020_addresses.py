import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0019_branches'),
    ]

    operations = [
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='missing_address_reads',
            field=models.PositiveSmallIntegerField(
                default=2,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
            ),
        ),
        migrations.AddField(
            model_name='proxmoxendpoint',
            name='address_limit',
            field=models.PositiveSmallIntegerField(
                default=256,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(10000),
                ],
            ),
        ),
    ]
