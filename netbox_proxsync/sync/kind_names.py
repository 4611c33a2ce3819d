"""The names of the kinds, which bindings and changes store."""

__all__ = ('ADDRESS', 'CLUSTER', 'DEVICE', 'DISK', 'GUEST', 'INTERFACE', 'MAC', 'NODE_INTERFACE')

CLUSTER = 'cluster'
DEVICE = 'device'
NODE_INTERFACE = 'node_interface'
GUEST = 'vm'
INTERFACE = 'interface'
MAC = 'mac'
ADDRESS = 'ip'
DISK = 'disk'
