"""
Other sessions of PostgreSQL are in the way of a run: users who edit, other programs that hold locks, limits that an
administrator has set for the database. A run repeats what was not carried out, then leaves out only what cannot be
written, says so in one line, and keeps in memory what is true after the rollback.

Tried, all with real sessions: a deadlock, lock_timeout, statement_timeout, a serialization failure, a foreign key that
is violated at the commit, a unique name that another session is inserting; while objects, the list of guests and
bindings are written, and while NetBox is read; with updates, creations and deletions; a connection that an
administrator ends.
"""

from collections.abc import Callable
from threading import Thread

import django_rq
import psycopg
import pytest
from core.models import Job, ObjectChange, ObjectType
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connection, transaction
from extras.models import EventRule, Notification, NotificationGroup, Tag, Webhook
from users.models import User
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.ledger.database import retried
from netbox_proxsync.models import Binding, ProxmoxGuest, SyncRun

from ..runs.test_cancellation import until
from ..scenarios.synced import pin, run_job
from .faults import DEADLOCK, fail

PATIENCE = 60


class Session:
    """
    Another user's session, in which a transaction is open.

    What it does when a run waits for it is done by a thread of its own, since the run is carried out by the test's.
    """

    def __init__(self, **settings: str):
        self.link = psycopg.connect(**connect_parameters())
        self.monitor = psycopg.connect(**connect_parameters(), autocommit=True)
        for name, value in {'lock_timeout': '0', 'statement_timeout': '0', **settings}.items():
            self.link.execute(f"SET {name} = '{value}'")
        self.link.execute('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED')
        self.link.commit()
        self.pid = self.link.info.backend_pid
        self.thread: Thread | None = None
        self.failure: BaseException | None = None

    def do(self, sql: str, *values: object):
        self.link.execute(sql, values)

    def when_waited_for(self, act: Callable[[], None]):
        """Do something as soon as another session waits for this one."""

        def watch():
            try:
                until(self.waiting, PATIENCE)
                act()
            except (AssertionError, psycopg.Error) as error:
                self.failure = error

        self.thread = Thread(target=watch)
        self.thread.start()

    def waiting(self) -> list[int]:
        """Who waits for it."""
        sql = 'SELECT pid FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))'
        return [pid for (pid,) in self.monitor.execute(sql, [self.pid])]

    def end(self):
        if self.thread:
            self.thread.join(PATIENCE)
        self.link.close()
        self.monitor.close()
        assert self.failure is None, self.failure


def connect_parameters() -> dict:
    wanted = ('dbname', 'user', 'password', 'host', 'port')
    return {name: value for name, value in connection.get_connection_params().items() if name in wanted}


@pytest.fixture
def limits(committed):
    """Sets defaults of the database, as an administrator does; they hold for connections from then on."""

    def limit(**settings: str):
        with connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" SET {name} = \'{value}\'')
        connection.close()

    return limit


@pytest.fixture
def other(committed):
    sessions = []

    def begin(**settings: str) -> Session:
        sessions.append(Session(**settings))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.end()


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=4, containers=0, templates=0, running=4)


@pytest.fixture
def endpoint(committed, pve):
    """Synced once."""
    django_rq.get_queue('default').empty()
    endpoint = pin(pve)
    assert run_job(endpoint).status == 'completed'
    return endpoint


@pytest.fixture
def vmids(pve) -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values())


def vm(vmid: int) -> VirtualMachine:
    return VirtualMachine.objects.get(pk=Binding.objects.get(kind='vm', key=f'qemu/{vmid}').object_id)


def table(model: type) -> str:
    return model._meta.db_table


def hold(session: Session, instance) -> None:
    """Lock a row, as an edit does that is not committed yet."""
    session.do(f'SELECT 1 FROM {table(type(instance))} WHERE id = %s FOR UPDATE', instance.pk)


def resize(pve, vmids: list[int], cores: int) -> None:
    for vmid in vmids:
        pve.set_config(vmid, sockets=1, cores=cores)


def assert_recorded_once(run: SyncRun):
    """The record of a run is whole, and nothing is in it twice."""
    run.refresh_from_db()
    changes = list(run.changes.order_by('position'))
    assert [change.position for change in changes] == list(range(len(changes)))
    identities = [(change.kind, change.key, change.action) for change in changes]
    assert len(identities) == len(set(identities))
    assert len(changes) == run.total_changes
    entries = ObjectChange.objects.filter(request_id=run.request_id)
    written = {
        (change.object_type_id, change.object_id)
        for change in changes
        if change.outcome == 'applied' and change.object_id
    }
    for object_type, pk in written:
        machine = ContentType.objects.get_for_id(object_type).model == 'virtualmachine'
        number = entries.filter(changed_object_type=object_type, changed_object_id=pk, action='create').count()
        assert number <= 1
        if machine:
            assert entries.filter(changed_object_type=object_type, changed_object_id=pk).exists()
    for change in changes:
        assert '\n' not in change.message
    assert '\n' not in run.error


def assert_nothing_left(endpoint):
    preview = run_job(endpoint, mode='preview')
    assert (preview.status, preview.counts, preview.error) == ('completed', {}, '')
    assert set(ProxmoxGuest.objects.values_list('state', flat=True)) == {'in-sync'}


def failed_units(run: SyncRun) -> set[str]:
    return set(run.changes.filter(outcome='failed').values_list('unit', flat=True))


class TestRepeated:
    """The other session goes out of the way in time, and no user notices."""

    def test_a_deadlock_with_an_edit_ends_well_for_both(self, endpoint, pve, vmids, limits, other, caplog):
        """The user has edited the second machine, and now edits the first one, which the run has written."""
        first, second = vm(vmids[0]), vm(vmids[1])
        hook = Webhook.objects.create(name='Chat', payload_url='http://127.0.0.1:9/')
        rule = EventRule.objects.create(name='Sizes', event_types=['object_updated'], action_object=hook)
        rule.object_types.add(ObjectType.objects.get_for_model(VirtualMachine))
        resize(pve, vmids, 7)
        # The run notices the deadlock, and not the user's session, which would be ended by it.
        limits(deadlock_timeout='3s')
        session = other(deadlock_timeout='60s')
        edit = f'UPDATE {table(VirtualMachine)} SET comments = %s WHERE id = %s'
        session.do(edit, 'by hand', second.pk)

        def go_on():
            session.do(edit, 'by hand', first.pk)
            session.link.commit()

        session.when_waited_for(go_on)
        run = run_job(endpoint)
        assert 'another transaction and this one were waiting for each other' in caplog.text
        assert (run.status, failed_units(run)) == ('completed', set())
        assert_recorded_once(run)
        for vmid in vmids:
            machine = vm(vmid)
            assert machine.vcpus == 7
            entries = ObjectChange.objects.filter(
                request_id=run.request_id, changed_object_id=machine.pk, changed_object_type__model='virtualmachine'
            )
            assert entries.count() == 1
        assert (vm(vmids[0]).comments, vm(vmids[1]).comments) == ('by hand', 'by hand')
        # Each event was sent once, though some machines were written twice.
        tasks = [task for task in django_rq.get_queue('default').jobs if 'webhook' in task.func_name]
        assert len(tasks) == len(vmids)
        edited = run_job(endpoint)
        assert edited.status == 'completed'

    def test_a_serialization_failure_is_repeated(self, endpoint, pve, vmids, limits, other, caplog):
        resize(pve, vmids, 7)
        limits(default_transaction_isolation='repeatable read')
        session = other()
        machine = vm(vmids[1])
        session.do(f'UPDATE {table(VirtualMachine)} SET comments = %s WHERE id = %s', 'by hand', machine.pk)
        session.when_waited_for(session.link.commit)
        run = run_job(endpoint)
        assert 'another transaction changed the same data at the same time' in caplog.text
        assert (run.status, failed_units(run)) == ('completed', set())
        assert_recorded_once(run)
        assert (vm(vmids[1]).vcpus, vm(vmids[1]).comments) == (7, 'by hand')

    def test_objects_are_created_once_with_their_tags(self, endpoint, pve, limits, other):
        """New machines, each with a new tag of its own; a user is making one of these tags, and then does not."""
        created = [pve.create(name=f'new{number}') for number in range(3)]
        for number, vmid in enumerate(created):
            pve.set_tags(vmid, f'tag{number}')
        limits(lock_timeout='500ms')
        session = other()
        session.do(
            f'INSERT INTO {table(Tag)} (name, slug, color, description, weight, created, last_updated) '
            "VALUES ('tag2', 'tag2', '9e9e9e', '', 1000, now(), now())"
        )

        def change_of_mind():
            until(lambda: not session.waiting(), PATIENCE)
            session.link.rollback()

        session.when_waited_for(change_of_mind)
        run = run_job(endpoint)
        assert (run.status, failed_units(run)) == ('completed', set())
        assert_recorded_once(run)
        for number, vmid in enumerate(created):
            assert set(vm(vmid).tags.values_list('name', flat=True)) == {f'tag{number}'}
        assert_nothing_left(endpoint)

    def test_a_repeated_deletion_is_in_the_change_log_once(self, endpoint, pve, vmids, limits, other):
        """NetBox logs the deletion of an object once, also if the first one was taken back."""
        interface = vm(vmids[0]).interfaces.get(name='net0')
        pve.remove_nic(vmids[0], 'net0')
        resize(pve, vmids[1:], 7)
        limits(lock_timeout='500ms')
        session = other()
        hold(session, vm(vmids[1]))

        def let_go():
            until(lambda: not session.waiting(), PATIENCE)
            session.link.rollback()

        session.when_waited_for(let_go)
        run = run_job(endpoint)
        assert (run.status, failed_units(run)) == ('completed', set())
        entries = ObjectChange.objects.filter(changed_object_id=interface.pk, changed_object_type__model='vminterface')
        assert entries.filter(action='delete').count() == 1
        assert not VMInterface.objects.filter(pk=interface.pk).exists()
        assert_recorded_once(run)
        assert_nothing_left(endpoint)

    def test_a_tag_that_is_deleted_at_the_same_time_takes_no_machine_with_it(self, endpoint, pve, vmids, other):
        """The foreign key is checked at the commit, which waits for the deletion."""
        tag = Tag.objects.create(name='going', slug='going')
        for vmid in vmids[:2]:
            pve.set_tags(vmid, 'going')
        resize(pve, vmids, 7)
        session = other()
        session.do(f'DELETE FROM {table(Tag)} WHERE id = %s', tag.pk)
        session.when_waited_for(session.link.commit)
        run = run_job(endpoint)
        assert run.status == 'completed'
        assert_recorded_once(run)
        assert {vm(vmid).vcpus for vmid in vmids} == {7}
        run_job(endpoint)
        assert_nothing_left(endpoint)

    def test_netbox_is_read_again(self, endpoint, pve, vmids, limits, other):
        resize(pve, vmids, 7)
        limits(lock_timeout='500ms')
        session = other()
        session.do(f'LOCK TABLE {table(VirtualDisk)} IN ACCESS EXCLUSIVE MODE')

        def let_go():
            until(lambda: not session.waiting(), PATIENCE)
            session.link.rollback()

        session.when_waited_for(let_go)
        run = run_job(endpoint)
        assert (run.status, failed_units(run)) == ('completed', set())
        assert_nothing_left(endpoint)


class TestLeftOut:
    """The other session stays where it is."""

    @pytest.mark.parametrize(
        ('limit', 'reason'),
        [
            ({'lock_timeout': '200ms'}, 'another transaction locked the same data for longer than lock_timeout allows'),
            ({'statement_timeout': '2s'}, 'a statement took longer than statement_timeout allows'),
        ],
        ids=['lock_timeout', 'statement_timeout'],
    )
    def test_one_machine_that_remains_locked_fails_alone(self, endpoint, pve, vmids, limits, other, limit, reason):
        resize(pve, vmids, 7)
        blocked = vm(vmids[2])
        limits(**limit)
        session = other()
        hold(session, blocked)
        run = run_job(endpoint)
        unit = f'qemu/{vmids[2]}'
        assert (run.status, failed_units(run)) == ('completed_with_errors', {unit})
        (change,) = run.changes.filter(unit=unit)
        assert change.message == f'{blocked.name} ({unit}) was not written: {reason}. Run the sync again.'
        assert {vm(vmid).vcpus for vmid in vmids if vmid != vmids[2]} == {7}
        assert vm(vmids[2]).vcpus != 7
        guest = ProxmoxGuest.objects.get(vmid=vmids[2])
        assert (guest.state, guest.reason) == ('conflict', change.message)
        assert_recorded_once(run)
        session.link.rollback()
        assert failed_units(run_job(endpoint)) == set()
        assert vm(vmids[2]).vcpus == 7
        assert_nothing_left(endpoint)

    def test_a_preview_validates_all_except_the_machine_that_remains_locked(self, endpoint, pve, vmids, limits, other):
        resize(pve, vmids, 7)
        blocked = vm(vmids[2])
        limits(lock_timeout='200ms')
        session = other()
        hold(session, blocked)
        run = run_job(endpoint, 'preview')
        assert run.status == 'completed', run.error
        assert run.changes.filter(outcome='planned').count() == len(vmids)
        (message,) = (each['message'] for each in run.messages if 'validated' in each['message'])
        assert message == (
            'The plan was not validated completely: the database was busy while 1 guest or node was validated. NetBox '
            'may reject changes when it is applied.'
        )
        assert VirtualMachine.objects.filter(vcpus=7).count() == 0

    def test_machines_that_are_created_beside_one_that_remains_locked_are_created_once(
        self, endpoint, pve, vmids, limits, other
    ):
        """The first attempts made them and their tags, and were rolled back."""
        resize(pve, vmids, 7)
        created = [pve.create(name=f'new{number}') for number in range(2)]
        for vmid in created:
            pve.set_tags(vmid, 'shared', f'own{vmid}')
        limits(lock_timeout='200ms')
        session = other()
        hold(session, vm(vmids[0]))
        run = run_job(endpoint)
        assert failed_units(run) == {f'qemu/{vmids[0]}'}
        for vmid in created:
            assert set(vm(vmid).tags.values_list('name', flat=True)) == {'shared', f'own{vmid}'}
            assert VirtualMachine.objects.filter(name=vm(vmid).name).count() == 1
        assert_recorded_once(run)
        session.link.rollback()
        assert failed_units(run_job(endpoint)) == set()
        assert_nothing_left(endpoint)

    def test_a_guest_that_remains_locked_in_the_list_of_guests_does_not_keep_the_others(
        self, endpoint, pve, vmids, limits, other
    ):
        resize(pve, vmids, 7)
        limits(lock_timeout='200ms')
        session = other()
        hold(session, ProxmoxGuest.objects.get(vmid=vmids[1]))
        run = run_job(endpoint)
        assert (run.status, failed_units(run)) == ('completed_with_errors', {f'qemu/{vmids[1]}'})
        assert {vm(vmid).vcpus for vmid in vmids if vmid != vmids[1]} == {7}
        (message,) = {it['message'] for it in run.messages if it['subject'] == 'database'}
        assert message.startswith('The database of NetBox was busy while updating the list of guests: another')
        assert_recorded_once(run)
        session.link.rollback()
        run_job(endpoint)
        assert_nothing_left(endpoint)

    def test_a_binding_that_remains_locked_is_refreshed_by_the_next_run(self, endpoint, pve, vmids, limits, other):
        """Both sides have the same new value, so only the binding is written."""
        for vmid in vmids:
            pve.rename(vmid, f'renamed{vmid}')
            machine = vm(vmid)
            machine.name = f'renamed{vmid}'
            machine.save()
        bindings = {vmid: Binding.objects.get(kind='vm', key=f'qemu/{vmid}') for vmid in vmids}
        limits(lock_timeout='200ms')
        session = other()
        hold(session, bindings[vmids[1]])
        run = run_job(endpoint)
        assert (run.status, run.changes.count()) == ('completed', 0)
        remembered = {}
        for vmid, binding in bindings.items():
            binding.refresh_from_db()
            remembered[vmid] = binding.values['name']
        assert {vmid for vmid, name in remembered.items() if name != f'renamed{vmid}'} == {vmids[1]}
        (message,) = {it['message'] for it in run.messages if it['subject'] == 'bindings'}
        assert message.endswith('The next run updates them.')
        session.link.rollback()
        run_job(endpoint)
        bindings[vmids[1]].refresh_from_db()
        assert bindings[vmids[1]].values['name'] == f'renamed{vmids[1]}'

    def test_netbox_that_cannot_be_read_ends_the_run_with_one_line(self, endpoint, pve, vmids, limits, other):
        resize(pve, vmids, 7)
        limits(lock_timeout='200ms')
        session = other()
        session.do(f'LOCK TABLE {table(VirtualDisk)} IN ACCESS EXCLUSIVE MODE')
        run = run_job(endpoint)
        assert (run.status, run.error) == (
            'failed',
            (
                'The database of NetBox was busy while reading the objects of NetBox: another transaction locked the '
                'same data for longer than lock_timeout allows. Run again.'
            ),
        )
        assert Job.objects.get(pk=run.job_id).error == run.error
        session.link.rollback()
        assert run_job(endpoint).status == 'completed'
        assert_nothing_left(endpoint)


class TestLost:
    def test_a_connection_that_is_ended_ends_the_run_with_one_line(self, endpoint, pve, vmids, other):
        resize(pve, vmids, 7)
        session = other()
        hold(session, vm(vmids[1]))

        def terminate():
            (pid,) = session.waiting()
            session.monitor.execute('SELECT pg_terminate_backend(%s)', [pid])

        session.when_waited_for(terminate)
        run = run_job(endpoint)
        assert (run.status, run.error) == (
            'failed',
            (
                'The connection to the database of NetBox was lost. Guests that were written before are complete. '
                'Check PostgreSQL, then run again.'
            ),
        )
        job = Job.objects.get(pk=run.job_id)
        assert (job.status, job.error) == ('failed', run.error)
        assert {vm(vmid).vcpus for vmid in vmids}.isdisjoint({7})
        session.link.rollback()
        assert run_job(endpoint).status == 'completed'
        assert_nothing_left(endpoint)

    @pytest.mark.parametrize(
        ('code', 'status', 'words'),
        [(DEADLOCK, 'completed', 'waiting for each other'), ('57P01', 'failed', 'was lost')],
        ids=['deadlock', 'lost'],
    )
    def test_events_that_cannot_be_sent_undo_nothing(self, endpoint, pve, vmids, code, status, words):
        """PostgreSQL fails when NetBox stores the notifications of an event rule, after the commit."""
        group = NotificationGroup.objects.create(name='Operators')
        group.users.add(User.objects.create(username='operator'))
        rule = EventRule.objects.create(
            name='Sizes', event_types=['object_updated'], action_type='notification', action_object=group
        )
        rule.object_types.add(ObjectType.objects.get_for_model(VirtualMachine))
        with connection.cursor() as cursor:
            cursor.execute(f"""
                CREATE FUNCTION refuse() RETURNS trigger AS $$
                BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END $$ LANGUAGE plpgsql;
                CREATE TRIGGER refuse BEFORE INSERT ON {table(Notification)} FOR EACH ROW EXECUTE FUNCTION refuse();
            """)
        resize(pve, vmids, 7)
        run = run_job(endpoint)
        assert run.status == status
        messages = [it['message'] for it in run.messages if it['subject'] == 'events']
        assert any(words in text for text in (*messages, run.error))
        assert bool(messages) is (status == 'completed')
        assert {vm(vmid).vcpus for vmid in vmids} == {7}
        assert not Notification.objects.exists()

    def test_a_refusal_of_the_database_ends_the_run_with_one_line(self, endpoint, pve, vmids):
        """A constraint on the plugin's own list of guests."""
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER TABLE {table(ProxmoxGuest)} ADD CONSTRAINT refuse CHECK (vmid < 0) NOT VALID')
        pve.rename(vmids[0], 'renamed')
        run = run_job(endpoint)
        assert run.status == 'failed'
        assert run.error.startswith('The database of NetBox reported: new row for relation')
        assert '\n' not in run.error


@pytest.mark.django_db
def test_nothing_is_repeated_within_a_transaction():
    attempts = []

    def work():
        attempts.append(1)
        with transaction.atomic():
            fail()

    with pytest.raises(OperationalError):
        retried(work, 'testing')
    assert len(attempts) == 1
