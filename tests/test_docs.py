"""The documentation: its website can be built, its language is plain, and the tests that it names exist."""

import ast
import re
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

from netbox_proxsync import ProxSyncConfig
from netbox_proxsync.custom_fields.definitions import CUSTOM_FIELDS
from tests.stack import docs, messages
from tests.stack.pages import page_text

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / 'docs').glob('*.md'))
ROOT_PAGES = ('README', 'COMPATIBILITY', 'CONTRIBUTING', 'RELEASING', 'SECURITY')
PAPERS = [*PAGES, *(ROOT / f'{name}.md' for name in ROOT_PAGES)]

# Words that mark colloquial English. Use: create, report, display, a user, missing, retained, otherwise, again.
MARKERS = re.compile(
    r'\b(somebody|someone|nobody|whoever|whatever|persons?|people|gone|makes?|made|making|tells?|told|says?|said|anew|'
    r'beside|besides|else|meanwhile|at once|by itself|by themselves|any more|going on|left alone|yours|stays?|mends?|'
    r'stands for|time-out|behaviour|colour|neighbour|recognised|synchronise[ds]?|organisation|misspelt|'
    r'cancelled|cancelling)\b',
    re.IGNORECASE,
)
# One word for each thing. (a word that has competed with it, the word to use)
ONE_WORD = (
    (r'Proxmox(?!\w|-|\s+(VE|Virtual Environment|VM|container|Backup Server)\b)', 'Proxmox VE'),
    (r'VMIDs?|vm ids?', 'VM ID'),
    (r'[Hh]ost names?', 'hostname'),
    (r'(token|zone|schema) id', 'ID'),
    (r'(is|are|be|been|was|were|not|last) synced', 'synchronized'),
    (r'(you|token|user|NetBox|reader) may not', 'does not have permission to, is not allowed to'),
    (r'[Bb]locked run', 'refused run'),
    (r'NetBox (would )?refuse[sd]?', 'rejects: runs are refused, NetBox rejects changes'),
    (r'carr(y|ies|ied) out', 'apply a plan, execute a run'),
    (r'calls? to Proxmox|API calls?', 'API request'),
    (r'detach(es|ed)?', 'stop managing'),
)
# Reviewed: the word is right there. (file, words around it)
ALLOWED = {
    ('installation.md', 'makes sure'),
    ('mapping.md', 'stands for `bootdisk`'),
    ('operations.md', 'At a glance'),
}


def prose(path):
    """The text of a page without code, comments and the addresses of links."""
    text = path.read_text()
    text = re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r'<!--.*?-->', '', text, flags=re.DOTALL)
    for name, words in ALLOWED:
        if path.name == name:
            text = text.replace(words, '')
    return re.sub(r'\]\([^)]*\)', ']', re.sub(r'`[^`]*`', '', text))


@pytest.mark.parametrize('path', PAPERS, ids=lambda path: path.name)
def test_the_language_is_plain(path):
    found = [(match[0], ' '.join(prose(path)[max(0, match.start() - 40) : match.end() + 20].split()))
             for match in MARKERS.finditer(prose(path))]  # fmt: skip
    assert found == []


def other_words(text):
    """The words of a text for which another word is used: (what was found, the word to use)."""
    text = ' '.join(text.split())
    return [(match[0], word) for pattern, word in ONE_WORD for match in re.finditer(rf'\b({pattern})(?!\w)', text)]


@pytest.mark.parametrize('path', [*PAPERS, ROOT / 'CHANGELOG.md'], ids=lambda path: path.name)
def test_pages_have_one_word_for_each_thing(path):
    assert other_words(prose(path)) == []


def test_texts_have_one_word_for_each_thing():
    texts = [text for message in messages.read() if message.id for text in messages.forms(message.id)]
    assert len(texts) > 1500
    assert [(text, found) for text in texts if (found := other_words(text))] == []
    assert [text for text in texts if MARKERS.search(text)] == []
    # Remedies are instructions, not questions.
    assert [text for text in texts if text.endswith('?') and not text.startswith('Did you mean')] == []


def test_comments_and_docstrings_name_the_product():
    for path in (ROOT / 'netbox_proxsync').rglob('*.py'):
        text = re.sub(r'\n\s*#|\'\n\s*\'', '', path.read_text())
        found = re.search(rf'(?<![\w.]){ONE_WORD[0][0]}', text)
        assert not found, (path, text[found.start() - 60 : found.end() + 20])


@pytest.mark.parametrize('path', PAPERS, ids=lambda path: path.name)
def test_links_of_the_repository_lead_somewhere(path):
    for target in re.findall(r'\]\(((?!https?://|#|mailto:)[^)#\s]+)[^)]*\)', path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_website_builds_without_warnings(tmp_path):
    done = docs.build(str(tmp_path / 'site'))
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    listed = yaml.load((ROOT / 'mkdocs.yml').read_text(), Loader=yaml.BaseLoader)['nav']
    pages = [page for entry in listed for page in _pages(entry)]
    assert sorted(pages) == [path.name for path in PAGES]
    assert (tmp_path / 'site/assets/icon.svg').exists()
    assert 'src="../assets/data-flow.svg"' in (tmp_path / 'site/concepts/index.html').read_text()
    assert 'src="../assets/guests-light.png"' in (tmp_path / 'site/guests/index.html').read_text()
    assert '4.7.x' in (tmp_path / 'site/compatibility/index.html').read_text()
    assert loaded_from_other_hosts(tmp_path / 'site') == set()


# What a browser requests without a click: sources, the links of the head, and the addresses in styles.
LOADING = (
    r'<(?:script|img|iframe|source|video|audio|embed|input|object)\b[^>]*?\s(?:src|srcset|data)=["\']?([^"\'\s>]+)',
    r'<link\b(?![^>]*rel=["\']?(?:canonical|next|prev))[^>]*?\shref=["\']?([^"\'\s>]+)',
    r'@import\s+["\']([^"\']+)',
    r'url\(\s*["\']?([^"\')]+)',
)
# The marks on which the theme's script requests a diagram library or the stars of the repository.
MARKS = ('class="mermaid"', 'data-md-component="source"')


def loaded_from_other_hosts(site):
    """What the pages and styles of the website would load from other hosts: (page, address or mark)."""
    found = set()
    for path in sorted([*site.rglob('*.html'), *site.rglob('*.css'), *site.rglob('*.svg')]):
        text = path.read_text()
        for address in (address for pattern in LOADING for address in re.findall(pattern, text)):
            if re.match(r'(?:[a-z]+:)?//', address):
                found.add((path.name, address))
        found |= {(path.name, mark) for mark in MARKS if mark in text}
    return found


def test_what_a_website_loads_from_other_hosts(tmp_path):
    (tmp_path / 'index.html').write_text(
        '<link rel="canonical" href="https://a.example/"><link rel="stylesheet" href="https://b.example/x.css">'
        '<a href="https://c.example/">C</a><script src="//d.example/x.js"></script><img alt="E" src="e.png">'
        '<a data-md-component="source" href="https://f.example/">F</a><pre class="mermaid"></pre>'
    )
    (tmp_path / 'x.css').write_text('@import "https://g.example/g.css"; a { background: url(https://h.example/h.png) }')
    (tmp_path / 'x.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg"><path style="fill: url(#a)"/></svg>')
    assert loaded_from_other_hosts(tmp_path) == {
        ('index.html', 'https://b.example/x.css'),
        ('index.html', '//d.example/x.js'),
        ('index.html', 'data-md-component="source"'),
        ('index.html', 'class="mermaid"'),
        ('x.css', 'https://g.example/g.css'),
        ('x.css', 'https://h.example/h.png'),
    }


def _pages(entry):
    for value in entry.values():
        if isinstance(value, str):
            yield value
        else:
            for below in value:
                yield from _pages(below)


def test_pages_have_no_links_into_the_repository():
    texts = {path.name: page_text(path.name, path.read_text(), 'https://git.example/x') for path in PAGES}
    assert '4.7.x' in texts['compatibility.md']
    assert '[Branches](branching.md)' in texts['compatibility.md']
    assert '[changelog](changelog.md)' in texts['compatibility.md']
    assert '[contributing guide](https://git.example/x/CONTRIBUTING.md)' in texts['troubleshooting.md']
    assert {target for text in texts.values() for target in re.findall(r'\]\((\.\./(?!assets/)[^)]*)', text)} == set()


def test_settings_and_custom_fields_are_documented():
    installation = (ROOT / 'docs/installation.md').read_text()
    assert [name for name in ProxSyncConfig.default_settings if f'| `{name}` |' not in installation] == []
    mapping = (ROOT / 'docs/mapping.md').read_text()
    assert [field.name for field in CUSTOM_FIELDS if f'`{field.name}`' not in mapping] == []


def test_the_token_has_one_name():
    names = {name for path in PAPERS for name in re.findall(r'\w+@(?:pve|pam)!\w+', path.read_text())}
    assert names <= {'netbox@pve!proxsync'}
    texts = [path.read_text() for path in PAPERS]
    added = {line.strip() for text in texts for line in re.findall(r'^ *pveum user token add .*', text, re.MULTILINE)}
    assert added == {'pveum user token add netbox@pve proxsync --privsep 0'}


def test_the_licenses_of_the_dependencies_are_right():
    readme = (ROOT / 'README.md').read_text()
    rows = re.findall(r'^\| \[([\w-]+)\]\([^)]+\) \| [^|]+ \| ([^|]+) \|$', readme, re.MULTILINE)
    assert sorted(name for name, _ in rows) == ['cryptography', 'google-re2', 'paramiko', 'proxmoxer']
    for name, license in rows:
        information = metadata(name)
        declared = ' '.join(
            [information.get('License-Expression') or information.get('License') or '']
            + [value for value in information.get_all('Classifier') or [] if 'License' in value]
        )
        assert any(word in declared for word in re.split(r'[-\s]+', license)[:1]), (name, declared)


def quality_rows():
    text = (ROOT / 'docs/quality.md').read_text()
    return re.findall(r'^\| `([a-z-]+)` \| (\w+) \| (.+) \|$', text, re.MULTILINE)


def test_the_quality_page_names_what_exists():
    rows = quality_rows()
    assert len(rows) == len({name for name, _, _ in rows}) == 52
    assert {state for _, state, _ in rows} <= {'done', 'exempt', 'todo'}
    for name, state, evidence in rows:
        named = re.findall(r'`([^`]+)`', evidence)
        files = [text for text in named if re.search(r'\.(py|md|html|yml|toml|svg)(::|$)|/$', text)]
        assert files or state != 'done', f'{name} names no test or file'
        for text in files:
            file, _, test = text.partition('::')
            assert (ROOT / file).exists(), text
            assert not test or re.search(rf'def {test}\b', (ROOT / file).read_text()), text


def templates():
    """The texts that the code has for users and stores or translates later: (where, text)."""
    for path in (ROOT / 'netbox_proxsync').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and called(node) in ('Message', 'counted', 'gettext_noop'):
                for text in node.args[:2]:
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield f'{path.name}:{text.lineno}', text.value


def test_messages_are_plain():
    found = list(templates())
    assert len(found) > 500
    assert [(where, text) for where, text in found if MARKERS.search(text)] == []


# Messages without a remedy that troubleshooting.md need not list.
SELF_EXPLAINING = {
    # They state the remedy themselves.
    'The database of NetBox was busy while {doing}: {reason}. Run again.',
    'The branch "{branch}" lacks an object that the endpoint or a mapping rule names. Sync the branch with main first.',
    'Run {newer} has changed NetBox since this plan was created. Create a new preview, and apply that.',
    'This plan was created in main. Leave the branch to apply it.',
    '"{text}" is the name of one branch and the schema ID of another. Rename the first branch.',
    'The active branch has changed since this page was shown: main is active now. Try again.',
    'The active branch has changed since this page was shown: "{branch}" is active now. Try again.',
    (
        'The branch "{branch}" was created before the Proxmox VE plugin supported branches, so it has no bindings of '
        'its own. Create a new branch.'
    ),
    'This object is shared by all branches, and the branch "{branch}" is active. Switch to main and change it there.',
    # A form displays them at the field with the wrong value.
    'Enter {"type.field": "fact", "editorial" or "ignored"}.',
    '"{subject}" is none of {subjects}',
    'A [ is not closed. To match a bracket itself, write [[].',
    '"{window}" is not a sync window: "{word}" is not a day. Use {days}.',
    '"{window}" is not a sync window: {text} is not a time from 00:00 to 24:00.',
    '"{text}" is not a sync window. Enter days and times, such as {examples}.',
    '"{text}" is not a sync window: it has no duration. Enter 00:00-24:00 for a day.',
    # Only the log of a worker that is stopped has it.
    'The connection to Proxmox VE is closed.',
}
PURE = ('branching', 'ledger', 'proxmox', 'runs', 'sync')


def called(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')


def reported():
    """The notices and errors in the code, with their remedies: (template, whether it has a remedy)."""
    paths = [path for package in PURE for path in (ROOT / 'netbox_proxsync' / package).rglob('*.py')]
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if not isinstance(node, ast.Call):
            continue
        named, name = {each.arg: each.value for each in node.keywords}, called(node)
        if name in ('GuestProblem', 'Notice'):
            texts = [named.get('message') or named.get('what'), named.get('remedy')]
        elif name in ('add', 'warn', 'Ending'):
            texts = node.args[1:3]
        elif name.endswith('Error') and name != 'ParseError':
            texts = node.args[:2]
        else:
            continue
        message = texts[0] if texts else None
        if isinstance(message, ast.Call) and called(message) in ('Message', 'counted'):
            template = message.args[0] if message.args else None
            if isinstance(template, ast.Constant):
                yield template.value, len(texts) > 1 and texts[1] is not None


def test_every_message_without_a_remedy_is_in_troubleshooting():
    page = ' '.join((ROOT / 'docs/troubleshooting.md').read_text().split())
    found = list(reported())
    assert len(found) > 150
    bare = {template for template, has_remedy in found if not has_remedy}
    assert bare.issuperset(SELF_EXPLAINING), 'Some of these messages do not exist any more.'
    for template in bare - SELF_EXPLAINING:
        longest = max(re.split(r'\{\w+\}', template), key=len).strip(' .:,;()"')
        assert longest in page, template
