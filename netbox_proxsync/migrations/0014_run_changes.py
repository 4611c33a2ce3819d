from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        # Makes the collation.
        ('dcim', '0197_natural_sort_collation'),
        ('netbox_proxsync', '0012_guests_last_seen'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='syncchange',
            name='netbox_prox_run_id_a035f6_idx',
        ),
        migrations.AlterField(
            model_name='syncchange',
            name='unit',
            field=models.CharField(db_collation='natural_sort', max_length=100),
        ),
        migrations.AddIndex(
            model_name='syncchange',
            index=models.Index(fields=['run', 'unit', 'position'], name='netbox_prox_run_id_68ff4c_idx'),
        ),
    ]
