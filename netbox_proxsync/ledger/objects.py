"""Creates, changes and deletes single NetBox objects, and keeps their bindings."""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from extras.models import CustomField
from ipam.models import IPAddress
from utilities.exceptions import AbortRequest
from virtualization.models import VirtualMachine

from ..branching import in_branch
from ..custom_fields import unusable_fields
from ..models import Binding, FormerEndpoint, ProxmoxEndpoint, ProxmoxGuest
from ..sync.changes import Action, Change, FieldChange
from ..sync.kinds import KINDS, Removal
from ..sync.ownership import resolve_field
from ..sync.removal import is_marked
from ..sync.state import Bound
from ..sync.values import Pointer, Ref, Shared, Value, encode_all
from .bindings import load_bindings
from .dependents import hanging_on
from .displacement import Aside
from .fields import is_set, pointer_to, read, write
from .former_endpoints import was_created_by_sync
from .later_edits import Newcomers
from .other_endpoints import given_up
from .requirements import not_assignable
from .rollback import Journal, JournaledDict, JournaledSet
from .shared import SharedObjects
from .tracking import savepoint
from .validation import validate

__all__ = ('ObjectWriter', 'Outdated', 'Unresolved')

ADDRESS = 'ipam.ipaddress'


class Outdated(Exception):
    """NetBox no longer holds what the plan saw."""


class Unresolved(Exception):
    """What this object refers to does not exist, because its own change failed or was left out."""


class ObjectWriter:
    """
    Writes for one endpoint within one run.

    Every method that writes raises what NetBox refuses with (ValidationError, AbortRequest, ProtectedError, ...),
    `Outdated` or `Unresolved`; the caller holds the savepoint.

    Args:
        message: Goes with every entry of the change log.
        moment: The time of the run: stamps, retirements and first sights.
        planned: When the run began that made the plan.

    Attributes:
        has_written: Set when an object is written, for whoever has cleared it.
        journal: Takes back, together with a savepoint or a transaction, what is remembered of it here.
    """

    def __init__(
        self, endpoint: ProxmoxEndpoint, message: str, moment: datetime, planned: datetime | None = None
    ) -> None:
        self.endpoint = endpoint
        self.message = message
        self.moment = moment
        self.newcomers = Newcomers(planned or moment)
        self.journal = Journal()
        self.shared: dict[Shared, Pointer] = JournaledDict(self.journal)
        self.shared_objects = SharedObjects(endpoint)
        self.stamped: JournaledSet[Pointer] = JournaledSet(self.journal)
        # Custom fields that runs leave out, because NetBox would refuse what they write there.
        self.unusable = unusable_fields()
        # Tags that objects may not have, by change; and of the change in hand.
        self.limited: dict[tuple[str, str], set[Pointer]] = {}
        self.unassignable: set[Pointer] = set()
        self.has_written = False
        self.has_former_endpoints: bool | None = None
        self.bound_to: dict[Pointer, Bound] = JournaledDict(self.journal)
        self.pointers: dict[tuple[str, str], Pointer] = JournaledDict(self.journal)
        self.load()
        self.aside = Aside(self.save_field, self.bound_to, self.journal)

    def load(self) -> None:
        """Learn which objects the endpoint keeps, and which guests people have told to leave alone."""
        loaded = load_bindings(self.endpoint)
        self.bound_to.clear()
        self.bound_to.update((bound.pointer, bound) for bound in loaded.values())
        self.pointers.clear()
        self.pointers.update((identity, bound.pointer) for identity, bound in loaded.items())
        ignored = ProxmoxGuest.objects.filter(endpoint=self.endpoint, ignored=True).order_by()
        self.ignored = {guest.key for guest in ignored.only('type', 'vmid')}
        # This is how the database is: nothing of it is to be taken back.
        self.journal.forget()

    def make_shared(self, change: Change) -> dict[str, Exception]:
        """
        Make the shared objects that a change needs, before it, so that they outlive its failure.

        Returns:
            What NetBox refused, by field. Those fields are left; of a set, only the elements that were refused.
        """
        refused = {}
        self.unassignable = self.limited.setdefault((change.kind, change.key), set())
        for field in change.writes:
            for value in elements(field.want):
                if isinstance(value, Shared) and value not in self.shared:
                    # Each by itself: one that is refused must not take back another that is remembered.
                    try:
                        with savepoint():
                            pointer = self.shared_objects.create(value)
                        self.shared[value] = pointer
                    except (ValidationError, AbortRequest) as error:
                        refused[field.name] = error
        return refused

    def is_made(self, field: FieldChange) -> bool:
        """Whether the shared object that a field names exists. Of a set, those that do not are left out."""
        return not isinstance(field.want, Shared) or field.want in self.shared

    def create(self, change: Change) -> None:
        """Make an object and its binding. Late fields stay empty."""
        model = apps.get_model(KINDS[change.kind].model)
        fields = [field for field in change.writes if not field.deferred and self.is_made(field)]
        instance = self.made_with_parent(change)
        is_new = instance is None
        if instance is None:
            instance = model()
        else:
            fields = [field for field in fields if self.may_fill(instance, field)]
            self.prepare(instance)
        for field in fields:
            if not is_set(model, field.name):
                write(instance, field.name, self.resolve(field.want))
        self.aside.make_room(instance)
        self.stamp_on(instance, change.kind)
        self.save(instance)
        self.write_sets(instance, fields)
        pointer = pointer_to(instance)
        self.stamped.add(pointer)
        skipped = {field.name for field in change.writes if field not in fields}
        self.bind(change, pointer, skipped=skipped, made=is_new)
        if change.kind == 'cluster':
            self.place_endpoint(pointer)

    def check(self, change: Change) -> None:
        """Whether what the plan saw is still tied to what the plan saw, and nobody has decided otherwise since."""
        if change.unit in self.ignored:
            raise Outdated(_('A person has told the sync to leave this guest alone.'))
        bound = self.pointers.get((change.kind, change.key))
        if bound and self.bound_to[bound].unmanaged:
            raise Outdated(_('A person has taken it over.'))
        if change.action in (Action.CREATE, Action.ADOPT):
            if bound and bound != change.pointer and apps.get_model(bound.model).objects.filter(pk=bound.pk).exists():
                raise Outdated(_('It is kept in NetBox already.'))
            if change.pointer and self.is_foreign(change.pointer):
                raise Outdated(_('Another endpoint keeps it by now.'))
            self.check_identity(change)
        elif bound != change.pointer:
            raise Outdated(_('This endpoint does not keep it any more.'))

    def check_identity(self, change: Change) -> None:
        """Whether the users' changes since the plan was made leave no doubt about which object this is."""
        wants = {field.name: field.want for field in change.writes}
        if change.action is Action.CREATE:
            cluster = self.resolve(wants['cluster']).pk if 'cluster' in wants and change.kind == 'vm' else None
            if found := self.newcomers.like(change, cluster):
                raise Outdated(
                    _('"{name}" was created or edited in NetBox since the plan was made, and may be it.').format(
                        name=found
                    )
                )
        elif change.kind == 'vm' and change.pointer:
            vmid = self.locked(change.pointer).custom_field_data.get('vmid')
            if vmid is not None and vmid != int(change.key.rpartition('/')[2]):
                raise Outdated(
                    _('"{name}" has the VM ID {vmid} by now, so it is another machine.').format(
                        name=change.pointer.label, vmid=vmid
                    )
                )

    def is_foreign(self, pointer: Pointer) -> bool:
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        others = Binding.objects.filter(object_type=object_type, object_id=pointer.pk).exclude(endpoint=self.endpoint)
        if pointer in self.bound_to or not others.exists():
            return False
        address = IPAddress.objects.filter(pk=pointer.pk).first() if pointer.model == ADDRESS else None
        return address is None or not given_up(others, address, self.bound_to)

    def made_with_parent(self, change: Change) -> models.Model | None:
        """The object that NetBox made from a template when its parent was made, by the same run."""
        kind = KINDS[change.kind]
        if kind.comes_with_parent is None:
            return None
        wants = {field.name: field.want for field in change.writes}
        parent, name = (self.resolve(wants.get(field)) for field in kind.comes_with_parent)
        if parent not in self.stamped:
            return None
        lookup = dict(zip(kind.comes_with_parent, (parent.pk, name), strict=True))
        found = apps.get_model(kind.model).objects.filter(**lookup).first()
        return None if found is None or pointer_to(found) in self.bound_to else found

    def may_fill(self, instance: models.Model, field: FieldChange) -> bool:
        """Whether a field of an object that is there already is ours to write."""
        now = read(instance, field.name)
        return resolve_field(field.owner, field.name, {}, now, self.resolve(field.want)).writes

    def update(self, change: Change) -> list[str]:
        """
        Write the early fields of a change and keep its binding.

        Returns:
            The fields that were left, because NetBox was edited since the plan was made.
        """
        early = [field for field in change.writes if not field.deferred and self.is_made(field)]
        outdated = self.write_fields(change, early)
        left = {field.name for field in change.writes if field not in early}
        self.bind(change, change.pointer, skipped=left | set(outdated))
        if change.kind == 'cluster':
            self.place_endpoint(change.pointer)
        return outdated

    def write_late(self, change: Change, names: Collection[str], left: Collection[str] = ()) -> list[str]:
        """
        Write fields that point to objects which did not exist before this unit was written.

        Args:
            names: Those to write.
            left: Those that are not written yet, or were refused.
        """
        pointer = change.pointer or self.pointers[change.kind, change.key]
        late = [field for field in change.writes if field.deferred and field.name in names]
        resolved = [field for field in late if not isinstance(field.want, Ref) or self.is_there(field.want)]
        if change.action is Action.UPDATE and not resolved and len(late) == len(change.writes):
            # Nothing of the change is written: it must not be reported as applied.
            self.resolve(late[0].want)
        outdated = self.write_fields(change, resolved, pointer)
        missing = {field.name for field in late if field not in resolved}
        unmade = {field.name for field in change.writes if not self.is_made(field)}
        self.bind(change, pointer, skipped=missing | unmade | set(outdated) | set(left))
        return outdated

    def release(self, change: Change) -> list[str]:
        """Let go of an object that is a person's: it stays, and is no longer kept."""
        outdated = self.write_fields(change, list(change.writes))
        self.unbind(change)
        return outdated

    def delete(self, change: Change) -> None:
        """Delete an object, unless something came to hang on it since the plan was made."""
        instance = self.locked(change.pointer)
        if burdens := sorted(set(hanging_on(instance, self.bound_to))):
            raise Outdated(_('These hang on it: {burdens}.').format(burdens=', '.join(burdens)))
        if not self.is_retired(instance, change):
            raise Outdated(_('It is not marked as retired any more.'))
        self.prepare(instance)
        instance.delete()
        self.has_written = True
        self.unbind(change)

    def is_retired(self, instance: models.Model, change: Change) -> bool:
        """Whether an object of a kind that is retired first is still marked so, before it is deleted."""
        bound, kind = self.bound_to.get(change.pointer), KINDS[change.kind]
        if kind.removal is not Removal.RETIRE or bound is None:
            return True
        return is_marked(bound, {name: read(instance, name) for name in kind.retired})

    def stamp_unit(self, change: Change) -> None:
        """Note on the root of a change's unit that something about it changed, unless its own write has done so."""
        root = next((name for name, kind in KINDS.items() if kind.stamp and (name, change.unit) in self.pointers), None)
        if root is None or (pointer := self.pointers[root, change.unit]) in self.stamped:
            return
        if self.bound_to[pointer].unmanaged:
            return
        instance = self.locked(pointer)
        self.prepare(instance)
        self.stamp_on(instance, root)
        self.save(instance)
        self.stamped.add(pointer)

    # What the above are made of

    def resolve(self, value: Value) -> Value:
        """The value with every object named by its pointer."""
        match value:
            case Ref():
                if not self.is_there(value):
                    raise Unresolved(_('It needs {label}, which could not be written.').format(label=value.label))
                return self.pointers[value.kind, value.key]
            case Shared():
                return self.shared[value]
            case frozenset():
                made = (element for element in value if not isinstance(element, Shared) or element in self.shared)
                return frozenset(self.resolve(element) for element in made) - self.unassignable
            case _:
                return value

    def is_there(self, ref: Ref) -> bool:
        return (ref.kind, ref.key) in self.pointers

    def locked(self, pointer: Pointer) -> models.Model:
        model = apps.get_model(pointer.model)
        instance = model.objects.select_for_update(of=('self',)).filter(pk=pointer.pk).first()
        if instance is None:
            raise Outdated(_('It was deleted in NetBox since the plan was made.'))
        return instance

    def prepare(self, instance: models.Model) -> None:
        instance.snapshot()
        instance._changelog_message = self.message

    def save(self, instance: models.Model) -> None:
        instance._changelog_message = self.message
        validate(instance)
        instance.save()
        self.has_written = True

    def write_fields(self, change: Change, fields: list[FieldChange], pointer: Pointer | None = None) -> list[str]:
        """Write fields that still hold what the plan saw; the names of the others. Nothing to write: nothing saved."""
        if not fields:
            return []
        instance = self.locked(pointer or change.pointer)
        sets = [field for field in fields if is_set(type(instance), field.name)]
        plain = [field for field in fields if field not in sets]
        current = [field for field in plain if self.aside.is_current(instance, field.name, field.now)]
        if current or sets:
            self.prepare(instance)
            for field in current:
                if field.name == 'assigned_object' and field.now is not None:
                    self.aside.free_primary(instance, self.resolve(field.want))
                write(instance, field.name, self.resolve(field.want))
            if change.kind == 'vm' and any(field.name == 'cluster' for field in current):
                follow_cluster(instance)
            if any(field.name == 'name' for field in current):
                self.aside.make_room(instance)
            self.stamp_on(instance, change.kind)
            if current or KINDS[change.kind].stamp:
                self.save(instance)
            self.write_sets(instance, sets)
            self.stamped.add(pointer_to(instance))
        return [field.name for field in plain if field not in current]

    def write_sets(self, instance: models.Model, fields: Iterable[FieldChange]) -> None:
        """Add and remove single elements, so that what others put there meanwhile stays."""
        for field in fields:
            if not is_set(type(instance), field.name):
                continue
            if field.name == 'tags':
                self.unassignable |= not_assignable(self.resolve(field.want), instance)
            want, now = self.resolve(field.want), field.now or frozenset()
            manager = getattr(instance, field.name)
            if added := want - now:
                manager.add(*fetch(added))
            if removed := now - want:
                manager.remove(*fetch(removed))
            self.has_written |= bool(added or removed)

    def save_field(self, instance: models.Model, name: str, value: Value) -> None:
        self.prepare(instance)
        write(instance, name, value)
        self.save(instance)

    def stamp_on(self, instance: models.Model, kind: str) -> None:
        stamp = KINDS[kind].stamp
        fields = {field.name for field in CustomField.objects.get_for_model(type(instance))} - self.unusable
        if stamp and stamp in fields:
            instance.custom_field_data[stamp] = self.moment.isoformat()

    def bind(self, change: Change, pointer: Pointer, skipped: set[str] = frozenset(), made: bool = False) -> None:
        """
        Tie the thing to the object and remember what was written.

        A skipped field is remembered as it was, so that the next run sees the same difference again.
        """
        last = {field.name: field.last for field in change.fields if field.has_last}
        written = {field.name for field in change.writes}
        values = {}
        for name, value in (change.binding or {}).items():
            if name not in skipped:
                value = self.resolve(value)
                values[name] = value if name in written else self.aside.holds(pointer, name, value)
            elif name in last:
                values[name] = last[name]
        retired = change.action is Action.RETIRE
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        # An object that served another thing until now (a NIC that is gone) is bound once.
        if change.action in (Action.ADOPT, Action.CREATE):
            Binding.objects.filter(object_type=object_type, object_id=pointer.pk).exclude(
                endpoint=self.endpoint, kind=change.kind, key=change.key
            ).delete()
        state = {
            'unit': change.unit,
            'object_type': object_type,
            'object_id': pointer.pk,
            'values': encode_all(values),
            'missing_since': self.moment if retired else None,
        }
        identity = {'endpoint': self.endpoint, 'kind': change.kind, 'key': change.key}
        if (change.kind, change.key) not in self.pointers or change.action in (Action.ADOPT, Action.CREATE):
            state['created_by_sync'] = made or self.made(pointer, change)
        row, _created = Binding.objects.update_or_create(
            **identity, defaults=state, create_defaults={**identity, **state, 'first_seen': self.moment}
        )
        self.pointers[change.kind, change.key] = pointer
        self.bound_to[pointer] = Bound(
            pk=row.pk,
            kind=change.kind,
            key=change.key,
            unit=change.unit,
            pointer=pointer,
            last=values,
            created_by_sync=row.created_by_sync,
            missing_since=row.missing_since,
            unmanaged=row.unmanaged,
        )

    def made(self, pointer: Pointer, change: Change) -> bool:
        """
        Whether the sync made an object that it binds: in this run, for another thing that it served, or for an endpoint
        that was deleted.
        """
        bound = self.bound_to.get(pointer)
        if bound is not None and bound.created_by_sync:
            return True
        if self.has_former_endpoints is None:
            self.has_former_endpoints = FormerEndpoint.objects.exists()
        return self.has_former_endpoints and was_created_by_sync(pointer)

    def unbind(self, change: Change) -> None:
        rows = Binding.objects.filter(endpoint=self.endpoint, kind=change.kind, key=change.key)
        if change.key == change.unit:
            # Its parts are gone with it; one that a person had moved elsewhere before is theirs.
            rows = Binding.objects.filter(endpoint=self.endpoint, unit=change.unit)
        for row in rows:
            self.bound_to.pop(self.pointers.pop((row.kind, row.key), None), None)
        rows.delete()

    def place_endpoint(self, cluster: Pointer) -> None:
        """
        The cluster that the first sync makes or finds becomes the endpoint's. In a branch that waits for the merge: the
        endpoint is in main, which may not have the cluster.
        """
        if in_branch():
            return
        endpoint = ProxmoxEndpoint.objects.get(pk=self.endpoint.pk)
        if endpoint.cluster_id is None:
            self.prepare(endpoint)
            endpoint.cluster_id = cluster.pk
            endpoint.save()


def follow_cluster(instance: VirtualMachine) -> None:
    """
    A virtual machine that moves to another cluster gets the site of that cluster, and leaves a device that is not in
    it: NetBox accepts no others.
    """
    if instance.cluster and instance.cluster._site_id:
        instance.site_id = instance.cluster._site_id
    if instance.device and instance.device.cluster_id != instance.cluster_id:
        instance.device = None


def fetch(pointers: Iterable[Pointer]) -> list[models.Model]:
    """The objects that still exist."""
    found = (apps.get_model(pointer.model).objects.filter(pk=pointer.pk).first() for pointer in pointers)
    return [instance for instance in found if instance is not None]


def elements(value: Value) -> Iterable[Value]:
    return value if isinstance(value, frozenset) else (value,)
