"""The reasons for which NetBox has not written an object, as users read them."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError

from netbox_proxsync.ledger.errors import OutdatedError
from netbox_proxsync.ledger.results import explain
from netbox_proxsync.proxmox.messages import Message


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (OutdatedError(Message('Changed since the run: {fields}.', fields='name')), 'Changed since the run: name.'),
        (ValidationError('Too long.'), 'Too long.'),
        (DataError('integer out of range\nDETAIL: a value that may be secret'), 'integer out of range'),
        (KeyError(), 'KeyError'),
    ],
)
def test_a_reason_is_one_line_without_the_values_of_a_statement(error, words):
    assert str(explain(error)) == words
