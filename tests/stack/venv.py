"""
Creates `.stack/venv`: NetBox, the plugin (editable) and what its development needs, as pyproject.toml says.

Run by the bootstrap with any suitable Python, so it uses the standard library only. With the argument `current`, the
exit code says whether everything is installed already.
"""

import hashlib
import os
import subprocess
import sys

from .locks import lock
from .paths import LOG, ROOT, STACK, VENV, StackError, read_json, write_json
from .processes import log_tail

STAMP = STACK / 'venv.json'
# The version of NetBox, if it is not to be the newest one that pyproject.toml allows.
NETBOX = os.environ.get('PROXSYNC_STACK_NETBOX', '')


def wanted() -> dict[str, str]:
    """What the environment depends on: it can neither be moved nor be used with another Python."""
    project = (ROOT / 'pyproject.toml').read_bytes()
    return {
        'project': hashlib.sha256(project).hexdigest(),
        'python': sys.version,
        'base': sys.base_prefix,
        'root': str(ROOT),
        **({'netbox': NETBOX} if NETBOX else {}),
    }


def make() -> None:
    want = wanted()
    with lock('venv', waiting='Another run in this checkout is installing; waiting for it.'):
        have = read_json(STAMP)
        if have == want:
            return
        if VENV.is_symlink():
            # Of another checkout, which would find its environment emptied.
            raise StackError(f'{VENV} is a link: what pyproject.toml asks for has to be installed where it points to.')
        print('Installing NetBox, the plugin and its tools into .stack/venv: a few minutes.', file=sys.stderr)
        same = all(have.get(key) == want[key] for key in ('python', 'base', 'root'))
        STAMP.unlink(missing_ok=True)
        _run(sys.executable, '-m', 'venv', *([] if same else ['--clear']), str(VENV))
        release = [f'netbox=={NETBOX}'] if NETBOX else []
        _run(str(VENV / 'bin' / 'python'), '-m', 'pip', 'install', '--no-input', '--editable', f'{ROOT}[dev]', *release)
        write_json(STAMP, want)


def _run(*command: str) -> None:
    LOG.mkdir(parents=True, exist_ok=True)
    with (LOG / 'venv.log').open('wb') as log:
        code = subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if code:
        raise StackError(f'Making .stack/venv failed.\n{log_tail("venv", 30)}')


if __name__ == '__main__':
    if sys.argv[1:] == ['current']:
        sys.exit(read_json(STAMP) != wanted())
    try:
        make()
    except StackError as error:
        sys.exit(str(error))
