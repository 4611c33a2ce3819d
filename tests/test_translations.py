"""Every text goes through gettext: what people see, in a language in which each text stands in marks."""

import json
import re
from collections.abc import Iterator

import pytest
from dcim.models import Device, Site
from django import forms as django_forms
from django.apps import apps
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import translation
from users.models import User
from utilities.choices import ChoiceSet
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync import choices, forms, models, tables
from tests import pseudo
from tests.stack import messages
from tests.synced import pin, run_job

from .cases import make_change, make_rule
from .test_dashboard import browser_of

MODELS = (
    models.ProxmoxEndpoint, models.MappingRule, models.ProxmoxGuest, models.SyncRun, models.SyncChange, models.Binding,
)  # fmt: skip
# NetBox's own pages about our objects, of which nothing is ours.
NETBOXS_OWN = ('journal', 'changelog', 'jobs', 'bulk_rename')
# What NetBox itself does not translate, or translates before it knows into which language.
NETBOXS_TEXTS = {
    'Add', 'Available Columns', 'CSV', 'CSV delimiter', 'Changelog', 'Changelog message', 'Close', 'Community', 'Data',
    'Data file', 'Delete', 'Edit', 'Enter object data in CSV, JSON or YAML format', 'Format', 'Import', 'JSON',
    'Markdown', 'Modifier', 'NetBox', 'No', 'None', 'Numeric ID of an existing object to update (if not creating a new '
    'object', 'Owner', 'Owner Group', 'Owner group', 'Required', 'Saved Filter', 'Search', 'Search NetBox',
    'Selected Columns', 'Tags', 'The character which delimits CSV fields. Applies only to CSV format',
    'Toggle navigation', 'YAML', 'Yes', 'breadcrumbs', 'syntax is supported', 'YYYY-MM-DD hh:mm:ss',
}  # fmt: skip
# Examples of what to enter, units, and names that are names in every language.
NAMES = {
    '-----BEGIN CERTIFICATE-----', '-----BEGIN OPENSSH PRIVATE KEY-----', '10.0.0.11 ssh-ed25519 AAAAC3Nza',
    'vm.comments = ignored', 'web-*',
}  # fmt: skip
# Names of columns, fields and kinds; times; sizes.
CODE = re.compile(
    r'(cf_)?[a-z]+([._][a-z]+)+|\d+ (seconds?|minutes?) ago|\d[\d\-:, ]* UTC|[\d.]+ [KMGT]iB|NetBox Community v[\d.]+'
)


@pytest.fixture
def pseudo_language(tmp_path, settings):
    with pseudo.spoken(tmp_path, settings):
        yield


def view_names() -> Iterator[str]:
    """Of all views of the plugin."""

    def walk(patterns: list) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns)
            elif isinstance(pattern, URLPattern) and pattern.name:
                yield pattern.name

    names = dict.fromkeys(walk(get_resolver('netbox_proxsync.urls').url_patterns))
    return (name for name in names if not name.endswith(NETBOXS_OWN))


def stored() -> set[str]:
    """All texts that are in the database: what Proxmox, people, and runs say."""
    found: set[str] = set()

    def take(value: object):
        if isinstance(value, dict):
            found.update(value)
            for each in value.values():
                take(each)
        elif isinstance(value, (list, tuple)):
            found.add(', '.join(map(str, value)))
            for each in value:
                take(each)
        elif value is not None:
            found.update(part.strip(' ,.:;()') for part in str(value).split('\n'))
            found.add(str(value).strip(' ,.:;()'))

    for app in ('netbox_proxsync', 'dcim', 'ipam', 'virtualization', 'extras', 'users'):
        for model in apps.get_app_config(app).get_models():
            if model._meta.managed and (not app == 'extras' or model.__name__ == 'Tag'):
                names = [field.attname for field in model._meta.concrete_fields if not field.choices]
                for row in model._default_manager.values(*names):
                    take(row)
    return found


@pytest.mark.django_db
def test_pages(standin, pseudo_language):
    pve = standin(nodes=1, vms=2, containers=1, seed=2)
    endpoint = pin(pve, site=Site.objects.create(name='Zsite', slug='zsite'))
    run_job(endpoint)
    pve.rename(100, 'renamed')
    preview = run_job(endpoint, mode='preview')
    make_change(preview, 999, outcome='conflict', action='conflict', reason='Zreason')
    rule = make_rule('Zrule')
    rows = {models.SyncRun: preview}
    client = browser_of(User.objects.create_superuser('zadmin'))
    client.defaults['HTTP_ACCEPT_LANGUAGE'] = pseudo.LANGUAGE

    def urls() -> Iterator[str]:
        yield '/'
        for name in view_names():
            model = next(model for model in MODELS if name.startswith(model._meta.model_name))
            try:
                yield reverse(f'plugins:netbox_proxsync:{name}')
            except NoReverseMatch:
                yield reverse(f'plugins:netbox_proxsync:{name}', args=[rows.get(model, model.objects.first()).pk])
        for model in (VirtualMachine, Device, Cluster):
            yield model.objects.first().get_absolute_url()
        yield f'{VirtualMachine.objects.first().get_absolute_url()}proxmox/'

    missed: dict[str, str] = {}
    known = None
    pages = 0
    for url in urls():
        response = client.get(url)
        if response.status_code == 200 and response.headers['Content-Type'].startswith('text/html'):
            pages += 1
            page = response.content.decode()
            if pages > 1:
                # The menu beside each page is looked at once.
                page = page[page.find('class="page-wrapper"') :]
            known = known or stored()
            for piece in pseudo.unmarked(page):
                if piece not in known and piece not in NETBOXS_TEXTS | NAMES and not CODE.fullmatch(piece):
                    missed.setdefault(piece, url)
    print(pages)
    assert missed == {}
    assert rule
