"""
Users who may write export templates or custom links can access every public name of an object, of its managers and of
their return values. Nothing that can be called there may write, start a job, or disclose a secret.

NetBox renders both with Jinja's sandbox: it refuses names that begin with an underscore, and to call what is marked
`alters_data` or `unsafe_callable`.

Tried: the deletion of many rows of bindings, guests, changes and planned bindings, by instance, class and custom
link; deletion, saving and bulk writes of instances, querysets and related managers; `_raw_delete`; methods of
secrets, and values that hold secrets; jobs of an endpoint. What every model of NetBox has in the same way is listed in
`OF_NETBOX` and left to NetBox.
"""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from core.models import Job, ObjectType
from django.apps import apps
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from extras.models import CustomLink, ExportTemplate
from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment
from users.models import User
from virtualization.models import Cluster

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import (
    Binding,
    BranchState,
    MappingRule,
    PlannedBinding,
    ProxmoxEndpoint,
    ProxmoxGuest,
    SyncChange,
    SyncRun,
)
from netbox_proxsync.models.runs import SyncRunQuerySet

from ..cases import MARKER, allow, make_change, make_clusters, make_endpoint, make_run

pytestmark = pytest.mark.django_db

# Names of NetBox, Django and taggit which every object of NetBox has, those of the plugin as any other.
OF_NETBOX = {
    # These methods run SQL from a template. NetBox's query sets do not mark them.
    'raw', 'extra',
    # Methods of the managers of tags and of many-to-many fields.
    'add', 'clear', 'remove', 'set', 'set_base',
}  # fmt: skip

WRITES = ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ALTER', 'DROP', 'CREATE', 'LOCK', 'NOTIFY')


@pytest.fixture
def endpoint():
    endpoint = make_endpoint(token_secret=MARKER, ssh_user='root', ssh_password=MARKER, cluster=make_clusters('lab')[0])
    run = make_run(endpoint, vmids=[100], refusal='Too much')
    make_change(run, 0)
    PlannedBinding.objects.create(run=run, binding_id=1, values={})
    Binding.objects.create(
        endpoint=endpoint, kind='cluster', key='cluster', object_id=endpoint.cluster_id,
        object_type=ObjectType.objects.get_for_model(Cluster), values={'name': 'lab'},
    )  # fmt: skip
    ProxmoxGuest.objects.create(endpoint=endpoint, type='qemu', vmid=100, name='web', state='new')
    BranchState.objects.create(endpoint=endpoint, branch_id='abc')
    MappingRule.objects.create(name='Web', endpoint=endpoint, skip=True, guest_type='qemu')
    SyncJob.enqueue(instance=endpoint, run_id=run.pk, schedule_at=timezone.now() + timedelta(days=1))
    endpoint.refresh_from_db()
    return endpoint


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root', 'root@example.com', 'x'))
    return client


def census() -> dict[str, list]:
    """All rows of the plugin, and NetBox's jobs."""
    ours = apps.get_app_config('netbox_proxsync').get_models(include_auto_created=True)
    return {model.__name__: list(model._base_manager.order_by('pk').values()) for model in (*ours, Job)}


ANY = '("pk__gt", 0), "default"'
ATTEMPTS = {
    'bindings by an instance': f'o.bindings.first().drop({ANY})',
    'bindings by the class': f'o.bindings.model.drop({ANY})',
    'bindings by the former name, private': f'o.bindings.first()._drop({ANY})',
    'guests': f'o.guests.first().drop({ANY})',
    'changes': f'o.runs.first().changes.first().drop({ANY})',
    'planned bindings': f'o.runs.first().planned_bindings.first().drop({ANY})',
    'a related manager deletes': 'o.bindings.all().delete()',
    'a related manager updates': 'o.bindings.update(unmanaged=True)',
    'a related manager creates': 'o.guests.create(type="lxc", vmid=9)',
    'a related manager gets or creates': 'o.guests.get_or_create(type="lxc", vmid=9)',
    'a related manager updates or creates': 'o.guests.update_or_create(type="lxc", vmid=9)',
    'a related manager creates many': 'o.guests.bulk_create([o.guests.model(type="lxc", vmid=9)])',
    'a manager of the class': 'o.guests.model.objects.all().delete()',
    'a queryset without signals': 'o.bindings.all()._raw_delete("default")',
    'the runs': 'o.runs.all().delete()',
    'a run': 'o.runs.first().delete()',
    'the endpoint': 'o.delete()',
    'the endpoint saves': 'o.save()',
    'a job': 'o.jobs.first().delete()',
    'a secret': 'o.token_secret.reveal()',
    'a secret among all': 'o.secrets.ssh_password.reveal()',
    'the ciphertext': 'o.token_secret.encrypted()',
    'the ciphertext as an attribute': 'o.token_secret._ciphertext',
    'a new ciphertext': 'o.token_secret.rotated().encrypted()',
    'a secret to compare with': '"same" if o.token_secret == o.token_secret.of(guess) else ""',
    'the row as it is stored': 'o._state.fields_cache',
}


def export(name: str, code: str):
    template = ExportTemplate.objects.create(name=name, template_code=code)
    template.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))


class TestFrontDoor:
    @pytest.mark.parametrize('attempt', ATTEMPTS.values(), ids=ATTEMPTS.keys())
    def test_an_export_template_of_a_user_who_may_view_changes_nothing(self, endpoint, attempt):
        user = User.objects.create_user('eve')
        for model in (ProxmoxEndpoint, Binding, ProxmoxGuest, SyncRun, SyncChange, ExportTemplate):
            allow(user, model, 'view')
        export('attempt', f'{{% set guess = "{MARKER}" %}}{{% for o in queryset %}}[{{{{ {attempt} }}}}]{{% endfor %}}')
        before, eve = census(), Client()
        eve.force_login(user)
        answer = eve.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export=attempt', follow=True)
        assert answer.status_code == 200
        text = answer.content.decode()
        assert '[same]' not in text
        # The template itself contains the guess, and an error may quote it.
        assert f'[{MARKER}]' not in text
        assert endpoint.token_secret.encrypted() not in text
        assert census() == before

    def test_a_custom_link_changes_nothing_when_an_administrator_opens_the_page(self, endpoint, admin):
        for number, attempt in enumerate(ATTEMPTS.values()):
            code = f'{{% set o = object %}}{{% set guess = "x" %}}[{{{{ {attempt} }}}}]'
            link = CustomLink.objects.create(name=f'Link {number}', link_text=code, link_url='https://netbox.example')
            link.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
        before = census()
        answer = admin.get(endpoint.get_absolute_url())
        assert answer.status_code == 200
        assert MARKER not in answer.content.decode()
        assert endpoint.token_secret.encrypted() not in answer.content.decode()
        assert census() == before

    def test_a_template_can_still_read(self, endpoint, admin):
        export('read', '{% for o in queryset %}{{ o.bindings.count() }} {{ o.guests.first().name }}{% endfor %}')
        answer = admin.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export=read')
        assert answer.content.decode() == '1 web'


def is_ours(thing: Any) -> bool:
    return (getattr(thing, '__module__', None) or '').startswith('netbox_proxsync')


class Walk:
    """
    Goes through all public names of objects, of what these names hold and, where it is from the plugin, of what calling
    them without arguments returns. Collects what a template could call.
    """

    def __init__(self):
        self.environment = SandboxedEnvironment()
        self.seen: set[str] = set()
        self.callables: dict[str, Any] = {}

    def look(self, path: str, thing: Any, depth: int = 0):
        label = f'{thing.__name__} class' if inspect.isclass(thing) else type(thing).__name__
        if isinstance(thing, models.Manager | models.QuerySet):
            label += f' of {thing.model.__name__}'
        if label in self.seen or depth > 4:
            return
        self.seen.add(label)
        for name in dir(thing):
            if not self.environment.is_safe_attribute(thing, name, None):
                continue
            value = None
            with suppress(Exception):
                value = getattr(thing, name)
            if inspect.isclass(value):
                if issubclass(value, models.Model) and is_ours(value):
                    self.look(f'{path}.{name}', value, depth + 1)
                continue
            if callable(value) and not isinstance(value, models.Manager):
                if self.environment.is_safe_callable(value):
                    self.callables[f'{label}.{name}'] = value
                continue
            for part in parts_of(value):
                if is_ours(type(part)) or isinstance(part, models.Manager):
                    self.look(f'{path}.{name}', part, depth + 1)


def parts_of(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    else:
        yield value


@pytest.fixture
def walked(endpoint):
    walk = Walk()
    for model in apps.get_app_config('netbox_proxsync').get_models(include_auto_created=True):
        walk.look(model.__name__, model)
        walk.look(f'{model.__name__}.objects', model._default_manager)
        walk.look(f'{model.__name__}.objects.all()', model._default_manager.all())
        if row := model._default_manager.first():
            walk.look('row', row)
    walk.look('cluster.proxsync_endpoints', endpoint.cluster.proxsync_endpoints)
    return walk


class TestEveryCallable:
    def test_the_walk_finds_what_is_public(self, walked):
        """Otherwise the tests below would pass regardless of the models."""
        assert {
            'ProxmoxEndpoint',
            'SyncRun',
            'Binding',
            'ProxmoxGuest',
            'PlannedBinding',
            'Secret',
            'TokenHistory',
        } <= {label.partition(' ')[0] for label in walked.seen}
        for name in (
            'ProxmoxEndpoint.to_yaml',
            'SyncRun.units_for',
            'TokenHistory.updated_with',
            'Binding class.check',
        ):
            assert name in walked.callables

    def test_none_of_django_or_netbox_that_writes_can_be_called(self, walked):
        """By their names on any class, so that the test also covers future classes."""
        writing = (
            'delete', 'save', 'save_base', 'create', 'update', 'bulk_create', 'bulk_update', 'get_or_create',
            'update_or_create', 'snapshot', 'to_objectchange', 'sync', 'enqueue', 'enqueue_once', 'terminate', 'start',
            'reveal', 'encrypted', 'rotated', 'of', 'drop', 'set', 'add', 'remove', 'clear',
        )  # fmt: skip
        names = (*writing, *(f'a{name}' for name in writing))
        found = {path for path in walked.callables if path.rpartition('.')[2] in names}
        assert {path for path in found if path.rpartition('.')[2] not in OF_NETBOX} == set()

    def test_none_of_the_plugin_writes_whatever_it_is_called_with(self, walked, endpoint):
        run, user = endpoint.runs.first(), User.objects.create_superuser('root')
        guesses = (
            (), (None,), (1,), ('default',), (models.Q(pk__gt=0),), (user,), (run,), (endpoint,), ({},), ([],),
            (models.Q(pk__gt=0), 'default'), (user, ['qemu/100']), ({}, '2026-01-01'), (user, 'view'),
        )  # fmt: skip
        tried = 0
        for path, call in walked.callables.items():
            function = inspect.unwrap(getattr(call, '__func__', call))
            if not is_ours(function):
                continue
            for arguments in guesses:
                refuse, shown = Refuse(path), None
                # Most functions reject most of these arguments.
                with connection.execute_wrapper(refuse), suppress(Exception):
                    shown = str(call(*arguments))
                assert refuse.written == []
                if shown is not None:
                    tried += 1
                    assert MARKER not in shown, path
                    assert endpoint.token_secret.encrypted() not in shown, path
        assert tried > 50

    def test_the_sandbox_refuses_what_is_marked(self, endpoint):
        """The assumption of all tests above."""
        with pytest.raises(SecurityError):
            SandboxedEnvironment().from_string('{{ o.delete() }}').render(o=endpoint)

    def test_deleting_runs_as_a_queryset_is_no_method_of_their_manager(self):
        assert SyncRunQuerySet.delete.alters_data
        assert not hasattr(SyncRun.objects, 'delete')


class Refuse:
    """Wraps the connection, and rejects every write."""

    def __init__(self, path: str):
        self.path = path
        self.written: list[str] = []

    def __call__(self, execute, sql, params, many, context):
        if sql.lstrip(' (').upper().startswith(WRITES):
            self.written.append(f'{self.path}: {sql}')
            raise PermissionError(sql)
        return execute(sql, params, many, context)
