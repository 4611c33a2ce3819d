from typing import TYPE_CHECKING

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import PrimaryModelTable, columns

from ..models import MappingRule

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('MappingRuleTable',)


def linked(label: 'StrOrPromise') -> tables.Column:
    return tables.Column(verbose_name=label, linkify=True)


class MappingRuleTable(PrimaryModelTable):
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
    )
    weight = tables.Column(
        verbose_name=_('Weight'),
    )
    enabled = columns.BooleanColumn(
        verbose_name=_('Enabled'),
    )
    endpoint = linked(_('Endpoint'))
    guest_type = columns.ChoiceFieldColumn(
        verbose_name=_('Guest type'),
    )
    name_pattern = tables.Column(
        verbose_name=_('Name pattern'),
        attrs={'td': {'class': 'font-monospace'}},
    )
    guest_tags = columns.ArrayColumn(
        verbose_name=_('Guest tags'),
        max_items=3,
    )
    pools = columns.ArrayColumn(
        verbose_name=_('Pools'),
        max_items=3,
    )
    nodes = columns.ArrayColumn(
        verbose_name=_('Nodes'),
        max_items=3,
    )
    vmid_range = tables.Column(
        verbose_name=_('VM IDs'),
        order_by=('vmid_min', 'vmid_max'),
    )
    template = columns.BooleanColumn(
        verbose_name=_('Template'),
    )
    skip = columns.BooleanColumn(
        verbose_name=_('Skip'),
        false_mark=None,
    )
    role = columns.ColoredLabelColumn(
        verbose_name=_('Role'),
    )
    tenant = linked(_('Tenant'))
    platform = linked(_('Platform'))
    vrf = linked(_('VRF'))
    vlan_group = linked(_('VLAN group'))
    extra_tags = columns.ManyToManyColumn(
        verbose_name=_('Extra tags'),
    )
    tags = columns.TagColumn(
        url_name='plugins:netbox_proxsync:mappingrule_list',
    )

    class Meta(PrimaryModelTable.Meta):
        model = MappingRule
        fields = (
            'pk', 'id', 'weight', 'name', 'enabled', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type',
            'guest_tags', 'tag_match', 'pools', 'nodes', 'vmid_range', 'template', 'skip', 'role', 'tenant', 'platform',
            'vrf', 'vlan_group', 'extra_tags', 'description', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'weight', 'name', 'enabled', 'endpoint', 'name_pattern', 'guest_tags', 'pools', 'skip', 'role',
            'tenant', 'platform',
        )  # fmt: skip
