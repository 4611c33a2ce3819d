"""
Every code block of the documentation is tried: commands exist and accept their options, Python runs, settings are
valid, requests are answered, and what shows data is compared with the code.

Each block is claimed by one check. A block that none claims fails, so that a new kind of example gets a check.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from extras.models import Webhook
from graphql import parse, validate
from netbox.graphql.schema import schema
from users.models import Token, User

from netbox_proxsync import ProxSyncConfig, events, validate_settings
from netbox_proxsync.forms import MappingRuleImportForm
from netbox_proxsync.proxmox.access import wanted_privileges
from netbox_proxsync.proxmox.messages import Message, render
from netbox_proxsync.proxmox.ssh.hardware import COMMANDS
from netbox_proxsync.proxmox.ssh.known_hosts import compare_command
from netbox_proxsync.proxmox.version import Version
from netbox_proxsync.sync.field_policy import clean_policy, parse_policy

from .cases import make_endpoint, make_run

ROOT = Path(__file__).parent.parent
PAPERS = sorted([*ROOT.glob('docs/*.md'), *ROOT.glob('*.md')])
BLOCK = re.compile(r'^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```', re.MULTILINE | re.DOTALL)
# Programs of others. Their lines are read by a shell, which reports wrong quotes.
OTHERS = {
    '/opt/netbox/venv/bin/pip', 'adduser', 'cd', 'chown', 'docker', 'echo', 'git', 'jq', 'mkdir', 'sha256sum',
    'systemctl',
}  # fmt: skip
PVEUM = {('acl', 'modify'), ('role', 'add'), ('role', 'modify'), ('user', 'add'), ('user', 'token')}
# What prefixes a NetBox command.
NETBOX = (
    'docker compose exec netbox /opt/netbox/netbox/manage.py ',
    '/opt/netbox/venv/bin/python /opt/netbox/netbox/manage.py ',
    '/opt/netbox/venv/bin/netbox ',
    'netbox ',
)
TARGETS = set(re.findall(r'^([a-z-]+):.*##', (ROOT / 'Makefile').read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Block:
    """A code block: its page, its place among the blocks of the page, its language and its text."""

    page: str
    number: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments; continued lines as one."""
        joined = re.sub(r'\\\n\s*', ' ', self.text)
        if 'curl ' in joined:
            return [joined.strip()]
        return [line for line in joined.splitlines() if line.strip()]


def blocks() -> Iterator[Block]:
    for path in PAPERS:
        for number, found in enumerate(BLOCK.finditer(path.read_text()), 1):
            yield Block(path.name, number, found['language'], dedent(found['text']))


BLOCKS = list(blocks())


def of(claim: Callable[[Block], bool]):
    """Parametrizes a test with the blocks that it claims."""
    found = [block for block in BLOCKS if claim(block)]
    CLAIMED.extend(found)
    assert found
    return pytest.mark.parametrize('block', found, ids=lambda block: f'{block.page}-{block.number}')


CLAIMED: list[Block] = []


def is_request(block: Block) -> bool:
    return block.language == 'sh' and 'curl ' in block.text


def is_settings(block: Block) -> bool:
    return block.language == 'python' and 'PLUGINS' in block.text


def is_on_node(block: Block) -> bool:
    return block.page == 'ssh.md' and block.text.startswith(('ip ', 'ssh-keygen'))


@of(lambda block: block.language == 'sh' and not is_request(block) and not is_on_node(block))
def test_commands_exist_and_accept_their_options(block):
    checked = subprocess.run(['bash', '-n'], input=block.text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    for line in block.commands:
        for words in pipeline(line):
            check_command(words)


def pipeline(line: str) -> Iterator[list[str]]:
    """The commands of a line, as words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars='|&')
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in ('|', '&&'):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def check_command(words: list[str]) -> None:
    line = ' '.join(words)
    if prefix := next((prefix for prefix in NETBOX if line.startswith(prefix)), None):
        name, *options = words[len(prefix.split()) :]
        command = load_command_class(get_commands()[name], name)
        # SystemExit: an option does not exist, or a value is not accepted.
        command.create_parser('netbox', name).parse_args(options)
        return
    words = [word for word in words if not re.match(r'[A-Z_]+=', word)]
    if words[0] == 'make':
        assert {word for word in words[1:] if '=' not in word} <= TARGETS, line
    elif words[0] == 'pveum':
        check_pveum(words[1:])
    else:
        assert words[0] in OTHERS, line


def check_pveum(words: list[str]) -> None:
    """The privileges of roles are those that the plugin wants, in one of the versions of Proxmox VE."""
    assert tuple(words[:2]) in PVEUM
    if '--privs' in words:
        given = set(words[words.index('--privs') + 1].split())
        versions = (Version('8.4.1', 8, 4), Version('9.0.3', 9, 0))
        wanted = [{privileges[0] for _path, privileges, _feature in wanted_privileges(version)} for version in versions]
        assert given in wanted, words
    if words[0] == 'acl':
        assert words[words.index('--roles') + 1] == 'NetBoxSync'


@of(is_on_node)
def test_commands_on_nodes_are_those_that_the_plugin_runs_or_shows(block):
    lines = block.text.splitlines()
    if lines[0].startswith('ip '):
        assert tuple(lines) == COMMANDS
    else:
        assert lines == [compare_command(ED25519)]


class ED25519:
    type = 'ssh-ed25519'


@of(is_settings)
def test_settings_are_valid(block):
    space: dict = {}
    exec(block.text, space)  # noqa: S102 - the documentation is the test's subject
    assert space.get('PLUGINS', ['netbox_proxsync']) == ['netbox_proxsync']
    given = space.get('PLUGINS_CONFIG', {}).get('netbox_proxsync', {})
    assert given.keys() <= ProxSyncConfig.default_settings.keys()
    validate_settings({**ProxSyncConfig.default_settings, **given})


@of(lambda block: block.language == 'python' and not is_settings(block) and 'pynetbox' not in block.text)
def test_python_runs(block):
    exec(block.text, {})  # noqa: S102


@of(lambda block: block.language == 'python' and 'pynetbox' in block.text)
def test_the_script_is_run_against_a_server(block, web, standin):
    pve = standin(nodes=1, vms=1, containers=0, templates=0, seed=3)
    token = Token(user=User.objects.create_user('script', is_superuser=True), version=2)
    token.save()
    text = block.text
    for shown, real in {
        'https://netbox.example.com': web.url,
        'nbt_...': f'nbt_{token.key}.{token.token}',
        'pve1.example.com': f'{pve.host}:{pve.port}',
        "'...'": f"'{pve.token_secret}'",
        'netbox@pve!proxsync': pve.token_id,
        'sync_interval=60,': f"sync_interval=60, tls_mode='fingerprint', fingerprint='{pve.fingerprint}',",
        'time.sleep(2)': 'time.sleep(0.2)',
    }.items():
        assert shown in text
        text = text.replace(shown, real)
    space: dict = {}
    exec(text, space)  # noqa: S102
    assert space['run'].status.value == 'completed'
    assert space['change'].action.value == 'create'


@of(is_request)
@pytest.mark.django_db
def test_requests_are_answered(block, client):
    """Requests to this plugin and to NetBox, with the IDs of what exists here."""
    line = block.commands[0]
    words = shlex.split(line)
    url = next(word for word in words if word.startswith('https://netbox.example.com/'))
    method = words[words.index('-X') + 1]
    data = json.loads(words[words.index('-d') + 1]) if '-d' in words else {}
    headers = dict(words[i + 1].split(': ') for i, word in enumerate(words) if word == '-H')
    assert headers['Authorization'] == 'Bearer $TOKEN'
    endpoint, webhook = make_endpoint(), Webhook.objects.create(name='Chat', payload_url='https://chat.example.com')
    if 'action_object_id' in data:
        data['action_object_id'] = webhook.pk
    path = url.removeprefix('https://netbox.example.com').replace('/endpoints/1/', f'/endpoints/{endpoint.pk}/')
    client.force_login(User.objects.create_superuser('admin'))
    response = client.generic(method, path, json.dumps(data), content_type='application/json')
    assert response.status_code in (200, 201, 202), response.content


@of(lambda block: block.language == 'graphql')
def test_queries_are_valid(block):
    assert validate(schema._schema, parse(block.text)) == []


def complete(text: str) -> dict:
    """A JSON document, without the dots that stand for more of the same."""
    return json.loads(re.sub(r', \.\.\.|\.\.\.', '', text))


@of(lambda block: block.language == 'json')
@pytest.mark.django_db
def test_data_has_the_form_that_is_shown(block):
    match block.page:
        case 'events.md':
            found, shown = events.payload(make_run(make_endpoint())), json.loads(block.text)
            assert (shown.keys(), shown['run'].keys()) == (found.keys(), found['run'].keys())
        case 'api.md':
            source = json.loads(block.text)
            assert Message(source['template'], **source['parameters']).source == source
            assert 'since 2026-03-01.' in render(source, str, lambda one, several, number: one)
        case 'commands.md':
            # The values are compared by the tests of the commands.
            code = ''.join(path.read_text() for path in ROOT.glob('netbox_proxsync/management/commands/proxsync_*.py'))
            code += (ROOT / 'netbox_proxsync/proxmox/check.py').read_text()
            for line in block.text.splitlines():
                for name in complete(line):
                    assert re.search(rf"'{name}'|\b{name}[:=]|\.{name}\b", code), name
        case _:
            pytest.fail('Add a check for this document.')


@of(lambda block: block.language == 'yaml')
@pytest.mark.django_db
def test_documents_have_known_keys(block):
    document = yaml.safe_load(block.text)
    match block.page:
        case 'rules.md':
            form = MappingRuleImportForm(document)
            assert document.keys() <= form.fields.keys()
        case 'metrics.md':
            code = (ROOT / 'netbox_proxsync/metrics.py').read_text()
            for alert in document:
                for name in re.findall(r'netbox_proxsync_\w+', alert['expr']):
                    assert name.removeprefix('netbox_proxsync_') in code, name
        case 'installation.md':
            assert set(document['services']) == {'netbox', 'netbox-worker'}
        case _:
            pytest.fail('Add a check for this document.')


@of(lambda block: block.page == 'ownership.md' and block.language == '')
def test_a_field_policy_is_accepted(block):
    assert clean_policy(parse_policy(block.text))


# Neither run nor compared: a table that pveum prints, a list of requirements, and an image of others.
FOR_READING = {
    ('', '┌─'), ('', 'netbox-proxsync\n'), ('dockerfile', 'FROM netboxcommunity/'),
}  # fmt: skip


def test_every_block_is_checked():
    others = [block for block in BLOCKS if block not in CLAIMED]
    assert [
        block
        for block in others
        if not any(block.language == language and block.text.startswith(start) for language, start in FOR_READING)
    ] == []
    assert len(CLAIMED) == len(set(CLAIMED)) > 50
