"""
A Proxmox VE API server over real HTTPS for tests, demo and benchmarks: recorded clusters, generated clusters of any
size, and a script that changes them while they are being read.

    with StandIn('pve-9.2.11-cluster') as pve: ...
    with StandIn(ClusterSpec(nodes=3, vms=200)) as pve: ...
"""

from .generate import ClusterSpec, generate
from .recordings import names as recorded
from .standin import StandIn
from .tls import Tls
from .traffic import Call

__all__ = ('Call', 'ClusterSpec', 'StandIn', 'Tls', 'generate', 'recorded')
