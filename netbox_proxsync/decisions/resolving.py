"""Decisions that answer what a run could not decide: which object a guest or node is, and who has an address."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dcim.models import Device
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import Model, Q
from django.utils.translation import gettext as _
from ipam.models import IPAddress
from virtualization.models import VirtualMachine

from ..branching import refuse_in_branch
from ..choices import ChangeOutcomeChoices, DecisionChoices
from ..models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..models.users import AnyUser
from ..proxmox.messages import Message
from ..sync.cluster_state import ClusterState
from ..sync.guest_states import LINKED, REVOKED, SEPARATE, GuestState
from ..sync.kind_names import ADDRESS, DEVICE, GUEST
from ..wording import columns_of

__all__ = ('LINKED_MODELS', 'DecisionError', 'Link', 'choices_for', 'decide', 'link', 'named_object', 'revoke')

# The models of the objects that can be linked, by kind.
LINKED_MODELS: dict[str, type[VirtualMachine | Device]] = {GUEST: VirtualMachine, DEVICE: Device}


class DecisionError(Exception):
    """A decision cannot be made. The message is for users: the reason, and what can be done."""


@dataclass(frozen=True)
class Link:
    """
    A guest or node and the virtual machine or device that it is.

    Attributes:
        key: Identity of the guest or node: 'qemu/100', 'node/pve1'.
    """

    endpoint: ProxmoxEndpoint
    kind: str
    key: str
    instance: Any


def choices_for(kind: str) -> tuple[str, ...]:
    """The decisions that can be stored about an object of a kind. Guests are ignored by `ignore`."""
    if kind in LINKED_MODELS:
        return DecisionChoices.LINK, DecisionChoices.SEPARATE
    return (DecisionChoices.MOVE, DecisionChoices.IGNORE) if kind == ADDRESS else ()


def unit_of(key: str) -> str:
    """The guest or node of an object, from its key."""
    return '/'.join(key.split('/')[:2])


def decide(
    endpoint: ProxmoxEndpoint, kind: str, key: str, choice: str, user: AnyUser, instance: Any = None
) -> Decision:
    """
    Make a decision. It replaces an earlier one about the same object.

    Args:
        user: Must have the permission to sync the endpoint, which the caller checks.
        instance: The object to link, or the IP address to move (None: the only one that is assigned).

    Raises:
        DecisionError: It cannot be made, or the user may not view or change the object.
    """
    refuse_in_branch()
    if choice not in choices_for(kind):
        raise DecisionError(_('This decision cannot be made about an object of this kind.'))
    if choice == DecisionChoices.LINK:
        made, refused = link([Link(endpoint, kind, key, instance)], user)
        for reason in refused.values():
            raise DecisionError(reason)
        return made[0]
    with transaction.atomic():
        lock([endpoint])
        check_known(endpoint, kind, key)
        match choice:
            case DecisionChoices.SEPARATE:
                check_unbound(endpoint, kind, key)
                target = None
            case DecisionChoices.MOVE:
                target = holder_of(endpoint, key, instance, user)
            case _:
                check_not_managed(endpoint, kind, key)
                target = None
        Decision.objects.filter(endpoint=endpoint, kind=kind, key=key).delete()
        made_one = new_decision(endpoint, kind, key, choice, user, target)
        made_one.save()
        if choice == DecisionChoices.SEPARATE and kind == GUEST:
            show_state(endpoint, [key], SEPARATE)
    return made_one


def named_object(kind: str, choice: str, pk: int | None, user: AnyUser) -> Any:
    """
    The object of a decision by its primary key, for `decide`; None if the decision needs none.

    Raises:
        DecisionError: There is no such object that the user may view.
    """
    found: Any = {DecisionChoices.LINK: LINKED_MODELS.get(kind), DecisionChoices.MOVE: IPAddress}.get(choice)
    if found is None or (pk is None and choice == DecisionChoices.MOVE):
        return None
    instance = found.objects.restrict(user, 'view').filter(pk=pk).first()
    if instance is None:
        raise DecisionError(
            _('No {type} that you have permission to view has the ID {pk}.').format(
                type=found._meta.verbose_name, pk=pk
            )
        )
    return instance


def new_decision(endpoint: ProxmoxEndpoint, kind: str, key: str, choice: str, user: AnyUser, target: Any) -> Decision:
    return Decision(
        endpoint=endpoint,
        kind=kind,
        key=key,
        unit=unit_of(key),
        choice=choice,
        object_type=ContentType.objects.get_for_model(target) if target is not None else None,
        object_id=target.pk if target is not None else None,
        user=user if user.is_authenticated else None,
    )


def lock(endpoints: Iterable[ProxmoxEndpoint]) -> None:
    """Make other decisions about these endpoints wait for the end of the transaction."""
    pks = [endpoint.pk for endpoint in endpoints]
    list(ProxmoxEndpoint.objects.filter(pk__in=pks).select_for_update().order_by('pk').values_list('pk'))


def show_state(endpoint: ProxmoxEndpoint, keys: Collection[str], standing: GuestState) -> None:
    """Show the effect of a decision on guests until the next run."""
    ProxmoxGuest.objects.filter(endpoint=endpoint, **guests_by(keys)).filter(ignored=False).update(
        state=str(standing.state), candidate_ids=[], **columns_of(reason=standing.reason)
    )


def guests_by(keys: Collection[str]) -> dict[str, Any]:
    """A filter for the guests with these keys. Proxmox VE uses a VM ID for one guest only."""
    parts = [key.partition('/') for key in keys]
    found = [(guest_type, int(vmid)) for guest_type, _slash, vmid in parts if vmid.isdecimal() and len(vmid) < 10]
    return {'type__in': {guest_type for guest_type, _vmid in found}, 'vmid__in': {vmid for _type, vmid in found}}


# Checks


def check_known(endpoint: ProxmoxEndpoint, kind: str, key: str) -> None:
    """
    Raises:
        DecisionError: No run has reported the object.
    """
    if not is_known(endpoint, kind, key):
        raise DecisionError(_('No run of {endpoint} has reported {key}.').format(endpoint=endpoint, key=key))


def is_known(endpoint: ProxmoxEndpoint, kind: str, key: str) -> bool:
    if kind == GUEST:
        return key in {guest.key for guest in guests_of(endpoint, [key])}
    if kind == DEVICE and key in known_nodes(endpoint):
        return True
    return SyncChange.objects.filter(run__endpoint=endpoint, unit=unit_of(key), kind=kind, key=key).exists()


def known_nodes(endpoint: ProxmoxEndpoint) -> set[str]:
    """The keys of the nodes that the last run has read."""
    return {f'node/{node.name}' for node in ClusterState.parse(endpoint.cluster_state).nodes}


def guests_of(endpoint: ProxmoxEndpoint, keys: Collection[str]) -> Iterable[ProxmoxGuest]:
    rows = ProxmoxGuest.objects.filter(endpoint=endpoint, **guests_by(keys)).order_by()
    return rows.only('type', 'vmid', 'ignored', 'endpoint', 'virtual_machine')


def check_unbound(endpoint: ProxmoxEndpoint, kind: str, key: str) -> None:
    """
    Raises:
        DecisionError: The guest or node has an object already.
    """
    if key in bound_keys(kind, [endpoint.pk], [key]).get(endpoint.pk, ()):
        raise DecisionError(already_bound(key))


def check_not_managed(endpoint: ProxmoxEndpoint, kind: str, key: str) -> None:
    """
    Raises:
        DecisionError: The object is bound: it is unmanaged by its binding.
    """
    if Binding.objects.filter(endpoint=endpoint, kind=kind, key=key).exists():
        raise DecisionError(_('{key} is bound to a NetBox object. Stop managing that instead.').format(key=key))


def already_bound(key: str) -> str:
    return _('{key} is bound to a NetBox object already. Stop managing that first.').format(key=key)


def bound_keys(kind: str, endpoints: Collection[int], keys: Collection[str]) -> dict[int, set[str]]:
    """The guests or nodes that have an object which exists, by endpoint."""
    rows = Binding.objects.filter(endpoint__in=endpoints, kind=kind, key__in=keys).order_by()
    found = list(rows.values_list('endpoint_id', 'key', 'object_id'))
    model = LINKED_MODELS[kind]
    pks = [pk for _endpoint, _key, pk in found]
    existing = set(model._base_manager.filter(pk__in=pks).values_list('pk', flat=True)) if pks else set()
    bound: dict[int, set[str]] = {}
    for endpoint, key, pk in found:
        if pk in existing:
            bound.setdefault(endpoint, set()).add(key)
    return bound


def may(user: AnyUser, instance: Any, *actions: str) -> bool:
    """Whether a user has permissions for an object."""
    found: Any = type(instance)
    return all(found.objects.restrict(user, action).filter(pk=instance.pk).exists() for action in actions)


def not_permitted(instance: Any) -> str:
    """Without the name of the object: the user may not be allowed to view it."""
    name = type(instance)._meta.verbose_name
    return _('You do not have permission to view and change this {type}.').format(type=name)


def holder_of(endpoint: ProxmoxEndpoint, key: str, instance: Any, user: AnyUser) -> Model | None:
    """
    The interface from which an IP address is moved; None if it is not assigned.

    Raises:
        DecisionError: The address must not be moved.
    """
    host = key.rpartition('/')[2]
    if instance is None:
        found = list(IPAddress.objects.filter(address__net_host=host, assigned_object_id__isnull=False)[:2])
        if len(found) > 1:
            raise DecisionError(
                _('NetBox has several assigned records of {host}. Name the one to move.').format(host=host)
            )
        instance = next(iter(found), None)
    if instance is None:
        return None
    if not isinstance(instance, IPAddress) or str(instance.address.ip) != host:
        raise DecisionError(_('The object must be a record of the IP address {host}.').format(host=host))
    holder: Any = instance.assigned_object
    if not may(user, instance, 'view', 'change') or (holder is not None and not may(user, holder, 'view')):
        raise DecisionError(not_permitted(instance))
    bound = Binding.objects.filter(
        object_type=ContentType.objects.get_for_model(IPAddress), object_id=instance.pk
    ).first()
    if bound and (bound.endpoint_id != endpoint.pk or bound.unmanaged):
        if bound.unmanaged:
            raise DecisionError(_('{host} is unmanaged. Manage it again, or move it in NetBox.').format(host=host))
        raise DecisionError(_('{host} is managed by another endpoint. Stop managing it there first.').format(host=host))
    return holder  # type: ignore[no-any-return]


# Links


def link(links: Sequence[Link], user: AnyUser) -> tuple[list[Decision], dict[Link, str]]:
    """
    Decide for guests and nodes which objects they are. The number of statements does not depend on the number of links.

    Args:
        user: As for `decide`.

    Returns:
        The decisions, and why the other links are refused.
    """
    refuse_in_branch()
    refused: dict[Link, str] = {}
    made: list[Decision] = []
    try:
        with transaction.atomic():
            lock({each.endpoint for each in links})
            for kind in LINKED_MODELS:
                of_kind = [each for each in links if each.kind == kind]
                reasons = Obstacles(kind, of_kind, user).find() if of_kind else {}
                refused |= reasons
                made += store([each for each in of_kind if each not in reasons], user)
    except IntegrityError:
        raise DecisionError(_('Another user has linked one of these objects at the same time. Try again.')) from None
    return made, refused


def store(links: Sequence[Link], user: AnyUser) -> list[Decision]:
    """Store links that were checked."""
    if not links:
        return []
    endpoints = {each.endpoint.pk: each.endpoint for each in links}
    identities = {(each.endpoint.pk, each.key) for each in links}
    kind = links[0].kind
    earlier = Decision.objects.filter(endpoint__in=endpoints, kind=kind, key__in=[each.key for each in links])
    found = earlier.order_by().values_list('pk', 'endpoint_id', 'key')
    Decision.objects.filter(pk__in=[pk for pk, *identity in found if (*identity,) in identities]).delete()
    made = Decision.objects.bulk_create(
        new_decision(each.endpoint, kind, each.key, DecisionChoices.LINK, user, each.instance) for each in links
    )
    if kind == GUEST:
        machines = {(each.endpoint.pk, each.key): each.instance.pk for each in links}
        keys = [each.key for each in links]
        rows = ProxmoxGuest.objects.filter(endpoint__in=endpoints, **guests_by(keys)).order_by()
        changed = []
        for guest in rows.only('type', 'vmid', 'endpoint'):
            if machine := machines.get((guest.endpoint_id, guest.key)):
                guest.state, guest.reason = str(LINKED.state), LINKED.reason
                guest.reason_source = LINKED.reason.source
                guest.virtual_machine_id, guest.candidate_ids = machine, []
                changed.append(guest)
        ProxmoxGuest.objects.bulk_update(
            changed, ['state', 'reason', 'reason_source', 'virtual_machine', 'candidate_ids']
        )
    return made


@dataclass
class Obstacles:
    """Why links of one kind are not possible."""

    kind: str
    links: Sequence[Link]
    user: AnyUser

    def find(self) -> dict[Link, str]:
        """The reasons by the links that are not possible."""
        model = LINKED_MODELS[self.kind]
        instances = [each.instance for each in self.links if isinstance(each.instance, model)]
        self.pks = {instance.pk for instance in instances}
        self.permitted = set(self.pks)
        for action in ('view', 'change'):
            rows: Any = model.objects.restrict(self.user, action)
            self.permitted &= set(rows.filter(pk__in=self.pks).values_list('pk', flat=True))
        object_type = ContentType.objects.get_for_model(model)
        bindings = Binding.objects.filter(object_type=object_type, object_id__in=self.pks).order_by()
        self.bound = {row.object_id: row for row in bindings.only('object_id', 'key', 'endpoint', 'unmanaged')}
        linked = Decision.objects.filter(choice=DecisionChoices.LINK, object_type=object_type, object_id__in=self.pks)
        self.linked = {
            pk: (endpoint, key) for pk, endpoint, key in linked.values_list('object_id', 'endpoint_id', 'key')
        }
        clusters = {instance.cluster_id for instance in instances if instance.cluster_id}
        owners = ProxmoxEndpoint.objects.filter(cluster__in=clusters).order_by()
        self.owners = set(owners.values_list('cluster_id', 'pk'))
        endpoints = {each.endpoint.pk for each in self.links}
        keys = [each.key for each in self.links]
        self.bound_keys = bound_keys(self.kind, endpoints, keys)
        self.known = self.known_units(endpoints, keys)
        guests = ProxmoxGuest.objects.filter(ignored=True, virtual_machine__in=self.pks) if self.kind == GUEST else ()
        self.of_ignored = {guest.virtual_machine_id for guest in guests}
        seen: set[tuple[str, object]] = set()
        reasons: dict[Link, str] = {}
        for each in self.links:
            identities = {('key', (each.endpoint.pk, each.key)), ('object', getattr(each.instance, 'pk', None))}
            if reason := self.reason(each) or (_('It was chosen twice.') if seen & identities else ''):
                reasons[each] = reason
            else:
                seen |= identities
        return reasons

    def known_units(self, endpoints: Collection[int], keys: Collection[str]) -> dict[tuple[int, str], bool]:
        """The guests or nodes that runs have reported, and whether they are ignored."""
        if self.kind == GUEST:
            rows = ProxmoxGuest.objects.filter(endpoint__in=endpoints, **guests_by(keys)).order_by()
            return {(row.endpoint_id, row.key): row.ignored for row in rows.only('type', 'vmid', 'endpoint', 'ignored')}
        return {
            (each.endpoint.pk, each.key): False for each in self.links if is_known(each.endpoint, self.kind, each.key)
        }

    def reason(self, each: Link) -> str:
        """Why a link is not possible; '' if it is."""
        instance, identity = each.instance, (each.endpoint.pk, each.key)
        if not isinstance(instance, LINKED_MODELS[self.kind]):
            name = LINKED_MODELS[self.kind]._meta.verbose_name
            return _('{key} can only be linked to a {type}.').format(key=each.key, type=name)
        if instance.pk not in self.permitted:
            return not_permitted(instance)
        if identity not in self.known:
            return _('No run of {endpoint} has reported {key}.').format(endpoint=each.endpoint, key=each.key)
        if self.known[identity]:
            return _('{key} is ignored. Stop ignoring it first.').format(key=each.key)
        if each.key in self.bound_keys.get(each.endpoint.pk, ()):
            return already_bound(each.key)
        if bound := self.bound.get(instance.pk):
            return _('"{name}" is bound to {key} already. Stop managing it first.').format(name=instance, key=bound.key)
        if instance.pk in self.of_ignored:
            return _('"{name}" belongs to a guest that is ignored. Stop ignoring that guest first.').format(
                name=instance
            )
        if self.linked.get(instance.pk, identity) != identity:
            other = self.linked[instance.pk][1]
            return _('"{name}" is linked to {key} already. Revoke that decision first.').format(
                name=instance, key=other
            )
        owners = {pk for cluster, pk in self.owners if cluster == instance.cluster_id}
        if owners - {each.endpoint.pk} and each.endpoint.pk not in owners:
            return _('"{name}" is in the cluster of another endpoint. Move it to another cluster first.').format(
                name=instance
            )
        return ''


# Revocation


def revoke(decisions: Collection[Decision]) -> None:
    """
    Revoke decisions: the next run raises the questions again. Objects that are bound already remain so. Stored plans
    are not applied as far as they rely on the decisions.
    """
    refuse_in_branch()
    with transaction.atomic():
        for decision in decisions:
            relying = Q(unit=decision.unit) if decision.key == decision.unit else Q(key=decision.key)
            if decision.kind not in LINKED_MODELS:
                relying &= Q(kind=decision.kind)
            SyncChange.objects.filter(
                relying,
                run__endpoint=decision.endpoint_id,
                run__started__gte=decision.created,
                outcome=ChangeOutcomeChoices.PLANNED,
            ).update(
                outcome=ChangeOutcomeChoices.OUTDATED,
                **columns_of(message=Message('The decision on which it relies was revoked.')),
            )
            if decision.kind == GUEST and decision.key not in bound_keys(
                GUEST, [decision.endpoint_id], [decision.key]
            ).get(decision.endpoint_id, ()):
                ProxmoxGuest.objects.filter(
                    endpoint=decision.endpoint_id, ignored=False, **guests_by([decision.key])
                ).update(state=str(REVOKED.state), virtual_machine=None, **columns_of(reason=REVOKED.reason))
        Decision.objects.filter(pk__in=[decision.pk for decision in decisions]).delete()
