"""Serves a stand-in Proxmox VE until it is reported to stop: `python -m tests.pve serve --state FILE`."""

import argparse
import json
import os
import signal
import tempfile
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.stack import loopback

from . import ClusterSpec, StandIn, recorded
from .tls import Tls


def main() -> None:
    loopback.keep()
    options = arguments()
    before = remembered(options.state)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    pve = StandIn(
        cluster(options),
        tls=Tls(**before['tls']) if 'tls' in before else 'self-signed',
        host=options.host,
        port=options.port or before.get('port', 0),
        token_secret=before.get('token_secret'),
        control=True,
    )
    try:
        pve.listen()
    except OSError:
        # Someone else has taken the port that it had before.
        if options.port:
            raise
        pve.move(options.host, 0)
        pve.listen()
    remember(options.state, pve)
    stopped.wait()
    pve.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m tests.pve', description=__doc__)
    serve = parser.add_subparsers(dest='command', required=True).add_parser('serve')
    serve.add_argument('--cluster', default='pve-9.2.11-cluster', help=f'generated, or one of {", ".join(recorded())}')
    serve.add_argument('--host', default='127.0.0.1')
    serve.add_argument('--port', type=int, default=0, help='0: the one that it had before, else any')
    serve.add_argument('--state', type=Path, help='file that says where it listens, once it does')
    for field in fields(ClusterSpec):
        if field.type in (int, float, str):
            serve.add_argument(f'--{field.name.replace("_", "-")}', type=field.type, default=field.default)
    return parser.parse_args()


def cluster(options: argparse.Namespace) -> str | ClusterSpec:
    if options.cluster != 'generated':
        return options.cluster
    known = {field.name for field in fields(ClusterSpec)}
    return ClusterSpec(**{name: value for name, value in vars(options).items() if name in known})


def remembered(path: Path | None) -> dict[str, Any]:
    """What it was before: a pinned fingerprint and a stored token stay good when it is started again."""
    try:
        return json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}


def remember(path: Path | None, pve: StandIn) -> None:
    state = {
        'url': pve.url,
        'host': pve.host,
        'port': pve.port,
        'fingerprint': pve.fingerprint,
        'token_id': pve.token_id,
        'token_secret': pve.token_secret,
        'control_url': pve.control_url,
        'pid': os.getpid(),
        'tls': {'key_pem': pve.tls.key_pem, 'certificate_pem': pve.tls.certificate_pem, 'ca_pem': pve.tls.ca_pem},
    }
    if path is None:
        print(json.dumps({name: value for name, value in state.items() if name != 'tls'}), flush=True)
        return
    # Readable by its owner alone, and never half written.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with open(handle, 'w') as file:
        json.dump(state, file)
    os.replace(name, path)


if __name__ == '__main__':
    main()
