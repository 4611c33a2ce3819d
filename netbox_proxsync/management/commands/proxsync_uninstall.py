from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from netbox_proxsync.management.uninstall import remove_content_types, remove_references
from netbox_proxsync.models import Binding, ManagedCustomField, ProxmoxEndpoint, SyncRun
from netbox_proxsync.runs.lifecycle import find_dead


class Command(BaseCommand):
    help = (
        'Remove everything of the plugin from the database: its tables, its custom fields, and what NetBox keeps about '
        'its objects. Synchronized objects are retained. Stop the workers first, and remove the plugin from PLUGINS '
        'afterwards.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('--dry-run', action='store_true', help='Only list what would be removed')
        parser.add_argument('--no-input', '--noinput', action='store_false', dest='interactive', help='Do not ask')
        parser.add_argument(
            '--keep-custom-fields', action='store_true',
            help='Keep the custom fields on virtual machines and devices, with their values',
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        find_dead(SyncRun.objects.active())
        if run := SyncRun.objects.active().first():
            raise CommandError(f'A run of "{run.endpoint}" is not finished: cancel it, or wait for it.', returncode=1)
        self.report(options['keep_custom_fields'])
        if options['dry_run']:
            self.stdout.write('Nothing was removed.')
            return
        if options['interactive'] and not self.confirmed():
            raise CommandError('Nothing was removed.', returncode=1)
        if options['keep_custom_fields']:
            # Without these records, the reversed migrations do not remove the custom fields.
            ManagedCustomField.objects.all().delete()
        remove_references()
        call_command('migrate', 'netbox_proxsync', 'zero', interactive=False, verbosity=0)
        # The reversed migrations have created references again. No more follow, because the tables no longer exist.
        remove_references()
        remove_content_types()
        self.stdout.write(
            "Everything of the plugin is removed. Take 'netbox_proxsync' out of PLUGINS and PLUGINS_CONFIG, uninstall "
            'the package, and restart NetBox and its workers.'
        )

    def report(self, keep_custom_fields: bool) -> None:
        fields = ManagedCustomField.objects.filter(created=True).count()
        numbers = {
            'endpoints': ProxmoxEndpoint.objects.count(),
            'runs': SyncRun.objects.count(),
            'bindings': Binding.objects.count(),
            'custom fields, with their values': 0 if keep_custom_fields else fields,
            **remove_references(dry_run=True),
        }
        self.stdout.write('These data of the plugin, and data of NetBox about it, are removed:')
        for name, number in numbers.items():
            if number:
                self.stdout.write(f'  {number} {name}')
        self.stdout.write(
            'Virtual machines, devices and all other synchronized objects are retained, with their change log and tags.'
        )

    def confirmed(self) -> bool:
        return input('This cannot be undone. Type "yes" to remove these data: ').strip().lower() == 'yes'
