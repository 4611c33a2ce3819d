import django.core.serializers.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0023_nodes'),
    ]

    operations = [
        migrations.AddField(
            model_name='branchstate',
            name='before',
            field=models.JSONField(blank=True, encoder=django.core.serializers.json.DjangoJSONEncoder, null=True),
        ),
    ]
