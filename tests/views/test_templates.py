"""Every template can be parsed, also those that only show in rare cases."""

from pathlib import Path

import pytest
from django.template.loader import get_template

import netbox_proxsync

TEMPLATES = Path(netbox_proxsync.__file__).parent / 'templates'
NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob('*.html'))


@pytest.mark.parametrize('name', NAMES)
def test_it_can_be_parsed(name):
    assert get_template(name).template.nodelist
