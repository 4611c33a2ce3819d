from django.db import migrations


def remove_references(apps, schema_editor):
    """Before the other migrations are reversed: delete what NetBox stores about the objects of the plugin."""
    from netbox_proxsync.management.uninstall import remove_references

    remove_references(schema_editor.connection.alias)


# NetBox's own tables are not part of a branch of netbox-branching.
fake_on_branch = True


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0002_custom_fields'),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, remove_references),
    ]
