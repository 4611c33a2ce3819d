from django.db import migrations

from netbox_proxsync.custom_fields import installation


def install(apps, schema_editor):
    installation.install(apps, schema_editor.connection.alias)


def uninstall(apps, schema_editor):
    installation.uninstall(apps, schema_editor.connection.alias)


# Custom fields are the same in every branch of netbox-branching.
fake_on_branch = True


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(install, uninstall),
    ]
