"""
What a release needs: `make dist`, `make dist-check`, `make address`.

`dist` builds the sdist and the wheel; the same commit gives the same bytes. `check` installs the wheel into a clean
environment from PyPI, writes its bill of materials, and lets NetBox check the plugin there. `address` replaces the
public address of the repository in every file that contains it. `ready` lists what prevents a release.
"""

import argparse
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from .pages import page_text
from .paths import ROOT, STACK, StackError, output

DIST = ROOT / 'dist'
CLEAN = STACK / 'clean'
TOOLS = STACK / 'release'
SHIPPED = ('CHANGELOG.md', 'LICENSE', 'MANIFEST.in', 'README.md', 'docs', 'netbox_proxsync', 'pyproject.toml')
# Files that contain the address; everything else is computed from pyproject.toml.
WITH_ADDRESS = ('pyproject.toml', '.github/ISSUE_TEMPLATE/config.yml')
# RFC 2606 reserves this domain: nobody can publish under it.
UNDECIDED = 'https://example.com/'
CONFIGURATION = """
ALLOWED_HOSTS = ['*']
DATABASES = {'default': {'NAME': 'netbox', 'USER': 'netbox', 'HOST': '127.0.0.1', 'PORT': 1}}
REDIS = {name: {'HOST': '127.0.0.1', 'PORT': 1, 'DATABASE': 0} for name in ('tasks', 'caching')}
SECRET_KEY = 'x' * 50
API_TOKEN_PEPPERS = {1: 'x' * 50}
PLUGINS = ['netbox_proxsync']
RELEASE_CHECK_URL = None
"""
# Of the installed package, not of the checkout.
SMOKE_TEST = """
import os, sys
import django
from django.core.management import call_command
django.setup()
import netbox_proxsync
assert netbox_proxsync.__file__.startswith(sys.prefix), netbox_proxsync.__file__
assert netbox_proxsync.__version__ == os.environ['VERSION'], netbox_proxsync.__version__
call_command('check')
"""


def project() -> dict:
    return tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def address() -> str:
    """The public address of the repository, without a slash at its end."""
    return project()['urls']['Repository']


def absolute_links(text: str, base: str, version: str) -> str:
    """The README with absolute links: PyPI shows it outside the repository."""
    relative = r'(?!https?://|#|mailto:)[^()\s]+'
    text = re.sub(rf'(!\[[^]]*\]\()({relative})\)', rf'\1{base}/raw/v{version}/\2)', text)
    return re.sub(rf'(\]\()({relative})\)', rf'\1{base}/blob/v{version}/\2)', text)


def epoch() -> int:
    """The date of the files: SOURCE_DATE_EPOCH, or that of the last commit."""
    return int(os.environ.get('SOURCE_DATE_EPOCH') or output('git', '-C', ROOT, 'log', '-1', '--format=%ct') or 0)


def copy_sources(target: Path) -> None:
    """Copy what the build reads, with the same modes on every machine."""
    setup = ('setup.py',) if (ROOT / 'setup.py').exists() else ()
    for name in (*SHIPPED, *setup):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, target / name)
    for path in target.rglob('*'):
        path.chmod(0o755 if path.is_dir() else 0o644)
    readme = target / 'README.md'
    version = project()['version']
    readme.write_text(absolute_links(readme.read_text(), address(), version))
    for page in (target / 'docs').glob('*.md'):
        page.write_text(page_text(page.name, page.read_text(), f'{address()}/blob/v{version}'))


def normalize(sdist: Path, seconds: int) -> None:
    """Write the archive again without the time of the build, and without the user who built it."""
    with tarfile.open(sdist) as archive:
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        contents = [archive.extractfile(member).read() if member.isfile() else None for member in members]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for member, content in zip(members, contents, strict=True):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, len(content or b''), seconds
            entry.mode = 0o755 if member.isdir() else 0o644
            archive.addfile(entry, None if content is None else io.BytesIO(content))
    with sdist.open('wb') as stream, gzip.GzipFile('', 'wb', 9, stream, mtime=seconds) as compressed:
        compressed.write(packed.getvalue())


def dist(target: Path = DIST) -> None:
    """Build the sdist and the wheel into an empty directory."""
    shutil.rmtree(target, ignore_errors=True)
    seconds = epoch()
    with tempfile.TemporaryDirectory() as directory:
        sources = Path(directory, 'netbox-proxsync')
        sources.mkdir()
        copy_sources(sources)
        run(
            sys.executable, '-m', 'build', '--no-isolation', '--outdir', target, sources,
            environment={'SOURCE_DATE_EPOCH': str(seconds)},
        )  # fmt: skip
    for sdist in target.glob('*.tar.gz'):
        normalize(sdist, seconds)


def check() -> None:
    """Install the wheel as users do, write its bill of materials, and let NetBox check it."""
    dist()
    wheel = next(DIST.glob('*.whl'))
    # Without pip, which would be listed in the bill of materials.
    run(sys.executable, '-m', 'venv', '--clear', '--without-pip', CLEAN)
    run(sys.executable, '-m', 'venv', '--clear', TOOLS)
    clean = CLEAN / 'bin/python'
    pip = (sys.executable, '-m', 'pip', '--python', clean)
    run(*pip, 'install', '--quiet', wheel)
    run(TOOLS / 'bin/python', '-m', 'pip', 'install', '--quiet', *project()['optional-dependencies']['release'])
    run(TOOLS / 'bin/twine', 'check', '--strict', *DIST.glob('netbox_proxsync-*'))
    run(
        TOOLS / 'bin/cyclonedx-py', 'environment', '--pyproject', ROOT / 'pyproject.toml', '--output-reproducible',
        '--output-file', DIST / 'sbom.cdx.json', clean,
    )  # fmt: skip
    netbox = next(name for name in project()['optional-dependencies']['dev'] if name.startswith('netbox>'))
    run(*pip, 'install', '--quiet', netbox)
    run(*pip, 'check')
    (CLEAN / 'release_configuration.py').write_text(CONFIGURATION)
    environment = {
        'DJANGO_SETTINGS_MODULE': 'netbox.settings', 'NETBOX_CONFIGURATION': 'release_configuration',
        'PYTHONPATH': str(CLEAN), 'VERSION': project()['version'],
    }  # fmt: skip
    run(clean, '-c', SMOKE_TEST, environment=environment, directory=CLEAN)


def set_address(new: str) -> None:
    """Write the public address of the repository wherever it stands."""
    new = new.rstrip('/')
    if not re.fullmatch(r'https://[\w.-]+(/[\w.-]+)+', new):
        raise StackError(f'{new} is not an address of a repository, such as https://github.com/owner/netbox-proxsync.')
    old = address()
    for name in WITH_ADDRESS:
        path = ROOT / name
        path.write_text(path.read_text().replace(old, new))


def obstacles(tag: str) -> list[str]:
    """What forbids to publish this commit under the tag."""
    version = project()['version']
    found = []
    if address().startswith(UNDECIDED):
        found.append('The public address of the repository is not set. Run: make address URL=https://...')
    if any(author['email'].endswith('.example') for author in project()['authors']):
        found.append('The e-mail address of the authors is a placeholder. Set it in pyproject.toml and __init__.py.')
    if tag != f'v{version}':
        found.append(f'The tag is {tag}, and the version is {version}. The tag must be v{version}.')
    if not re.search(rf'^## \[?{re.escape(version)}\]? - \d{{4}}-\d{{2}}-\d{{2}}$', changelog(), re.MULTILINE):
        found.append(f'CHANGELOG.md has no section "## [{version}] - YYYY-MM-DD".')
    return found


def changelog() -> str:
    return (ROOT / 'CHANGELOG.md').read_text()


def notes(version: str) -> str:
    """The section of the changelog about one version."""
    parts = re.split(r'^## ', changelog(), flags=re.MULTILINE)
    return next((part.partition('\n')[2].strip() for part in parts if part.startswith(f'[{version}]')), '')


def run(*command: object, environment: dict[str, str] | None = None, directory: Path = ROOT) -> None:
    words = [str(word) for word in command]
    variables = {**os.environ, **(environment or {})}
    # What is outside the environments must not be found in them.
    if environment is None or 'PYTHONPATH' not in environment:
        variables.pop('PYTHONPATH', None)
    done = subprocess.run(words, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f'This command failed: {" ".join(words)}\n{done.stdout}{done.stderr}')


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.stack.release', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('dist')
    commands.add_parser('check')
    commands.add_parser('address').add_argument('url')
    commands.add_parser('notes')
    commands.add_parser('ready').add_argument('tag')
    options = parser.parse_args(arguments)
    try:
        if options.command == 'dist':
            dist()
        elif options.command == 'check':
            check()
        elif options.command == 'address':
            set_address(options.url)
        elif options.command == 'notes':
            print(notes(project()['version']))
        elif found := obstacles(options.tag):
            raise StackError('\n'.join(found))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
