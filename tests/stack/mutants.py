"""
`make mutants`: changes the code that decides about users' data, one place at a time, and checks whether a test fails.

The changed code is created and tested in a copy. Mutants that survive are compared with `mutants.toml`, which explains
for each survivor why no test can or should detect it.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping

from .paths import ROOT, STACK

COPY = STACK / 'mutants'
COPIED = ('netbox_proxsync', 'tests', 'pyproject.toml', 'README.md', 'LICENSE')
ACCEPTED = ROOT / 'tests' / 'stack' / 'mutants.toml'
REQUIRED = 90


def main() -> int:
    _install()
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, COPY / name)
    environment = {**os.environ, 'PYTHONPATH': str(COPY)}
    mutmut = os.path.join(os.path.dirname(sys.executable), 'mutmut')
    processes = str(min(os.cpu_count() or 1, 4))
    subprocess.run([mutmut, 'run', '--max-children', processes, *sys.argv[1:]], cwd=COPY, env=environment, check=True)
    listed = subprocess.run(
        [mutmut, 'results', '--all', 'true'], cwd=COPY, env=environment, check=True, text=True, stdout=subprocess.PIPE
    )
    results = dict(line.strip().split(': ', 1) for line in listed.stdout.splitlines() if ': ' in line)
    if sys.argv[1:]:
        # Only the mutants that were named are tested.
        results = {mutant: status for mutant, status in results.items() if status != 'not checked'}
    return judge(results, tomllib.loads(ACCEPTED.read_text()), is_whole=not sys.argv[1:])


def judge(results: Mapping[str, str], accepted: Mapping[str, str], is_whole: bool = True) -> int:
    """
    Print the share of killed mutants by module, the survivors that are not accepted, and accepted ones that no longer
    survive.

    Args:
        results: By the name of the mutant, 'killed', 'survived', 'timeout' (the tests noticed it by never ending), ...
        accepted: By the name of the mutant, the reason why it may survive.
        is_whole: Whether the results are those of all mutants.

    Returns:
        The exit code: 1 if too many survive, one that is not accepted, or not one that is accepted.
    """
    made: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    survivors = []
    for mutant, status in results.items():
        module = mutant.rpartition('.')[0]
        made[module] += 1
        if status in ('killed', 'timeout', 'suspicious'):
            killed[module] += 1
        else:
            survivors.append(mutant)
    is_failed = False
    for module in sorted(made):
        percent = 100 * killed[module] / made[module]
        print(f'{module}: {killed[module]} of {made[module]} killed ({percent:.1f} %)')
        is_failed |= percent < REQUIRED
    for mutant in sorted(survivors):
        if mutant not in accepted:
            print(f'Survived: {mutant}. "mutmut show {mutant}" in {COPY.relative_to(ROOT)} shows it.')
            is_failed = True
    for mutant in sorted(accepted):
        # The names of mutants change with the function that they are made of.
        if mutant not in survivors and (is_whole or mutant in results):
            print(f'Accepted, but does not survive: {mutant}. Remove it from {ACCEPTED.relative_to(ROOT)}.')
            is_failed = True
    return int(is_failed)


def _install() -> None:
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-input', '--editable', f'{ROOT}[mutants]']
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == '__main__':
    sys.exit(main())
