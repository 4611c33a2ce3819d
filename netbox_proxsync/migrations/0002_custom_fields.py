from django.db import migrations, models

from . import _custom_fields_v1


def install(apps, schema_editor):
    _custom_fields_v1.install(apps, schema_editor.connection.alias)


def uninstall(apps, schema_editor):
    _custom_fields_v1.uninstall(apps, schema_editor.connection.alias)


# Custom fields are the same in every branch of netbox-branching.
fake_on_branch = True


class Migration(migrations.Migration):
    dependencies = [
        ('netbox_proxsync', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ManagedCustomField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=50, unique=True)),
                ('created', models.BooleanField()),
                ('object_type_added', models.BooleanField()),
                ('choice_set_created', models.BooleanField()),
            ],
            options={
                'verbose_name': 'managed custom field',
                'verbose_name_plural': 'managed custom fields',
                'ordering': ('name',),
            },
        ),
        migrations.RunPython(install, uninstall),
    ]
