import django.contrib.postgres.fields
import django.core.serializers.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0016_cluster_state'),
    ]

    operations = [
        migrations.AddField(
            model_name='syncrun',
            name='vmids',
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveIntegerField(), blank=True, editable=False, null=True
            ),
        ),
        migrations.AddField(
            model_name='binding',
            name='seen',
            field=models.JSONField(
                blank=True, default=dict, editable=False, encoder=django.core.serializers.json.DjangoJSONEncoder
            ),
        ),
    ]
