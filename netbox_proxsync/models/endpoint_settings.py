"""
The settings of an endpoint, each declared once: where forms, pages, tables, REST, GraphQL and exports show it.

A new boolean setting needs a field of the model and a `switch()` here; forms, filters, columns and panels for it follow
from that. Settings of other types need their own form fields and columns as well, and get their order from here.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

__all__ = ('SETTINGS', 'SWITCHES', 'Section', 'Setting', 'Switch', 'Use', 'names_in', 'names_of')


class Section(Enum):
    """The part of the form that a setting is in. Panels and the form for bulk edits have similar parts."""

    GENERAL = auto()
    CONNECTION = auto()
    CONNECTION_DETAILS = auto()
    SSH = auto()
    PLACEMENT = auto()
    GUESTS = auto()
    NODES = auto()
    BEHAVIOR = auto()
    SCHEDULE = auto()
    EVENTS = auto()


class Use(Enum):
    """
    A place where settings are listed.

    FORM: the form and the bulk import; CLONE: the values that a clone copies; EXPORT: the export as YAML.
    """

    FORM = auto()
    CLONE = auto()
    EXPORT = auto()
    TABLE = auto()
    REST = auto()
    GRAPHQL = auto()


EVERYWHERE = frozenset(Use)
# REST accepts secrets, and never returns them.
SECRET = frozenset({Use.FORM, Use.REST})
NOT_CLONED = EVERYWHERE - {Use.CLONE}
# Long texts are not shown in tables.
NOT_IN_TABLE = EVERYWHERE - {Use.TABLE}


@dataclass(frozen=True, slots=True)
class Setting:
    """
    Attributes:
        name: The name of the model's field.
        uses: The places that list the setting.
    """

    name: str
    section: Section
    uses: frozenset[Use] = EVERYWHERE


@dataclass(frozen=True, slots=True)
class Switch(Setting):
    """
    A boolean setting.

    Attributes:
        label: The name of the setting in forms and panels.
        column: The heading of its column in tables.
    """

    label: 'StrPromise' = field(kw_only=True)
    column: 'StrPromise' = field(kw_only=True)


def switch(name: str, section: Section, label: 'StrPromise', column: 'StrPromise | None' = None) -> Switch:
    """Declare a boolean setting that is listed everywhere; `column` is the label unless it is given."""
    return Switch(name, section, label=label, column=column or label)


# In the order of forms, tables and REST.
SETTINGS: tuple[Setting, ...] = (
    Setting('name', Section.GENERAL, NOT_CLONED),
    Setting('description', Section.GENERAL, frozenset({Use.FORM, Use.EXPORT})),
    Setting('enabled', Section.GENERAL, NOT_CLONED),
    Setting('hosts', Section.CONNECTION, NOT_CLONED),
    Setting('token_id', Section.CONNECTION, NOT_CLONED),
    Setting('token_secret', Section.CONNECTION, SECRET),
    Setting('tls_mode', Section.CONNECTION),
    Setting('ca_certificate', Section.CONNECTION_DETAILS, NOT_IN_TABLE),
    Setting('fingerprint', Section.CONNECTION, NOT_CLONED - {Use.TABLE}),
    Setting('timeout', Section.CONNECTION_DETAILS),
    Setting('concurrency', Section.CONNECTION_DETAILS),
    Setting('ssh_user', Section.SSH, NOT_CLONED),
    Setting('ssh_port', Section.SSH),
    Setting('ssh_password', Section.SSH, SECRET),
    Setting('ssh_private_key', Section.SSH, SECRET),
    Setting('ssh_passphrase', Section.SSH, SECRET),
    Setting('ssh_host_keys', Section.SSH, NOT_CLONED - {Use.TABLE}),
    Setting('cluster', Section.PLACEMENT, NOT_CLONED),
    Setting('cluster_type', Section.PLACEMENT),
    Setting('cluster_group', Section.PLACEMENT),
    Setting('site', Section.PLACEMENT),
    Setting('tenant', Section.PLACEMENT),
    Setting('guest_role', Section.PLACEMENT),
    Setting('node_role', Section.PLACEMENT),
    Setting('node_device_type', Section.PLACEMENT),
    Setting('vrf', Section.PLACEMENT),
    Setting('vlan_group', Section.PLACEMENT),
    switch('sync_vms', Section.GUESTS, _('Sync virtual machines'), _('Virtual machines')),
    switch('sync_containers', Section.GUESTS, _('Sync containers'), _('Containers')),
    switch('sync_templates', Section.GUESTS, _('Sync templates'), _('Templates')),
    Setting('include_guests', Section.GUESTS),
    Setting('exclude_guests', Section.GUESTS),
    switch('adopt_by_name', Section.GUESTS, _('Adopt by name')),
    switch('sync_nodes', Section.NODES, _('Sync nodes'), _('Nodes')),
    switch('create_vlans', Section.NODES, _('Create VLANs')),
    switch('read_os_info', Section.GUESTS, _('Read operating systems'), _('Operating systems')),
    switch('read_host_names', Section.GUESTS, _('Read hostnames'), _('Hostnames')),
    Setting('ignored_interfaces', Section.GUESTS),
    Setting('ignored_prefixes', Section.GUESTS),
    Setting('interface_naming', Section.GUESTS),
    Setting('missing_guests', Section.BEHAVIOR),
    Setting('grace_days', Section.BEHAVIOR),
    Setting('missing_addresses', Section.BEHAVIOR),
    Setting('missing_address_reads', Section.BEHAVIOR),
    Setting('address_limit', Section.BEHAVIOR),
    # The clone gets it as the text that the form reads, see ProxmoxEndpoint.clone().
    Setting('field_policy', Section.BEHAVIOR, NOT_IN_TABLE - {Use.CLONE}),
    Setting('change_limit', Section.BEHAVIOR),
    Setting('write_policy', Section.BEHAVIOR),
    Setting('sync_interval', Section.SCHEDULE),
    Setting('quick_interval', Section.SCHEDULE),
    Setting('sync_windows', Section.SCHEDULE),
    Setting('paused_until', Section.SCHEDULE, NOT_CLONED),
    # Computed from the intervals, the windows and the pause.
    Setting('next_sync', Section.SCHEDULE, frozenset({Use.TABLE, Use.REST, Use.GRAPHQL})),
    Setting('next_quick', Section.SCHEDULE, frozenset({Use.TABLE, Use.REST, Use.GRAPHQL})),
    Setting('object_events', Section.EVENTS),
)
SWITCHES: tuple[Switch, ...] = tuple(setting for setting in SETTINGS if isinstance(setting, Switch))


def names_of(use: Use) -> tuple[str, ...]:
    """The names of the settings that a place lists, in their order."""
    return tuple(setting.name for setting in SETTINGS if use in setting.uses)


def names_in(section: Section, without: Collection[str] = ()) -> tuple[str, ...]:
    """The names of the settings that users can enter in a section, in their order."""
    return tuple(
        setting.name
        for setting in SETTINGS
        if setting.section is section and Use.FORM in setting.uses and setting.name not in without
    )
