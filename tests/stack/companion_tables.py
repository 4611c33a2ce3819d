"""
Creates the tables of the companion plugins, in a process of its own.

They are created from the models and the migrations are recorded as applied: running them takes a minute and leads to
the same tables.
"""

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from .netbox import COMPANIONS


def main() -> None:
    django.setup()
    companions = set(COMPANIONS.values())
    applied = [key for key in MigrationLoader(None).disk_migrations if key[0] in companions]
    settings.MIGRATION_MODULES = dict.fromkeys(companions)
    call_command('migrate', interactive=False, run_syncdb=True)
    recorder = MigrationRecorder(connection)
    for app, name in applied:
        recorder.record_applied(app, name)


if __name__ == '__main__':
    main()
