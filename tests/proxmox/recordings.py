"""The recorded answers of real Proxmox VE servers."""

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / 'pve' / 'recordings'
NAMES = sorted(path.stem for path in FOLDER.glob('*.json'))


@cache
def recording(name: str) -> dict[str, dict]:
    return json.loads((FOLDER / f'{name}.json').read_text())


def data(name: str, path: str) -> object:
    """The `data` of one recorded answer."""
    return recording(name)[path]['body']['data']
