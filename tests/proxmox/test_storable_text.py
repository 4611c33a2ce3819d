import json

import pytest
from hypothesis import given

from netbox_proxsync.proxmox.storable_text import clean, read_json

from .strategies import json_values


@pytest.mark.parametrize(
    ('body', 'expected'),
    [
        (b'"a\\u0000b"', 'a b'),
        (b'"a\\ud800b\\uDFFF"', 'a\ufffdb\ufffd'),
        (b'"\\ud83d\\ude00"', '\U0001f600'),  # a whole pair is one character
        (b'{"\\u0000key": {"a\\ud800": ["\\u0000"]}}', {' key': {'a\ufffd': [' ']}}),
        (b'"\xff\xed\xa0\x80x"', '\ufffd\ufffd\ufffd\ufffdx'),  # no UTF-8
        (b'"a\x00\x01\nb"', 'a \x01\nb'),  # not escaped
        (b'"\\u00e9 \\\\u0000"', '\xe9 \\u0000'),  # not an escape: a backslash and letters
        (b'[1, 2.5, true, null]', [1, 2.5, True, None]),
    ],
)
def test_a_document_is_clean(body, expected):
    assert read_json(body) == expected


@given(json_values)
def test_every_document_can_be_stored(value):
    found = read_json(json.dumps({'data': value}).encode())
    shown = json.dumps(found, ensure_ascii=False)
    assert shown.encode()
    assert '\\u0000' not in shown.replace('\\\\', '')
    assert clean(found) == found or 'NaN' in shown
