"""
No feature confirms a guess of a secret, and no error message contains a secret.

The harm: a user who may write a template asks `{% if o.ssh_password == w %}` for a list of words, and finds the
password. A secret that is pasted into the wrong field is part of the error, which is logged and sent around.

Tried of this class: comparisons, `in`, hashes, filters of Django's templates and of Jinja, methods and attributes, a
secret of another endpoint that is known, a secret made of the guess by the template; looking for it and ordering by
it in the ORM, lists, REST and GraphQL; pickles, copies, formats. Secrets in the fields for the token ID, the hosts,
keys and certificates.
"""

import copy
import pickle

import pytest
from core.models import ObjectType
from django.core.exceptions import FieldError, ValidationError
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from extras.models import ExportTemplate
from users.models import User
from utilities.jinja2 import render_jinja2

from netbox_proxsync.crypto import Secret
from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.validators import clean_hosts, clean_ssh_host_keys, clean_token_id

from ..cases import MARKER, allow, make_clusters
from ..cases import make_endpoint as make_row

pytestmark = pytest.mark.django_db

RIGHT, WRONG = 'hunter2', 'hunter3'
# The output of each template must be the same for a right and a wrong guess.
ASKED = [
    '{% if o.ssh_password == w %}yes{% endif %}',
    '{% if w == o.ssh_password %}yes{% endif %}',
    '{% if o.ssh_password != w %}yes{% endif %}',
    '{% if o.ssh_password in w %}yes{% endif %}',
    '{% if w in o.ssh_password %}yes{% endif %}',
    '{% if o.ssh_password < w %}yes{% endif %}',
    '{% if o.ssh_password in words %}yes{% endif %}',
    '{% if o.ssh_password == other.ssh_password %}yes{% endif %}',
    '{{ o.ssh_password|length }}',
    '{{ o.ssh_password|upper }}',
    '{{ o.ssh_password|string }}',
    '{{ o.ssh_password|first }}',
    '{{ o.ssh_password|list }}',
    '{{ o.ssh_password|pprint }}',
    '{{ o.ssh_password|slugify }}',
    '{{ o.ssh_password|tojson }}',
    '{{ o.ssh_password|replace(w, "yes") }}',
    '{{ o.ssh_password|hash }}',
    '{{ o.ssh_password[0] }}',
    '{{ o.ssh_password.startswith(w) }}',
    '{{ o.ssh_password.reveal() }}',
    '{{ o.ssh_password.reveal }}',
    '{{ o.ssh_password.encrypted() }}',
    '{{ o.ssh_password.rotated() }}',
    '{{ o.ssh_password.of(w) == o.ssh_password }}',
    '{{ o.ssh_password.has_same_text_as(o.ssh_password.of(w)) }}',
    '{{ o.ssh_password.has_same_text_as(other.ssh_password) }}',
    '{{ o.ssh_password.__eq__(w) }}',
    '{{ o.ssh_password._ciphertext }}',
    '{{ o.ssh_password|attr("_ciphertext") }}',
    '{{ o.secrets.ssh_password == w }}',
    '{{ o.secrets }}',
    '{{ "{}".format(o.ssh_password) }}',
    '{{ "%s"|format(o.ssh_password) }}',
    '{{ [o.ssh_password, w]|unique|list|length }}',
    '{{ [o.ssh_password]|map("string")|list }}',
    '{{ [o]|map(attribute="ssh_password")|list }}',
    '{{ [o]|selectattr("ssh_password", "equalto", w)|list|length }}',
    '{{ [o]|groupby("ssh_password")|list }}',
    '{{ [o, other]|sort(attribute="ssh_password") }}',
    '{{ o.value_to_string() }}',
    '{{ o.serialize_object() }}',
]


@pytest.fixture
def endpoint():
    return make_row(token_secret=MARKER, ssh_user='netbox', ssh_password=RIGHT)


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root'))
    return client


def by_django(code: str, context: dict) -> str:
    return Template(code).render(Context(context))


def shown(render, code: str, context: dict) -> str:
    try:
        return render(code, context)
    except Exception as error:  # noqa: BLE001 - that it cannot be asked is an answer too
        return f'{type(error).__name__}: {error}'


@pytest.mark.parametrize('asked', ASKED)
@pytest.mark.parametrize('render', [by_django, render_jinja2])
def test_no_template_finds_out(endpoint, render, asked):
    answers = set()
    for number, guess in enumerate((RIGHT, WRONG)):
        # A user who may create endpoints creates one with the guess.
        make_row(f'Other {number}', ssh_password=guess)
        o = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
        other = ProxmoxEndpoint.objects.get(name=f'Other {number}')
        text = shown(render, asked, {'o': o, 'w': guess, 'words': [guess], 'other': other})
        assert RIGHT not in text.replace(guess, '')
        assert o.ssh_password.encrypted() not in text
        # The output may differ in the names of the objects and in the guess.
        answers.add(text.replace(guess, 'GUESS').replace(f'Other {number}', 'Other'))
    assert len(answers) == 1, answers


def test_the_search_for_answers_can_fail(endpoint):
    """If the secrets were plain texts, the same templates would confirm the guess."""
    texts = {guess: by_django(ASKED[0], {'o': {'ssh_password': RIGHT}, 'w': guess}) for guess in (RIGHT, WRONG)}
    assert texts == {RIGHT: 'yes', WRONG: ''}


def test_an_export_template_does_not_either(endpoint, admin):
    template = ExportTemplate.objects.create(
        name='guess',
        template_code='{% for o in queryset %}{{ o.ssh_password == "' + RIGHT + '" }}'
        '{{ o.ssh_password == o.ssh_password.of("' + RIGHT + '") }}{% endfor %}',
    )
    template.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
    for url in (
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list'),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list'),
    ):
        try:
            page = admin.get(f'{url}?export=guess', follow=True).content.decode()
        except Exception as error:  # noqa: BLE001
            page = str(error)
        assert 'True' not in page.partition('<html')[0]
        assert RIGHT not in page


def test_python_compares_secrets_with_secrets_only():
    secret = Secret.of(RIGHT)
    assert secret != RIGHT
    assert secret != RIGHT
    assert secret != Secret.of(RIGHT)
    assert secret == copy.copy(secret) == copy.deepcopy(secret) == pickle.loads(pickle.dumps(secret))
    assert secret.has_same_text_as(Secret.of(RIGHT))
    assert not secret.has_same_text_as(Secret.of(WRONG))
    assert hash(secret) != hash(Secret.of(RIGHT))
    for ask in (len, iter, lambda it: RIGHT in it, lambda it: it < Secret.of(WRONG), lambda it: it + 'x', sorted):
        with pytest.raises(TypeError):
            ask(secret)
    for text in (f'{secret:>20}', f'{secret!r}', str(secret), str([secret])):
        assert RIGHT not in text
    assert RIGHT.encode() not in pickle.dumps(secret)


@pytest.mark.parametrize('lookup', ['', '__exact', '__in', '__startswith', '__contains', '__regex', '__gt', '__lower'])
@pytest.mark.parametrize('column', ['token_secret', 'ssh_password', 'ssh_private_key', 'ssh_passphrase'])
def test_the_orm_does_not_look_for_it(endpoint, column, lookup):
    with pytest.raises(FieldError):
        list(ProxmoxEndpoint.objects.filter(**{f'{column}{lookup}': [RIGHT] if lookup == '__in' else RIGHT}))


def test_nor_do_lists_rest_and_graphql(endpoint, admin):
    make_row('Other', ssh_password=WRONG)
    pages, api = (
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list'),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list'),
    )
    for name in ('ssh_password', 'token_secret'):
        for query in (f'{name}={RIGHT}', f'{name}__ic={RIGHT[:3]}', f'{name}__isw={RIGHT[:3]}'):
            assert admin.get(f'{api}?{query}').json()['count'] == 2
            page = admin.get(f'{pages}?{query}').content.decode()
            assert 'Lab' in page
            assert 'Other' in page
        # By what is encrypted, if at all: that is in no order.
        for order in (f'ordering={name}', f'sort={name}'):
            assert RIGHT not in admin.get(f'{api}?{order}').content.decode()
            assert admin.get(f'{pages}?{order}').status_code == 200
        for query in (
            f'{{ proxsync_endpoint_list(filters: {{{name}: {{exact: "{RIGHT}"}}}}) {{ name }} }}',
            f'{{ proxsync_endpoint_list(filters: {{{name}: "{RIGHT}"}}) {{ name }} }}',
            f'{{ proxsync_endpoint_list {{ {name} }} }}',
        ):
            answer = admin.post(reverse('graphql'), {'query': query}, content_type='application/json').json()
            assert 'errors' in answer


# Errors


@pytest.mark.parametrize(
    'text',
    [MARKER, f'netbox@pve!sync={MARKER}', f'PVEAPIToken=netbox@pve!sync={MARKER}', f'netbox@pve!{MARKER} x',
     f'netbox@pve {MARKER}', f'netbox@pve:{MARKER}!sync', f'{MARKER}!'],
)  # fmt: skip
def test_a_secret_that_is_pasted_into_the_token_id_is_not_repeated(admin, text):
    with pytest.raises(ValidationError) as caught:
        clean_token_id(text)
    assert MARKER not in str(caught.value)
    values = {'name': 'Lab', 'hosts': ['pve1'], 'token_id': text, 'token_secret': 'x'}
    api = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list')
    answer = admin.post(api, values, content_type='application/json')
    assert (answer.status_code, list(answer.json())) == (400, ['token_id'])
    assert MARKER not in answer.content.decode()
    answer = admin.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_add'), {**values, 'hosts': 'pve1'})
    assert MARKER not in str(answer.context['form'].errors)


def test_nor_does_the_form_show_it_again(admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_add')
    for text, again in (
        (MARKER, ''), (f'netbox@pve!sync={MARKER}', 'netbox@pve!sync'), ('root@pam', 'root@pam'),
        (f'PVEAPIToken=netbox@pve!sync={MARKER}', 'netbox@pve!sync'),
    ):  # fmt: skip
        page = admin.post(url, {'name': 'Lab', 'hosts': 'pve1', 'token_id': text})
        assert MARKER not in page.content.decode()
        assert page.context['form']['token_id'].value() == again


@pytest.mark.parametrize(
    ('clean', 'value'),
    [
        (clean_hosts, [f'root:{MARKER}@pve1']),
        (clean_hosts, [f'http://root:{MARKER}@pve1']),
        (clean_hosts, [f'https://root:{MARKER}@pve1:8006/']),
        (clean_ssh_host_keys, f'-----BEGIN OPENSSH PRIVATE KEY-----\n{MARKER}\n-----END OPENSSH PRIVATE KEY-----'),
    ],
)
def test_nor_one_in_other_fields(clean, value):
    with pytest.raises(ValidationError) as caught:
        clean(value)
    assert MARKER not in str(caught.value)


def test_a_refused_duplicate_names_only_endpoints_that_its_reader_may_view():
    cluster = make_clusters('lab')[0]
    make_row('Hidden', cluster=cluster)
    user = User.objects.create_user('mallory', password='x')
    for action in ('view', 'add', 'change'):
        allow(user, ProxmoxEndpoint, action, {'name__startswith': 'Lab'})
    allow(user, type(cluster), 'view')
    client = Client()
    client.force_login(user)
    api = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list')
    values = {'name': 'Lab', 'hosts': ['pve1'], 'token_id': 'netbox@pve!sync', 'token_secret': 'x'}
    answer = client.post(api, {**values, 'cluster': cluster.pk}, content_type='application/json')
    assert answer.status_code == 400
    assert 'that you do not have permission to view' in answer.content.decode()
    assert 'Hidden' not in answer.content.decode()
    allow(user, ProxmoxEndpoint, 'view', {'name': 'Hidden'})
    client.force_login(User.objects.get(pk=user.pk))
    answer = client.post(api, {**values, 'cluster': cluster.pk}, content_type='application/json')
    assert 'The endpoint \\"Hidden\\" is synchronized with this cluster already' in answer.content.decode()
