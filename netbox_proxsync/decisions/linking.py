"""Decisions which virtual machine or device a guest or node is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import CharField, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..choices import DecisionChoices
from ..models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest
from ..models.users import AnyUser
from ..sync.guest_states import LINKED
from ..sync.kind_names import GUEST
from ..wording import columns_of
from .permitted import not_permitted
from .questions import LINKED_MODELS, DecisionError, Question
from .reported import bound_keys, guests_of, known_keys
from .storing import delete_earlier, lock, new_decision

__all__ = ('link',)


def link(links: Sequence[Question], user: AnyUser) -> tuple[list[Decision], dict[Question, str]]:
    """
    Decide for guests and nodes which objects they are. The number of statements does not depend on the number of links.

    Args:
        user: As for `decide`.

    Returns:
        The decisions, and why the other links are refused.
    """
    refuse_in_branch()
    refused: dict[Question, str] = {}
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


def store(links: Sequence[Question], user: AnyUser) -> list[Decision]:
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


def already_bound(key: str) -> str:
    return _('{key} is bound to a NetBox object already. Stop managing that first.').format(key=key)


@dataclass
class Obstacles:
    """Why links of one kind are not possible."""

    kind: str
    links: Sequence[Question]
    user: AnyUser

    def find(self) -> dict[Question, str]:
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
        reasons: dict[Question, str] = {}
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

    def reason(self, each: Question) -> str:
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
