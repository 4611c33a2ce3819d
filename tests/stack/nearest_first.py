"""
pytest plugin for `make mutants`: runs the tests of the changed module first.

Of the hundreds of tests that call a function, they are the ones that notice a change in it; the first failure ends the
run.
"""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # 'netbox_proxsync.sync.removal.x_is_expired__mutmut_3'; empty unless a mutant is tested.
    module = os.environ.get('MUTANT_UNDER_TEST', '').rpartition('.')[0].rpartition('.')[2]
    items.sort(key=lambda item: item.path.name != f'test_{module}.py')
