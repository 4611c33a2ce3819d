"""Endpoints and mapping rules as the bulk import accepts them; endpoints without their secrets."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml
from django.contrib.postgres.fields import ArrayField
from django.db import models

from ..fields import column
from ..sync.field_policy import format_policy
from .endpoint_settings import Use, names_of

if TYPE_CHECKING:
    from .endpoints import ProxmoxEndpoint
    from .rules import MappingRule

__all__ = ('endpoint_as_yaml', 'rule_as_yaml')

# The attribute by which the import of endpoints finds a related object; the name of others.
ENDPOINT_LOOKUPS = {'node_device_type': 'model', 'vrf': 'rd'}
# An empty text has a meaning here: if it is missing, the import sets the default.
EXPORTED_EMPTY = ('ignored_interfaces',)
RULE_COLUMNS = (
    'name', 'weight', 'enabled', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type', 'guest_tags', 'pools',
    'nodes', 'tag_match', 'vmid_min', 'vmid_max', 'template', 'skip', 'role', 'tenant', 'platform', 'vrf', 'vlan_group',
    'extra_tags', 'description', 'owner', 'comments', 'tags',
)  # fmt: skip


def endpoint_as_yaml(endpoint: 'ProxmoxEndpoint') -> str:
    """The settings of an endpoint, after comments on what the import cannot restore."""
    names = (*names_of(Use.EXPORT), 'comments', 'owner', 'tags')
    data = exported_values(endpoint, names, ENDPOINT_LOOKUPS)
    data['field_policy'] = format_policy(endpoint.field_policy)
    notes = ''.join(f'# {note}\n' for note in notes_on(endpoint))
    return notes + to_yaml(data, EXPORTED_EMPTY)


def rule_as_yaml(rule: 'MappingRule') -> str:
    return to_yaml(exported_values(rule, RULE_COLUMNS, {}))


def exported_values(instance: models.Model, names: Iterable[str], lookups: Mapping[str, str]) -> dict[str, Any]:
    """
    The values of an object as the bulk import reads them: lists as texts with commas, tags by their slugs, and related
    objects by one attribute, which is the name unless `lookups` has another one for the field.
    """
    data = {}
    for name in names:
        field, value = column(type(instance), name), getattr(instance, name)
        if field.many_to_many:
            value = [tag.slug for tag in value.all()]
        elif isinstance(field, ArrayField):
            value = ', '.join(value)
        elif isinstance(field, models.ForeignKey):
            value = value and getattr(value, lookups.get(name, 'name'))
        elif isinstance(value, datetime):
            value = value.isoformat()
        data[name] = value
    return data


def to_yaml(data: Mapping[str, Any], exported_empty: Collection[str] = ()) -> str:
    """The values as YAML, without empty ones except those named."""
    given = {name: value for name, value in data.items() if value not in (None, '', []) or name in exported_empty}
    return yaml.safe_dump(given, sort_keys=False, allow_unicode=True)


def notes_on(endpoint: 'ProxmoxEndpoint') -> Iterator[str]:
    """What the import cannot restore."""
    if missing := ', '.join(name for name, secret in endpoint.secrets.items() if secret):
        yield f'Secrets are not exported. Before an import, add: {missing}'
    if endpoint.vrf and not endpoint.vrf.rd:
        # Quoted as JSON, so that a line break in the name cannot end the comment.
        name = json.dumps(endpoint.vrf.name)
        yield f'The VRF has no route distinguisher to be found by. After an import, choose: {name}'
