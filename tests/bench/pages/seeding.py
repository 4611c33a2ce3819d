"""Fills a NetBox with the data of many large clusters, by bulk writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched, count, cycle, islice

from core.models import Job
from dcim.models import Device, DeviceRole, DeviceType, MACAddress, Manufacturer, Site
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.utils import timezone
from ipam.models import IPAddress
from netbox.search.backends import search_backend
from tenancy.models import Tenant
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncRun

from . import plans
from .details import cluster_state_of, details_of

__all__ = ('Estate', 'Size', 'fill')

ROWS_AT_ONCE = 5000
PARTS = 2  # interfaces and disks of each guest
FIRST_VMID = 100
# Of 100 guests; the others are in sync.
STATES = {
    'changed': 5, 'new': 2, 'missing': 2, 'conflict': 2, 'skipped': 2, 'ignored': 1, 'unknown': 1,
}  # fmt: skip
WITHOUT_MACHINE = ('new', 'skipped')


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """
    How much there is of everything.

    Attributes:
        changes: Of one preview of the first endpoint, which has half of the guests; other runs have a few each.
    """

    guests: int = 10_000
    endpoints: int = 12
    nodes: int = 60
    tenants: int = 40
    runs: int = 1_000
    changes: int = 70_000
    rules: int = 300


@dataclass(frozen=True, slots=True)
class Estate:
    """
    What was made, as far as pages of single objects need it.

    Attributes:
        endpoint: The largest.
        preview: The run whose plan waits to be applied.
        tenant: Whose machines a user may see who may not see the others.
        guest: One of that tenant, of the largest endpoint, in sync.
        device: One of that tenant.
    """

    endpoint: ProxmoxEndpoint
    preview: SyncRun
    tenant: Tenant
    guest: ProxmoxGuest
    device: Device


def fill(size: Size) -> Estate:
    """Make all of it. Numbers are as given, and the same at every call."""
    tenants = save(Tenant(name=f'Tenant {number:02}', slug=f'tenant-{number}') for number in range(size.tenants))
    site = Site.objects.create(name='Main site', slug='main')
    endpoints = make_endpoints(size, site)
    nodes = make_nodes(size, endpoints, site, tenants)
    machines = make_guests(size, endpoints, nodes, tenants)
    make_parts(machines)
    preview = make_runs(size, endpoints)
    # Every other one for an endpoint.
    save(rule(number, endpoints[number % len(endpoints)] if number % 2 else None) for number in range(size.rules))
    for model in (VirtualMachine, Device, ProxmoxGuest, ProxmoxEndpoint, MappingRule, IPAddress):
        search_backend.cache(model.objects.all(), remove_existing=False)
    with connection.cursor() as cursor:
        cursor.execute('ANALYZE')
    mine = ProxmoxGuest.objects.filter(endpoint=endpoints[0], state='in-sync', virtual_machine__tenant=tenants[0])
    return Estate(endpoints[0], preview, tenants[0], mine[0], Device.objects.filter(tenant=tenants[0])[0])


def save[Row: models.Model](rows: Iterable[Row]) -> list[Row]:
    saved: list[Row] = []
    for batch in batched(rows, ROWS_AT_ONCE):
        saved += type(batch[0]).objects.bulk_create(batch)
    return saved


def make_endpoints(size: Size, site: Site) -> list[ProxmoxEndpoint]:
    cluster_type = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    clusters = save(
        Cluster(name=f'cluster-{number}', type=cluster_type, scope=site) for number in range(size.endpoints)
    )
    per_endpoint = max(1, size.nodes // size.endpoints)
    endpoints = []
    for number, cluster in enumerate(clusters):
        names = [f'pve{number}-{node}' for node in range(per_endpoint)]
        endpoint = ProxmoxEndpoint(
            name=f'Endpoint {number}',
            hosts=[f'pve{number}.example.com:8006'],
            token_id='netbox@pve!proxsync',
            token_secret='c0ffee00-0000-4000-8000-000000000000',
            cluster=cluster,
            site=site,
            status='completed',
            pve_version='9.0.3',
            guests_read=timezone.now(),
            cluster_state=cluster_state_of(cluster.name, names),
        )
        endpoint.save()
        endpoints.append(endpoint)
    bind(endpoints, clusters, 'cluster', ((f'cluster/{cluster.name}', '') for cluster in clusters))
    return endpoints


def bind(
    endpoints: Iterable[ProxmoxEndpoint], objects: list[models.Model], kind: str, names: Iterable[tuple[str, str]]
):
    """Bindings of objects of one model; `names`: the key and the unit of each."""
    object_type = ContentType.objects.get_for_model(objects[0])
    save(
        Binding(
            endpoint=endpoint,
            kind=kind,
            key=key,
            unit=unit,
            object_type=object_type,
            object_id=instance.pk,
            values={'name': str(instance), 'status': 'active', 'memory': 4096},
            created_by_sync=True,
        )
        for endpoint, instance, (key, unit) in zip(endpoints, objects, names, strict=True)
    )


def make_nodes(size: Size, endpoints: list[ProxmoxEndpoint], site: Site, tenants: list[Tenant]) -> dict[int, list[str]]:
    """The names of the nodes, by the id of the endpoint."""
    role = DeviceRole.objects.create(name='Hypervisor', slug='hypervisor')
    maker = Manufacturer.objects.create(name='Acme', slug='acme')
    device_type = DeviceType.objects.create(manufacturer=maker, model='R1', slug='r1')
    names = {it.pk: [node['name'] for node in it.cluster_state['nodes']] for it in endpoints}
    owners = [endpoint for endpoint in endpoints for _name in names[endpoint.pk]]
    every = [name for endpoint in endpoints for name in names[endpoint.pk]]
    devices = save(
        Device(name=name, site=site, role=role, device_type=device_type, cluster=endpoint.cluster, tenant=tenant)
        for name, endpoint, tenant in zip(every, owners, cycle(tenants), strict=False)
    )
    bind(owners, devices, 'device', ((f'node/{name}', f'node/{name}') for name in every))
    return names


def endpoint_of_each(size: Size, endpoints: list[ProxmoxEndpoint]) -> list[ProxmoxEndpoint]:
    """Half of the guests are of the first."""
    half = size.guests // 2
    return [endpoints[0]] * half + list(islice(cycle(endpoints[1:] or endpoints), size.guests - half))


def states() -> Iterator[str]:
    """In a fixed order, mixed."""
    hundred = [state for state, number in STATES.items() for _one in range(number)]
    hundred += ['in-sync'] * (100 - len(hundred))
    # 37 and 100 have no common divisor.
    return cycle(hundred[number * 37 % 100] for number in range(100))


def make_guests(
    size: Size, endpoints: list[ProxmoxEndpoint], nodes: dict[int, list[str]], tenants: list[Tenant]
) -> dict[VirtualMachine, ProxmoxGuest]:
    guests, vmids = [], {endpoint.pk: count(FIRST_VMID) for endpoint in endpoints}
    for number, (endpoint, state) in enumerate(zip(endpoint_of_each(size, endpoints), states(), strict=False)):
        vmid = next(vmids[endpoint.pk])
        kind = 'lxc' if number % 4 == 3 else 'qemu'
        guests.append(
            ProxmoxGuest(
                endpoint=endpoint,
                type=kind,
                vmid=vmid,
                name=f'{("web", "db", "mail", "build")[number % 4]}-{number}.example.com',
                node=nodes[endpoint.pk][number % len(nodes[endpoint.pk])],
                status='' if state == 'missing' else ('stopped' if number % 7 == 0 else 'running'),
                tags=['production', f'team-{number % 9}'] if number % 3 else [],
                state=state,
                reason='' if state == 'in-sync' else f'The address 192.0.2.{number % 250} is that of "other-{number}".',
                ignored=state == 'ignored',
                seen_until=timezone.now() if state == 'missing' else None,
                details=details_of(number),
            )
        )
    bound = [guest for guest in guests if guest.state not in WITHOUT_MACHINE]
    machines = save(machine(guest, tenant) for guest, tenant in zip(bound, cycle(tenants), strict=False))
    for guest, of_guest in zip(bound, machines, strict=True):
        guest.virtual_machine = of_guest
    save(guests)
    bind([it.endpoint for it in bound], machines, 'vm', ((it.key, it.key) for it in bound))
    return dict(zip(machines, bound, strict=True))


def machine(guest: ProxmoxGuest, tenant: Tenant) -> VirtualMachine:
    return VirtualMachine(
        name=guest.name,
        cluster=guest.endpoint.cluster,
        site=guest.endpoint.site,
        tenant=tenant,
        status='active',
        vcpus=2,
        memory=4096,
        disk=PARTS * 32768,
        interface_count=PARTS,
        virtual_disk_count=PARTS,
        custom_field_data={'vmid': guest.vmid},
    )


def make_parts(machines: dict[VirtualMachine, ProxmoxGuest]):
    """Interfaces with a MAC and an IP address each, and disks, all bound."""
    pairs = [(vm, guest, part) for vm, guest in machines.items() for part in range(PARTS)]
    owners = [guest.endpoint for _vm, guest, _part in pairs]
    of_interface = ContentType.objects.get_for_model(VMInterface)
    interfaces = save(VMInterface(virtual_machine=vm, name=f'net{part}') for vm, _guest, part in pairs)
    disks = save(VirtualDisk(virtual_machine=vm, name=f'scsi{part}', size=32768) for vm, _guest, part in pairs)
    assigned = [{'assigned_object_type': of_interface, 'assigned_object_id': interface.pk} for interface in interfaces]
    macs = save(
        MACAddress(mac_address=f'BC:24:11:{number >> 16:02X}:{number >> 8 & 255:02X}:{number & 255:02X}', **to)
        for number, to in enumerate(assigned)
    )
    ips = save(
        IPAddress(address=f'10.{number >> 16}.{number >> 8 & 255}.{number & 255}/8', **to)
        for number, to in enumerate(assigned)
    )
    for interface, mac in zip(interfaces, macs, strict=True):
        interface.primary_mac_address = mac
    VMInterface.objects.bulk_update(interfaces, ['primary_mac_address'], batch_size=2000)
    firsts = [(vm, ip) for (vm, _guest, part), ip in zip(pairs, ips, strict=True) if part == 0]
    for vm, ip in firsts:
        vm.primary_ip4 = ip
    VirtualMachine.objects.bulk_update([vm for vm, _ip in firsts], ['primary_ip4'], batch_size=2000)
    for kind, objects, name in (
        ('interface', interfaces, 'net{part}'),
        ('disk', disks, 'scsi{part}'),
        ('mac', macs, 'net{part}/mac'),
        ('ip', ips, 'net{part}/10.0.0.{part}'),
    ):
        keys = ((f'{guest.key}/{name.format(part=part)}', guest.key) for _vm, guest, part in pairs)
        bind(owners, objects, kind, keys)


def make_runs(size: Size, endpoints: list[ProxmoxEndpoint]) -> SyncRun:
    """Runs of all endpoints, and as the last one the preview with a large plan."""
    of_endpoint = ContentType.objects.get_for_model(ProxmoxEndpoint)
    now = timezone.now()
    owners = [endpoints[number % len(endpoints)] for number in range(size.runs - 1)]
    jobs = save(
        Job(name='Sync', object_type=of_endpoint, object_id=endpoint.pk, status='completed', job_id=plans.uuid(number))
        for number, endpoint in enumerate(owners)
    )
    runs = [
        plans.run(endpoint, now - timedelta(minutes=size.runs - number), job, number)
        for number, (endpoint, job) in enumerate(zip(owners, jobs, strict=True))
    ]
    largest = list(ProxmoxGuest.objects.filter(endpoint=endpoints[0]).select_related('endpoint').defer('details'))
    preview = plans.preview(endpoints[0], now, largest, size.changes)
    saved = save([*runs, preview])
    created = {run.pk: plans.created(run) for run in saved}
    for run in saved:
        run.created = created[run.pk]
    SyncRun.objects.bulk_update(saved, ['created'], batch_size=1000)
    some = {endpoint.pk: list(endpoint.guests.defer('details')[:20]) for endpoint in endpoints}
    save(change for run in saved[:-1] for change in plans.changes(run, some[run.endpoint_id], 20))
    save(plans.changes(saved[-1], largest, size.changes))
    for endpoint in endpoints:
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=endpoint.runs.first())
    return saved[-1]


def rule(number: int, endpoint: ProxmoxEndpoint | None) -> MappingRule:
    return MappingRule(
        name=f'Rule {number:03}',
        weight=number,
        endpoint=endpoint,
        name_pattern=f'*-{number}[0-9].example.com',
        guest_tags=[f'team-{number % 9}'],
        skip=True,
    )
