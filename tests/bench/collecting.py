"""
How long reading Proxmox VE takes, with 20 ms for every call and 8 calls at a time.

The bound is 1.25 x (calls x 20 ms / 8). Seconds by the clock depend on what else the machine does; CPU time of this
process for each call does not, and tells whether a change made the client dearer. Ends with 1 if every round misses
the bound.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netbox_proxsync.proxmox.connections import ContactPolicy
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect
from tests.stack import loopback

from .standin import operate, serving

BOUND = 1.25


@dataclass(frozen=True, slots=True)
class Round:
    """One read. `own_cpu` and `stand_in_cpu` are seconds of processor time of either process."""

    guests: int
    calls: int
    seconds: float
    own_cpu: float
    stand_in_cpu: float

    def ratio(self, latency: float, concurrency: int) -> float:
        """Seconds in parts of what the waits alone would take."""
        return self.seconds / (self.calls * latency / concurrency)


def measure(pve: dict[str, Any], concurrency: int) -> Round:
    connection = Connection(
        hosts=(f'{pve["host"]}:{pve["port"]}',),
        token_id=pve['token_id'],
        token_secret=pve['token_secret'],
        tls_mode='fingerprint',
        fingerprint=pve['fingerprint'],
        concurrency=concurrency,
        policy=ContactPolicy.parse(loopback.NETWORKS, ()),
    )
    cpu, stand_in, begin = time.process_time(), cpu_of(pve['pid']), time.monotonic()
    with ProxmoxClient(connection) as client:
        inventory = collect(client, CollectOptions())
    seconds = time.monotonic() - begin
    return Round(
        guests=len(inventory.guests),
        calls=inventory.calls,
        seconds=seconds,
        own_cpu=time.process_time() - cpu,
        stand_in_cpu=cpu_of(pve['pid']) - stand_in,
    )


def cpu_of(pid: int) -> float:
    """Seconds of processor time of another process; in steps of a hundredth."""
    values = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(values[11]) + int(values[12])) / 100  # utime, stime; USER_HZ is 100 on Linux


def run(guests: int, latency: float, concurrency: int, rounds: int) -> int:
    """Read a generated cluster several times; returns the exit code."""
    return int(best_ratio(guests, latency, concurrency, rounds) > BOUND)


def best_ratio(guests: int, latency: float, concurrency: int, rounds: int) -> float:
    """Read a generated cluster several times; returns the lowest ratio to the pure waiting time."""
    loopback.keep()
    containers = guests // 4
    ratios = []
    with serving(nodes=3, vms=guests - containers, containers=containers) as pve:
        operate(pve, 'latency', seconds=latency)
        for number in range(rounds):
            found = measure(pve, concurrency)
            ratios.append(found.ratio(latency, concurrency))
            print(
                f'round {number + 1}: {found.guests} guests, {found.calls} calls, {found.seconds:.2f} s, '
                f'ratio {ratios[-1]:.2f} (at most {BOUND}); CPU per call: {found.own_cpu / found.calls * 1000:.2f} ms '
                f'here, {found.stand_in_cpu / found.calls * 1000:.2f} ms in the stand-in',
                flush=True,
            )
    return min(ratios)
