"""Who looks: a user who may do everything, and a user who may view the machines of one tenant only."""

from dataclasses import dataclass

from core.models import ObjectType
from dcim.models import Device
from django.test import Client
from extras.models import Dashboard
from ipam.models import IPAddress
from tenancy.models import Tenant
from users.models import ObjectPermission, Token, User
from virtualization.models import Cluster, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

__all__ = ('Person', 'make_people')

VIEWED = (
    ProxmoxEndpoint, ProxmoxGuest, SyncRun, SyncChange, Binding, MappingRule, VMInterface, VirtualDisk, IPAddress,
    Cluster,
)  # fmt: skip
# The widget alone, so that the page is about it.
PLACE = {'id': 'c3a9ac62-9b6b-4b6e-8d4f-57e4f5f0a0a0', 'x': 0, 'y': 0, 'w': 6, 'h': 3}
WIDGET = {'class': 'netbox_proxsync.EndpointsWidget', 'title': None, 'color': None, 'config': {}}
COLUMNS = {
    'VirtualMachineTable': ['name', 'status', 'cluster', 'proxmox_state', 'proxmox_node', 'proxmox_endpoint'],
    'DeviceTable': ['name', 'status', 'site', 'proxmox_node', 'proxmox_endpoint'],
}


@dataclass(frozen=True, slots=True)
class Person:
    """
    Attributes:
        cookie: Of a session.
        with_columns: Of another session, of a user with the same rights whose lists of virtual machines and devices
            show the plugin's columns.
        token: For the REST API and GraphQL.
    """

    name: str
    cookie: str
    with_columns: str
    token: str


def make_people(tenant: Tenant) -> list[Person]:
    return [person('superuser', None), person('one tenant', tenant)]


def person(name: str, tenant: Tenant | None) -> Person:
    sessions = []
    for suffix in ('', ', columns'):
        user = User.objects.create_user(username=name + suffix, is_superuser=tenant is None)
        Dashboard.objects.create(user=user, layout=[PLACE], config={PLACE['id']: WIDGET})
        if tenant:
            allow(user, VIEWED, ['view', 'sync'])
            allow(user, (VirtualMachine, Device), ['view'], {'tenant__slug': tenant.slug})
        if suffix:
            for table, columns in COLUMNS.items():
                user.config.set(f'tables.{table}.columns', columns, commit=True)
        client = Client()
        client.force_login(user)
        sessions.append((user, client.cookies.output(attrs=[], header='', sep=';').strip()))
    token = Token.objects.create(user=sessions[0][0])
    return Person(name, sessions[0][1], sessions[1][1], f'Bearer nbt_{token.key}.{token.token}')


def allow(user: User, models: tuple[type, ...], actions: list[str], constraints: dict[str, str] | None = None):
    permission = ObjectPermission.objects.create(
        name=str(ObjectPermission.objects.count()), actions=actions, constraints=constraints
    )
    permission.users.add(user)
    permission.object_types.set(ObjectType.objects.get_for_model(model) for model in models)
