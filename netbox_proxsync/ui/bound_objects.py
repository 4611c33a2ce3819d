"""Objects that are bound to something in Proxmox VE, with their status and values, for NetBox's own pages."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast
from urllib.parse import quote

from dcim.models import Device
from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db.models import ForeignKey, Model, Q
from virtualization.models import Cluster, VirtualMachine

from ..branching import active, in_branch
from ..choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    FieldDecisionChoices,
    GuestStateChoices,
    RunModeChoices,
    RunStatusChoices,
)
from ..decisions import state_of
from ..ledger.fields import is_set
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.field_display import labels_of, shown_value
from ..models.users import AnyUser
from ..proxmox.hosts import Host
from ..sync.changes import Action
from ..sync.field_states import FieldState
from ..sync.kinds import KINDS, Kind
from ..sync.owners import IGNORED
from ..sync.write_policy import permitted_actions

__all__ = (
    'BindingStatus',
    'BoundField',
    'BoundObject',
    'binding_of',
    'bound_objects',
    'differing_fields',
    'guest_of',
    'status_of',
    'web_url',
)

# The kinds of bindings of the models whose pages have a panel.
MODELS = {VirtualMachine: 'vm', Device: 'device', Cluster: 'cluster'}
CACHED = '_proxsync_binding'
# Outcomes of changes that were not made in NetBox.
OPEN = (
    ChangeOutcomeChoices.PLANNED, ChangeOutcomeChoices.OUTDATED, ChangeOutcomeChoices.SKIPPED,
    ChangeOutcomeChoices.CANCELED, ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.WITHHELD,
    ChangeOutcomeChoices.REJECTED,
)  # fmt: skip
PROBLEMS = (ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.REJECTED, ChangeOutcomeChoices.SKIPPED)


def binding_of(instance: Model) -> Binding | None:
    """The binding of a virtual machine, device or cluster. It is loaded once for each instance."""
    if not hasattr(instance, CACHED):
        found = Binding.objects.filter(
            object_type=ContentType.objects.get_for_model(type(instance)),
            object_id=instance.pk,
            kind=MODELS[type(instance)],
        )
        setattr(instance, CACHED, found.select_related('endpoint').first())
    return cast(Binding | None, getattr(instance, CACHED))


def guest_of(binding: Binding) -> ProxmoxGuest | None:
    """The guest of a machine; None if another machine has its VM ID now."""
    guest_type, _slash, vmid = binding.unit.partition('/')
    if binding.kind != 'vm' or not vmid.isdecimal():
        return None
    return (
        ProxmoxGuest.objects.filter(endpoint=binding.endpoint_id, type=guest_type, vmid=vmid)
        .select_related('endpoint')
        .first()
    )


def web_url(endpoint: ProxmoxEndpoint, unit: str = '') -> str:
    """The page of a guest or node ('qemu/100', 'node/pve1'), or of the cluster, in Proxmox VE's own web interface."""
    # The format of Proxmox VE's web interface for a selected object (pve-manager, StateProvider.js).
    selected = f'#v1:0:={quote(unit, safe="")}' if unit and '#' not in unit else ''
    return f'https://{Host.parse(endpoint.hosts[0])}/{selected}'


@dataclass(frozen=True)
class BindingStatus:
    """
    The status of a binding.

    Attributes:
        state, reason: As in `ProxmoxGuest`.
        run: The last run that compared the object; None if there is none.
    """

    state: str
    reason: str
    run: SyncRun | None

    @property
    def label(self) -> str:
        return cast(str, dict(GuestStateChoices)[self.state])

    @property
    def color(self) -> str:
        return cast(str, GuestStateChoices.colors[self.state])


def status_of(binding: Binding, guest: ProxmoxGuest | None, user: AnyUser) -> BindingStatus:
    """The status for a user who may view the binding. The reason is empty if it names objects the user may not view."""
    run = last_reading_run(binding, guest)
    if guest is not None:
        readable = ProxmoxGuest.objects.restrict(user, 'view').filter(pk=guest.pk).first()
        return BindingStatus(guest.state, readable.shown_reason if readable else '', run)
    if binding.missing_since:
        return BindingStatus(GuestStateChoices.MISSING, '', run)
    if run is None:
        return BindingStatus(GuestStateChoices.UNKNOWN, '', None)
    unmade = run.changes.filter(unit=binding.unit, outcome__in=OPEN).order_by('position')
    problems = unmade.filter(Q(action__in=ChangeActionChoices.OPEN) | Q(outcome__in=PROBLEMS))
    if problems.exists():
        readable = problems.restrict(user, 'view').first()
        return BindingStatus(
            GuestStateChoices.CONFLICT, readable.shown_message or readable.shown_reason if readable else '', run
        )
    return BindingStatus(GuestStateChoices.CHANGED if unmade.exists() else GuestStateChoices.IN_SYNC, '', run)


def last_reading_run(binding: Binding, guest: ProxmoxGuest | None) -> SyncRun | None:
    """The last run that compared the bound object with Proxmox VE."""
    runs = SyncRun.objects.filter(
        endpoint=binding.endpoint_id,
        branch_id=active().schema_id,
        mode__in=RunModeChoices.READING,
        status__in=(*RunStatusChoices.DONE, RunStatusChoices.REFUSED),
    )
    limited = Q(vmids__contains=[guest.vmid]) if guest else Q(pk=None)
    return runs.filter(Q(vmids=None) | limited).order_by('-created', '-pk').first()


@dataclass(frozen=True)
class BoundField:
    """
    A managed field with its three values as texts for display. Guests control them: escape them.

    Attributes:
        owner: 'fact', 'editorial', 'set' or 'ignored'.
        reported: The last value from Proxmox VE.
        now: The value in NetBox.
        written: The value that was written last; `was_written` distinguishes an empty value from none.
        next_sync: What the next sync does, if the values differ: 'keep', 'overwrite', 'withhold' (by the write policy);
            '' if the object is not compared.
        choices: What the user can decide: values and labels of `FieldDecisionChoices`.
    """

    name: str
    label: str
    owner: str
    reported: str
    now: str
    written: str
    was_written: bool
    differs: bool
    next_sync: str
    choices: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class BoundObject:
    """
    A bound object with its managed fields.

    Attributes:
        label: The type of the object, for display.
        instance: None if the user may not view the object, or it does not exist.
    """

    binding: Binding
    kind: Kind
    label: str
    instance: Model | None
    fields: tuple[BoundField, ...]

    @property
    def is_root(self) -> bool:
        """Whether the object is the machine itself, not a part."""
        return self.binding.key == self.binding.unit

    @property
    def is_open(self) -> bool:
        """Whether the fields are shown unfolded."""
        return self.is_root or bool(self.differing)

    @property
    def differing(self) -> int:
        return sum(field.differs for field in self.fields)


def bound_objects(binding: Binding, user: AnyUser) -> list[BoundObject]:
    """A machine and its bound parts. The number of queries does not depend on the number of parts."""
    rows: dict[str, list[Binding]] = {}
    found = Binding.objects.filter(endpoint=binding.endpoint_id, unit=binding.unit).order_by('key')
    for row in found.select_related('endpoint'):
        rows.setdefault(row.kind, []).append(row)
    kinds = [kind for kind in KINDS.values() if kind.name in rows]
    rights = FieldRights.of(user, binding.endpoint)
    return [found for kind in kinds for found in bound_objects_of_kind(kind, rows[kind.name], user, rights)]


def bound_objects_of_kind(
    kind: Kind, rows: list[Binding], user: AnyUser, rights: 'FieldRights'
) -> Iterator[BoundObject]:
    model = apps.get_model(kind.model)
    labels = labels_of(kind)
    names = [spec.name for spec in kind.fields if not spec.name.startswith('cf_')]
    concrete = {name: model._meta.get_field(name) for name in names}
    found = model.objects.restrict(user, 'view').filter(pk__in=[row.object_id for row in rows])
    if related := [name for name, field in concrete.items() if isinstance(field, ForeignKey)]:
        found = found.select_related(*related)
    # Sets and generic relations.
    fetched = [name for name, field in concrete.items() if is_set(model, name) or isinstance(field, GenericForeignKey)]
    instances = found.prefetch_related(*fetched).in_bulk()
    for row in rows:
        instance = instances.get(row.object_id)
        fields = tuple(fields_of(kind, row, instance, labels, rights)) if instance is not None else ()
        yield BoundObject(row, kind, str(model._meta.verbose_name), instance, fields)


def fields_of(
    kind: Kind, row: Binding, instance: Model, labels: Mapping[str, str], rights: 'FieldRights'
) -> Iterator[BoundField]:
    for spec in kind.fields:
        # Custom fields that an administrator has removed have no label.
        state = state_of(row, spec, instance) if spec.name in labels else None
        if state is None:
            continue
        next_sync = next_sync_of(row, state)
        yield BoundField(
            name=spec.name,
            label=labels[spec.name],
            owner=str(state.owner or IGNORED),
            reported=shown_value(kind.name, spec.name, state.reported),
            now=shown_value(kind.name, spec.name, state.now),
            written=shown_value(kind.name, spec.name, state.written),
            was_written=spec.name in row.values,
            differs=state.differs,
            next_sync=next_sync,
            choices=rights.choices(state.choices) if next_sync else (),
        )


def next_sync_of(binding: Binding, state: FieldState) -> str:
    """As `BoundField.next_sync`."""
    if not state.differs or binding.unmanaged or binding.missing_since:
        return ''
    if state.is_kept:
        return 'keep'
    return 'overwrite' if Action.UPDATE in permitted_actions(binding.endpoint.write_policy) else 'withhold'


@dataclass(frozen=True)
class FieldRights:
    """What a user may decide about the fields of the objects of an endpoint."""

    may_sync: bool
    may_change: bool

    @classmethod
    def of(cls, user: AnyUser, endpoint: ProxmoxEndpoint) -> Self:
        if in_branch():
            return cls(may_sync=False, may_change=False)
        return cls(
            user.has_perm('netbox_proxsync.sync_proxmoxendpoint', endpoint),
            user.has_perm('netbox_proxsync.change_proxmoxendpoint', endpoint),
        )

    def choices(self, possible: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
        """Value, label and description of those that the user may make."""
        found = {choice.value: choice for choice in FieldDecisionChoices.CHOICES}
        return tuple(
            (choice, str(found[choice].label), str(found[choice].description))
            for choice in possible
            if (self.may_change if choice == FieldDecisionChoices.ALWAYS else self.may_sync)
        )


def differing_fields(change: SyncChange, user: AnyUser) -> tuple[Binding | None, dict[str, BoundField]]:
    """
    The fields of a change that differ between NetBox and Proxmox VE now, with what the user can decide about them.

    Returns:
        The binding of the object of the change, and the fields by name; None and nothing if the user may not view them.
    """
    if change.kind not in KINDS or change.run.branch_id or in_branch():
        return None, {}
    rows = Binding.objects.restrict(user, 'view').filter(
        endpoint=change.run.endpoint_id, kind=change.kind, key=change.key, object_id=change.object_id
    )
    binding = rows.select_related('endpoint').first()
    if binding is None:
        return None, {}
    rights = FieldRights.of(user, binding.endpoint)
    [found] = bound_objects_of_kind(KINDS[change.kind], [binding], user, rights)
    return binding, {field.name: field for field in found.fields if field.next_sync}


def panel_context(user: Any, binding: Any) -> dict[str, Any]:
    """The context of `inc/bound_panel.html`, without name and hosts of an endpoint that the user may not view."""
    guest = guest_of(binding)
    status = status_of(binding, guest, user)
    endpoint = binding.endpoint if user.has_perm('netbox_proxsync.view_proxmoxendpoint', binding.endpoint) else None
    return {
        'binding': binding,
        'guest': guest if guest and user.has_perm('netbox_proxsync.view_proxmoxguest', guest) else None,
        'node': guest.node if guest else binding.unit.partition('/')[2] if binding.kind == 'device' else '',
        'vmid': guest.vmid if guest else None,
        'endpoint': endpoint,
        # A cluster is in sync only if all that is in it is.
        'sync_status_of': binding.endpoint if binding.kind == 'cluster' else None,
        'status': status,
        'run': status.run if status.run and user.has_perm('netbox_proxsync.view_syncrun', status.run) else None,
        'web_url': web_url(binding.endpoint, binding.unit) if endpoint else '',
    }
