"""What is shipped: the package with its templates and migrations, and no tests."""

import hashlib
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from netbox_proxsync import ProxSyncConfig, __version__, validate_settings
from tests.stack import release

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'netbox_proxsync'
TEMPLATES = {path.relative_to(ROOT).as_posix() for path in (PACKAGE / 'templates').rglob('*.html')}
PAGES = {f'netbox_proxsync/docs/{path.name}' for path in (ROOT / 'docs').glob('*.md')}
MIGRATIONS = {path.relative_to(ROOT).as_posix() for path in (PACKAGE / 'migrations').glob('*.py')}
TRANSLATIONS = {path.relative_to(ROOT).as_posix() for path in (PACKAGE / 'locale').rglob('django.[mp]o')}


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    sources = tmp_path_factory.mktemp('sources')
    release.copy_sources(sources)
    (sources / 'netbox_proxsync/__pycache__').mkdir(exist_ok=True)
    (sources / 'netbox_proxsync/__pycache__/__init__.cpython-313.pyc').write_bytes(b'')

    def build(target):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(release, 'ROOT', sources)
            patch.setenv('SOURCE_DATE_EPOCH', '1780000000')
            release.dist(target)
        return target

    return build


@pytest.fixture(scope='module')
def built(build, tmp_path_factory):
    return build(tmp_path_factory.mktemp('dist'))


def test_the_wheel(built):
    with zipfile.ZipFile(next(built.glob('*.whl'))) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(next(name for name in names if name.endswith('METADATA'))).decode()
    assert TEMPLATES
    assert 'netbox_proxsync/locale/de/LC_MESSAGES/django.mo' in TRANSLATIONS
    assert names >= TEMPLATES | MIGRATIONS | PAGES | TRANSLATIONS | {'netbox_proxsync/py.typed'}
    assert not any(name.endswith('.pyc') for name in names)
    information = f'netbox_proxsync-{__version__}.dist-info'
    assert {name.partition('/')[0] for name in names} == {'netbox_proxsync', information}
    assert f'{information}/licenses/LICENSE' in names
    runtime = [line for line in metadata.splitlines() if line.startswith('Requires-Dist') and 'extra' not in line]
    assert sorted(line.split()[1].partition('>')[0] for line in runtime) == [
        'cryptography', 'google-re2', 'paramiko', 'proxmoxer',
    ]  # fmt: skip
    # PyPI displays the README outside the repository.
    readme = metadata.partition('\n\n')[2]
    links = re.findall(r'\]\(([^)]+)\)', readme)
    assert len(links) > 10
    assert [link for link in links if not link.startswith(('https://', '#'))] == []
    assert f'{release.address()}/raw/v{__version__}/assets/virtual-machines-light.png' in links


def test_the_sdist(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as sdist:
        names = {name.partition('/')[2] for name in sdist.getnames()}
    files = {'README.md', 'LICENSE', 'CHANGELOG.md', 'pyproject.toml'}
    assert names >= TEMPLATES | MIGRATIONS | TRANSLATIONS | files
    assert not any(name.startswith(('tests', 'assets')) for name in names)


def test_the_same_sources_give_the_same_packages(built, build, tmp_path):
    again = build(tmp_path / 'again')

    def digests(directory):
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}

    assert len(digests(built)) == 2
    assert digests(again) == digests(built)


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command('makemigrations', 'netbox_proxsync', check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('encryption_keys', 'one'),
        ('encryption_keys', ['']),
        ('sizes', 'bytes'),
        ('allowed_networks', []),
        ('allowed_networks', '10.0.0.0/8'),
        ('allowed_networks', ['10.0.0.0/33']),
        ('allowed_networks', ['10.0.0.1/8']),
        ('allowed_networks', [167772160]),
        ('denied_networks', ['pve.example.com']),
        ('denied_networks', None),
        ('job_timeout', 0),
        ('runs_to_keep', '100'),
        ('run_retention_days', True),
        ('docs_url', 'example.com'),
        ('docs_url', None),
    ],
)
def test_a_setting_that_means_nothing_is_refused_at_the_start(name, value):
    settings = {**ProxSyncConfig.default_settings, name: value}
    with pytest.raises(ImproperlyConfigured, match=name):
        validate_settings(settings)
