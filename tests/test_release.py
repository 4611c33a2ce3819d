"""The papers of a release agree with each other: version, public address, supported versions, workflows."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from netbox_proxsync import ProxSyncConfig, __version__
from tests.stack import release, venv
from tests.stack.paths import StackError

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())
PROJECT = PYPROJECT['project']
ADDRESS = release.address()
PYTHONS = ['3.12', '3.13', '3.14']


def test_there_is_one_version():
    assert PROJECT['version'] == __version__
    assert f'{ProxSyncConfig.version}{ProxSyncConfig.release_track}' == __version__
    base = ProxSyncConfig.version
    assert re.fullmatch(r'\d+\.\d+\.\d+', base)
    assert re.fullmatch(r'((a|b|rc)\d+)?', ProxSyncConfig.release_track)
    rows = re.findall(r'^\| (\d\S*) +\| (\S+) +\| (\S+)', (ROOT / 'COMPATIBILITY.md').read_text(), re.MULTILINE)
    assert rows[0] == (base, ProxSyncConfig.min_version, ProxSyncConfig.max_version.replace('.99', '.x'))
    listed = yaml.safe_load((ROOT / 'netbox-plugin.yaml').read_text())
    assert listed['package_name'] == PROJECT['name']
    assert listed['compatibility'][0] == {
        'release': base, 'netbox_min': ProxSyncConfig.min_version, 'netbox_max': ProxSyncConfig.max_version,
    }  # fmt: skip


def test_there_is_one_author():
    assert PROJECT['authors'] == [{'name': ProxSyncConfig.author, 'email': ProxSyncConfig.author_email}]


def test_python_versions_agree():
    classifiers = [name.rpartition(' ')[2] for name in PROJECT['classifiers'] if re.search(r'Python :: 3\.\d+$', name)]
    matrix = workflow('ci')['jobs']['test']['strategy']['matrix']
    assert classifiers == matrix['python'] == PYTHONS
    assert matrix['netbox'] == [ProxSyncConfig.min_version, '']
    assert PROJECT['requires-python'] == f'>={PYTHONS[0]}'


def workflow(name):
    return yaml.safe_load((ROOT / f'.github/workflows/{name}.yml').read_text())


def steps(name):
    return [step.get('run', '') for job in workflow(name)['jobs'].values() for step in job['steps']]


def test_the_versions_of_the_matrix_are_installed(monkeypatch):
    monkeypatch.setattr(venv, 'NETBOX', '')
    newest = venv.wanted()
    monkeypatch.setattr(venv, 'NETBOX', '4.7.0')
    # The environment is installed again for another version of NetBox.
    assert venv.wanted() == {**newest, 'netbox': '4.7.0'}
    assert set(workflow('ci')['jobs']['test']['env']) == {'PROXSYNC_STACK_PYTHON', 'PROXSYNC_STACK_NETBOX'}
    sources = [(ROOT / f'tests/stack/{name}').read_text() for name in ('bootstrap.sh', 'venv.py')]
    assert 'PROXSYNC_STACK_PYTHON' in sources[0]
    assert 'PROXSYNC_STACK_NETBOX' in sources[1]


def test_workflows_run_the_same_commands_as_developers():
    assert {'.ci/run', 'make docs', 'make dist-check'} <= set(steps('ci'))
    assert {'.ci/run', 'make docs', 'make dist-check'} <= set(steps('release'))
    publishing = workflow('release')['jobs']['pypi']
    # A token would be a secret of the repository; PyPI trusts the workflow instead.
    assert publishing['permissions']['id-token'] == 'write'
    assert 'secrets.' not in (ROOT / '.github/workflows/release.yml').read_text()


def tracked():
    """All files of the project with text."""
    listed = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    names = listed or [str(path.relative_to(ROOT)) for path in ROOT.glob('*') if path.is_file()]
    for name in names:
        path = ROOT / name
        if path.suffix in {'.md', '.toml', '.yml', '.yaml', '.py'} and 'recordings' not in path.parts:
            yield name, path.read_text()


def test_the_public_address_stands_where_the_command_replaces_it():
    assert set(PROJECT['urls']) == {'Homepage', 'Repository', 'Issues', 'Documentation', 'Changelog'}
    assert all(url.startswith(ADDRESS) for url in PROJECT['urls'].values())
    # RELEASING.md says how to replace the placeholder, and this test names it.
    allowed = {*release.WITH_ADDRESS, 'RELEASING.md', 'tests/test_release.py', 'tests/stack/release.py'}
    assert {name for name, text in tracked() if ADDRESS in text} <= allowed
    # An address of the project on another host, or of another owner, is one that was forgotten.
    foreign = re.compile(r'https://(?!example\.com)[^\s\'"<>)]*/netbox-proxsync\b')
    found = {url for name, text in tracked() if name not in allowed for url in foreign.findall(text)}
    assert {url for url in found if not url.startswith(('https://pypi.org/', 'https://img.shields.io/'))} == set()


def test_the_address_is_set_everywhere(monkeypatch, tmp_path):
    for name in release.WITH_ADDRESS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(release, 'ROOT', tmp_path)
    with pytest.raises(StackError, match='is not an address of a repository'):
        release.set_address('http://github.com/owner/netbox-proxsync')
    release.set_address('https://github.com/owner/netbox-proxsync/')
    assert release.address() == 'https://github.com/owner/netbox-proxsync'
    assert all(ADDRESS not in (tmp_path / name).read_text() for name in release.WITH_ADDRESS)


def test_a_package_without_a_public_address_is_not_published(monkeypatch, tmp_path):
    found = '\n'.join(release.obstacles('v0.9'))
    assert f'The tag must be v{__version__}' in found
    for name in (*release.WITH_ADDRESS, 'CHANGELOG.md'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    pyproject = tmp_path / 'pyproject.toml'
    pyproject.write_text(pyproject.read_text().replace(PROJECT['authors'][0]['email'], 'x@y.example'))
    monkeypatch.setattr(release, 'ROOT', tmp_path)
    release.set_address('https://example.com/netbox-proxsync')
    found = '\n'.join(release.obstacles(f'v{__version__}'))
    assert 'make address' in found
    assert 'e-mail' in found
    release.set_address('https://github.com/owner/netbox-proxsync')
    pyproject.write_text(pyproject.read_text().replace('.example', '.org'))
    sections = f'## [Unreleased]\n\n## [{__version__}] - 2026-12-01\n\nFirst.\n'
    (tmp_path / 'CHANGELOG.md').write_text(sections)
    assert release.obstacles(f'v{__version__}') == []
    assert release.notes(__version__) == 'First.'


def test_links_of_the_readme_are_absolute_on_pypi():
    text = '[![A](assets/a.png)](E) [B](docs/b.md#c) [C](https://c.example/d) [D](#d)'
    assert release.absolute_links(text, 'https://git.example/x', '1.0') == (
        '[![A](https://git.example/x/raw/v1.0/assets/a.png)](https://git.example/x/blob/v1.0/E) '
        '[B](https://git.example/x/blob/v1.0/docs/b.md#c) '
        '[C](https://c.example/d) [D](#d)'
    )
