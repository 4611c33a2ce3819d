"""A stand-in Proxmox VE in a process of its own, so that its work is not counted as the plugin's."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack.paths import ROOT

__all__ = ('operate', 'serving')

PATIENCE = 60  # seconds until it listens: it makes its guests first


@contextmanager
def serving(**spec: object) -> Iterator[dict[str, Any]]:
    """Serves a generated cluster (see `ClusterSpec`); yields where it listens, its token and its fingerprint."""
    options = [f'--{name.replace("_", "-")}={value}' for name, value in spec.items()]
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / 'state.json'
        command = [sys.executable, '-m', 'tests.pve', 'serve', '--cluster', 'generated', '--state', str(state)]
        with subprocess.Popen([*command, *options], cwd=ROOT) as process:
            try:
                yield _listening(state, process)
            finally:
                process.terminate()


def _listening(state: Path, process: subprocess.Popen) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while not state.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit('The stand-in did not start.')
        time.sleep(0.05)
    return json.loads(state.read_text())


def operate(pve: dict[str, Any], operation: str, **arguments: object) -> Any:
    """Let the stand-in do something: see tests/pve/control.py."""
    request = urllib.request.Request(
        f'{pve["control_url"]}/control/{operation}',
        data=json.dumps(arguments).encode(),
        headers={'Content-Type': 'application/json'},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)['result']
