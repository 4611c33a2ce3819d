"""What tests do to the nodes, their networks, SDN, storages and backup jobs."""

import time
from typing import Any

from .estate import certificates_of, interfaces_of, vnets_of
from .state import Cluster

__all__ = ('ESTATE_OPERATIONS', 'EstateScript')

ESTATE_OPERATIONS = (
    'apply_network', 'expire_certificate', 'remove_interface', 'set_interface', 'set_not_backed_up', 'set_vnet',
    'set_volume',
)  # fmt: skip

type Rows = list[dict[str, Any]]


class EstateScript:
    """Operations like those of `Script`."""

    cluster: Cluster

    def set_interface(self, node: str, iface: str, /, pending: bool = False, **keys: Any) -> None:
        """
        Change an interface of a node, or add one; None deletes a key. Keys that are no names: `**{'vlan-id': 5}`.

        Attributes:
            pending: The change is not applied: /nodes/N/network shows it all the same, with `changes`.
        """
        with self.cluster.lock:
            rows = self._interfaces(node, pending)
            found = next((row for row in rows if row['iface'] == iface), None)
            if found is None:
                found = {'iface': iface, 'families': ['inet'], 'method': 'manual', 'method6': 'manual', 'active': 1}
                rows.append(found)
            for key, value in keys.items():
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
            self._set_interfaces(node, rows, pending)

    def remove_interface(self, node: str, iface: str, pending: bool = False) -> None:
        """Take an interface away."""
        with self.cluster.lock:
            rows = self._interfaces(node, pending)
            self._set_interfaces(node, [row for row in rows if row['iface'] != iface], pending)

    def apply_network(self, node: str) -> None:
        """What was pending runs."""
        with self.cluster.lock:
            found = self.cluster.nodes[node]
            found.interfaces = found.pending_interfaces or found.interfaces
            found.pending_interfaces = None
            self.cluster.changed()

    def expire_certificate(self, node: str, days: float = -1, filename: str = 'pve-ssl.pem') -> None:
        """Let a certificate end in so many days from now; it is added if there is none of that name."""
        with self.cluster.lock:
            rows = certificates_of(self.cluster, self.cluster.nodes[node])
            found = next((row for row in rows if row['filename'] == filename), None)
            if found is None:
                found = {
                    'filename': filename, 'fingerprint': ':'.join(['AB'] * 32), 'subject': f'/CN={node}',
                    'issuer': '/CN=Some CA', 'notbefore': 1,
                }  # fmt: skip
                rows.append(found)
            found['notafter'] = int(time.time() + days * 86400)
            self.cluster.nodes[node].certificates = rows
            self.cluster.changed()

    def set_not_backed_up(self, *vmids: int) -> None:
        """The guests that no backup job covers."""
        with self.cluster.lock:
            self.cluster.not_backed_up = {self.cluster.guest(vmid).vmid for vmid in vmids}
            self.cluster.changed()

    def set_vnet(self, vnet: str, zone: str, **keys: Any) -> None:
        """Add a virtual network to SDN, or replace one."""
        with self.cluster.lock:
            rows = [row for row in vnets_of(self.cluster) if row['vnet'] != vnet]
            self.cluster.vnets = [*rows, {'vnet': vnet, 'zone': zone, 'type': 'vnet', **keys}]
            self.cluster.changed()

    def set_volume(self, volume: str, vmid: int, size: int) -> None:
        """A volume in the list of its storage, with its size in bytes."""
        with self.cluster.lock:
            self.cluster.volumes[volume] = (vmid, size)
            self.cluster.changed()

    def _interfaces(self, node: str, pending: bool) -> Rows:
        found = self.cluster.nodes[node]
        if pending and found.pending_interfaces is not None:
            return found.pending_interfaces
        return interfaces_of(self.cluster, found)

    def _set_interfaces(self, node: str, rows: Rows, pending: bool) -> None:
        found = self.cluster.nodes[node]
        if pending:
            found.pending_interfaces = rows
        else:
            found.interfaces = rows
        self.cluster.changed()
