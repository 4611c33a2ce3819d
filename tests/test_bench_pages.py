"""The benchmark of the pages works: its data can be created, and every page that it requests answers."""

import pytest
from django.test import Client
from users.models import User

from tests.bench.pages.catalogue import pages_of
from tests.bench.pages.people import make_people
from tests.bench.pages.seeding import Size, fill

pytestmark = pytest.mark.django_db


def test_every_page_answers():
    size = Size(guests=100, endpoints=2, nodes=4, tenants=2, runs=3, changes=150, rules=3)
    estate = fill(size)
    make_people(estate.tenant)
    client = Client()
    client.force_login(User.objects.get(username='superuser'))
    # Those with a query are the same pages again.
    pages = [page for page in pages_of(estate) if '?' not in page.url and page.url != '/metrics']
    assert len(pages) > 40
    for page in pages:
        if page.body:
            answer = client.post(page.url, page.body, content_type='application/json')
            assert 'errors' not in answer.json()
        else:
            answer = client.get(page.url)
        assert answer.status_code == 200, page.name
