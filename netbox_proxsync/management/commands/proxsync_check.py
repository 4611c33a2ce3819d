import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import django_rq
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from rq import Worker
from utilities.rqworker import get_queue_for_model

from netbox_proxsync import custom_fields
from netbox_proxsync.branch_merges import merging
from netbox_proxsync.crypto import SecretError
from netbox_proxsync.endpoints import connection
from netbox_proxsync.endpoints.netbox_checks import LABEL, demand_checks, field_checks
from netbox_proxsync.fields import column
from netbox_proxsync.ledger.bindings import dangling
from netbox_proxsync.management.endpoints import find_endpoint
from netbox_proxsync.management.plurals import counted
from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.proxmox.check import Check, ConnectionReport
from netbox_proxsync.proxmox.messages import EMPTY, Message, as_is

REPORTED = ('version', 'cluster_name', 'nodes_online', 'nodes_total', 'quorate')


@dataclass(frozen=True)
class Findings:
    """
    The results of the checks of an endpoint, or of NetBox itself.

    Attributes:
        endpoint: The name of the endpoint; None for NetBox.
        repaired: Descriptions of what was repaired.
        report: The result of the connection test.
    """

    endpoint: str | None
    checks: list[Check]
    repaired: list[str]
    report: ConnectionReport | None = None

    @property
    def ok(self) -> bool:
        checks = all(check.ok for check in self.checks if check.required)
        return checks and (self.report is None or self.report.ok)

    @property
    def data(self) -> dict[str, Any]:
        """The data for `--json`."""
        reported = {name: getattr(self.report, name) for name in REPORTED} if self.report else {}
        checks = [asdict(check) for check in self.checks]
        return {'endpoint': self.endpoint, 'ok': self.ok, **reported, 'checks': checks, 'repaired': self.repaired}


class Command(BaseCommand):
    help = (
        'Check what syncs need: connections, privileges, secrets, custom fields, bindings, workers. Exit status: 0 all '
        'is well; 1 something is not.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            'endpoint', nargs='*', help='Name or numeric ID of the endpoint. Default: all enabled endpoints'
        )
        parser.add_argument(
            '--repair', action='store_true',
            help=(
                'Create missing custom fields, update bindings from merged branches, and remove bindings to objects '
                'that no longer exist'
            ),
        )  # fmt: skip
        parser.add_argument(
            '--json', action='store_true', help='Print JSON, one line for NetBox itself and one for each endpoint'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options['endpoint']:
            endpoints = [find_endpoint(name) for name in options['endpoint']]
        else:
            endpoints = list(ProxmoxEndpoint.objects.filter(enabled=True))
        well = True
        for findings in checked(endpoints, options['repair']):
            well &= findings.ok
            if options['json']:
                self.stdout.write(json.dumps(findings.data))
            else:
                self.print(findings)
        if not well:
            raise SystemExit(1)

    def print(self, findings: Findings) -> None:
        for text in findings.repaired:
            self.stdout.write(f'repaired {text}')
        for check in findings.checks:
            self.print_check(check, f'{findings.endpoint}, ' if findings.endpoint else '')

    def print_check(self, check: Check, subject: str) -> None:
        if check.ok:
            mark = self.style.SUCCESS('ok     ')
        elif check.required:
            mark = self.style.ERROR('trouble')
        else:
            mark = self.style.WARNING('less   ')
        self.stdout.write(f'{mark} {subject}{check.label}: {check.detail}'.rstrip(': '))
        if check.remedy and not check.ok:
            for line in check.remedy.splitlines():
                self.stdout.write(f'          {line}')


def checked(endpoints: Iterable[ProxmoxEndpoint], repair: bool) -> Iterator[Findings]:
    repaired = repair_all() if repair else []
    yield Findings(None, [*check_custom_fields(), check_workers(), *check_branches()], repaired)
    for endpoint in endpoints:
        repaired = delete_dangling_bindings(endpoint) if repair else []
        report = connection.try_connection(endpoint)
        failed = Check(label=Message('Connection'), ok=False, detail=report.error, remedy=report.remedy)
        checks = [*check_secrets(endpoint), *(report.checks or [failed]), check_bindings(endpoint)]
        yield Findings(endpoint.name, checks, repaired, report)


def repair_all() -> list[str]:
    """Repair what does not belong to a single endpoint, and return descriptions of the repairs."""
    repaired = []
    if any(problem.repairable for problem in custom_fields.problems()):
        custom_fields.repair()
        repaired.append('custom fields')
    for branch in merging.incompletely_merged():
        # `check_branches` reports a branch whose bindings cannot be merged. The other checks continue.
        with suppress(DatabaseError, ObjectDoesNotExist, ValidationError):
            merging.after_merge(branch)
            repaired.append(f'the bindings of the branch "{branch}", which follow into main')
    return repaired


def check_branches() -> list[Check]:
    return [
        Check(
            label=Message('branches'),
            ok=False,
            detail=Message('"{branch}" is merged, and the bindings in main are not updated', branch=branch),
            remedy=Message('Repeat this with --repair.'),
        )
        for branch in merging.incompletely_merged()
    ]


def delete_dangling_bindings(endpoint: ProxmoxEndpoint) -> list[str]:
    gone = dangling(endpoint)
    endpoint.bindings.filter(pk__in=gone).delete()
    return [f'{endpoint}: {counted(len(gone), "binding")} to objects that no longer exist removed'] if gone else []


def check_custom_fields() -> list[Check]:
    found = list(field_checks(required=True, repair=Message('Repeat this with --repair.')))
    there = Check(label=LABEL, ok=True, detail=Message('{number} found', number=len(custom_fields.CUSTOM_FIELDS)))
    return [*(found or [there]), *demand_checks()]


def check_workers() -> Check:
    queue = django_rq.get_queue(get_queue_for_model('proxmoxendpoint'))
    count = Worker.count(queue=queue)
    return Check(
        label=Message('workers'),
        ok=bool(count),
        detail=Message('{number} for the queue "{queue}"', number=count, queue=queue.name),
        remedy=EMPTY if count else Message('Start NetBox workers: netbox rqworker, or the service netbox-rq.'),
    )


def check_secrets(endpoint: ProxmoxEndpoint) -> Iterator[Check]:
    for name, secret in endpoint.secrets.items():
        try:
            secret.reveal()
        except SecretError as error:
            yield Check(
                label=Message(str(column(ProxmoxEndpoint, name).verbose_name)), ok=False, detail=as_is(str(error))
            )


def check_bindings(endpoint: ProxmoxEndpoint) -> Check:
    gone = len(dangling(endpoint))
    return Check(
        label=Message('Bindings'),
        ok=not gone,
        detail=Message(
            '{number} of {all} refer to objects that no longer exist', number=gone, all=endpoint.bindings.count()
        ),
        remedy=Message('The next sync creates these objects again. --repair removes the bindings now.')
        if gone
        else EMPTY,
        required=False,
    )
