"""The Proxmox VE under `make demo`: the stand-in, or a real one that the user names."""

import hashlib
import re
import ssl
import sys
from collections.abc import Mapping
from functools import partial

from . import netbox, processes
from .paths import RUN, StackError, read_json

CLUSTER = 'pve-9.2.11-cluster'
STATE = RUN / 'pve.json'
DEFAULT_PORT = 8006
NEEDED = ('PVE_HOST', 'PVE_TOKEN_ID', 'PVE_TOKEN_SECRET')


def fingerprint(address: str) -> str:
    """
    SHA-256 fingerprint of the certificate that answers at `host[:port]`, written as Proxmox VE writes it.

    Nothing is verified: the user compares it. Raises StackError if the host does not answer.
    """
    match = re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^:/\[\]\s]+)(?::(\d{1,5}))?', address)
    port = int(match[2] or DEFAULT_PORT) if match else 0
    if not 0 < port < 65536:
        raise StackError(f'PVE_HOST={address} is not of the form host or host:port.')
    try:
        pem = ssl.get_server_certificate((match[1].strip('[]'), port), timeout=10)
    except OSError as error:
        raise StackError(f'No Proxmox VE answers at {address}: {error}. Check PVE_HOST.') from error
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    return ':'.join(f'{byte:02X}' for byte in digest)


def real(given: Mapping[str, str]) -> dict[str, str]:
    """The real Proxmox VE given by PVE_HOST, PVE_TOKEN_ID and PVE_TOKEN_SECRET; empty if none of them is set."""
    values = {key: given[key] for key in NEEDED if given.get(key)}
    if not values:
        return {}
    if missing := [key for key in NEEDED if key not in values]:
        raise StackError(f'For a real Proxmox VE {", ".join(missing)} must be given too.')
    pinned = fingerprint(values['PVE_HOST'])
    print(f'{values["PVE_HOST"]} shows the certificate with the SHA-256 fingerprint\n    {pinned}')
    print('It is pinned now. Compare it with the one in Proxmox VE: Node > System > Certificates.', flush=True)
    return {**values, 'PVE_FINGERPRINT': pinned, 'ENDPOINT_NAME': values['PVE_HOST']}


def stand_in() -> dict[str, str]:
    """The stand-in Proxmox VE, started unless it runs."""
    if not processes.running('pve'):
        STATE.unlink(missing_ok=True)
        command = [sys.executable, '-m', 'tests.pve', 'serve', '--cluster', CLUSTER, '--port', '0']
        command += ['--state', str(STATE)]
        processes.start('pve', command, env=netbox.environment())
    processes.wait_until(partial(read_json, STATE), 'pve', 30, 'The stand-in Proxmox VE')
    state = read_json(STATE)
    return {
        'ENDPOINT_NAME': 'Demo cluster',
        'PVE_HOST': f'{state["host"]}:{state["port"]}',
        'PVE_TOKEN_ID': state['token_id'],
        'PVE_TOKEN_SECRET': state['token_secret'],
        'PVE_FINGERPRINT': state['fingerprint'],
    }


def stop() -> bool:
    """Stop the stand-in, if it runs."""
    return processes.stop('pve', patience=5)
