"""The stack under `make demo` and `make test`: how it recovers from runs that were killed."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import databases, demo, locks, mutants, netbox, paths, postgres, processes, redis
from tests.stack.paths import StackError

SLEEPER = [sys.executable, '-c', 'import time; print("here I am", flush=True); time.sleep(60)']
STUBBORN = [
    sys.executable,
    '-c',
    'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); time.sleep(60)',
]


@pytest.fixture
def background(tmp_path):
    """Starts processes of the stack in a directory of their own, and ends what is left of them."""
    places = {'run': tmp_path / 'run', 'log': tmp_path / 'log'}

    started = []

    def start(name: str, command: list[str]) -> int:
        started.append(name)
        return processes.start(name, command, env=dict(os.environ), **places)

    start.places, start.run, start.log = places, places['run'], places['log']
    yield start
    for name in started:
        processes.stop(name, signal.SIGKILL, run=places['run'])


@pytest.fixture
def short_path():
    """A directory that PostgreSQL's account may enter and whose path leaves room for a socket's name."""
    directory = Path('/tmp') / f'proxsync-test-{os.getpid()}'
    directory.mkdir(mode=0o711)
    yield directory
    shutil.rmtree(directory)


class TestProcesses:
    def test_a_started_process_is_found_again_and_stopped(self, background):
        pid = background('sleeper', SLEEPER)

        assert processes.running('sleeper', background.run) == pid
        assert processes.stop('sleeper', run=background.run) is True
        assert processes.birth(pid) is None
        assert processes.running('sleeper', background.run) is None
        assert processes.stop('sleeper', run=background.run) is False

    def test_a_process_that_has_the_pid_of_a_dead_one_is_left_unchanged(self, background):
        with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True) as stranger:
            stranger.stdout.readline()
            record = {'pid': stranger.pid, 'birth': 'long ago', 'run': str(background.run)}
            paths.write_json(background.run / 'web.pid', record)

            assert processes.running('web', background.run) is None
            assert processes.stop('web', run=background.run) is False
            assert stranger.poll() is None
            stranger.kill()

    def test_the_record_in_a_copied_checkout_belongs_to_the_original(self, background, tmp_path):
        background('sleeper', SLEEPER)
        copy = tmp_path / 'copy'
        shutil.copytree(background.run, copy)

        assert processes.running('sleeper', copy) is None
        assert processes.stop('sleeper', run=copy) is False
        assert processes.running('sleeper', background.run)

    @pytest.mark.parametrize('content', ['', '{"pid": 1', '[]'])
    def test_a_garbled_record_is_no_process(self, tmp_path, content):
        (tmp_path / 'web.pid').write_text(content)

        assert processes.running('web', tmp_path) is None
        assert processes.stop('web', run=tmp_path) is False

    def test_a_process_that_does_not_listen_is_ended_all_the_same(self, background):
        pid = background('stubborn', STUBBORN)
        # Not before it has become deaf.
        log = background.log / 'stubborn.log'
        processes.wait_until(log.read_text, 'stubborn', 20, 'The process', **background.places)

        assert processes.stop('stubborn', patience=0.1, run=background.run) is True
        assert processes.birth(pid) is None

    def test_a_process_that_dies_at_once_is_reported_with_its_log(self, background):
        background('web', [sys.executable, '-c', 'raise SystemExit("port 8000 is taken")'])

        with pytest.raises(StackError, match=r'(?s)NetBox ended instead of answering.*port 8000 is taken'):
            processes.wait_until(lambda: False, 'web', 20, 'NetBox', **background.places)


class TestDirectories:
    def test_the_checkout_is_the_first_choice(self, tmp_path):
        tmp_path.chmod(0o755)

        assert paths.private_directory('data', None, '/nonexistent', stack=tmp_path) == tmp_path / 'data'
        assert (tmp_path / 'data').stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize('name', ['n' * 90, 'with space', 'a,b', "it's", 'ü'])
    def test_a_path_that_no_socket_can_have_falls_back_and_is_found_again(self, tmp_path, name):
        stack, elsewhere = tmp_path / name, tmp_path / 'elsewhere'
        elsewhere.mkdir()

        first = paths.private_directory('sock', None, str(elsewhere), paths.fits_socket, stack)
        second = paths.private_directory('sock', None, str(elsewhere), paths.fits_socket, stack)

        assert first == second
        assert first.parent == elsewhere
        assert first.stat().st_mode & 0o777 == 0o700

    def test_the_limit_is_the_one_of_the_operating_system(self, short_path):
        room = paths.SOCKET_PATH_LIMIT - len(os.fsencode(short_path / paths.LONGEST_SOCKET_NAME)) - 1
        longest, too_long = short_path / ('x' * room), short_path / ('x' * (room + 1))
        longest.mkdir()

        assert paths.fits_socket(longest)
        assert not paths.fits_socket(too_long)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(longest / paths.LONGEST_SOCKET_NAME))

    def test_a_recorded_directory_that_no_longer_exists_is_created_again(self, tmp_path):
        arguments = ('sock', None, str(tmp_path), lambda path: False, tmp_path / 'stack')
        first = paths.private_directory(*arguments)
        first.rmdir()

        second = paths.private_directory(*arguments)

        assert second != first
        assert second.is_dir()

    def test_a_link_in_place_of_the_recorded_directory_is_not_followed(self, tmp_path):
        arguments = ('sock', None, str(tmp_path), lambda path: False, tmp_path / 'stack')
        first = paths.private_directory(*arguments)
        first.rmdir()
        (tmp_path / 'trap').mkdir()
        first.symlink_to(tmp_path / 'trap')

        assert paths.private_directory(*arguments) not in (first, tmp_path / 'trap')

    def test_a_copied_checkout_gets_a_directory_of_its_own(self, tmp_path):
        stack = tmp_path / 'stack'
        first = paths.private_directory('data', None, str(tmp_path), lambda path: False, stack)
        copy = tmp_path / 'copy'
        shutil.copytree(stack, copy)

        assert paths.private_directory('data', None, str(tmp_path), lambda path: False, copy) != first

    @pytest.mark.skipif(os.geteuid() != 0, reason='only root has to become somebody else')
    def test_a_checkout_closed_to_the_account_of_postgresql_falls_back(self, tmp_path):
        elsewhere = tmp_path / 'elsewhere'
        elsewhere.mkdir()
        closed = tmp_path / 'closed'
        closed.mkdir(mode=0o700)

        directory = paths.private_directory('data', paths.service_account(), str(elsewhere), stack=closed / 'stack')

        assert directory.parent == elsewhere
        assert pwd.getpwuid(directory.stat().st_uid) == paths.service_account()


class TestLocks:
    def test_each_test_run_has_a_number_of_its_own(self, tmp_path):
        first, kept = locks.take_slot(range(1, 3), tmp_path)
        second, other = locks.take_slot(range(1, 3), tmp_path)

        assert (first, second) == (1, 2)
        with pytest.raises(RuntimeError, match='2 test runs'):
            locks.take_slot(range(1, 3), tmp_path)
        kept.close()
        assert locks.take_slot(range(1, 3), tmp_path)[0] == 1
        other.close()

    def test_no_two_slots_share_a_redis_database(self):
        slots = [netbox.DEMO, *netbox.TESTS, netbox.TEMPLATES]
        numbers = [number for slot in slots for number in netbox.redis_databases(slot)]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) < redis.DATABASES

    def test_the_lock_of_a_killed_process_is_free(self, tmp_path):
        code = 'import sys, time, pathlib; from tests.stack import locks\n'
        code += 'with locks.lock("x", directory=pathlib.Path(sys.argv[1])): print("held", flush=True); time.sleep(60)'
        command = [sys.executable, '-c', code, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=paths.ROOT) as holder:
            assert holder.stdout.readline() == b'held\n'
            with locks.try_lock('x', directory=tmp_path) as free:
                assert not free
            holder.kill()
            holder.wait()
            with locks.try_lock('x', directory=tmp_path) as free:
                assert free

    def test_a_shared_address_is_a_conflict_for_a_guest_that_needs_it_alone(self, tmp_path):
        with (
            locks.lock('x', shared=True, directory=tmp_path),
            locks.lock('x', shared=True, directory=tmp_path),
            locks.try_lock('x', directory=tmp_path) as alone,
        ):
            assert not alone


class TestPostgres:
    def test_a_half_made_data_directory_is_created_again(self, short_path):
        _, programs = postgres.installed()
        if account := paths.service_account():
            os.chown(short_path, account.pw_uid, account.pw_gid)
        data = short_path / '15'
        half = short_path / '15.partial'
        half.mkdir()
        (half / 'PG_VERSION').write_text('15')

        postgres.make_cluster(data, programs)

        assert not half.exists()
        assert (data / 'global' / 'pg_control').exists()

    def test_a_whole_data_directory_is_left_as_it_is(self, tmp_path):
        data = tmp_path / '15'
        data.mkdir()

        postgres.make_cluster(data, Path('/nonexistent'))

        assert list(data.iterdir()) == []

    def test_an_incomplete_or_old_installation_is_not_taken(self, tmp_path):
        for name, version, programs in (
            ('client', '17.2', ['psql', 'postgres']),
            ('old', '9.6.24', ['initdb', 'postgres']),
            ('new', '17.2 (Debian 17.2-1)', ['initdb', 'postgres']),
        ):
            (tmp_path / name).mkdir()
            for program in programs:
                path = tmp_path / name / program
                path.write_text(f'#!/bin/sh\necho "{program} (PostgreSQL) {version}"\n')
                path.chmod(0o755)

        found = postgres.versions([str(tmp_path / name) for name in ('client', 'old', 'new', 'missing')])

        assert found == {9: tmp_path / 'old', 17: tmp_path / 'new'}


class TestNames:
    def test_a_changed_migration_is_another_state(self, tmp_path):
        (tmp_path / '__init__.py').write_text('')
        (tmp_path / '0001_initial.py').write_text('one')
        before = databases.plugin_migrations(tmp_path)

        (tmp_path / '0001_initial.py').write_text('two')

        assert list(before) == ['0001_initial']
        assert databases.plugin_migrations(tmp_path) != before

    def test_a_changed_definition_of_custom_fields_is_another_template(self, tmp_path, monkeypatch):
        (tmp_path / 'definitions.py').write_text('one')
        monkeypatch.setattr(databases, 'CUSTOM_FIELDS', tmp_path)
        before = databases.plugin_template()

        (tmp_path / 'definitions.py').write_text('two')

        assert databases.plugin_template() != before

    def test_parts_are_not_confused_by_where_they_are_cut(self):
        assert databases.digest('ab', 'c') != databases.digest('a', 'bc')

    def test_names_fit_postgresql(self):
        assert max(len(databases.bare_template()), len(databases.plugin_template())) <= 63


class TestNetBox:
    def test_secrets_are_drawn_once_and_readable_by_us_alone(self, tmp_path):
        path = tmp_path / 'secrets.json'

        drawn = netbox.stack_secrets(path)

        assert netbox.stack_secrets(path) == drawn == json.loads(path.read_text())
        assert path.stat().st_mode & 0o777 == 0o600
        assert [entry.name for entry in tmp_path.iterdir()] == ['secrets.json']
        assert len(drawn['secret_key']) >= 50

    def test_a_taken_port_is_passed_over(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]

            assert netbox.free_port('127.0.0.1', range(port, port + 20)) > port
            with pytest.raises(StackError, match='is free on'):
                netbox.free_port('127.0.0.1', range(port, port + 1))

    @pytest.mark.parametrize('host', ['192.0.2.1', '2001:db8::1', 'no such host'])
    def test_an_address_of_another_machine_is_named_as_the_fault(self, host):
        with pytest.raises(StackError, match=f'HOST={host} is not an address of this machine'):
            netbox.check_host(host)

    def test_a_real_token_reaches_no_process_that_need_not_have_it(self, monkeypatch):
        monkeypatch.setenv('PVE_TOKEN_SECRET', 'c0ffee')
        monkeypatch.setenv('MAKEFLAGS', ' -- PVE_TOKEN_SECRET=c0ffee')

        assert not any('c0ffee' in value for value in netbox.environment().values())


class TestRealProxmox:
    def test_none_is_taken_unless_it_is_named(self):
        assert demo.real({'PATH': '/bin', 'PVE_HOST': ''}) == {}

    def test_an_incomplete_description_is_rejected_with_the_missing_settings(self):
        with pytest.raises(StackError, match='PVE_TOKEN_ID, PVE_TOKEN_SECRET must be given'):
            demo.real({'PVE_HOST': 'pve.example.com'})

    @pytest.mark.parametrize('address', ['pve:eight', 'pve:99999', 'a:b:c', 'https://pve.example.com', '::1'])
    def test_an_invalid_address_is_rejected(self, address):
        with pytest.raises(StackError, match='host or host:port'):
            demo.fingerprint(address)

    def test_a_closed_port_is_named(self):
        with socket.socket() as closed:
            closed.bind(('127.0.0.1', 0))
            address = f'127.0.0.1:{closed.getsockname()[1]}'

            with pytest.raises(StackError, match=f'No Proxmox VE answers at {address}'):
                demo.fingerprint(address)


class TestTemplates:
    def test_netbox_alone_is_what_its_own_packages_bring(self):
        brought = databases.brought_by('netbox')

        assert {'netbox', 'django', 'django-taggit', 'social-auth-app-django'} <= brought
        # Installed in the same place, and with migrations of their own.
        assert not brought & {*netbox.COMPANIONS, 'netbox-proxsync', 'pytest'}

    def test_it_has_a_template_of_its_own_with_other_plugins(self):
        assert databases.companions_template() not in (databases.plugin_template(), databases.bare_template())

    def test_branching_comes_last_as_it_demands(self, monkeypatch):
        monkeypatch.setenv('PROXSYNC_STACK_COMPANIONS', '1')

        plugins = netbox.variables()['PROXSYNC_STACK_PLUGINS'].split()
        assert (plugins[0], plugins[-1]) == ('netbox_proxsync', 'netbox_branching')


@pytest.mark.parametrize(
    ('results', 'accepted', 'is_whole', 'code', 'words'),
    [
        ({'a.x_f__1': 'killed', 'a.x_f__2': 'timeout'}, {}, True, 0, 'a: 2 of 2 killed (100.0 %)'),
        (
            {**dict.fromkeys([f'a.x_f__{n}' for n in range(9)], 'killed'), 'a.x_f__9': 'survived'},
            {},
            True,
            1,
            'Survived: a.x_f__9.',
        ),
        (
            {**dict.fromkeys([f'a.x_f__{n}' for n in range(9)], 'killed'), 'a.x_f__9': 'no tests'},
            {'a.x_f__9': 'Why.'},
            True,
            0,
            '(90.0 %)',
        ),
        ({'a.x_f__1': 'killed', 'a.x_f__2': 'survived'}, {'a.x_f__2': 'Why.'}, True, 1, '1 of 2 killed (50.0 %)'),
        ({'a.x_f__1': 'killed'}, {'a.x_f__1': 'Why.'}, False, 1, 'Accepted, but does not survive: a.x_f__1.'),
        ({'a.x_f__1': 'killed'}, {'b.x_g__1': 'Why.'}, True, 1, 'Accepted, but does not survive: b.x_g__1.'),
        ({'a.x_f__1': 'killed'}, {'b.x_g__1': 'Why.'}, False, 0, 'a: 1 of 1 killed'),
    ],
)
def test_mutants_that_survive_are_accepted_or_an_error(results, accepted, is_whole, code, words, capsys):
    assert mutants.judge(results, accepted, is_whole) == code
    assert words in capsys.readouterr().out
