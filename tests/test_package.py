"""What is shipped: the package with its templates and migrations, and no tests."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from netbox_proxsync import ProxSyncConfig, validate_settings

ROOT = Path(__file__).parent.parent
TEMPLATES = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'netbox_proxsync/templates').rglob('*.html')}
PAGES = {f'netbox_proxsync/docs/{path.name}' for path in (ROOT / 'docs').glob('*.md')}
MIGRATIONS = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'netbox_proxsync/migrations').glob('*.py')}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    target = tmp_path_factory.mktemp('dist')
    command = [sys.executable, '-m', 'build', '--no-isolation', '--outdir', str(target), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_the_wheel(built):
    with zipfile.ZipFile(next(built.glob('*.whl'))) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(next(name for name in names if name.endswith('METADATA'))).decode()
    assert TEMPLATES
    assert PAGES
    assert names >= TEMPLATES | MIGRATIONS | PAGES
    assert {name.partition('/')[0] for name in names} == {'netbox_proxsync', 'netbox_proxsync-0.1.0.dist-info'}
    runtime = [line for line in metadata.splitlines() if line.startswith('Requires-Dist') and 'extra' not in line]
    assert sorted(line.split()[1].partition('>')[0] for line in runtime) == [
        'cryptography', 'google-re2', 'paramiko', 'proxmoxer',
    ]  # fmt: skip


def test_the_sdist(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as sdist:
        names = {name.partition('/')[2] for name in sdist.getnames()}
    assert names >= TEMPLATES | MIGRATIONS | {'README.md', 'LICENSE', 'CHANGELOG.md'}
    assert not any(name.startswith('tests') for name in names)


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
