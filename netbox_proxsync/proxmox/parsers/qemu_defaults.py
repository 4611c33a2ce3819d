"""The CPU type and machine type that Proxmox VE uses if a virtual machine's configuration has none."""

import re
from dataclasses import replace

from ..inventory import GuestConfig, Reading, Unreadable, known
from ..messages import Message

__all__ = ('with_defaults',)

X86, ARM = 'x86_64', 'aarch64'
MACHINES = {X86: 'pc', ARM: 'virt'}
NUMBERS = re.compile(r'\d+')
# The first pve-manager after qemu-server 9.2.3, from which on virtual machines for ARM get a CPU that KVM can provide.
ARM_CPU_SINCE = (9, 2, 9)


def with_defaults(config: GuestConfig, version: str, host_architecture: Reading[str | None]) -> GuestConfig:
    """
    Return the configuration of a virtual machine with the default CPU type and machine type in place of missing ones.

    See qemu-server, PVE/QemuServer/CPUConfig.pm (get_default_cpu_type) and Machine.pm (default_machine_for_arch). The
    `x86-64-v2-AES` of newer versions is not a default: the web interface writes it into the configuration.

    Args:
        version: The version of Proxmox VE, e.g. '9.2.11'.
        host_architecture: The architecture of the node; x86_64 if it is not known, the only one with official releases.
    """
    if config.cpu_type is not None and config.machine is not None:
        return config
    host = (known(host_architecture) and host_architecture) or X86
    return replace(
        config,
        cpu_type=_cpu_type(config, version, host) if config.cpu_type is None else config.cpu_type,
        machine=_machine(config, host) if config.machine is None else config.machine,
    )


def _cpu_type(config: GuestConfig, version: str, host: str) -> Reading[str]:
    architecture = config.architecture or host if known(config.architecture) else config.architecture
    for reading in (architecture, config.kvm):
        if isinstance(reading, Unreadable):
            return reading
    # Without `kvm`, KVM is used if the guest has the architecture of its host.
    has_kvm = architecture == host if config.kvm is None else config.kvm
    if architecture == ARM:
        if tuple(map(int, NUMBERS.findall(version)[:3])) < ARM_CPU_SINCE:
            return 'cortex-a57'
        return 'host' if has_kvm else 'max'
    return 'kvm64' if has_kvm else 'qemu64'


def _machine(config: GuestConfig, host: str) -> Reading[str]:
    if isinstance(config.architecture, Unreadable):
        return config.architecture
    architecture = config.architecture or host
    return MACHINES.get(architecture) or Unreadable(
        Message('This version does not know the architecture {architecture}.', architecture=architecture[:40])
    )
