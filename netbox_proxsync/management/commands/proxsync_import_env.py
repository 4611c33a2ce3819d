from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from netbox_proxsync.ledger.tracking import tracked_transaction
from netbox_proxsync.management.proxsyncbox.env_file import EnvFile, parse
from netbox_proxsync.management.proxsyncbox.importer import Importer
from netbox_proxsync.models.users import service_user

HEADINGS = {True: 'Created:', False: 'Would create:'}


class RollbackError(Exception):
    """Rolls back the transaction of a dry run, or of an import with errors."""


class Command(BaseCommand):
    help = (
        "Create endpoints from ProxSyncBox's .env file. Shows what it would do, unless --apply is given. Secrets are "
        'stored encrypted and never printed.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('file', help='The .env file')
        parser.add_argument('--apply', action='store_true', help='Write the changes. Default: write nothing')

    def handle(self, *args: Any, **options: Any) -> None:
        file = self.read(options['file'])
        for note in file.notes:
            self.stderr.write(str(note))
        self.refuse(map(str, file.errors))
        if not file.nodes:
            raise CommandError('The file has no entry of a node (PROXMOX_NODE_...).', returncode=1)
        importer = Importer(file)
        try:
            # A dry run takes the same steps and checks.
            with transaction.atomic(), tracked_transaction(service_user(), uuid4()):
                importer.run()
                if importer.errors or not options['apply']:
                    raise RollbackError
        except RollbackError:
            pass
        self.refuse(importer.errors)
        self.report(importer, options['apply'])

    def read(self, path: str) -> EnvFile:
        try:
            return parse(Path(path).read_text(encoding='utf-8-sig'))
        except UnicodeError:
            raise CommandError(f'{path} is not a text in UTF-8.', returncode=1) from None
        except OSError as error:
            raise CommandError(f'{path} cannot be read: {error.strerror}.', returncode=1) from None

    def refuse(self, errors: Any) -> None:
        if errors := list(errors):
            raise CommandError('\n'.join([*errors, 'Nothing was written.']), returncode=1)

    def report(self, importer: Importer, applied: bool) -> None:
        self.stdout.write(HEADINGS[applied] if importer.done else 'Nothing to do.')
        for line in importer.done:
            self.stdout.write(f'  {line}')
        for hint in importer.hints:
            self.stderr.write(self.style.WARNING(hint))
        if importer.done and not applied:
            self.stdout.write('Nothing was written. Repeat with --apply to write the changes.')
