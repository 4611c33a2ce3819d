from django.db import migrations


def remove_references(apps, schema_editor):
    """When the plugin is removed: what NetBox keeps about its objects goes before they do."""
    from netbox_proxsync.management.uninstall import remove_references

    remove_references(schema_editor.connection.alias)


# NetBox's own tables about the plugin are no business of a branch of netbox-branching.
fake_on_branch = True


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0024_net'),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, remove_references),
    ]
