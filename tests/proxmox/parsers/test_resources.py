"""The answers about a whole cluster: resources, status and options."""

import pytest

from netbox_proxsync.proxmox.inventory import TagStyle, Unreadable
from netbox_proxsync.proxmox.parsers.resources import ClusterStatus, Resources, merge_nodes, parse_tag_style
from netbox_proxsync.proxmox.properties import ParseError

CLUSTER = {'type': 'cluster', 'name': 'lab', 'nodes': 1, 'quorate': 1}


@pytest.mark.parametrize('options', [None, [], 'x', {'tag-style': ['x']}, {'tag-style': 5}, {'tag-style': 'x'}])
def test_invalid_tag_styles(options):
    with pytest.raises(ParseError):
        parse_tag_style(options)


@pytest.mark.parametrize('style', [None, '', {}, {'color-map': 'prod'}, {'color-map': ':ff0000;dev:red'}])
def test_a_tag_style_without_colors(style):
    assert parse_tag_style({'tag-style': style}) == TagStyle(colors={}, case_sensitive=False)


@pytest.mark.parametrize(
    ('address', 'expected'),
    [
        ('10.0.0.1', '10.0.0.1'),
        ('2001:DB8::1', '2001:db8::1'),
        ('', None),
        (None, None),
        ('pve1', Unreadable("ip in the list cannot be read: 'pve1' is not an IP address.")),
    ],
)
def test_the_address_of_a_node(address, expected):
    status = ClusterStatus.parse([CLUSTER, {'type': 'node', 'name': 'pve1', 'online': 1, 'ip': address}])
    assert status.nodes == {'pve1': (True, expected)}
    (node,), undecided = merge_nodes(Resources(guests={}, nodes={}, incomplete_reason=None), status)
    assert (node.address, node.online, undecided) == (expected, True, ())
