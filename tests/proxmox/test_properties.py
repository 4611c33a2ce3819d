from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netbox_proxsync.proxmox import properties
from netbox_proxsync.proxmox.properties import (
    ParseError,
    as_text,
    boolean,
    boolean_or_none,
    decimal,
    format_properties,
    integer,
    optional_text,
    parse_mac,
    parse_properties,
    parse_ranges,
    parse_size,
    parse_tags,
    parse_uuid,
    positive_or_none,
    read_properties,
    text,
)
from netbox_proxsync.proxmox.readings import Unreadable

from .strategies import json_values, nearly, numbers, texts

GIB = 1024**3


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('32G', 32 * GIB),
        ('1T', 1024 * GIB),
        ('520M', 520 * 1024**2),
        ('104858K', 104858 * 1024),
        ('2199023255552', 2 * 1024 * GIB),
        ('1073741824', GIB),  # no unit is bytes, not GiB
        ('1.5G', 3 * GIB // 2),
        ('0.5', 0),
        ('8GiB', 8 * GIB),
        ('100MiB', 100 * 1024**2),
        (4096, 4096),
        ('9223372036854775807', 2**63 - 1),
        # 128-bit floats would lose the last digits
        ('4611686018427387905', 4611686018427387905),
    ],
)
def test_size_is_in_bytes(value, expected):
    assert parse_size(value) == expected


@pytest.mark.parametrize(
    'value',
    [
        *('', 'NaN', '-1G', '1,5G', '5GB', '5iB', '5g', 'G', '1e3', '32G\n32G', '٣G', '9223372036854775808'),
        *('9' * 5000, None, float('nan'), [], {}, -1, 1.5e300),
    ],
)
def test_an_invalid_size_is_garbled(value):
    with pytest.raises(ParseError):
        parse_size(value)


def format_size(size: int) -> str:
    """As Proxmox VE writes it: with the largest unit that is exact ('520M', '1T', '1000')."""
    exponent = next((e for e in (4, 3, 2, 1) if size % 1024**e == 0), 0) if size else 0
    return f'{size // 1024**exponent}{" KMGT"[exponent].strip()}'


@given(st.integers(0, 2**63 - 1) | st.integers(0, 2**22).map(lambda n: n * 1024**4 // 2))
def test_size_survives_a_round_trip(size):
    if size < 2**63:
        assert parse_size(format_size(size)) == size


@pytest.mark.parametrize('value', [2048, '2048', ' 2048 ', 2048.0, '+2048'])
def test_integer_comes_as_number_or_text(value):
    assert integer(value) == 2048


@pytest.mark.parametrize(
    'value', ['', 'abc', '1.5', 1.5, '0x10', '1_000', '٣', float('inf'), None, [], 10**400, '1' * 30]
)
def test_an_invalid_integer_is_garbled(value):
    with pytest.raises(ParseError):
        integer(value)


@pytest.mark.parametrize('value', [1.5, '1.5', '1.50', '15e-1'])
def test_decimal_comes_as_number_or_text(value):
    assert decimal(value) == Decimal('1.5')


@pytest.mark.parametrize('value', ['NaN', 'inf', '', '1,5', '1e999999', None, float('nan')])
def test_an_invalid_number_is_garbled(value):
    with pytest.raises(ParseError):
        decimal(value)


@pytest.mark.parametrize('value', [1, '1', True, 'on', 'yes', 'TRUE', 'On'])
def test_boolean_true(value):
    assert boolean(value) is True


@pytest.mark.parametrize('value', [0, '0', False, 'off', 'no', 'False'])
def test_boolean_false(value):
    assert boolean(value) is False


@pytest.mark.parametrize('value', ['', '2', 2, 'enabled', None, [], 'y'])
def test_an_invalid_boolean_is_garbled(value):
    with pytest.raises(ParseError):
        boolean(value)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (None, ()),
        ('', ()),
        ('prod;web;tier-1', ('prod', 'web', 'tier-1')),
        ('a;b,c d', ('a', 'b', 'c', 'd')),
        ('b\0a;;b ,', ('b', 'a')),
        ('Web;web', ('Web', 'web')),  # whether these are one depends on the datacenter
        (100, ('100',)),
    ],
)
def test_tags(value, expected):
    assert parse_tags(value) == expected


@given(st.lists(st.from_regex(r'[a-z0-9_][a-z0-9_+.-]*', fullmatch=True), unique=True).map(tuple))
def test_tags_survive_a_round_trip(tags):
    assert parse_tags(';'.join(tags)) == tags


@pytest.mark.parametrize(
    ('value', 'default_key', 'expected'),
    [
        (
            'local-lvm:vm-100-disk-1,discard=on,size=32G',
            'file',
            {'file': 'local-lvm:vm-100-disk-1', 'discard': 'on', 'size': '32G'},
        ),
        ('size=4M,tank:x', 'file', {'file': 'tank:x', 'size': '4M'}),
        ('product=TGFi,serial=U04tMTAwLUFCQw==', None, {'product': 'TGFi', 'serial': 'U04tMTAwLUFCQw=='}),
        ('a=1,,b=2, ,', None, {'a': '1', 'b': '2'}),
        ('host,flags=+aes;-pcid', 'cputype', {'cputype': 'host', 'flags': '+aes;-pcid'}),
        (1, 'enabled', {'enabled': '1'}),
        ('', 'x', {}),
    ],
)
def test_property_string(value, default_key, expected):
    assert parse_properties(value, default_key) == expected


@pytest.mark.parametrize('value', ['a=1,a=2', 'x,y', 'x,file=y', '=1', 'a=', 'b=1, a=2', None, [], {}])
def test_property_string_that_proxmox_refuses_is_garbled(value):
    with pytest.raises(ParseError):
        parse_properties(value, 'file')


def test_a_bad_part_of_a_property_string_costs_the_others_nothing():
    found = read_properties('a=1,b=2,a=3,c=,d=4')
    assert {name for name, content in found.items() if isinstance(content, Unreadable)} == {'a', 'c'}
    assert (found['b'], found['d']) == ('2', '4')


def test_part_without_key_is_garbled_where_there_is_no_default_key():
    with pytest.raises(ParseError):
        parse_properties('dhcp,gw=10.0.0.1')


@given(st.dictionaries(texts, texts, max_size=5), st.none() | texts)
@example({'file': 'x', 'a': '1'}, 'file')
@example({'file': 'x=y'}, 'file')
@example({'file': ''}, 'file')
def test_properties_survive_a_round_trip_or_are_refused(values, default_key):
    try:
        written = format_properties(values, default_key)
    except ParseError:
        assert any(
            ',' in name + value or '=' in name or not name or name.strip() != name or not value
            for name, value in values.items()
        )
    else:
        assert parse_properties(written, default_key) == values


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('bc:24:11:20:00:0a', 'BC:24:11:20:00:0A'),
        ('BC-24-11-20-00-0A', 'BC:24:11:20:00:0A'),
        ('bc:24:11:20:00', None),
        ('bc:24:11:20:00:0a:ff', None),
        ('bc:24:11:20:00:0g', None),
        ('', None),
        (None, None),
        (5, None),
    ],
)
def test_mac(value, expected):
    assert parse_mac(value) == expected


def test_uuid_is_written_in_one_way():
    assert parse_uuid('3B8E7D8C-4D6A-4F6B-8D77-0A1B2C3D4E5F') == '3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f'
    with pytest.raises(ParseError):
        parse_uuid('my-server')


@pytest.mark.parametrize(
    ('parts', 'expected'),
    [
        (['4'], ((4, 4),)),
        (['10-20', '2'], ((2, 2), (10, 20))),
        (['5-5'], ((5, 5),)),
        ([], ()),
    ],
)
def test_ranges_are_sorted_and_include_their_ends(parts, expected):
    assert parse_ranges(parts, range(1, 30)) == expected


@pytest.mark.parametrize('part', ['0', '30', '20-10', 'x', '1-', '-5', '1-2-3', '10-30', ''])
def test_an_invalid_range_is_garbled(part):
    with pytest.raises(ParseError):
        parse_ranges(['4', part], range(1, 30))


def test_a_number_out_of_range_is_garbled():
    assert integer('4094', range(1, 4095)) == 4094
    with pytest.raises(ParseError, match='4095 is out of range'):
        integer('4095', range(1, 4095))


@pytest.mark.parametrize(('value', 'expected'), [(5, 5), ('5', 5), (0, None), (-1, None), ('x', None), (None, None)])
def test_only_positive_numbers_count(value, expected):
    assert positive_or_none(value) == expected


@pytest.mark.parametrize(('value', 'expected'), [(' eth0 ', 'eth0'), (123, '123'), ('  ', None), ('', None)])
def test_an_empty_text_is_none(value, expected):
    assert optional_text(value) == expected


@pytest.mark.parametrize(('value', 'expected'), [('on', True), (0, False), ('maybe', None), (None, None), ([], None)])
def test_an_invalid_boolean_is_none(value, expected):
    assert boolean_or_none(value) is expected


PARSERS = [
    integer, decimal, boolean, text, parse_size, parse_tags, parse_properties, read_properties, parse_mac, parse_uuid,
    as_text, boolean_or_none, optional_text, positive_or_none,
]  # fmt: skip
SAMPLES = nearly('32GiB', 'bc:24:11:20:00:0a', 'a=1,b=2', 'true', '1.5e3', '3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f')


@pytest.mark.parametrize('parse', PARSERS, ids=lambda parse: parse.__name__)
@given(value=SAMPLES | numbers | json_values)
@example(value='9' * 10_000)
@example(value=10**400)
def test_parser_returns_or_says_garbled(parse, value):
    message = ''
    try:
        parse(value)
    except ParseError as error:
        message = str(error)
    assert len(message) < 200


def test_every_parser_is_tested():
    functions = {name for name in properties.__all__ if not name.startswith('format_')} - {
        *('ParseError', 'parse_ranges', 'read_value')
    }
    assert functions == {parse.__name__ for parse in PARSERS}
