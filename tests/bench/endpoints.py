"""Creates the endpoints of generated clusters. Every cluster has the same addresses, so each gets a VRF of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .standin import operate, serving

__all__ = ('cluster', 'make_endpoint')

# The shares of the clusters of the benchmark.
SPEC = {'running': 0.8, 'agent': 0.8, 'multi_nic': 0.3}
CONTAINERS = 0.3


@contextmanager
def cluster(guests: int, latency: float, seed: int = 1) -> Iterator[dict[str, Any]]:
    """
    Serves a generated cluster; yields what `serving` does.

    Args:
        latency: Seconds that each call takes.
        seed: Another cluster for each one.
    """
    containers = int(guests * CONTAINERS)
    size = {'nodes': max(1, guests // 100), 'vms': guests - containers, 'containers': containers}
    with serving(name=f'lab{seed}', seed=seed, **size, **SPEC) as pve:
        operate(pve, 'latency', seconds=latency)
        yield pve


def make_endpoint(name: str, pve: dict[str, Any]) -> Any:
    """An endpoint with a site and a VRF of its own."""
    from dcim.models import Site
    from ipam.models import VRF

    from netbox_proxsync.models import ProxmoxEndpoint

    endpoint = ProxmoxEndpoint(
        name=name,
        hosts=[f'{pve["host"]}:{pve["port"]}'],
        token_id=pve['token_id'],
        token_secret=pve['token_secret'],
        tls_mode='fingerprint',
        fingerprint=pve['fingerprint'],
        site=Site.objects.create(name=name, slug=name.lower()),
        vrf=VRF.objects.create(name=name),
    )
    endpoint.full_clean()
    endpoint.save()
    return endpoint
