"""Endpoints as the bulk import takes them, without their secrets."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import yaml

from ..sync.field_policy import format_policy

if TYPE_CHECKING:
    from .endpoints import ProxmoxEndpoint

__all__ = ('endpoint_as_yaml',)

PLAIN = (
    'name', 'description', 'enabled', 'token_id', 'tls_mode', 'ca_certificate', 'fingerprint', 'timeout', 'concurrency',
    'ssh_user', 'ssh_port', 'ssh_host_keys', 'sync_vms', 'sync_containers', 'sync_templates', 'adopt_by_name',
    'read_os_info', 'read_host_names', 'interface_naming', 'sync_nodes', 'create_vlans', 'missing_guests', 'grace_days',
    'missing_addresses', 'missing_address_reads', 'address_limit', 'change_limit', 'sync_interval', 'object_events',
    'comments',
)  # fmt: skip
LISTS = ('hosts', 'include_guests', 'exclude_guests', 'ignored_interfaces', 'ignored_prefixes')
# By what the import looks them up.
RELATED = {
    'cluster': 'name', 'cluster_type': 'name', 'cluster_group': 'name', 'site': 'name', 'tenant': 'name',
    'guest_role': 'name', 'node_role': 'name', 'node_device_type': 'model', 'vrf': 'rd', 'vlan_group': 'name',
    'owner': 'name',
}  # fmt: skip
# An empty text is not nothing: left out, they would get their default.
KEPT_EMPTY = ('ignored_interfaces',)


def endpoint_as_yaml(endpoint: 'ProxmoxEndpoint') -> str:
    data = {name: getattr(endpoint, name) for name in PLAIN}
    data |= {name: ', '.join(getattr(endpoint, name)) for name in LISTS}
    for name, attribute in RELATED.items():
        related = getattr(endpoint, name)
        data[name] = related and getattr(related, attribute)
    data['field_policy'] = format_policy(endpoint.field_policy)
    data['tags'] = [tag.slug for tag in endpoint.tags.all()]
    given = {name: value for name, value in data.items() if value not in (None, '', []) or name in KEPT_EMPTY}
    notes = ''.join(f'# {note}\n' for note in notes_on(endpoint))
    return notes + yaml.safe_dump(given, sort_keys=False, allow_unicode=True)


def notes_on(endpoint: 'ProxmoxEndpoint') -> Iterator[str]:
    """What the import of an export does not bring back by itself."""
    if missing := ', '.join(name for name, secret in endpoint.secrets.items() if secret):
        yield f'Secrets are not exported. Before an import, add: {missing}'
    if endpoint.vrf and not endpoint.vrf.rd:
        # Quoted, so that no name leaves the comment.
        name = json.dumps(endpoint.vrf.name)
        yield f'The VRF has no route distinguisher to be found by. After an import, choose: {name}'
