"""Endpoints as the bulk import takes them, without their secrets."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml
from django.contrib.postgres.fields import ArrayField
from django.db import models

from ..fields import column
from ..sync.field_policy import format_policy
from .endpoint_settings import Use, names_of

if TYPE_CHECKING:
    from .endpoints import ProxmoxEndpoint

__all__ = ('endpoint_as_yaml',)

# The attribute by which the import finds a related object; the name of others.
LOOKUPS = {'node_device_type': 'model', 'vrf': 'rd'}
# An empty text is not nothing: left out, they would get their default.
KEPT_EMPTY = ('ignored_interfaces',)


def endpoint_as_yaml(endpoint: 'ProxmoxEndpoint') -> str:
    """The settings of an endpoint, with related objects by their names and lists as texts with commas."""
    model = type(endpoint)
    columns = [column(model, name) for name in (*names_of(Use.EXPORT), 'comments', 'owner')]
    data = {field.name: exported(field, getattr(endpoint, field.name)) for field in columns}
    data['field_policy'] = format_policy(endpoint.field_policy)
    data['tags'] = [tag.slug for tag in endpoint.tags.all()]
    given = {name: value for name, value in data.items() if value not in (None, '', []) or name in KEPT_EMPTY}
    notes = ''.join(f'# {note}\n' for note in notes_on(endpoint))
    return notes + yaml.safe_dump(given, sort_keys=False, allow_unicode=True)


def exported(field: 'models.Field[Any, Any]', value: Any) -> Any:
    if isinstance(field, ArrayField):
        return ', '.join(value)
    if isinstance(field, models.ForeignKey):
        return value and getattr(value, LOOKUPS.get(field.name, 'name'))
    return value


def notes_on(endpoint: 'ProxmoxEndpoint') -> Iterator[str]:
    """What the import of an export does not bring back by itself."""
    if missing := ', '.join(name for name, secret in endpoint.secrets.items() if secret):
        yield f'Secrets are not exported. Before an import, add: {missing}'
    if endpoint.vrf and not endpoint.vrf.rd:
        # Quoted, so that no name leaves the comment.
        name = json.dumps(endpoint.vrf.name)
        yield f'The VRF has no route distinguisher to be found by. After an import, choose: {name}'
