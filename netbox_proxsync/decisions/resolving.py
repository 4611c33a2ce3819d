"""Decisions that answer what a run could not decide: which object a guest or node is, and who has an address."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dcim.models import Device
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import CharField, Model, OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _
from ipam.models import VRF, IPAddress
from virtualization.models import VirtualMachine

from ..branching import refuse_in_branch
from ..choices import ChangeOutcomeChoices, DecisionChoices
from ..models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..models.users import AnyUser
from ..proxmox.messages import Message
from ..sync.cluster_state import ClusterState
from ..sync.guest_states import LINKED, REVOKED, SEPARATE, GuestState
from ..sync.kind_names import ADDRESS, CLUSTER, DEVICE, GUEST
from ..wording import columns_of

__all__ = (
    'LINKED_MODELS',
    'DecisionError',
    'Link',
    'choices_for',
    'decide',
    'decide_all',
    'link',
    'named_model',
    'named_object',
    'not_possible',
    'revoke',
)

# The models of the objects that can be linked, by kind.
LINKED_MODELS: dict[str, type[VirtualMachine | Device]] = {GUEST: VirtualMachine, DEVICE: Device}
# The field of the new object that a decision determines.
CHOSEN_FIELDS = {DecisionChoices.RENAME: 'name', DecisionChoices.VRF: 'vrf'}


class DecisionError(Exception):
    """A decision cannot be made. The message is for users: the reason, and what can be done."""


@dataclass(frozen=True)
class Link:
    """
    Something in Proxmox VE about which a user decides.

    Attributes:
        key: Identity of the guest, node or address: 'qemu/100', 'node/pve1', 'lxc/101/10.0.0.1'.
        instance: The virtual machine or device that it is linked to, the IP address that is moved, or its new VRF.
        name: The name of the new object, if the user chooses it.
    """

    endpoint: ProxmoxEndpoint
    kind: str
    key: str
    instance: Any = None
    name: str = ''


def choices_for(kind: str) -> tuple[str, ...]:
    """The decisions that can be stored about an object of a kind. Guests are ignored by `ignore`."""
    if kind in LINKED_MODELS:
        return DecisionChoices.LINK, DecisionChoices.SEPARATE, DecisionChoices.RENAME
    if kind == ADDRESS:
        return DecisionChoices.MOVE, DecisionChoices.VRF, DecisionChoices.IGNORE
    return () if kind == CLUSTER else (DecisionChoices.IGNORE,)


def unit_of(key: str) -> str:
    """The guest or node of an object, from its key."""
    return '/'.join(key.split('/')[:2])


def decide(
    endpoint: ProxmoxEndpoint,
    kind: str,
    key: str,
    choice: str,
    user: AnyUser,
    instance: Any = None,
    name: str = '',
) -> Decision:
    """
    Make a decision. It replaces an earlier one about the same object.

    Args:
        user: Must have the permission to sync the endpoint, which the caller checks.
        instance: The object to link, the VRF, or the IP address to move (None: the only one that is assigned).
        name: The name of the object that is created under another name.

    Raises:
        DecisionError: It cannot be made, or the user may not view or change the object.
    """
    made, refused = decide_all([Link(endpoint, kind, key, instance, name)], choice, user)
    for reason in refused.values():
        raise DecisionError(reason)
    return made[0]


def decide_all(links: Sequence[Link], choice: str, user: AnyUser) -> tuple[list[Decision], dict[Link, str]]:
    """
    Make the same decision about several objects, each of which is given once. Except for addresses that are moved, the
    number of statements does not depend on their number.

    Args:
        user: As for `decide`.

    Returns:
        The decisions, and why the others are refused.
    """
    refuse_in_branch()
    refused = {each: not_possible() for each in links if choice not in choices_for(each.kind)}
    possible = [each for each in links if each not in refused]
    if choice == DecisionChoices.LINK:
        made, reasons = link(possible, user)
        return made, refused | reasons
    targets: dict[Link, Model | None] = {}
    with transaction.atomic():
        lock({each.endpoint for each in possible})
        for kind in {each.kind for each in possible}:
            of_kind = [each for each in possible if each.kind == kind]
            refused |= obstacles_to(choice, kind, of_kind)
        for each in possible:
            if each in refused:
                continue
            try:
                if choice == DecisionChoices.MOVE:
                    targets[each] = holder_of(each.endpoint, each.key, each.instance, user)
                elif choice == DecisionChoices.VRF:
                    targets[each] = viewed_vrf(each.instance, user)
                elif choice == DecisionChoices.RENAME:
                    check_name(each)
            except DecisionError as error:
                refused[each] = str(error)
        accepted = [each for each in possible if each not in refused]
        delete_earlier(accepted)
        made = Decision.objects.bulk_create(new_decision(each, choice, user, targets.get(each)) for each in accepted)
        if choice in (DecisionChoices.SEPARATE, DecisionChoices.RENAME):
            show_state([each for each in accepted if each.kind == GUEST], SEPARATE)
    return made, refused


def not_possible() -> str:
    """Why a choice that a kind does not have is refused."""
    return _('This decision is not possible for an object of this type.')


def obstacles_to(choice: str, kind: str, links: Sequence[Link]) -> dict[Link, str]:
    """Why a decision about objects of one kind is not possible, other than a link; without those about which it is."""
    endpoints, keys = {each.endpoint.pk for each in links}, {each.key for each in links}
    known = known_keys(kind, links)
    bound: set[tuple[int, str]] = set()
    if choice in (DecisionChoices.SEPARATE, DecisionChoices.RENAME):
        bound = {(pk, key) for pk, found in bound_keys(kind, endpoints, keys).items() for key in found}
    elif choice in (DecisionChoices.IGNORE, DecisionChoices.VRF):
        rows = Binding.objects.filter(endpoint__in=endpoints, kind=kind, key__in=keys).order_by()
        bound = set(rows.values_list('endpoint', 'key'))
    reasons = {}
    for each in links:
        identity = (each.endpoint.pk, each.key)
        if identity not in known:
            reasons[each] = _('No run of {endpoint} has reported {key}.').format(endpoint=each.endpoint, key=each.key)
        elif identity in bound:
            reasons[each] = (
                already_bound(each.key)
                if kind in LINKED_MODELS
                else _('{key} is bound to a NetBox object. Stop managing that instead.').format(key=each.key)
            )
    return reasons


def named_object(kind: str, choice: str, pk: int | None, user: AnyUser) -> Any:
    """
    The object of a decision by its primary key, for `decide`; None if the decision needs none.

    Raises:
        DecisionError: The object does not exist, or the user may not view it.
    """
    found: Any = named_model(kind, choice)
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


def named_model(kind: str, choice: str) -> Any:
    """The model of the object that a decision needs; None: it needs none."""
    models = {
        DecisionChoices.LINK: LINKED_MODELS.get(kind),
        DecisionChoices.MOVE: IPAddress,
        DecisionChoices.VRF: VRF,
    }
    return models.get(choice)


def new_decision(link: Link, choice: str, user: AnyUser, target: Any) -> Decision:
    return Decision(
        endpoint=link.endpoint,
        kind=link.kind,
        key=link.key,
        unit=unit_of(link.key),
        choice=choice,
        name=link.name if choice == DecisionChoices.RENAME else '',
        object_type=ContentType.objects.get_for_model(target) if target is not None else None,
        object_id=target.pk if target is not None else None,
        user=user if user.is_authenticated else None,
    )


def lock(endpoints: Iterable[ProxmoxEndpoint]) -> None:
    """Make other decisions about these endpoints wait for the end of the transaction."""
    pks = [endpoint.pk for endpoint in endpoints]
    list(ProxmoxEndpoint.objects.filter(pk__in=pks).select_for_update().order_by('pk').values_list('pk'))


def show_state(links: Sequence[Link], standing: GuestState) -> None:
    """Show the effect of a decision on guests until the next run."""
    pks = [guest.pk for guest in guests_of(links).values()]
    ProxmoxGuest.objects.filter(pk__in=pks, ignored=False).update(
        state=str(standing.state), candidate_ids=[], **columns_of(reason=standing.reason)
    )


def guests_by(keys: Collection[str]) -> dict[str, Any]:
    """A filter for the guests with these keys. Proxmox VE uses a VM ID for one guest only."""
    parts = [key.partition('/') for key in keys]
    found = [(guest_type, int(vmid)) for guest_type, _slash, vmid in parts if vmid.isdecimal() and len(vmid) < 10]
    return {'type__in': {guest_type for guest_type, _vmid in found}, 'vmid__in': {vmid for _type, vmid in found}}


# Checks


def known_keys(kind: str, links: Sequence[Link]) -> set[tuple[int, str]]:
    """The objects of one kind that runs have reported, by endpoint and key."""
    if kind == GUEST:
        return set(guests_of(links))
    endpoints = {each.endpoint.pk: each.endpoint for each in links}
    known = {(pk, key) for pk, endpoint in endpoints.items() for key in known_nodes(endpoint) if kind == DEVICE}
    others = [each for each in links if (each.endpoint.pk, each.key) not in known]
    if others:
        units, keys = {unit_of(each.key) for each in others}, {each.key for each in others}
        rows = SyncChange.objects.filter(run__endpoint__in=endpoints, unit__in=units, kind=kind, key__in=keys)
        known.update(rows.order_by().values_list('run__endpoint', 'key').distinct())
    return known


def known_nodes(endpoint: ProxmoxEndpoint) -> set[str]:
    """The keys of the nodes that the last run has read."""
    return {f'node/{node.name}' for node in ClusterState.parse(endpoint.cluster_state).nodes}


def guests_of(links: Sequence[Link]) -> dict[tuple[int, str], ProxmoxGuest]:
    """The guests among these objects that runs have reported, by endpoint and key."""
    wanted = {(each.endpoint.pk, each.key) for each in links}
    endpoints, keys = {pk for pk, _key in wanted}, {key for _pk, key in wanted}
    rows = ProxmoxGuest.objects.filter(endpoint__in=endpoints, **guests_by(keys)).order_by()
    found = {(row.endpoint_id, row.key): row for row in rows.only('type', 'vmid', 'endpoint', 'ignored')}
    return {identity: row for identity, row in found.items() if identity in wanted}


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


def viewed_vrf(instance: Any, user: AnyUser) -> VRF:
    """
    The VRF in which an IP address is created.

    Raises:
        DecisionError: It is none, or the user may not view it.
    """
    if not isinstance(instance, VRF) or not may(user, instance, 'view'):
        raise DecisionError(_('Choose a VRF that you have permission to view.'))
    return instance


def check_name(link: Link) -> None:
    """
    Check the name of an object that is to be created under another name.

    Raises:
        DecisionError: It is no name, or another object has it.
    """
    name = link.name.strip()
    length = LINKED_MODELS[link.kind]._meta.get_field('name').max_length
    if not name or name != link.name or len(name) > length:
        raise DecisionError(_('Enter a name of at most {length} characters.').format(length=length))
    endpoint = link.endpoint
    scope = {'cluster': endpoint.cluster_id} if link.kind == GUEST else {'site': endpoint.site_id}
    rows = LINKED_MODELS[link.kind].objects.filter(**scope, name__iexact=name)
    chosen = Decision.objects.filter(endpoint=endpoint, kind=link.kind, name__iexact=name).exclude(key=link.key)
    if (None not in scope.values() and rows.exists()) or chosen.exists():
        raise DecisionError(_('NetBox has another object with this name already.'))


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
    kind = links[0].kind
    delete_earlier(links)
    made = Decision.objects.bulk_create(new_decision(each, DecisionChoices.LINK, user, each.instance) for each in links)
    if kind == GUEST:
        # By the decisions themselves: Django's bulk_update() takes a minute for 10,000 guests.
        of_guest = Decision.objects.filter(
            endpoint=OuterRef('endpoint'),
            kind=GUEST,
            key=Concat(OuterRef('type'), Value('/'), Cast(OuterRef('vmid'), CharField()), output_field=CharField()),
        )
        changed = ProxmoxGuest.objects.filter(pk__in=[guest.pk for guest in guests_of(links).values()])
        changed.update(
            state=str(LINKED.state),
            **columns_of(reason=LINKED.reason),
            candidate_ids=[],
            virtual_machine=Subquery(of_guest.order_by().values('object_id')),
        )
    return made


def delete_earlier(links: Collection[Link]) -> None:
    """Delete earlier decisions about the same objects."""
    identities = {(each.endpoint.pk, each.kind, each.key) for each in links}
    if not identities:
        return
    endpoints, keys = {pk for pk, _kind, _key in identities}, {key for _pk, _kind, key in identities}
    found = Decision.objects.filter(endpoint__in=endpoints, key__in=keys).order_by()
    rows = found.values_list('pk', 'endpoint_id', 'kind', 'key')
    Decision.objects.filter(pk__in=[pk for pk, *identity in rows if (*identity,) in identities]).delete()


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
        self.known = self.known_units()
        guests = ProxmoxGuest.objects.filter(ignored=True, virtual_machine__in=self.pks) if self.kind == GUEST else ()
        self.of_ignored = {guest.virtual_machine_id for guest in guests}
        seen: set[tuple[str, object]] = set()
        reasons: dict[Link, str] = {}
        for each in self.links:
            identities = {('key', (each.endpoint.pk, each.key)), ('object', getattr(each.instance, 'pk', None))}
            if reason := self.reason(each) or (_('The object was chosen twice.') if seen & identities else ''):
                reasons[each] = reason
            else:
                seen |= identities
        return reasons

    def known_units(self) -> dict[tuple[int, str], bool]:
        """The guests or nodes that runs have reported, and whether they are ignored."""
        if self.kind == GUEST:
            return {identity: guest.ignored for identity, guest in guests_of(self.links).items()}
        return dict.fromkeys(known_keys(self.kind, self.links), False)

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
                **columns_of(message=Message('The decision on which this change relies was revoked.')),
            )
            if decision.kind == GUEST and decision.key not in bound_keys(
                GUEST, [decision.endpoint_id], [decision.key]
            ).get(decision.endpoint_id, ()):
                ProxmoxGuest.objects.filter(
                    endpoint=decision.endpoint_id, ignored=False, **guests_by([decision.key])
                ).update(state=str(REVOKED.state), virtual_machine=None, **columns_of(reason=REVOKED.reason))
            keep_chosen(decision)
        Decision.objects.filter(pk__in=[decision.pk for decision in decisions]).delete()


def keep_chosen(decision: Decision) -> None:
    """Leave the chosen name or VRF of an object that exists already to the user, as if it was edited in NetBox."""
    if field := CHOSEN_FIELDS.get(decision.choice):
        for bound in Binding.objects.filter(endpoint=decision.endpoint_id, kind=decision.kind, key=decision.key):
            if field in bound.values:
                values = {name: value for name, value in bound.values.items() if name != field}
                Binding.objects.filter(pk=bound.pk).update(values=values)
