"""
Every text goes through gettext: what users see, in a language in which each text stands in marks. And the translations
are complete.
"""

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
from django.utils.html import escape
from extras.models import CustomField, Tag
from netbox.registry import registry
from users.models import User
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync import choices, filtersets, forms, models
from netbox_proxsync.proxmox.messages import templates_of
from netbox_proxsync.wording import worded
from tests import pseudo
from tests.scenarios.synced import pin, run_job
from tests.stack import messages

from .cases import make_change, make_decision, make_endpoint, make_guest, make_rule, make_run
from .views.test_dashboard import browser_of

MODELS = (
    models.ProxmoxEndpoint, models.MappingRule, models.ProxmoxGuest, models.SyncRun, models.SyncChange, models.Binding,
    models.Decision,
)  # fmt: skip
# NetBox's own pages about our objects, of which nothing is ours.
NETBOXS_OWN = ('journal', 'changelog', 'jobs', 'bulk_rename', 'delete')
# What NetBox itself does not translate, or translates before it knows into which language.
NETBOXS_TEXTS = {
    'Add', 'Available Columns', 'CSV', 'CSV delimiter', 'Changelog', 'Changelog message', 'Close', 'Community', 'Data',
    'Data file', 'Delete', 'Edit', 'Enter object data in CSV, JSON or YAML format', 'Format', 'Front image', 'Import',
    'JSON', 'Markdown', 'Modifier', 'NetBox', 'No', 'None',
    'Numeric ID of an existing object to update (if not creating a new object', 'Owner', 'Owner Group', 'Owner group',
    'Parent device', 'Rear image', 'Required', 'Saved Filter', 'Search', 'Search NetBox', 'Selected Columns', 'Tags',
    'The character which delimits CSV fields. Applies only to CSV format', 'Toggle navigation', 'Total weight', 'YAML',
    'Yes', 'breadcrumbs', 'syntax is supported', 'YYYY-MM-DD hh:mm:ss',
}  # fmt: skip
# Examples of what to enter.
EXAMPLES = {
    '-----BEGIN CERTIFICATE-----', '-----BEGIN OPENSSH PRIVATE KEY-----', '10.0.0.11 ssh-ed25519 AAAAC3Nza',
    'vm.comments = ignored', 'web-*',
}  # fmt: skip
# What a policy is written with.
OWNERS = {'editorial', 'fact', 'ignored', 'set'}
# Columns of the import.
COLUMNS = {'rd', *(field.name for model in MODELS for field in model._meta.get_fields())}
ALLOWED = NETBOXS_TEXTS | EXAMPLES | OWNERS | COLUMNS
# Names of columns, fields and kinds; times; sizes.
CODE = re.compile(
    r'[a-z]+([._][a-z]+)+|(a|\d+)\s(seconds?|minutes?) ago|\d[\d\-:, ]* UTC|[\d.]+ [KMGT]iB|NetBox Community v[\d.]+'
)
# The plugin's own address and two reports only redirect, one report is below, and the documentation is in English.
OTHERS = (
    'attention', 'attention_resolve', 'home', 'docs', 'docs_page', 'report_duplicates', 'report_orphans',
    'report_without_agent',
)  # fmt: skip


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
    return (name for name in names if not name.endswith(NETBOXS_OWN) and name not in OTHERS)


def is_worded(row: dict, name: str) -> bool:
    """Whether a text is a message that is worded when it is displayed, or its template."""
    sources = row.get('sources')
    source = sources.get(name) if isinstance(sources, dict) else row.get(f'{name}_source')
    return isinstance(source, dict) or name == 'sources' or str(name).endswith('_source')


def stored() -> set[str]:
    """All texts that are in the database and not translated: what Proxmox VE and users say."""
    found = {f'{guest.name} ({guest.vmid}' for guest in models.ProxmoxGuest.objects.all()}
    # As NetBox's filter forms list them.
    found |= {f'{tag.name} ({tag.extras_taggeditem_items.count()}' for tag in Tag.objects.all()}

    def take(value: object):
        if isinstance(value, dict):
            found.update(value)
            for name, each in value.items():
                if not is_worded(value, name):
                    take(each)
        elif isinstance(value, (list, tuple)):
            found.update(', '.join(map(str, order)) for order in (value, sorted(map(str, value))))
            for each in value:
                take(each)
        elif value is not None:
            found.update(part.strip(' ,.:;()') for part in str(value).split('\n'))
            found.add(str(value).strip(' ,.:;()'))

    for app in ('netbox_proxsync', 'core', 'dcim', 'ipam', 'virtualization', 'extras', 'users'):
        for model in apps.get_app_config(app).get_models():
            if model._meta.managed and (app != 'extras' or model.__name__ in ('CustomField', 'Tag')):
                names = [field.attname for field in model._meta.concrete_fields if not field.choices]
                for row in model._default_manager.values(*names):
                    take(row)
    return found


def messages_in(value: object) -> Iterator[tuple[str, dict]]:
    """The messages among stored values that are translated: (English text, source)."""
    if isinstance(value, dict):
        for name, each in value.items():
            if is_worded(value, name) and isinstance(each, str):
                sources = value.get('sources')
                yield each, sources[name] if isinstance(sources, dict) else value[f'{name}_source']
            elif name != 'sources':
                yield from messages_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from messages_in(each)


@pytest.mark.django_db
def test_stored_texts_of_runs_are_displayed_in_the_language_of_the_reader(standin, pseudo_language):
    pve = standin(nodes=1, vms=3, containers=1, seed=2)
    endpoint = pin(pve, site=Site.objects.create(name='Zsite', slug='zsite'), missing_guests='delete', grace_days=0)
    run_job(endpoint)
    machines = list(VirtualMachine.objects.order_by('pk'))
    # A machine that NetBox had before, a guest that disappears, one that cannot be read, and one that is ignored.
    models.Binding.objects.filter(unit='qemu/100').delete()
    pve.delete(101)
    pve.set_config(102, onboot='zmuch')
    models.ProxmoxGuest.objects.filter(type='lxc').update(ignored=True)
    pve.revoke('Sys.Audit')
    run_job(endpoint)
    pve.fail('/cluster/resources*', 500, 'zfailure')
    failed = run_job(endpoint)
    assert (failed.status, len(machines)) == ('failed', 4)
    rows = (models.SyncRun, models.SyncChange, models.ProxmoxGuest)
    told = list(messages_in([row for model in rows for row in model.objects.values()]))
    assert {len(told) > 12, any('zfailure' in text for text, _source in told)} == {True}
    # What a run stores is in the list for translators: no text was put together by other means.
    known = {key for identity, _context in messages.identities(messages.collect())
             for key in (identity if isinstance(identity, tuple) else [identity])}  # fmt: skip
    assert [text for _english, source in told for text in templates_of(source) if text not in known] == []
    client = browser_of(User.objects.create_superuser('zadmin'))
    client.defaults['HTTP_ACCEPT_LANGUAGE'] = pseudo.LANGUAGE
    urls = [each.get_absolute_url() for each in (endpoint, *(each for model in rows for each in model.objects.all()))]
    urls += [reverse(f'plugins:netbox_proxsync:{name}_list') for name in ('syncchange', 'proxmoxguest', 'syncrun')]
    pages = [client.get(url).content.decode() for url in urls]
    data = stored()
    for page in pages:
        page = page[page.find('<div class="page-wrapper"') :]
        left = {piece for piece in pseudo.unmarked(page) if piece not in data | ALLOWED and not CODE.fullmatch(piece)}
        assert left == set()
    # They are there, in marks. Of the details of guests, pages show only those of addresses.
    shown = ''.join(pages)
    rows = [{**row, 'details': {}} for model in rows for row in model.objects.values()]
    with translation.override(pseudo.LANGUAGE):
        for text, source in messages_in(rows):
            assert escape(worded(text, source)).replace('\n', '<br>') in shown.replace('\n', '<br>'), text


@pytest.mark.django_db
def test_pages(standin, pseudo_language):
    pve = standin(nodes=1, vms=2, containers=1, seed=2)
    endpoint = pin(pve, site=Site.objects.create(name='Zsite', slug='zsite'))
    run_job(endpoint)
    pve.rename(100, 'renamed')
    preview = run_job(endpoint, mode='preview')
    make_change(preview, 999, outcome='planned', action='conflict', reason='Zreason')
    make_decision(endpoint, 100, VirtualMachine.objects.first())
    make_rule('Zrule')
    # A machine that is no guest yet.
    machine = VirtualMachine.objects.create(name='Zmachine', cluster=Cluster.objects.first())
    guest = models.ProxmoxGuest.objects.filter(vmid=101)
    guest.update(virtual_machine=None, name='', candidate_ids=[machine.pk])
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
        yield reverse('plugins:netbox_proxsync:report_orphans')
        yield reverse('plugins:netbox_proxsync:attention')
        for model in (VirtualMachine, Device, Cluster):
            yield model.objects.first().get_absolute_url()
        yield f'{VirtualMachine.objects.first().get_absolute_url()}proxmox/'
        yield machine.get_absolute_url()
        yield f'{machine.get_absolute_url()}proxmox-link/'

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
                page = page[page.find('<div class="page-wrapper"') :]
            known = known or stored()
            for piece in pseudo.unmarked(page):
                if piece not in known and piece not in ALLOWED and not CODE.fullmatch(piece):
                    missed.setdefault(piece, url)
    assert pages > 30
    assert not missed, '\n'.join(f'{url}: {piece}' for piece, url in missed.items())


def own(cls: type, declared: str) -> dict[str, object]:
    """The fields or filters of a class that it does not have from NetBox's classes."""
    others = [base for base in cls.__mro__ if not base.__module__.startswith('netbox_proxsync')]
    inherited = {name for base in others for name in getattr(base, declared, ())}
    return {name: each for name, each in getattr(cls, declared).items() if name not in inherited}


def words_of_classes() -> Iterator[tuple[str, object]]:
    """Yield the texts in classes, which were created when these were loaded: (where, text)."""
    for model in MODELS:
        yield model.__name__, model._meta.verbose_name
        yield model.__name__, model._meta.verbose_name_plural
        for field in model._meta.fields:
            yield f'{model.__name__}.{field.name}', field.help_text
    for name in filter(lambda name: name.endswith('Choices'), choices.__all__):
        for choice in getattr(choices, name).CHOICES:
            yield name, choice[1] if isinstance(choice, tuple) else choice.label
            yield name, getattr(choice, 'description', '')
    for module in (forms.bulk_edit, forms.bulk_import, forms.filtersets, forms.model_forms):
        for form in vars(module).values():
            if isinstance(form, type) and issubclass(form, django_forms.BaseForm):
                for name, field in own(form, 'declared_fields').items():
                    yield f'{form.__name__}.{name}', field.label
                    yield f'{form.__name__}.{name}', field.help_text
    for filterset in vars(filtersets).values():
        if isinstance(filterset, type):
            for name, each in own(filterset, 'declared_filters').items():
                yield f'{filterset.__name__}.{name}', each._label
    for event in registry['event_types'].values():
        if event.name.startswith('netbox_proxsync'):
            yield event.name, event.text


def test_texts_of_classes_are_translated(pseudo_language):
    with translation.override(pseudo.LANGUAGE):
        texts = [(where, str(text)) for where, text in words_of_classes() if text]
        missed = [(where, text) for where, text in texts if pseudo.bare(text) == text]
    assert len(texts) > 300
    assert not missed


@pytest.mark.django_db
def test_form_errors_are_translated(pseudo_language):
    client = Client(headers={'accept-language': pseudo.LANGUAGE})
    client.force_login(User.objects.create_superuser('zadmin'))
    endpoint = {'name': 'Z', 'hosts': 'http://pve1', 'token_id': 'x', 'token_secret': 'x!', 'include_guests': 'pool:'}
    rule = {'name': 'Z', 'skip': True, 'pools': 'a!', 'nodes': 'a.b', 'guest_tags': '!', 'vmid_min': 9}
    for model, values in (('proxmoxendpoint', endpoint), ('mappingrule', rule)):
        errors = client.post(reverse(f'plugins:netbox_proxsync:{model}_add'), values).context['form'].errors
        assert len(errors) >= 4
        for name, told in errors.items():
            assert all(pseudo.bare(text) != text for text in told), (name, told)
        row = {**values, 'enabled': 'x', 'hosts': 5, 'pools': 5}
        form = {'import_method': 'direct', 'data': json.dumps([row]), 'format': 'json', 'csv_delimiter': ','}
        page = client.post(reverse(f'plugins:netbox_proxsync:{model}_bulk_import'), form)
        told = page.context['form'].non_field_errors()
        assert len(told) >= 2
        assert all(pseudo.bare(text) != text for text in told), told
    made = make_endpoint()
    for path, data in (
        (f'endpoints/{made.pk}/sync/', {'vmid': 1}),
        (f'runs/{make_run(made).pk}/apply/', {}),
        (f'runs/{make_run(made).pk}/accept/', {}),
        (f'runs/{make_run(made).pk}/cancel/', {}),
    ):
        answer = client.post(f'/api/plugins/proxsync/{path}', json.dumps(data), content_type='application/json').json()
        assert all(pseudo.BEGIN in str(text) for text in answer.values()), answer


def test_the_list_for_translators_is_up_to_date():
    known, there = messages.identities(messages.read()), messages.identities(messages.collect())
    assert known == there, 'The texts have changed: make messages'


@pytest.mark.parametrize('path', messages.languages(), ids=lambda path: path.parent.parent.name)
def test_a_translation_is_complete(path):
    catalog = messages.read(path)
    known, there = messages.identities(catalog), messages.identities(messages.collect())
    assert known == there, 'The texts have changed: make messages'
    assert [message.id for message in messages.untranslated(catalog)] == []
    assert [message.id for message in messages.misfits(catalog)] == []
    assert path.with_suffix('.mo').read_bytes() == messages.compiled(catalog), 'Not compiled: make messages'


def test_untranslated_texts_are_found():
    texts = messages.new('en')
    texts.add(('%(number)s <b>guest</b>', '%(number)s <b>guests</b>'))
    texts.add('{name} and {left} more')
    texts.add('Old')
    catalog = messages.new('de')
    messages.update(catalog, texts)
    assert len(messages.untranslated(catalog)) == 3
    assert not messages.misfits(catalog)
    catalog.get('%(number)s <b>guest</b>').string = ('%(number)s <b>Gast</b>', '%(number)s Gäste')
    catalog.get('{name} and {left} more').string = '{name} und {links} weitere'
    catalog.get('Old').string = 'Alt'
    assert not messages.untranslated(catalog)
    assert len(messages.misfits(catalog)) == 2
    texts.delete('Old')
    texts.add('Older')
    messages.update(catalog, texts)
    assert catalog.get('Old') is None
    assert [message.id for message in messages.untranslated(catalog)] == ['Older']


def english() -> re.Pattern[str]:
    """What a text that is not translated into German looks like, with any values in place of its placeholders."""

    def patterns() -> Iterator[str]:
        for message in messages.read(messages.catalog_of('de')):
            both = zip(messages.forms(message.id), messages.forms(message.string), strict=True)
            for text, german in both if message.id else ():
                for part in re.split(r'<[^>]+>', text) if text != german else ():
                    if pseudo.WORD.search(messages.FIXED.sub('', part)):
                        yield '.+'.join(map(re.escape, messages.FIXED.split(' '.join(part.split()))))

    return re.compile('|'.join(patterns()))


@pytest.mark.django_db
def test_pages_for_a_user_who_has_chosen_german():
    user = User.objects.create_superuser('zadmin', password='zpassword')
    user.config.set('locale.language', 'de', commit=True)
    endpoint = make_endpoint('Zlab')
    run = make_run(endpoint, mode='preview')
    make_change(run, 0, outcome='planned')
    make_change(run, 1, outcome='planned', action='conflict', reason='Zreason')
    guest = make_guest(endpoint, 100, name='zguest')
    rule = make_rule('Zrule')
    client = Client()
    client.post(reverse('login'), {'username': 'zadmin', 'password': 'zpassword'})
    pattern = english()
    # The first is the German word for filters. The labels of custom fields are data.
    known = NETBOXS_TEXTS | {'Filter'} | set(CustomField.objects.values_list('label', flat=True))
    missed = []
    for url, words in (
        (reverse('plugins:netbox_proxsync:proxmoxendpoint_list'), 'Endpunkt'),
        (endpoint.get_absolute_url(), 'Gäste'),
        (reverse('plugins:netbox_proxsync:proxmoxendpoint_add'), 'Token-Secret'),
        (run.get_absolute_url(), 'Vorschau'),
        (reverse('plugins:netbox_proxsync:syncrun_apply', args=[run.pk]), 'Alle anwenden'),
        (guest.get_absolute_url(), 'VM-ID'),
        (rule.get_absolute_url(), 'Bedingungen'),
        (reverse('plugins:netbox_proxsync:mappingrule_edit', args=[rule.pk]), 'Namensmuster'),
    ):
        response = client.get(url)
        assert response.status_code == 200, url
        shown = pseudo.Shown(response.content.decode())
        pieces = {' '.join(piece.split()).strip(' ,.:;()') for piece in (*shown.texts, *shown.hints)}
        assert any(words in piece for piece in pieces), url
        missed += [f'{url}: {piece}' for piece in pieces - known if pattern.fullmatch(piece)]
    assert not missed, '\n'.join(missed)


def test_a_text_in_a_template_is_collected(tmp_path):
    template = tmp_path / 'page.html'
    template.write_text(
        """{% load i18n %}<p title="{% trans 'One' %}">{% blocktrans trimmed count number=3 %}
          {{ number }} "thing"{% plural %}{{ number }} things{% endblocktrans %} {{ _("It's") }}</p>"""
    )
    with template.open('rb') as file:
        found = [text for _line, _name, text, _comments in messages.extract_template(file)]
    assert found == ['One', ('%(number)s "thing"', '%(number)s things'), "It's"]


def test_a_piece_without_marks_is_found():
    page = '<p title="Left out">«Marked <b>all» </b> Some of it</p><script>var x;</script><input type=reset value="Go">'
    assert pseudo.unmarked(page) == {'Left out', 'Some of it', 'Go'}
