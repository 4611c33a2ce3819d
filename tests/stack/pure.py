"""
pytest plugin: lets `proxmox/` and `sync/` be tested without NetBox, in seconds and on any machine with Python.

The package's `__init__.py` is NetBox's plugin configuration and imports NetBox. It is replaced by an empty package, so
that a module that imports Django or NetBox fails here.
"""

import sys
from types import ModuleType

from hypothesis import settings

from .paths import ROOT

BLOCKED = ('django', 'netbox')


class BlockedImports:
    """Refuses to import what the pure packages must not use."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition('.')[0] in BLOCKED:
            raise ModuleNotFoundError(f'{name} must not be imported by the pure packages and their tests.', name=name)


if 'netbox_proxsync' in sys.modules:
    raise RuntimeError('netbox_proxsync was imported before this plugin.')
_package = ModuleType('netbox_proxsync')
_package.__path__ = [str(ROOT / 'netbox_proxsync')]
sys.modules['netbox_proxsync'] = _package
sys.meta_path.insert(0, BlockedImports)


def pytest_configure() -> None:
    # After tests/conftest.py, whose profile has more examples.
    settings.register_profile('quick', settings.get_profile('tests'), max_examples=20)
    settings.load_profile('quick')
