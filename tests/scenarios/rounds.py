"""
Rounds of syncs against the real NetBox, with a user's edits between them, watched by someone who trusts nobody.

`Lab` remembers, from what the database holds before and after each step and from nothing else, who made each object and
who wrote each value last. So what a sync may do is judged without the plugin's own bookkeeping.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Platform
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, models, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from extras.models import JournalEntry, Tag
from ipam.models import VLAN, VRF, IPAddress, Prefix, Service, VLANGroup
from tenancy.models import Tenant
from utilities.exceptions import AbortRequest
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.ledger.existing import load
from netbox_proxsync.ledger.fields import pointer_to, read_all
from netbox_proxsync.ledger.objects import ObjectWriter
from netbox_proxsync.ledger.settings import load_settings
from netbox_proxsync.ledger.writer import Result, Writer
from netbox_proxsync.models import Binding, ProxmoxEndpoint
from netbox_proxsync.models.users import service_user
from netbox_proxsync.proxmox.inventory import Inventory
from netbox_proxsync.sync.changes import Change, Plan
from netbox_proxsync.sync.comparison import compare
from netbox_proxsync.sync.desired import desire
from netbox_proxsync.sync.kinds import KINDS, Owner
from netbox_proxsync.sync.values import Pointer, Value, show
from tests.cases import make_endpoint
from tests.sync.builders import NOW

WATCHED = (
    Cluster, VirtualMachine, VMInterface, MACAddress, IPAddress, VirtualDisk, Tag, Platform, Prefix, VRF, Service,
    JournalEntry, Device, Interface, Cable, VLAN, VLANGroup, DeviceType, Manufacturer, DeviceRole,
)  # fmt: skip
# Moments, and sums that NetBox keeps by itself.
UNWATCHED = {
    'id', 'created', 'last_updated', 'last_seen', 'disk', 'interface_count', 'virtual_disk_count', 'device_count',
    'interface_template_count',
}  # fmt: skip
PRIMARY = ('primary_ip4_id', 'primary_ip6_id')
STAMPS = {'vm_last_sync', 'proxmox_node_last_sync'}
FACTS = {
    (kind.model, spec.name) for kind in KINDS.values() for spec in kind.fields if spec.owner is Owner.FACT
}  # fmt: skip

# (model, pk), and (model, pk, field).
type Object = tuple[str, int]
type Photo = dict[Object, dict[str, object]]


def photograph() -> Photo:
    """Every value of every object that a user or a sync might have written."""
    photo = {}
    for model in WATCHED:
        names = [field.attname for field in model._meta.concrete_fields if field.attname not in UNWATCHED]
        for row in model.objects.all():
            values = {name: getattr(row, name) for name in names if not name.startswith('_')}
            custom = values.pop('custom_field_data', {})
            values |= {
                f'cf_{name}': value for name, value in custom.items() if value is not None and name not in STAMPS
            }
            if 'address' in values:
                values['address'] = str(values['address'])
            photo[model._meta.label_lower, row.pk] = values
    for vm in VirtualMachine.objects.prefetch_related('tags'):
        photo['virtualization.virtualmachine', vm.pk] |= {f'tag {tag.pk}': True for tag in vm.tags.all()}
    for model in (VMInterface, Interface):
        for row in model.objects.prefetch_related('tagged_vlans'):
            photo[model._meta.label_lower, row.pk] |= {f'tagged {vlan.pk}': True for vlan in row.tagged_vlans.all()}
    return photo


def field_of(name: str) -> str:
    """The field as a kind names it, for a name in a photo."""
    if name.startswith('assigned_object'):
        return 'assigned_object'
    if name.startswith('scope'):
        return 'scope'
    return name if name.startswith('cf_') else name.removesuffix('_id')


@dataclass(frozen=True)
class Round:
    plan: Plan
    results: tuple[Result, ...]

    @property
    def left(self) -> list[tuple]:
        """What was not done, as it would be reported again by the next run."""
        return sorted(
            (result.change.kind, result.change.key, reported_next(result), result.outcome, result.change.reason,
             result.message)
            for result in self.results
            if result.outcome != 'applied'
        )  # fmt: skip

    def __str__(self) -> str:
        return (
            '\n'.join(described(result.change, result.outcome, result.message) for result in self.results)
            or '(nothing)'
        )


def reported_next(result: Result) -> str:
    """As what the next run tells it: an object that could be made but for a field is there then."""
    is_there = result.outcome == 'failed' and result.pointer
    return 'update' if is_there else str(result.change.action)


def described(change: Change, outcome: str = '', message: str = '') -> str:
    fields = ', '.join(
        f'{field.name}: {show(field.now)[:40]!r} -> {show(field.want)[:40]!r}{" (kept)" if field.kept else ""}'
        for field in change.fields
    )
    return f'  {change.action} {change.kind} {change.key} {outcome} {message or change.reason} [{fields}]'


def is_of_another_machine(address: int, machine: Object) -> bool:
    """Whether an address has moved to another machine: NetBox does not accept it as the primary one of this machine."""
    found = IPAddress.objects.filter(pk=address).first()
    port = found.assigned_object if found else None
    return port is not None and (port.parent_object._meta.label_lower, port.parent_object.pk) != machine


class Lab:
    """One endpoint, its NetBox, and the witness of who wrote what."""

    def __init__(self, **values):
        self.now = NOW
        # What is missing for a moment has tests of its own: a second run would have something to do.
        self.endpoint = make_endpoint('Lab', **({'change_limit': 100, 'missing_address_reads': 1} | values))
        self.photo = photograph()
        self.makers: dict[Object, str] = dict.fromkeys(self.photo, 'user')
        self.authors: dict[tuple, str] = {}
        self.places: dict[str, models.Model] = {}

    # The plugin's own path, step by step

    def plan(self, inv: Inventory) -> Plan:
        self.endpoint = ProxmoxEndpoint.objects.get(pk=self.endpoint.pk)
        settings = load_settings(self.endpoint)
        desired = desire(inv, settings)
        return compare(desired, load(self.endpoint, desired, settings), settings, self.now)

    def run(self, inv: Inventory) -> Round:
        return self.apply(self.plan(inv))

    def apply(
        self,
        plan: Plan,
        before_commit: Callable[[], None] = lambda: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Round:
        """
        Apply a plan.

        Args:
            before_commit: Called at the end of each transaction, which fails if that fails.
            stopped: Whether the run was canceled.
        """
        assert not plan.refusal, plan.refusal
        results: list[Result] = []

        def record(found: list[Result]):
            before_commit()
            results.extend(found)

        objects = ObjectWriter(self.endpoint, 'test', self.now)
        Writer(objects, service_user(), uuid4(), record, stopped).apply(plan)
        return Round(plan, tuple(results))

    @contextmanager
    def as_endpoint(self, name: str) -> Iterator[None]:
        """Another endpoint in the same NetBox, for a while."""
        mine = self.endpoint
        self.endpoint = ProxmoxEndpoint.objects.filter(name=name).first() or make_endpoint(
            name, change_limit=100, missing_address_reads=1
        )
        try:
            yield
        finally:
            self.endpoint = mine

    def managed_by_others(self) -> set[Object]:
        """
        The objects that are bound to other endpoints. A machine that is retired there may return, and its addresses are
        free.
        """
        rows = Binding.objects.exclude(endpoint=self.endpoint).select_related('object_type')
        retired = {(row.endpoint_id, row.unit) for row in rows if row.key == row.unit and row.missing_since}
        return {
            (f'{row.object_type.app_label}.{row.object_type.model}', row.object_id)
            for row in rows
            if (row.endpoint_id, row.unit) not in retired
        }

    # A round, and all that must be true after it

    def sync(self, inv: Inventory) -> Round:
        """Sync, and hold the outcome against every promise that can be judged from outside."""
        self.now += timedelta(days=1)
        before, foreign = self.photo, self.managed_by_others()
        done = self.run(inv)
        after = photograph()
        described_run = f'\n{done}'
        for key in foreign:
            assert before.get(key) == after.get(key), f'{key} of another endpoint was changed{described_run}'
        self.check_losses(before, after, done, described_run)
        self.check_settled(inv, done, described_run)
        self.check_valid(described_run)
        self.witness(before, after, 'sync')
        self.settle_authors(after)
        return done

    def check_losses(self, before: Photo, after: Photo, done: Round, described_run: str):
        drift = {(result.change.pointer.model, result.change.pointer.pk, field.name)
                 for result in done.results if result.change.pointer for field in result.change.writes}  # fmt: skip
        for key, values in before.items():
            if key not in after:
                assert self.makers[key] == 'sync', f'{key} of a user was deleted: {values}{described_run}'
                continue
            for name in values.keys() | after[key].keys():
                was, is_now = values.get(name), after[key].get(name)
                if was == is_now or self.authors.get((*key, name)) != 'user':
                    continue
                if name in PRIMARY and is_of_another_machine(was, key):
                    continue
                field = (key[0], field_of(name))
                assert field in FACTS, f'{name} of {key}, by a user, became {is_now!r}; it was {was!r}{described_run}'
                assert (*key, field[1]) in drift, f'{name} of {key} was set back silently{described_run}'

    def check_settled(self, inv: Inventory, done: Round, described_run: str):
        """A second run has no changes, and reports the same conflicts as the first one."""
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            again = self.run(inv)
            transaction.set_rollback(True)
        # What could not be done is reported again; a machine that was made tells only now what it lacks.
        assert set(done.left) <= set(again.left), f'not the same twice:{described_run}\nthen\n{again}'
        more = {left[3] for left in again.left if left not in done.left}
        assert more <= {'skipped'}, f'not the same twice:{described_run}\nthen\n{again}'
        applied = [described(result.change) for result in again.results if result.outcome == 'applied']
        assert not applied, f'a second run has something to do:{described_run}\nthen\n{again}'
        assert (again.plan.refreshed, again.plan.forgotten) == ({}, ()), f'{again.plan.refreshed}{described_run}'
        assert all(left[3] != 'outdated' for left in again.left), f'outdated for ever:{described_run}'
        if all(change.action.is_open for change in again.plan.changes):
            written = [entry['sql'] for entry in queries if is_write(entry['sql'])]
            assert not written, f'a run without changes wrote {written[:3]}{described_run}'

    def check_valid(self, described_run: str):
        for binding in Binding.objects.filter(endpoint=self.endpoint):
            if (instance := binding.object) is not None:
                try:
                    instance.full_clean()
                except ValidationError as error:
                    raise AssertionError(f'{binding} is not valid: {error.message_dict}{described_run}') from error

    def check_blind(self, inv: Inventory, blind: Inventory):
        """Data that becomes unreadable changes no object in NetBox."""
        with transaction.atomic():
            before = photograph()
            done = self.run(blind)
            after = photograph()
            transaction.set_rollback(True)
        changed = [
            (key, name, values.get(name), after.get(key, {}).get(name))
            for key, values in before.items()
            for name in values.keys() | after.get(key, {}).keys()
            if values.get(name) != after.get(key, {}).get(name)
        ]
        assert not changed, f'what was unreadable changed NetBox: {changed}\n{done}'
        assert after.keys() == before.keys(), f'what was unreadable made objects\n{done}'

    # The witness

    def witness(self, before: Photo, after: Photo, who: str):
        self.photo = after
        for key, values in after.items():
            old = before.get(key)
            if old is None:
                self.makers[key] = who
            for name in values.keys() | (old or {}).keys():
                # What is empty in a new object is empty by nobody's choice.
                if (old or {}).get(name) != values.get(name) and not (old is None and not values.get(name)):
                    self.authors[*key, name] = who

    def settle_authors(self, after: Photo):
        """A user's value that Proxmox VE has come to want as well is no longer only the user's."""
        for bound in Binding.objects.filter(endpoint=self.endpoint):
            key = (f'{bound.object_type.app_label}.{bound.object_type.model}', bound.object_id)
            for name, value in after.get(key, {}).items():
                agreed = bound.values.get(field_of(name), ...)
                if value == (agreed.get('pk') if isinstance(agreed, dict) else agreed):
                    self.authors[*key, name] = 'sync'

    # A user

    def edit(self, instance: models.Model, **values) -> bool:
        """Save an object as NetBox's forms do. Whether NetBox took it."""
        try:
            with transaction.atomic():
                for name, value in values.items():
                    setattr(instance, name, value)
                instance.full_clean()
                instance.save()
        except (ValidationError, DatabaseError, AbortRequest):
            return False
        return self.noted()

    def make(self, instance: models.Model) -> bool:
        return self.edit(instance)

    def place(self, what: str) -> models.Model:
        """Where a user puts machines: a cluster, a role or a tenant of their own."""
        found = self.places.get(what)
        if found is None:
            kind = ClusterType.objects.get_or_create(name='By hand', slug='by-hand')[0]
            found = self.places[what] = {
                'cluster': lambda: Cluster.objects.create(name='elsewhere', type=kind),
                'role': lambda: DeviceRole.objects.create(name='By hand', slug='by-hand'),
                'tenant': lambda: Tenant.objects.create(name='By hand', slug='by-hand'),
            }[what]()
            self.noted()
        return found

    def delete(self, instance: models.Model) -> bool:
        try:
            with transaction.atomic():
                instance.delete()
        except (ProtectedError, ValidationError, AbortRequest):
            return False
        # What named the object is empty now, which nobody chose.
        before, after = self.photo, photograph()
        self.witness(before, after, 'nobody')
        return True

    def noted(self) -> bool:
        before, after = self.photo, photograph()
        self.witness(before, after, 'user')
        return True

    def all(self) -> Iterator[models.Model]:
        """Every object that a user might take, in an order that does not change."""
        for model in (VirtualMachine, VMInterface, VirtualDisk, IPAddress, MACAddress, Device, Interface, VLAN):
            yield from model.objects.order_by('pk')


def is_write(sql: str) -> bool:
    return sql.startswith(('INSERT', 'UPDATE', 'DELETE'))


def content(endpoint: ProxmoxEndpoint, units: set[str] | None = None) -> dict[tuple[str, str], dict[str, object]]:
    """
    What NetBox holds of an endpoint (of some of its units), by what it is in Proxmox VE and without keys of the
    database, so that two NetBoxes can be compared.
    """
    bound = [row for row in endpoint.bindings.all() if row.object is not None]
    names = {pointer_to(row.object): (row.kind, row.key) for row in bound}
    return {
        (row.kind, row.key): {
            name: by_name(value, names)
            for name, value in read_all(row.object, [spec.name for spec in KINDS[row.kind].fields]).items()
        }
        for row in bound
        if units is None or row.unit in units
    }


def by_name(value: Value, names: dict[Pointer, tuple[str, str]]) -> object:
    if isinstance(value, frozenset):
        return sorted(str(by_name(element, names)) for element in value)
    if isinstance(value, Pointer):
        return names.get(value) or (value.model, value.label)
    return value
