"""
The notes of a guest as one line: HTML and Markdown as people and widely used scripts write them.

Tried beside these: notes that make readers of markup slow, which anyone who may edit a guest can write.
"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.mapping.notes_summary import summary_of

SCRIPT = """<div align='center'>
  <a href='https://Helper-Scripts.com' target='_blank' rel='noopener noreferrer'>
    <img src='https://example.com/logo-81x112.png' alt='Logo' style='width:81px;height:112px;'/>
  </a>

  <h2 style='font-size: 24px; margin: 20px 0;'>Docker LXC</h2>

    <p style='margin: 16px 0;'>
    <a href='https://example.com/coffee'>
      <img src='https://img.shields.io/badge/&#x2615;-Buy us a coffee-blue' alt='spend Coffee' />
    </a>
  </p>
"""


@pytest.mark.parametrize(
    ('notes', 'summary'),
    [
        ('', ''),
        ('plain text\nmore', 'plain text'),
        ('\n\n  text  with   blanks \n', 'text with blanks'),
        (SCRIPT, 'Docker LXC'),
        ('# Heading\ntext', 'Heading'),
        ('## Heading ##', 'Heading'),
        ('Title\n=====\ntext', 'Title'),
        ('# \n## Second', 'Second'),
        ('---\n\ntext', 'text'),
        ('* * *\ntext', 'text'),
        ('**\n', ''),
        ('**bold**, *slanted*, __strong__, _thin_, ~~old~~ and `code`', 'bold, slanted, strong, thin, old and code'),
        ('**_both_**', 'both'),
        ('[the wiki](https://x) and [more][ref]\n\n[ref]: https://y', 'the wiki and more'),
        ('[ref]: https://y\n\ntext', 'text'),
        ('[a page](https://x/a(b))', 'a page'),
        ('<https://x/y> is the address', 'https://x/y is the address'),
        ('mail <me@example.com> now', 'mail me@example.com now'),
        ("<a href='https://x'>Web</a> server", 'Web server'),
        ('![logo](x.png)', ''),
        ('[![badge](x.svg)](https://x)\n\ntext', 'text'),
        ('<img alt="a > b" src=x> text', 'text'),
        ('<img src="data:image/png;base64,' + 'A' * 9000 + '">', ''),
        ('<!-- one\n\ntwo -->\nafter', 'after'),
        ('<!-- never closed', ''),
        ('<style>p { color: red }</style><script>alert(1)</script>text', 'text'),
        ('<div\n align="center"\n>\ntext\n</div>', 'text'),
        ('<div>\n\n**Markdown** within\n\n</div>', 'Markdown within'),
        ('one<br>two', 'one'),
        ('<p>one</p><p>two</p>', 'one'),
        ('<table><tr><td>a</td><td>b</td></tr></table>', 'a b'),
        ('<details><summary>More</summary>text</details>', 'More'),
        ('| name | value |\n|------|-------|\n| a | b |', 'name value'),
        ('- first\n- second', 'first'),
        ('1. first\n2. second', 'first'),
        ('> quoted', 'quoted'),
        ('> - nested', 'nested'),
        ('```\ncode <b>\n```', 'code <b>'),
        ('```bash\n\nls -l\n```', 'ls -l'),
        ('`a < b`', 'a < b'),
        ('a &amp; b &lt;c&gt;', 'a & b <c>'),
        ('&nbsp;\n&#8203;\ntext', 'text'),
        (r'\*not bold\* \# text', '*not bold* # text'),
        # what only looks like markup
        ('2 * 3 * 4', '2 * 3 * 4'),
        ('snake_case_name', 'snake_case_name'),
        ('a < b > c', 'a < b > c'),
        ('<3 hearts', '<3 hearts'),
        ('10.0.0.1 web', '10.0.0.1 web'),
        (r'C:\path', r'C:\path'),
        ('#tag', '#tag'),
        ('os: Debian 12', 'os: Debian 12'),
        ('x' * 300, 'x' * 200),
    ],
)
def test_the_first_line_with_text_outside_markup(notes, summary):
    assert summary_of(notes) == summary


@pytest.mark.parametrize(
    'piece',
    [
        '[', '![', '[a](', '[a', '*', '*a ', '_a ', '**a ', '~~', '`a', '>', '> ', '<', '<a ', '<a b="', '<!--', '<?',
        '&', '&#', '<script ', '<textarea ', '<a@', '<http:', '# ', '1. ', '- ', '| ', '```\n', '~~~\n', '\\', ' \n',
        '[a]: x\n', 'x, y=z;\n',
    ],
)  # fmt: skip
def test_no_notes_take_long(piece):
    started = time.process_time()
    summary_of(piece * (1_000_000 // len(piece)))
    summary_of(piece * (8192 // len(piece)))
    summary_of(piece * (8190 // len(piece)) + '>')
    assert time.process_time() - started < 2


PIECES = st.sampled_from(['<', '>', '[', ']', '(', ')', '*', '_', '`', '\n', 'a', '!', '#', '&lt;'])


@given(st.text() | st.lists(PIECES).map(''.join))
def test_a_summary_is_one_short_line(notes):
    summary = summary_of(notes)
    assert len(summary) <= 200
    assert summary == summary.strip()
    assert len(summary.splitlines()) <= 1
