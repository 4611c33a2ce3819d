"""Creates endpoints from the settings of ProxSyncBox, with the sites, roles and types that they name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcim.models import DeviceRole, DeviceType, Manufacturer, Site
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.text import slugify
from virtualization.models import Cluster, ClusterType

from ...choices import TLSModeChoices
from ...models import ProxmoxEndpoint
from .env_file import EnvFile, NodeEntry

__all__ = ('Importer',)


class UnusableEntryError(Exception):
    """An entry cannot become an endpoint."""


@dataclass
class Importer:
    """
    Creates endpoints in the transaction of the caller, and records what it does.

    Attributes:
        done: One line for each created or changed object.
        hints: What the user should do afterwards.
        errors: Why entries could not be imported.
    """

    file: EnvFile
    done: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self) -> None:
        made: dict[str, tuple[NodeEntry, ProxmoxEndpoint]] = {}
        for entry in self.file.nodes:
            name = entry.cluster
            try:
                if name.lower() in made:
                    self.join(entry, *made[name.lower()])
                elif ProxmoxEndpoint.objects.filter(name__iexact=name).exists():
                    self.hints.append(f'{entry.id}: there is an endpoint "{name}" already. It is not changed.')
                else:
                    made[name.lower()] = entry, self.make(entry)
            except UnusableEntryError as error:
                self.errors.append(f'{entry.id} (line {entry.line}): {error}')
            except ValidationError as error:
                self.errors += [f'{entry.id} (line {entry.line}): {text}' for text in messages_of(error)]

    def join(self, entry: NodeEntry, first: NodeEntry, endpoint: ProxmoxEndpoint) -> None:
        """Add a host to an endpoint. Tokens belong to a cluster: an entry with the same token is another node of it."""
        if (entry.token_id, entry['token_secret']) != (first.token_id, first['token_secret']):
            raise UnusableEntryError(
                f'it has the cluster "{entry.cluster}" of {first.id}, and another token. One cluster is one endpoint: '
                'give both entries the same token if they are nodes of it, otherwise different clusters.'
            )
        endpoint.snapshot()
        endpoint.hosts = [*endpoint.hosts, entry['host']]
        # A new host requires that the secrets are entered again; the file contains them.
        for name, secret in endpoint.secrets.items():
            if secret:
                setattr(endpoint, name, secret.reveal())
        endpoint.full_clean()
        endpoint.save()
        self.done.append(f'endpoint "{endpoint}": {entry["host"]} is a further host ({entry.id})')

    def make(self, entry: NodeEntry) -> ProxmoxEndpoint:
        cluster = self.cluster(entry)
        endpoint = ProxmoxEndpoint(
            name=entry.cluster,
            hosts=[entry['host']],
            token_id=entry.token_id,
            token_secret=entry['token_secret'],
            tls_mode=TLSModeChoices.SYSTEM if entry.is_true('verify_ssl') else TLSModeChoices.OFF,
            cluster=cluster,
            cluster_type=cluster.type,
            site=self.site(entry),
            node_role=self.role(entry),
            node_device_type=self.device_type(entry),
        )
        self.add_ssh(endpoint, entry)
        endpoint.full_clean()
        endpoint.save()
        placed = (endpoint.cluster, endpoint.site, endpoint.node_role, endpoint.node_device_type)
        where = ', '.join(str(value) for value in placed if value)
        self.done.append(f'endpoint "{endpoint}" for {", ".join(endpoint.hosts)}, token {endpoint.token_id} ({where})')
        self.hint(endpoint, entry)
        return endpoint

    def hint(self, endpoint: ProxmoxEndpoint, entry: NodeEntry) -> None:
        name = endpoint.name
        if endpoint.tls_mode == TLSModeChoices.OFF:
            self.hints.append(
                f'{name}: the certificate is not verified, as before. Pin its fingerprint in the form of the endpoint.'
            )
        if not endpoint.site:
            self.hints.append(f'{name}: it has no site; nodes become devices only with one.')
        if entry['netbox_node_platform_name']:
            self.hints.append(
                f'{name}: the platform "{entry["netbox_node_platform_name"]}" is retained on devices that have it. New '
                'ones get that of their Proxmox VE version.'
            )
        if endpoint.ssh_user:
            self.hints.append(f'{name}: compare and confirm the SSH host keys of its nodes before it uses SSH.')

    def cluster(self, entry: NodeEntry) -> Cluster:
        found = list(Cluster.objects.filter(name__iexact=entry.cluster)[:2])
        if len(found) > 1:
            raise UnusableEntryError(
                f'NetBox has several clusters "{entry.cluster}". Rename one, or import this entry by hand.'
            )
        if found:
            return found[0]
        kind = self.find_or_make(ClusterType, self.file.cluster_type or 'Proxmox VE')
        return self.created(Cluster(name=entry.cluster, type=kind))

    def site(self, entry: NodeEntry) -> Site | None:
        name = entry['netbox_node_site_name']
        return self.find_or_make(Site, name) if name else None

    def role(self, entry: NodeEntry) -> DeviceRole | None:
        name = entry['netbox_node_device_role_name']
        return self.find_or_make(DeviceRole, name, color='00bcd4', vm_role=False) if name else None

    def device_type(self, entry: NodeEntry) -> DeviceType | None:
        model, maker = entry['netbox_node_device_type_name'], entry['netbox_node_manufacturer_name']
        if not model:
            return None
        if not maker:
            raise UnusableEntryError(f'it names the device type "{model}" without a manufacturer.')
        manufacturer = self.find_or_make(Manufacturer, maker)
        found = DeviceType.objects.filter(manufacturer=manufacturer, model__iexact=model).first()
        return found or self.created(DeviceType(manufacturer=manufacturer, model=model, slug=slug_of(model)))

    def add_ssh(self, endpoint: ProxmoxEndpoint, entry: NodeEntry) -> None:
        if not entry.is_true('enable_ssh_mac_fetch') or not entry['ssh_user']:
            return
        endpoint.ssh_user = entry['ssh_user']
        endpoint.ssh_port = int(entry['ssh_port'] or 22)
        # As in ProxSyncBox, a password takes precedence over a key.
        if entry['ssh_password']:
            endpoint.ssh_password = entry['ssh_password']
        elif entry['ssh_key_path']:
            try:
                endpoint.ssh_private_key = Path(entry['ssh_key_path']).expanduser().read_text()
            except (OSError, UnicodeError) as error:
                reason = getattr(error, 'strerror', None) or 'it is not a text'
                raise UnusableEntryError(f'the SSH key {entry["ssh_key_path"]} cannot be read: {reason}.') from None
        if entry['ssh_host'] and entry['ssh_host'] != entry['host']:
            self.hints.append(f'{endpoint.name}: SSH goes to the addresses of the nodes, not to {entry["ssh_host"]}.')

    def find_or_make(self, model: type[Model], name: str, **values: Any) -> Any:
        """The object with a name, otherwise with its slug, as in ProxSyncBox; created if there is none."""
        objects = model._default_manager
        found = objects.filter(name__iexact=name).first() or objects.filter(slug=slug_of(name)).first()
        return found or self.created(model(name=name, slug=slug_of(name), **values))

    def created(self, instance: Model) -> Any:
        instance.full_clean()
        instance.save()
        self.done.append(f'{instance._meta.verbose_name} "{instance}"')
        return instance


def slug_of(name: str) -> str:
    return slugify(name.replace('.', '-'))[:100]


def messages_of(error: ValidationError) -> list[str]:
    """The messages of an error, with the names of the fields."""
    if not hasattr(error, 'error_dict'):
        return error.messages
    return [f'{name}: {text}' for name, texts in error.message_dict.items() for text in texts]
