"""Every text goes through gettext: all pages, in a language in which each text stands in marks."""

import json
from collections.abc import Iterator

import pytest
from dcim.models import Device, Site
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import translation
from extras.models import Dashboard
from users.models import User
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync import models
from tests import pseudo
from tests.stack import messages
from tests.synced import pin, run_job

from .cases import make_change, make_rule, make_run


def view_names() -> Iterator[str]:
    """Of all views of the plugin."""
    found = get_resolver('netbox_proxsync.urls')

    def walk(patterns: list) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns)
            elif isinstance(pattern, URLPattern) and pattern.name:
                yield pattern.name

    yield from dict.fromkeys(walk(found.url_patterns))


@pytest.mark.django_db
def test_explore(standin, tmp_path, settings):
    import time
    t = time.time()
    pve = standin(nodes=1, vms=2, containers=1, seed=2)
    site = Site.objects.create(name='Zsite', slug='zsite')
    endpoint = pin(pve, site=site)
    run_job(endpoint)
    pve.rename(100, 'renamed')
    preview = run_job(endpoint, mode='preview')
    make_change(preview, 999, outcome='conflict', action='conflict')
    rule = make_rule('Zrule')
    user = User.objects.create_superuser('zadmin')
    client = Client(headers={'accept-language': pseudo.LANGUAGE})
    client.force_login(user)
    print('setup', time.time() - t); t = time.time()
    with pseudo.spoken(tmp_path, settings):
        print('compile', time.time() - t); t = time.time()
        seen = {}
        for name in view_names():
            model = next(m for m in (models.ProxmoxEndpoint, models.MappingRule, models.ProxmoxGuest, models.SyncRun, models.SyncChange, models.Binding) if name.startswith(m._meta.model_name))
            row = preview if model is models.SyncRun else model.objects.first()
            try:
                url = reverse(f'plugins:netbox_proxsync:{name}')
            except NoReverseMatch:
                url = reverse(f'plugins:netbox_proxsync:{name}', args=[row.pk])
            t0 = time.time()
            response = client.get(url)
            print(name, response.status_code, round(time.time() - t0, 2))
            if response.status_code == 200 and 'html' in response.headers['Content-Type']:
                shown = pseudo.Shown(); shown.feed(response.content.decode())
                for where, text in pseudo.unmarked(shown.pieces, set()):
                    seen.setdefault((where, text), []).append(name)
        print('pages', time.time() - t)
        for (where, text), names in sorted(seen.items(), key=lambda x: (-len(x[1]), x[0])):
            print(len(names), where, '|', text[:150], '|', names[0])
