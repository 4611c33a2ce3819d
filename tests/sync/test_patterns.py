"""Name patterns: which names they match, and that matching is fast."""

from fnmatch import fnmatchcase
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.patterns import GLOB, REGEX, PatternError, compile_pattern

# Each of these takes Python's `re` longer than anyone waits, or a program with little memory beyond it.
HOSTILE = [
    r'(a+)+$', r'(a|a)*b', r'(a|aa)+$', r'(.*)*x', r'(.*.*.*.*.*)*x', r'(x+x+)+y', r'^(\w+\s?)*$', r'(.?){250}x',
    r'((.?){30}){30}x', r'((((.?){10}){10}){10})x', r'((\pL?){100}){10}x', r'(?:(?:\pL|\pN|.)?){1000}$x',
    r'.*(a|b).{100}z', r'.*a.{60}.*b.{60}z', r'(.*a.{0,50}){10}!', r'((a{0,30}){0,30})b', r'(a?){99}a{99}',
]  # fmt: skip
NAMES = ['a' * 255, 'ab' * 127 + '!', 'x' * 255, 'é' * 255, '\U0001f600' * 255, ' ' * 255]


def fits(pattern: str, name: str, kind: str = GLOB) -> bool:
    return compile_pattern(pattern, kind).matches(name)


@pytest.mark.parametrize(
    ('pattern', 'name', 'expected'),
    [
        ('web-*', 'web-01', True),
        ('web-*', 'WEB-01', True),
        ('web-*', 'my-web-01', False),
        ('web-?', 'web-12', False),
        ('web-[0-3]', 'web-2', True),
        ('web-[!0-3]', 'web-2', False),
        ('web-[!0-3]', 'web-7', True),
        ('web[]x]', 'web]', True),
        ('web[[]1]', 'web[1]', True),
        ('web.1', 'web-1', False),
        ('a|b', 'a', False),
        ('(a)+', '(a)+', True),
        ('*', '', True),
        ('*', 'two\nlines', True),
        ('web', 'web\n', False),
        ('web]', 'web]', True),
        ('büro*', 'BÜRO-1', True),
        ('[\\]', '\\', True),
        ('[^a]', '^', True),
    ],
)
def test_wildcards_stand_for_the_whole_name(pattern, name, expected):
    assert fits(pattern, name) is expected


@pytest.mark.parametrize(
    ('pattern', 'name', 'expected'),
    [
        ('web', 'my-WEB-01', True),
        ('^web', 'my-web-01', False),
        (r'^(web|app)-\d+$', 'app-17', True),
        (r'^(web|app)-\d+$', 'app-17x', False),
        ('(?-i)web', 'WEB', False),
        (r'\.example\.com$', 'a.example.com', True),
    ],
)
def test_an_expression_is_found_anywhere(pattern, name, expected):
    assert fits(pattern, name, REGEX) is expected


@pytest.mark.parametrize(
    ('pattern', 'kind', 'reported'),
    [
        ('web-[ab', GLOB, 'not closed'),
        ('web-[z-a]', GLOB, 'range'),
        ('(a', REGEX, 'missing )'),
        ('a(?=b)', REGEX, 'Look-around'),
        (r'(a)\1', REGEX, 'back-references'),
        ('*', REGEX, 'no argument'),
        ('a{1001}', REGEX, 'smaller repetitions'),
        (r'((\pL?){100}){10}', REGEX, 'too large'),
    ],
)
def test_an_invalid_pattern_is_reported_with_the_reason(pattern, kind, reported):
    with pytest.raises(PatternError, match=reported.replace('(', r'\(').replace(')', r'\)')):
        compile_pattern(pattern, kind)


def test_no_hostile_pattern_takes_long():
    """10,000 guests against the worst pattern that is let in must stay far below a run's timeout."""
    accepted = 0
    for pattern in HOSTILE:
        try:
            compiled = compile_pattern(pattern, REGEX)
        except PatternError:
            continue
        accepted += 1
        for name in NAMES:
            started = monotonic()
            for _repeat in range(3):
                compiled.matches(name)
            assert monotonic() - started < 0.5, (pattern, name[:3])
    assert accepted > len(HOSTILE) / 2


# What people type, and what nobody does.
TEXT = st.text(st.characters(codec=None), max_size=60)
GLOBS = st.text(st.sampled_from('ab-*?[]!^\\.+(|)$'), max_size=12)
REGEXES = st.one_of(
    st.text(st.sampled_from('ab-*?[](){}|^$\\.+0123456789,:=!<>Pdwsp'), max_size=40),
    TEXT,
)


def fits_or_refused(pattern: str, name: str, kind: str) -> bool | str:
    try:
        return fits(pattern, name, kind)
    except PatternError as error:
        return str(error)


@given(st.one_of(GLOBS, TEXT), TEXT)
def test_any_text_is_a_glob_or_is_refused(pattern, name):
    assert fits_or_refused(pattern, name, GLOB) != ''


@given(REGEXES, TEXT)
def test_any_text_is_an_expression_or_is_refused(pattern, name):
    started = monotonic()
    assert fits_or_refused(pattern, name, REGEX) != ''
    assert monotonic() - started < 1


@given(
    st.lists(st.sampled_from(['a', 'b', '.', '+', '(', '|', '*', '?', '[ab]', '[!a]', '[a-c]']), max_size=8),
    st.text(st.sampled_from('abc.+(|'), max_size=10),
)
def test_wildcards_mean_what_python_means_by_them(parts, name):
    pattern = ''.join(parts)
    assert fits(pattern, name) is fnmatchcase(name, pattern)


@given(st.text(st.sampled_from('abAB-.1é'), min_size=1, max_size=20))
def test_a_name_without_wildcards_fits_itself(name):
    assert fits(name, name)
    assert fits(name, name.upper())
    assert not fits(name, f'{name}x')
