import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any, Never

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from netbox_proxsync.branching import MAIN, Branch, BranchUnusableError, find, within
from netbox_proxsync.choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    RunModeChoices,
    RunStatusChoices,
    choices_of,
)
from netbox_proxsync.crypto import SecretError
from netbox_proxsync.jobs import AlreadyRunningError, EndpointDeletedError, SyncJob, quick_run
from netbox_proxsync.management.endpoints import find_endpoint
from netbox_proxsync.management.plurals import counted
from netbox_proxsync.models import ProxmoxEndpoint, SyncChange, SyncRun
from netbox_proxsync.models.rules import MAX_VMID, MIN_VMID
from netbox_proxsync.models.runs import MAX_LIMIT
from netbox_proxsync.proxmox.errors import ProxmoxError
from netbox_proxsync.runs.maintenance import InMaintenanceError
from netbox_proxsync.runs.stored_plans import PlanNotApplicableError
from netbox_proxsync.sync.values import decode, show
from netbox_proxsync.ui.revert_state import next_sync_notice

# As `terraform plan -detailed-exitcode`, so that scripts can distinguish "nothing to do" from "changes are pending".
NOTHING_TO_DO = 0
FAILED = 1
CHANGES_PENDING = 2

WRITTEN_ACTIONS = [name for name, _label in choices_of(ChangeActionChoices) if name not in ChangeActionChoices.OPEN]


def vmid(text: str) -> int:
    """Parse a VM ID; raise ArgumentTypeError if the text is not one."""
    if not text.isdecimal() or not MIN_VMID <= int(text) <= MAX_VMID:
        raise ArgumentTypeError(f'"{text}" is not a VM ID ({MIN_VMID} to {MAX_VMID}).')
    return int(text)


class Command(BaseCommand):
    help = (
        'Synchronize Proxmox VE endpoints into NetBox, one after the other, in this process. Exit status: 0 nothing to '
        'do, or done; 2 changes are pending (--preview); 1 one failed or was refused.'
    )

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(*args, **kwargs)

        def exit_as_failed(status: int = 0, message: str | None = None) -> Never:
            ArgumentParser.exit(parser, min(status, FAILED), message)

        # argparse exits with status 2 for arguments that it does not know, and 2 has another meaning here.
        setattr(parser, 'exit', exit_as_failed)  # noqa: B010  (mypy refuses an assignment to a method)
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('endpoint', nargs='*', help='Name or numeric ID of the endpoint')
        parser.add_argument('--all', action='store_true', help='All endpoints that are enabled')
        what = parser.add_mutually_exclusive_group()
        what.add_argument('--preview', action='store_true', help='Show what would change, and write nothing')
        what.add_argument(
            '--quick', action='store_true',
            help='Only the guests whose entry in the list of guests has changed since the last sync',
        )  # fmt: skip
        what.add_argument('--apply', type=int, metavar='RUN', help='Apply the plan of this preview of the endpoint')
        what.add_argument('--accept', type=int, metavar='RUN', help='Approve this refused run of the endpoint')
        what.add_argument(
            '--revert', type=int, metavar='RUN',
            help='Plan how to undo what this run of the endpoint wrote, and write nothing; --apply applies the plan',
        )  # fmt: skip
        parser.add_argument(
            '--unit', action='append', metavar='UNIT',
            help='With --apply and --accept: only this guest or node, such as qemu/100; may be repeated',
        )  # fmt: skip
        parser.add_argument(
            '--except-unit', action='append', metavar='UNIT',
            help='With --apply and --accept: all guests and nodes except this one; may be repeated',
        )  # fmt: skip
        parser.add_argument(
            '--action', action='append', choices=WRITTEN_ACTIONS,
            help='With --apply and --accept: only changes with this action; may be repeated',
        )  # fmt: skip
        parser.add_argument(
            '--vmid', type=vmid, action='append', metavar='VMID',
            help='Only this guest of the endpoint; may be repeated',
        )  # fmt: skip
        parser.add_argument(
            '--branch', metavar='BRANCH', help='Into this branch of netbox-branching, by its name or schema ID'
        )
        parser.add_argument(
            '--json', action='store_true', help='Print JSON, one line for each change, and the last line for the run'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        endpoints, branch = self.selected_endpoints(options), self.branch(options)
        statuses = [self.run_endpoint(endpoint, branch, options) for endpoint in endpoints]
        for status in (FAILED, CHANGES_PENDING):
            if status in statuses:
                raise SystemExit(status)

    def selected_endpoints(self, options: dict[str, Any]) -> list[ProxmoxEndpoint]:
        """
        The endpoints that the arguments name.

        Raises:
            CommandError: The arguments contradict each other, or an endpoint is missing or disabled.
        """
        if options['all'] == bool(options['endpoint']):
            raise CommandError('Specify one or more endpoints, or --all.', returncode=FAILED)
        if options['all']:
            endpoints = list(ProxmoxEndpoint.objects.filter(enabled=True))
        else:
            endpoints = [find_endpoint(name) for name in options['endpoint']]
        self.check_limits(options, is_single=not options['all'] and len(endpoints) == 1)
        for endpoint in endpoints:
            if not endpoint.enabled:
                raise CommandError(f'The endpoint "{endpoint}" is disabled. Enable it first.', returncode=FAILED)
        return endpoints

    def check_limits(self, options: dict[str, Any], is_single: bool) -> None:
        """Raise CommandError if arguments for a single endpoint, or too many guests, are given."""
        applies_plan = options['accept'] is not None or options['apply'] is not None
        names_run = applies_plan or options['revert'] is not None
        if names_run and not is_single:
            message = '--apply, --accept and --revert are for one endpoint: that of the run.'
            raise CommandError(message, returncode=FAILED)
        if not applies_plan and (options['unit'] or options['except_unit'] or options['action']):
            message = '--unit, --except-unit and --action select a part of a plan. Add --apply or --accept.'
            raise CommandError(message, returncode=FAILED)
        if options['quick'] and (options['vmid'] or options['branch'] is not None):
            message = '--quick finds the guests itself, and writes into main: leave out --vmid and --branch.'
            raise CommandError(message, returncode=FAILED)
        if not options['vmid']:
            return
        if names_run or not is_single:
            message = '--vmid is for a sync or preview of one endpoint: another has other guests with the same IDs.'
            raise CommandError(message, returncode=FAILED)
        if len(set(options['vmid'])) > MAX_LIMIT:
            message = f'More than {MAX_LIMIT} guests: sync the whole endpoint, without --vmid.'
            raise CommandError(message, returncode=FAILED)

    def branch(self, options: dict[str, Any]) -> Branch:
        if options['branch'] is None:
            return MAIN
        try:
            return find(options['branch'])
        except BranchUnusableError as error:
            raise CommandError(str(error), returncode=FAILED) from None

    def run_endpoint(self, endpoint: ProxmoxEndpoint, branch: Branch, options: dict[str, Any]) -> int:
        try:
            with within(branch.schema_id):
                run = self.start(endpoint, options)
        except (EndpointDeletedError, PlanNotApplicableError, BranchUnusableError, InMaintenanceError) as error:
            return self.failed(endpoint, str(error))
        except (ProxmoxError, SecretError) as error:
            return self.failed(endpoint, f'The list of guests could not be read. {error}')
        except AlreadyRunningError as error:
            return self.failed(endpoint, f'{error} Wait for run {error.run.pk} to end.')
        if run is None:
            return NOTHING_TO_DO
        changes = run.changes.order_by('position')
        if options['json']:
            self.print_json(run, changes)
        else:
            self.print_run(run, changes)
        return exit_status(run)

    def failed(self, endpoint: ProxmoxEndpoint, why: str) -> int:
        self.stderr.write(self.style.ERROR(f'{endpoint}: {why}'))
        return FAILED

    def start(self, endpoint: ProxmoxEndpoint, options: dict[str, Any]) -> SyncRun | None:
        if options['quick']:
            return self.start_quick_run(endpoint, options)
        if options['revert'] is not None:
            return SyncJob.enqueue_revert(self.reverted(endpoint, options['revert']), user=None, immediate=True)
        if options['accept'] is None and options['apply'] is None:
            mode = RunModeChoices.PREVIEW if options['preview'] else RunModeChoices.SYNC
            return SyncJob.enqueue_run(endpoint, user=None, mode=mode, immediate=True, vmids=options['vmid'])
        return SyncJob.enqueue_plan(
            self.source(endpoint, options),
            user=None,
            units=options['unit'],
            immediate=True,
            except_units=options['except_unit'],
            actions=options['action'],
        )

    def source(self, endpoint: ProxmoxEndpoint, options: dict[str, Any]) -> SyncRun:
        """
        The run whose plan is to be applied.

        Raises:
            CommandError: The endpoint has no such run.
        """
        if options['accept'] is not None:
            pk, runs, what = options['accept'], endpoint.runs.exclude(refusal=''), 'a refused run'
        else:
            pk, runs, what = options['apply'], endpoint.runs.filter(mode__in=RunModeChoices.PLANNING), 'a preview'
        found: SyncRun | None = runs.filter(pk=pk).first()
        if found:
            return found
        last = runs.order_by('-pk').first()
        known = f'The last one is {last.pk}.' if last else 'There is none.'
        raise CommandError(f'{pk} is not {what} of the endpoint "{endpoint}". {known}', returncode=FAILED)

    def reverted(self, endpoint: ProxmoxEndpoint, pk: int) -> SyncRun:
        """
        The run that is to be reverted.

        Raises:
            CommandError: The endpoint has no such run.
        """
        found: SyncRun | None = endpoint.runs.select_related('applies').filter(pk=pk).first()
        if found is None:
            raise CommandError(f'{pk} is not a run of the endpoint "{endpoint}".', returncode=FAILED)
        return found

    def start_quick_run(self, endpoint: ProxmoxEndpoint, options: dict[str, Any]) -> SyncRun | None:
        found, run = quick_run(endpoint, immediate=True)
        if run is None and options['json']:
            result = {
                'mode': RunModeChoices.QUICK,
                'guests': found.guests,
                'calls': found.calls,
                'reason': found.reason,
            }
            self.stdout.write(json.dumps({'endpoint': endpoint.name, 'run': None, 'result': result}))
        elif run is None:
            why = found.reason or f'none of {counted(found.guests, "guest")} has changed'
            self.stdout.write(f'{endpoint}: no quick run, {counted(found.calls, "API request")}: {why}')
        return run

    def print_json(self, run: SyncRun, changes: Iterable[SyncChange]) -> None:
        for change in changes:
            self.stdout.write(json.dumps({'endpoint': run.endpoint.name, 'run': run.pk, 'change': change_json(change)}))
        self.stdout.write(json.dumps({'endpoint': run.endpoint.name, 'run': run.pk, 'result': result_json(run)}))

    def print_run(self, run: SyncRun, changes: QuerySet[SyncChange]) -> None:
        for change in changes:
            self.print_change(change)
        for message in run.messages:
            if message['level'] == 'info':
                continue  # a fault that a user has acknowledged
            self.stderr.write(f'{message["subject"]}: {message["message"]} {message["remedy"]}'.rstrip())
        if run.error:
            self.stderr.write(self.style.ERROR(run.error))
        took, into = sum(run.timings.values()), f' (branch {run.branch})' if run.branch else ''
        self.stdout.write(
            f'{run.endpoint}: {run.get_mode_display()} {run.get_status_display().lower()}{into}, '
            f'{counted(run.guests or 0, "guest")}, {counted(len(changes), "change")}, '
            f'{counted(run.calls, "API request")}, {took:.1f} s'
        )
        if notice := next_sync_notice(run):
            self.stdout.write(notice)

    def print_change(self, change: SyncChange) -> None:
        outcome = (
            ''
            if change.outcome in (ChangeOutcomeChoices.PLANNED, ChangeOutcomeChoices.APPLIED)
            else (f' [{change.get_outcome_display().lower()}]')
        )
        self.stdout.write(f'{change.action:8} {change.kind:9} {change.key:32} {change.label}{outcome}')
        for field in change.fields:
            if not field.get('kept'):
                now, want = show(decode(field['now'])), show(decode(field['want']))
                self.stdout.write(f'           {field["name"]}: {now!r} -> {want!r}')
        for text in filter(None, (change.reason, change.message)):
            self.stdout.write(f'           {text}')


def exit_status(run: SyncRun) -> int:
    if run.status != RunStatusChoices.COMPLETED:
        return FAILED
    if run.mode in RunModeChoices.PLANNING and run.changes.exists():
        return CHANGES_PENDING
    return NOTHING_TO_DO


def change_json(change: SyncChange) -> dict[str, Any]:
    names = ('unit', 'kind', 'key', 'action', 'outcome', 'label', 'fields', 'reason', 'message')
    return {name: getattr(change, name) for name in names}


def result_json(run: SyncRun) -> dict[str, Any]:
    names = (
        'mode', 'status', 'branch', 'branch_id', 'error', 'refusal', 'guests', 'calls', 'timings', 'counts', 'messages',
    )  # fmt: skip
    notice = next_sync_notice(run)
    return {name: getattr(run, name) for name in names} | ({'detail': notice} if notice else {})
