import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from netbox_proxsync.choices import ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from netbox_proxsync.jobs import AlreadyRunning, SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, SyncChange, SyncRun
from netbox_proxsync.stored_plans import NotAppliable
from netbox_proxsync.sync.values import decode, show

# As `terraform plan -detailed-exitcode`: scripts can tell "nothing to do" from "something would change".
NOTHING_TO_DO = 0
FAILED = 1
CHANGES_PENDING = 2


class Command(BaseCommand):
    help = (
        'Sync NetBox with a Proxmox VE endpoint, here and now. Exit status: 0 nothing to do, or done; '
        '2 changes are pending (--preview); 1 failed or refused.'
    )

    def add_arguments(self, parser: CommandParser):
        parser.add_argument('endpoint', help='Name (or numeric ID) of the endpoint')
        what = parser.add_mutually_exclusive_group()
        what.add_argument('--preview', action='store_true', help='Show what would change, and write nothing')
        what.add_argument(
            '--accept', type=int, metavar='RUN', help='Let the plan of this refused run of the endpoint through'
        )
        parser.add_argument('--json', action='store_true', help='Print the run and its changes as JSON')

    def handle(self, *args: Any, **options: Any):
        endpoint = self.find_endpoint(options['endpoint'])
        if not endpoint.enabled:
            raise CommandError(f'The endpoint "{endpoint}" is disabled. Enable it first.', returncode=FAILED)
        try:
            run = self.start(endpoint, options)
        except NotAppliable as error:
            raise CommandError(str(error), returncode=FAILED) from None
        except AlreadyRunning as error:
            raise CommandError(f'{error} Wait for run {error.run.pk} to end.', returncode=FAILED) from None
        changes = list(run.changes.order_by('position'))
        if options['json']:
            self.stdout.write(json.dumps(as_json(run, changes), indent=2))
        else:
            self.print_run(run, changes)
        if status := exit_status(run, changes):
            raise SystemExit(status)

    def start(self, endpoint: ProxmoxEndpoint, options: dict[str, Any]) -> SyncRun:
        if options['accept'] is None:
            mode = RunModeChoices.PREVIEW if options['preview'] else RunModeChoices.SYNC
            return SyncJob.enqueue_run(endpoint, user=None, mode=mode, immediate=True)
        source = endpoint.runs.filter(pk=options['accept']).first()
        if source is None or not source.refusal:
            refused = endpoint.runs.exclude(refusal='').order_by('-pk').first()
            known = f'The last one is {refused.pk}.' if refused else 'There is none.'
            message = f'{options["accept"]} is not a refused run of the endpoint "{endpoint}". {known}'
            raise CommandError(message, returncode=FAILED)
        return SyncJob.enqueue_plan(source, user=None, immediate=True)

    def find_endpoint(self, name: str) -> ProxmoxEndpoint:
        found = ProxmoxEndpoint.objects.filter(name=name).first()
        if found is None and name.isdecimal():
            found = ProxmoxEndpoint.objects.filter(pk=name).first()
        if found is None:
            known = ', '.join(f'"{known}"' for known in ProxmoxEndpoint.objects.values_list('name', flat=True))
            raise CommandError(f'There is no endpoint "{name}". There are: {known or "none"}.', returncode=FAILED)
        return found

    def print_run(self, run: SyncRun, changes: list[SyncChange]):
        for change in changes:
            self.print_change(change)
        for message in run.messages:
            self.stderr.write(f'{message["subject"]}: {message["message"]} {message["remedy"]}'.rstrip())
        if run.error:
            self.stderr.write(self.style.ERROR(run.error))
        took = sum(run.timings.values())
        self.stdout.write(
            f'{run.endpoint}: {run.get_mode_display()} {run.get_status_display().lower()}, '
            f'{run.guests or 0} guests, {len(changes)} changes, {run.calls} calls to Proxmox, {took:.1f} s'
        )

    def print_change(self, change: SyncChange):
        outcome = '' if change.outcome in (ChangeOutcomeChoices.PLANNED, ChangeOutcomeChoices.APPLIED) else (
            f' [{change.get_outcome_display().lower()}]'
        )
        self.stdout.write(f'{change.action:8} {change.kind:9} {change.key:32} {change.label}{outcome}')
        for field in change.fields:
            if not field.get('kept'):
                now, want = show(decode(field['now'])), show(decode(field['want']))
                self.stdout.write(f'           {field["name"]}: {now!r} -> {want!r}')
        for text in filter(None, (change.reason, change.message)):
            self.stdout.write(f'           {text}')


def exit_status(run: SyncRun, changes: list[SyncChange]) -> int:
    if run.status != RunStatusChoices.COMPLETED:
        return FAILED
    if run.mode == RunModeChoices.PREVIEW and changes:
        return CHANGES_PENDING
    return NOTHING_TO_DO


def as_json(run: SyncRun, changes: list[SyncChange]) -> dict[str, Any]:
    return {
        'run': run.pk,
        'endpoint': run.endpoint.name,
        'mode': run.mode,
        'status': run.status,
        'error': run.error,
        'guests': run.guests,
        'calls': run.calls,
        'timings': run.timings,
        'counts': run.counts,
        'messages': run.messages,
        'changes': [
            {
                'unit': change.unit,
                'kind': change.kind,
                'key': change.key,
                'action': change.action,
                'outcome': change.outcome,
                'label': change.label,
                'fields': change.fields,
                'reason': change.reason,
                'message': change.message,
            }
            for change in changes
        ],
    }
