from django.db import migrations

from . import _custom_fields_v2


def install(apps, schema_editor):
    _custom_fields_v2.install(apps, schema_editor.connection.alias)


def uninstall(apps, schema_editor):
    _custom_fields_v2.uninstall(apps, schema_editor.connection.alias)


# Custom fields are the same in every branch of netbox-branching.
fake_on_branch = True


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0009_estate'),
    ]

    operations = [
        migrations.RunPython(install, uninstall),
    ]
