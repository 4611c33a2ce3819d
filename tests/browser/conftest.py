"""A NetBox with a worker, on a database of its own, and Chromium; the same for all the tests here."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import Workers, own_database
from tests.pve import ClusterSpec, StandIn

from .user import DESK, Person, chromium

PASSWORD = 'correct horse battery'


def pytest_collection_modifyitems(items: list[pytest.Item]):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            # One NetBox for all of them, and so one process.
            item.add_marker(pytest.mark.xdist_group('browser'))


@pytest.fixture(scope='package')
def site(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    """The URL of NetBox, served by this process and with a worker in another."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.test.testcases import LiveServerThread

    places = {place: tmp_path_factory.mktemp(place) for place in ('run', 'log')}
    with own_database('browser', django_db_blocker) as environment:
        # Playwright keeps an event loop in this thread, in which Django would refuse its ORM.
        os.environ['DJANGO_ALLOW_ASYNC_UNSAFE'] = 'true'
        workers = Workers(environment, **places)
        server = LiveServerThread('127.0.0.1', StaticFilesHandler)
        server.daemon = True
        try:
            workers.start()
            server.start()
            server.is_ready.wait()
            assert server.error is None
            # The first page takes a while: everything is imported for it.
            urlopen(f'http://127.0.0.1:{server.port}/login/', timeout=120).close()
            yield f'http://127.0.0.1:{server.port}'
        finally:
            server.terminate()
            workers.kill()
            del os.environ['DJANGO_ALLOW_ASYNC_UNSAFE']


@pytest.fixture(scope='package')
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As tests/stack/loopback.py keeps processes of Python: no other host is found.
        here_only = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
        started = playwright.chromium.launch(executable_path=chromium(), args=['--no-sandbox', here_only])
        yield started
        started.close()


@pytest.fixture(scope='package')
def shots() -> Path | None:
    """Where pictures go, if a user asks for them by SCREENSHOTS."""
    if not (wanted := os.environ.get('SCREENSHOTS')):
        return None
    directory = Path(wanted)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture
def person(site, browser, shots) -> Iterator[Callable[..., Person]]:
    """Create users with a browser, logged in. At the end, no page may have had an error."""
    from users.models import User

    people = []

    def make(name: str, superuser: bool = True, logged_in: bool = True) -> Person:
        maker = User.objects.create_superuser if superuser else User.objects.create_user
        user = maker(name, password=PASSWORD)
        context = browser.new_context(viewport=DESK)
        somebody = Person(context, site, shots)
        if logged_in:
            context.add_cookies([{'name': 'sessionid', 'value': session_of(user), 'url': site}])
        people.append(somebody)
        return somebody

    yield make
    for somebody in people:
        somebody.context.close()
    assert [trouble for somebody in people for trouble in somebody.troubles] == []


def session_of(user) -> str:
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def cluster() -> Iterator[Callable[..., StandIn]]:
    """Starts a stand-in with names of its own, so that tests do not meet each other's machines."""
    running = []

    def start(name: str, **spec) -> StandIn:
        seed = int.from_bytes(name.encode()[:3])
        pve = StandIn(ClusterSpec(name=name, seed=seed, **spec))
        pve.__enter__()
        running.append(pve)
        return pve

    yield start
    for pve in running:
        pve.__exit__(None, None, None)


@pytest.fixture
def emptied(site) -> Iterator[None]:
    """Leaves an empty NetBox to the next test."""
    from dcim.models import Device, MACAddress
    from ipam.models import IPAddress
    from virtualization.models import Cluster, ClusterType, VirtualMachine

    from netbox_proxsync.models import FormerEndpoint, MappingRule, ProxmoxEndpoint

    yield
    for model in (
        MappingRule, ProxmoxEndpoint, FormerEndpoint, IPAddress, MACAddress, VirtualMachine, Device, Cluster,
        ClusterType,
    ):  # fmt: skip
        model.objects.all().delete()
