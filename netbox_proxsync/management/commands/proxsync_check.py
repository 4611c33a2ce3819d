from typing import Any

import django_rq
from django.core.management.base import BaseCommand, CommandParser
from rq import Worker
from utilities.rqworker import get_queue_for_model

from netbox_proxsync import connection, custom_fields
from netbox_proxsync.branching import carrying
from netbox_proxsync.crypto import SecretError
from netbox_proxsync.ledger.bindings import dangling
from netbox_proxsync.management.endpoints import find_endpoint
from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.proxmox.check import Check


class Command(BaseCommand):
    help = (
        'Check what syncs need: connections, privileges, secrets, custom fields, bindings, workers. Exit status: 0 all '
        'is well; 1 something is not.'
    )

    def add_arguments(self, parser: CommandParser):
        parser.add_argument('endpoint', nargs='*', help='Name (or numeric ID) of the endpoint; else all enabled ones')
        parser.add_argument(
            '--repair', action='store_true',
            help='Make custom fields that are missing, let bindings follow from merged branches, and forget those to '
            'objects that are gone',
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any):
        self.troubles = 0
        if options['endpoint']:
            endpoints = [find_endpoint(name) for name in options['endpoint']]
        else:
            endpoints = list(ProxmoxEndpoint.objects.filter(enabled=True))
        if options['repair']:
            self.repair(endpoints)
        self.check_custom_fields()
        self.check_workers()
        self.check_branches()
        for endpoint in endpoints:
            self.check_endpoint(endpoint)
        if self.troubles:
            raise SystemExit(1)

    def tell(self, ok: bool, subject: str, detail: str, remedy: str = '', required: bool = True):
        if ok:
            mark = self.style.SUCCESS('ok     ')
        elif required:
            mark = self.style.ERROR('trouble')
            self.troubles += 1
        else:
            mark = self.style.WARNING('less   ')
        self.stdout.write(f'{mark} {subject}: {detail}'.rstrip(': '))
        if remedy and not ok:
            for line in remedy.splitlines():
                self.stdout.write(f'          {line}')

    def repair(self, endpoints: list[ProxmoxEndpoint]):
        if any(problem.repairable for problem in custom_fields.problems()):
            custom_fields.repair()
            self.stdout.write('repaired custom fields')
        for branch in carrying.left_behind():
            carrying.into_main(branch)
            self.stdout.write(f'repaired the bindings of the branch "{branch}", which follow into main')
        for endpoint in endpoints:
            if gone := dangling(endpoint):
                endpoint.bindings.filter(pk__in=gone).delete()
                self.stdout.write(f'repaired {endpoint}: {len(gone)} bindings to objects that are gone are forgotten')

    def check_custom_fields(self):
        problems = custom_fields.problems()
        for problem in problems:
            remedy = 'Repeat this with --repair.' if problem.repairable else ''
            self.tell(False, 'custom fields', f'{problem.name} {problem.message}', remedy)
        if not problems:
            self.tell(True, 'custom fields', f'{len(custom_fields.CUSTOM_FIELDS)} are there')

    def check_workers(self):
        queue = django_rq.get_queue(get_queue_for_model('proxmoxendpoint'))
        count = Worker.count(queue=queue)
        remedy = 'Start NetBox workers: netbox rqworker, or the service netbox-rq.'
        self.tell(bool(count), 'workers', f'{count} for the queue "{queue.name}"', remedy)

    def check_branches(self):
        for branch in carrying.left_behind():
            detail = f'"{branch}" is merged, and the bindings have not followed into main'
            self.tell(False, 'branches', detail, 'Repeat this with --repair.')

    def check_endpoint(self, endpoint: ProxmoxEndpoint):
        self.check_secrets(endpoint)
        report = connection.test(endpoint)
        checks = report.checks or (Check(label='Connection', ok=False, detail=report.error, remedy=report.remedy),)
        for check in checks:
            self.tell(check.ok, f'{endpoint}, {check.label}', check.detail, check.remedy, check.required)
        gone = len(dangling(endpoint))
        detail = f'{gone} of {endpoint.bindings.count()} are to objects that are gone'
        remedy = 'The next sync makes these objects again. --repair forgets the bindings now.'
        self.tell(not gone, f'{endpoint}, Bindings', detail, remedy, required=False)

    def check_secrets(self, endpoint: ProxmoxEndpoint):
        for name, secret in endpoint.secrets.items():
            try:
                secret.reveal()
            except SecretError as error:
                self.tell(False, f'{endpoint}, {endpoint._meta.get_field(name).verbose_name}', str(error))
