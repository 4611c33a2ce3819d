"""Loads what NetBox contains within the scope of an endpoint, in a fixed number of queries."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from itertools import chain

from extras.models import CustomField
from ipam.models import Prefix

from ..branching import connection_of
from ..models import ProxmoxEndpoint
from ..sync.hints import AddressHints
from ..sync.kinds import KINDS
from ..sync.mapping.missing_addresses import may_be_gone
from ..sync.network_candidates import PrefixCandidate
from ..sync.removal import may_be_deleted
from ..sync.settings import Settings
from ..sync.state import Bound, Desired, Existing, Item
from ..sync.values import Pointer, Shared
from .bindings import load_bindings
from .dependents import blocking_dependents
from .other_endpoints import ForeignReader
from .outside_matches import load_departed, new_guests
from .record_reader import RecordReader
from .related_objects import RelatedObjects
from .requirements import limits_of_tags, load_custom_fields, tags_with_limits
from .shared import SharedObjects
from .vlans import load_vlans

__all__ = ('load',)


def load(
    endpoint: ProxmoxEndpoint, desired: Desired, settings: Settings, fields: Iterable[CustomField] | None = None
) -> Existing:
    """
    Everything in NetBox that the comparison needs: the objects that the endpoint manages or might adopt, and those that
    prevent changes.

    Args:
        fields: As `custom_fields.stored_fields` returns them; None: load them.
    """
    related = RelatedObjects()
    related.add(each for each in (endpoint.site, endpoint.vlan_group, endpoint.vrf) if each)
    bindings = load_bindings(endpoint)
    bound_to = {bound.pointer: bound for bound in bindings.values()}
    newcomers = new_guests(desired.items, bindings)
    departed = load_departed(endpoint, newcomers)
    own = {bound.pointer.pk for bound in bindings.values() if bound.kind == 'vm'}
    # Before the records, which refer to them.
    shared_objects = SharedObjects(endpoint, related)
    shared = shared_objects.find(wanted_shared(desired.items))
    custom_fields = load_custom_fields(fields)
    reader = RecordReader(
        endpoint, desired, settings, newcomers, departed, own, bindings.keys(), custom_fields, related
    )
    records = reader.records()
    gone = [bound for bound in unwanted(bindings.values(), bound_to, desired) if may_be_deleted(bound, settings)]
    foreign = ForeignReader(endpoint, records, bound_to)
    loaded = Existing(
        bindings=bindings,
        records=records,
        foreign=foreign.kept(),
        retired_elsewhere=foreign.retired_machines(),
        shared=shared.pointers,
        new_shared=shared.new,
        custom_fields=custom_fields.written,
        limits=custom_fields.limits,
        demands=custom_fields.demands,
        tag_limits=limits_of_tags(tags_with_limits() if shared_objects.tags is None else shared_objects.tags),
        prefixes=load_prefixes({AddressHints.of(item).host for item in desired.items if item.kind == 'ip'}),
        vlans=load_vlans(endpoint, reader.cluster, settings, shared_objects.created_vlans),
        departed=reader.with_records(departed),
        elsewhere=reader.elsewhere,
        dependents=blocking_dependents(
            gone, bound_to, moving(gone, desired), kept_addresses(bindings.values(), desired, settings)
        ),
    )
    reader.release()
    return loaded


def unwanted(bindings: Iterable[Bound], bound_to: Mapping[Pointer, Bound], desired: Desired) -> list[Bound]:
    """The bindings whose guests, nodes or parts the comparison may find to be gone."""
    wanted = {(item.kind, item.key) for item in desired.items}
    seen = {AddressHints.of(item).host for item in desired.items if item.kind == 'ip' and AddressHints.of(item).is_seen}
    return [
        bound
        for bound in bindings
        if (bound.kind, bound.key) not in wanted
        and bound.kind in KINDS
        and desired.may_lose(bound.unit)
        and (bound.kind, KINDS[bound.kind].scope(bound.key, bound.unit)) in desired.complete
        and (bound.kind != 'ip' or may_be_gone(bound, bound_to, desired, seen))
    ]


def moving(gone: Iterable[Bound], desired: Desired) -> frozenset[Pointer]:
    """The addresses that a guest has lost and another one has."""
    wanted = {AddressHints.of(item).host for item in desired.items if item.kind == 'ip'}
    return frozenset(bound.pointer for bound in gone if bound.kind == 'ip' and bound.key.rpartition('/')[2] in wanted)


def kept_addresses(bindings: Iterable[Bound], desired: Desired, settings: Settings) -> frozenset[Pointer]:
    """The addresses that no guest is known to have, if the endpoint keeps missing addresses."""
    if settings.missing_addresses != 'leave':
        return frozenset()
    wanted = {item.key for item in desired.items if item.kind == 'ip'}
    return frozenset(bound.pointer for bound in bindings if bound.kind == 'ip' and bound.key not in wanted)


def wanted_shared(items: Iterable[Item]) -> set[Shared]:
    """The shared objects that items refer to."""
    values = list(chain.from_iterable(item.values.values() for item in items))
    elements = chain.from_iterable({value for value in values if isinstance(value, frozenset)})
    return {value for value in chain(values, elements) if isinstance(value, Shared)}


def load_prefixes(hosts: set[str]) -> dict[str, tuple[PrefixCandidate, ...]]:
    """The prefixes around each host address, by one query that can use the index on them."""
    hits: dict[str, list[PrefixCandidate]] = {}
    if not hosts:
        return {}
    with connection_of(Prefix).cursor() as cursor:
        cursor.execute(
            'SELECT host(h), p.prefix::text, v.id, v.name '
            'FROM unnest(%s::inet[]) AS h JOIN ipam_prefix p ON p.prefix >>= h LEFT JOIN ipam_vrf v ON v.id = p.vrf_id '
            "WHERE p.status <> 'container'",
            [sorted(hosts)],
        )
        for host, prefix, vrf_id, vrf_name in cursor.fetchall():
            vrf = Pointer('ipam.vrf', vrf_id, vrf_name) if vrf_id else None
            hits.setdefault(host, []).append(PrefixCandidate(network=ip_network(prefix), vrf=vrf))
    return {host: tuple(found) for host, found in hits.items()}
