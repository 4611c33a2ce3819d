"""Every list and page of the plugin, and those of NetBox that show something of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.urls import reverse

from netbox_proxsync.tables import ProxmoxGuestTable

from .seeding import Estate

__all__ = ('OWN', 'Page', 'pages_of')

UI = 'plugins:netbox_proxsync:'
REST = 'plugins-api:netbox_proxsync-api:'
# NetBox's own page that the others are held against, by rows on a page.
OWN = {50: "NetBox's virtual machines", 1000: "NetBox's virtual machines, 1,000 rows"}
MANY = 1000
LISTS = ('proxmoxendpoint', 'proxmoxguest', 'mappingrule', 'syncrun', 'syncchange', 'binding')
QUERIES = {
    'guests': '{ proxsync_guest_list(pagination: {limit: 50}) { vmid name state reason } }',
    'guests with their machines': (
        '{ proxsync_guest_list(pagination: {limit: 50}) { name virtual_machine { name } endpoint { name } } }'
    ),
    'changes': '{ proxsync_change_list(pagination: {limit: 50}) { label action fields } }',
    'bindings': '{ proxsync_binding_list(pagination: {limit: 50}) { key values } }',
    'runs': '{ proxsync_run_list(pagination: {limit: 50}) { status messages } }',
    'endpoints': '{ proxsync_endpoint_list(pagination: {limit: 50}) { name status } }',
    'virtual machines with their guests': (
        '{ virtual_machine_list(pagination: {limit: 50}) { name proxsync_guests { node state } } }'
    ),
    'devices with their nodes': '{ device_list(pagination: {limit: 50}) { name proxsync_node { node state } } }',
}


@dataclass(frozen=True, slots=True)
class Page:
    """
    Attributes:
        rows: How many of a list it shows, to be held against NetBox's own list with as many.
        bulk: It answers with thousands of rows at once, and its first byte comes when all of them are ready.
        with_columns: As shown to a user who has the plugin's columns in NetBox's own lists.
        body: Posted, as JSON.
    """

    name: str
    url: str
    rows: int = 50
    bulk: bool = False
    with_columns: bool = False
    body: str = ''
    headers: dict[str, str] = field(default_factory=dict)


def pages_of(estate: Estate) -> list[Page]:
    """NetBox's own page for each number of rows comes before those that are held against it."""
    return [
        Page(OWN[50], reverse('virtualization:virtualmachine_list')),
        Page(OWN[1000], reverse('virtualization:virtualmachine_list') + f'?per_page={MANY}', MANY, bulk=True),
        *lists(),
        *guest_lists(estate),
        *of_endpoint(estate),
        *of_run(estate),
        *of_guest(estate),
        *of_netbox(estate),
        *rest(estate),
        *(Page(f'GraphQL: {name}', reverse('graphql'), body=json.dumps({'query': it})) for name, it in QUERIES.items()),
    ]


def lists() -> Iterator[Page]:
    yield Page('Needs Attention', reverse(f'{UI}attention'))
    for name in LISTS:
        url = reverse(f'{UI}{name}_list')
        yield Page(f'{name} list', url)
        yield Page(f'{name} list, q=web', f'{url}?q=web')
        yield Page(f'{name} list, 1,000 rows', f'{url}?per_page={MANY}', MANY, bulk=True)


def guest_lists(estate: Estate) -> Iterator[Page]:
    url, endpoint = reverse(f'{UI}proxmoxguest_list'), estate.endpoint
    for state in ('in-sync', 'conflict'):
        yield Page(f'guests, state={state}', f'{url}?state={state}')
    yield Page('guests, of an endpoint', f'{url}?endpoint_id={endpoint.pk}')
    yield Page('guests, of an endpoint and a state', f'{url}?endpoint_id={endpoint.pk}&state=conflict')
    yield Page('guests, of a node', f'{url}?node={estate.guest.node}')
    yield Page('guests, with a tag', f'{url}?tags=team-3')
    yield Page('guests, q= that nothing has', f'{url}?q=nothing-has-this')
    yield Page('guests, q= a VM ID', f'{url}?q={estate.guest.vmid}')
    yield Page('guests, last page', f'{url}?page=10000')
    for name, column in ProxmoxGuestTable.base_columns.items():
        if column.orderable is not False and name not in ('pk', 'actions'):
            yield Page(f'guests, by {name}', f'{url}?sort={name}')
            yield Page(f'guests, by {name}, descending', f'{url}?sort=-{name}')
    yield Page('guests, exported', f'{url}?export=table', bulk=True)


def of_endpoint(estate: Estate) -> Iterator[Page]:
    pk = estate.endpoint.pk
    yield Page('endpoint', reverse(f'{UI}proxmoxendpoint', args=[pk]))
    for tab in ('guests', 'nodes', 'runs', 'bindings', 'jobs'):
        yield Page(f'endpoint, {tab}', reverse(f'{UI}proxmoxendpoint_{tab}', args=[pk]))
    yield Page('endpoint, guests, q=web', reverse(f'{UI}proxmoxendpoint_guests', args=[pk]) + '?q=web')
    yield Page('endpoint, deletion', reverse(f'{UI}proxmoxendpoint_delete', args=[pk]))


def of_run(estate: Estate) -> Iterator[Page]:
    pk = estate.preview.pk
    url, changes = reverse(f'{UI}syncrun', args=[pk]), reverse(f'{UI}syncchange_list')
    yield Page('run with 70,000 changes', url)
    for query in (
        'kind=ip', 'action=create', 'guest=web', 'guest=nothing-has-this', 'q=web', 'q=nothing-has-this', 'after=60000',
        'before=60000', 'kind=disk&action=delete&guest=mail',
    ):  # fmt: skip
        yield Page(f'run, {query}', f'{url}?{query}')
    yield Page('run, 1,000 rows', f'{url}?per_page={MANY}', MANY, bulk=True)
    yield Page('run, its plan', reverse(f'{UI}syncrun_apply', args=[pk]))
    yield Page('run, its plan, last page', reverse(f'{UI}syncrun_apply', args=[pk]) + '?page=10000')
    yield Page('run, its plan, q=web', reverse(f'{UI}syncrun_apply', args=[pk]) + '?q=web')
    yield Page('run, deletion', reverse(f'{UI}syncrun_delete', args=[pk]))
    for kind in ('csv', 'json'):
        yield Page(f'run, exported as {kind}', reverse(f'{UI}syncrun_export', args=[pk]) + f'?format={kind}', bulk=True)
    for query in ('kind=ip', 'action=create', 'q=web', 'sort=label', 'page=1000'):
        yield Page(f'changes of a run, {query}', f'{changes}?run_id={pk}&{query}')


def of_guest(estate: Estate) -> Iterator[Page]:
    guest = estate.guest
    yield Page('guest', guest.get_absolute_url())
    query = f'?embedded=True&endpoint_id={guest.endpoint_id}&unit={guest.key}'
    for name in ('syncchange', 'binding'):
        yield Page(f'guest, its {name} rows', reverse(f'{UI}{name}_list') + query, headers={'HX-Request': 'true'})
    yield Page('binding', guest.endpoint.bindings.get(kind='vm', unit=guest.key).get_absolute_url())


def of_netbox(estate: Estate) -> Iterator[Page]:
    machine, device, name = estate.guest.virtual_machine, estate.device, estate.guest.name
    yield Page('virtual machine', machine.get_absolute_url())
    yield Page('virtual machine, Proxmox VE', reverse('virtualization:virtualmachine_proxmox', args=[machine.pk]))
    yield Page('device', device.get_absolute_url())
    yield Page('device, Proxmox VE', reverse('dcim:device_proxmox', args=[device.pk]))
    yield Page('cluster', estate.endpoint.cluster.get_absolute_url())
    yield Page('virtual machines with our columns', reverse('virtualization:virtualmachine_list'), with_columns=True)
    yield Page('devices with our columns', reverse('dcim:device_list'), with_columns=True)
    yield Page('dashboard with the widget', reverse('home'))
    yield Page("search for a guest's name", reverse('search') + f'?q={name}')
    yield Page('search for web', reverse('search') + '?q=web')
    for model in ('proxmoxguest', 'proxmoxendpoint', 'syncrun'):
        query = f'?_model=netbox_proxsync.{model}&target=id_x&_search=true&q=web'
        yield Page(f'object selector, {model}', reverse('htmx_object_selector') + query)
    yield Page('metrics', '/metrics')


def rest(estate: Estate) -> Iterator[Page]:
    for name in LISTS:
        url = reverse(f'{REST}{name}-list')
        yield Page(f'REST: {name}', url)
        yield Page(f'REST: {name}, q=web', f'{url}?q=web')
        yield Page(f'REST: {name}, 1,000 rows', f'{url}?limit={MANY}', MANY, bulk=True)
        yield Page(f'REST: {name}, for a form', f'{url}?brief=true&q=web&limit=100')
    guests, changes = reverse(f'{REST}proxmoxguest-list'), reverse(f'{REST}syncchange-list')
    bindings = reverse(f'{REST}binding-list')
    yield Page('REST: guests, state=conflict', f'{guests}?state=conflict')
    yield Page('REST: guests, of an endpoint', f'{guests}?endpoint_id={estate.endpoint.pk}')
    yield Page('REST: guests, last', f'{guests}?offset=9950')
    yield Page('REST: changes of a run', f'{changes}?run_id={estate.preview.pk}')
    yield Page('REST: changes of a run, last', f'{changes}?run_id={estate.preview.pk}&offset=69950')
    yield Page('REST: bindings of a guest', f'{bindings}?endpoint_id={estate.endpoint.pk}&unit={estate.guest.key}')
