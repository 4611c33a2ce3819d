"""The questions that runs raise, and the decisions that answer them, for pages."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext as _
from ipam.models import IPAddress
from netbox.ui import panels
from utilities.views import get_action_url

from ..branching import in_branch
from ..choices import ChangeActionChoices, DecisionChoices, RunModeChoices, RunStatusChoices
from ..decisions import LINKED_MODELS, choices_for
from ..models import Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.users import AnyUser
from ..sync.kind_names import ADDRESS

__all__ = (
    'IGNORE_GUEST',
    'READ',
    'READING',
    'GuestQuestionsPanel',
    'QuestionPanel',
    'Resolution',
    'Resolutions',
    'add_resolutions',
    'questions_of',
    'visible_objects',
)

# A decision that is stored with the guest.
IGNORE_GUEST = 'ignore_guest'
# The modes and statuses of runs that have read Proxmox VE and compared.
READING = RunModeChoices.READING
READ = (*RunStatusChoices.DONE, RunStatusChoices.REFUSED)


@dataclass(frozen=True)
class Resolution:
    """
    A button.

    Attributes:
        choice: A value of `DecisionChoices`, or `IGNORE_GUEST`.
        asks: Whether it leads to a form, in which the object or the name is chosen.
        object_id: The linked object or the address, if it is known.
    """

    choice: str
    label: str
    icon: str
    asks: bool = False
    object_id: int | None = None


@dataclass(frozen=True)
class Resolutions:
    """
    What a user can do about a question.

    Attributes:
        decision: The decision that was made; None: none was.
        target: The object of that decision, if the user may view it.
        is_ignored: Whether the guest is ignored.
        holder: The object that has the address, if the user may view it.
        edit_url: The page on which the object that causes the conflict is edited; '': the user may not.
        guest: The guest of the change; None if it concerns a node or the cluster.
        may_decide: Whether the user may sync the endpoint.
        may_revoke: Whether the user may revoke the decision.
    """

    change: SyncChange
    buttons: tuple[Resolution, ...] = ()
    decision: Decision | None = None
    target: Any = None
    is_ignored: bool = False
    holder: Any = None
    edit_url: str = ''
    guest: ProxmoxGuest | None = None
    may_decide: bool = False
    may_revoke: bool = False


def add_resolutions(changes: Sequence[SyncChange], user: AnyUser) -> None:
    """
    Set `resolutions` of those changes that require a decision, with a number of queries that does not depend on their
    number. Their runs and the endpoints of these are loaded.
    """
    asked = [each for each in changes if each.action in ChangeActionChoices.OPEN and not each.run.branch_id]
    if not asked or in_branch():
        return
    endpoints = {each.run.endpoint_id for each in asked}
    allowed = ProxmoxEndpoint.objects.restrict(user, 'sync').filter(pk__in=endpoints).order_by()
    permitted = set(allowed.values_list('pk', flat=True))
    rows = Decision.objects.filter(endpoint__in=endpoints, key__in={each.key for each in asked}).select_related('user')
    decisions = {(row.endpoint_id, row.kind, row.key): row for row in rows.order_by()}
    targets = visible_objects(decisions.values(), user)
    viewed = Decision.objects.restrict(user, 'view').filter(pk__in=[row.pk for row in decisions.values()])
    revocable = set(viewed.values_list('pk', flat=True)) if decisions else set()
    guests = guests_of(asked)
    holders = holders_of(asked, user)
    for change in asked:
        decision = decisions.get((change.run.endpoint_id, change.kind, change.key))
        guest = guests.get((change.run.endpoint_id, change.unit))
        may_decide = change.run.endpoint_id in permitted
        is_ignored = bool(guest and guest.ignored)
        resolutions = Resolutions(
            change,
            buttons=tuple(buttons_for(change, guest)) if may_decide and not (decision or is_ignored) else (),
            decision=decision,
            target=targets.get(decision.pk) if decision else None,
            is_ignored=is_ignored,
            holder=holders.get(change.pk),
            edit_url=edit_url(change, user),
            guest=guest,
            may_decide=may_decide,
            may_revoke=may_decide and decision is not None and decision.pk in revocable,
        )
        setattr(change, 'resolutions', resolutions)  # noqa: B010 - for templates; no attribute of the model


def buttons_for(change: SyncChange, guest: ProxmoxGuest | None) -> Iterable[Resolution]:
    """The decisions that make sense about a change."""
    choices = choices_for(change.kind)
    if change.kind in LINKED_MODELS:
        is_guest = guest is not None
        if change.action == ChangeActionChoices.CANDIDATE and change.object_id:
            label = _('Link to This VM') if is_guest else _('Link to This Device')
            yield Resolution(DecisionChoices.LINK, label, 'link', object_id=change.object_id)
        label = _('Link to VM') if is_guest else _('Link to Device')
        yield Resolution(DecisionChoices.LINK, label, 'link-variant', asks=True)
        if may_be_separate(change):
            yield Resolution(DecisionChoices.SEPARATE, _('Create Separately'), 'plus')
        yield Resolution(DecisionChoices.RENAME, _('Create Under Another Name'), 'rename', asks=True)
    if DecisionChoices.MOVE in choices:
        yield Resolution(DecisionChoices.MOVE, _('Move Address Here'), 'arrow-left-bold', object_id=change.object_id)
        yield Resolution(DecisionChoices.VRF, _('Use Another VRF'), 'ip-network', asks=True)
    if guest is not None and change.key == change.unit:
        yield Resolution(IGNORE_GUEST, _('Ignore This Guest'), 'eye-off')
    elif DecisionChoices.IGNORE in choices:
        label = _('Ignore This Address') if change.kind == ADDRESS else _('Ignore This Object')
        yield Resolution(DecisionChoices.IGNORE, label, 'eye-off')


def may_be_separate(change: SyncChange) -> bool:
    """Whether a second object can be created: NetBox accepts no two devices of one name at a site."""
    device = change.object
    if change.kind != 'device' or device is None:
        return True
    return (device.name or '').lower() != change.label.lower() or device.site_id != change.run.endpoint.site_id


def edit_url(change: SyncChange, user: AnyUser) -> str:
    """The page on which a user can edit the object that causes a conflict; '' if there is none."""
    instance: Any = change.object
    if instance is None or change.action != ChangeActionChoices.CONFLICT:
        return ''
    meta = instance._meta
    if not user.has_perm(f'{meta.app_label}.change_{meta.model_name}', instance):
        return ''
    return str(get_action_url(instance, action='edit', kwargs={'pk': instance.pk}))


def guests_of(changes: Iterable[SyncChange]) -> dict[tuple[int, str], ProxmoxGuest]:
    """The guests of changes, by endpoint and unit."""
    vmids = {int(vmid) for each in changes if (vmid := each.unit.partition('/')[2]).isdecimal()}
    rows = ProxmoxGuest.objects.filter(endpoint__in={each.run.endpoint_id for each in changes}, vmid__in=vmids)
    return {(row.endpoint_id, row.key): row for row in rows.order_by().only('endpoint', 'type', 'vmid', 'ignored')}


def holders_of(changes: Collection[SyncChange], user: AnyUser) -> dict[int, Any]:
    """The interfaces that have the addresses in question, by change, as far as the user may view them."""
    records = {each.pk: each.object for each in changes if isinstance(each.object, IPAddress)}
    by_type: dict[int, set[int]] = {}
    for record in records.values():
        if record.assigned_object_type_id and record.assigned_object_id:
            by_type.setdefault(record.assigned_object_type_id, set()).add(record.assigned_object_id)
    found = {}
    for type_id, pks in by_type.items():
        model: Any = ContentType.objects.get_for_id(type_id).model_class()
        for instance in model.objects.restrict(user, 'view').filter(pk__in=pks):
            found[type_id, instance.pk] = instance
    holders = {pk: found.get((each.assigned_object_type_id, each.assigned_object_id)) for pk, each in records.items()}
    return {pk: holder for pk, holder in holders.items() if holder is not None}


def visible_objects(found: Iterable[Decision | SyncChange], user: AnyUser) -> dict[int, Any]:
    """The objects of decisions or changes, by their pk, as far as the user may view them."""
    rows = [row for row in found if row.object_type_id and row.object_id]
    by_type: dict[int, set[int]] = {}
    for row in rows:
        by_type.setdefault(row.object_type_id, set()).add(row.object_id)  # type: ignore[arg-type]
    visible: dict[tuple[int, int], Any] = {}
    for type_id, pks in by_type.items():
        model: Any = ContentType.objects.get_for_id(type_id).model_class()
        visible |= {(type_id, each.pk): each for each in model.objects.restrict(user, 'view').filter(pk__in=pks)}
    targets = {row.pk: visible.get((row.object_type_id, row.object_id)) for row in rows}  # type: ignore[arg-type]
    return {pk: target for pk, target in targets.items() if target is not None}


def questions_of(guest: ProxmoxGuest, user: AnyUser) -> list[SyncChange]:
    """What the last run that has read a guest could not decide, as far as the user may view it."""
    runs = SyncRun.objects.filter(endpoint=guest.endpoint_id, branch_id='', mode__in=READING, status__in=READ)
    covering = runs.filter(vmids=None) | runs.filter(vmids__contains=[guest.vmid])
    run = covering.order_by('-created', '-pk').first()
    if run is None or not user.has_perm('netbox_proxsync.view_syncchange'):
        return []
    rows = SyncChange.objects.restrict(user, 'view').filter(
        run=run, unit=guest.key, action__in=ChangeActionChoices.OPEN
    )
    changes = list(rows.order_by('position').select_related('run__endpoint').prefetch_related('object'))
    add_resolutions(changes, user)
    return changes


class QuestionPanel(panels.ObjectPanel):
    """What a user can do about a conflict or candidate, on the page of the change."""

    template_name = 'netbox_proxsync/panels/questions.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        change = context['object']
        if not hasattr(change, 'resolutions'):
            add_resolutions([change], context['request'].user)
        return {**super().get_context(context), 'title': _('Resolution'), 'questions': [change]}

    def should_render(self, context: dict[str, Any]) -> bool:
        return context['object'].action in ChangeActionChoices.OPEN


class GuestQuestionsPanel(panels.ObjectPanel):
    """The conflicts and candidates of a guest, with what a user can do about them."""

    template_name = 'netbox_proxsync/panels/questions.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        guest, request = context['object'], context['request']
        questions = questions_of(guest, request.user)
        return {**super().get_context(context), 'title': _('Decisions Required'), 'questions': questions}

    def should_render(self, context: dict[str, Any]) -> bool:
        return bool(context['questions'])
