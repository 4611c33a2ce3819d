"""The REST API, used with pynetbox over HTTP, against a running NetBox with a worker."""

import re

import pynetbox
import pytest
import requests
from core.models import ObjectType
from django.test import override_settings
from users.models import ObjectPermission, Token, User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

from ..runs.test_cancellation import until


def api(web, name: str, **user: object) -> pynetbox.api:
    token = Token(user=User.objects.create_user(name, **user), version=2)
    token.save()
    return pynetbox.api(web.url, token=f'nbt_{token.key}.{token.token}')


def post(nb, path: str, data: dict | None = None) -> dict:
    """
    Post an action by its path: records of runs in pynetbox have an attribute `endpoint` with another meaning.

    Each request has a connection of its own, because the server closes the connection of a request that it refused
    before it read the body.
    """
    url = f'{nb.base_url}/plugins/proxsync/{path}/'
    headers = {'Authorization': f'Bearer {nb.token}'}
    response = requests.post(url, headers=headers, json=data or {}, timeout=60)
    if not response.ok:
        raise pynetbox.RequestError(response)
    return response.json()


def wait(nb, run: dict):
    until(lambda: SyncRun.objects.get(pk=run['id']).finished)
    return nb.plugins.proxsync.runs.get(run['id'])


def refused(call, status: int) -> str:
    with pytest.raises(pynetbox.RequestError) as caught:
        call()
    assert caught.value.req.status_code == status, caught.value.error
    return caught.value.error


def test_a_script_makes_an_endpoint_tries_previews_syncs_and_accepts(web, standin):
    pve = standin(nodes=1, vms=12, containers=0, templates=0, seed=3)
    nb = api(web, 'script', is_superuser=True)
    proxsync = nb.plugins.proxsync

    # As in NetBox, the errors of bad input are listed by field.
    assert 'token_id' in refused(lambda: proxsync.endpoints.create(name='Lab', hosts=['x'], token_secret='y'), 400)
    endpoint = proxsync.endpoints.create(
        name='Lab', hosts=[f'{pve.host}:{pve.port}'], token_id=pve.token_id, token_secret=pve.token_secret,
        tls_mode='fingerprint', fingerprint=pve.fingerprint, sync_interval=1440,
    )  # fmt: skip
    assert 'token_secret' not in dict(endpoint)
    assert endpoint.sync_interval in (1440, {'value': 1440, 'label': 'Daily'})
    assert [found.name for found in proxsync.endpoints.filter(sync_interval=1440)] == ['Lab']
    assert endpoint.update({'description': 'by a script'})
    assert proxsync.endpoints.get(name='Lab').description == 'by a script'

    rule = proxsync.rules.create(name='No lab', endpoint=endpoint.id, name_pattern='lab-*', skip=True)
    bad = {'id': rule.id, 'vmid_min': 200, 'vmid_max': 100}
    assert 'vmid_max' in refused(lambda: proxsync.rules.update([bad]), 400)
    assert proxsync.rules.update([{'id': rule.id, 'weight': 3}])[0].weight == 3
    assert (rule.endpoint.name, dict(rule)['endpoint']['name']) == ('Lab', 'Lab')
    assert next(iter(proxsync.rules.filter(id=rule.id).update(weight=4))).weight == 4
    assert proxsync.rules.delete([rule.id])

    report = post(nb, f'endpoints/{endpoint.id}/test')
    assert (report['ok'], report['error']) == (True, '')
    preview = wait(nb, post(nb, f'endpoints/{endpoint.id}/preview'))
    assert (preview.status.value, preview.counts['vm']) == ('completed', {'create': 12})
    assert not VirtualMachine.objects.exists()
    nobody = wait(nb, post(nb, f'endpoints/{endpoint.id}/sync', {'vmids': [999]}))
    assert (nobody.status.value, nobody.error) == ('failed', 'Proxmox VE has none of these guests: 999.')
    units = [change.unit for change in proxsync.changes.filter(run_id=preview.id, kind='vm')]
    applied = wait(nb, post(nb, f'runs/{preview.id}/apply', {'units': units[:2]}))
    assert applied.status.value == 'completed'
    assert VirtualMachine.objects.count() == 2
    assert wait(nb, post(nb, f'endpoints/{endpoint.id}/sync')).status.value == 'completed'
    assert len(list(proxsync.bindings.filter(kind='vm'))) == 12
    assert proxsync.guests.get(vmid=pve_vmid(pve)).state.value == 'in-sync'

    for guest in list(pve.cluster.guests.values())[:8]:
        pve.delete(guest.vmid)
    run = wait(nb, post(nb, f'endpoints/{endpoint.id}/sync'))
    assert run.status.value == 'refused'
    assert wait(nb, post(nb, f'runs/{run.id}/accept')).status.value == 'completed'
    assert VirtualMachine.objects.filter(status='decommissioning').count() == 8
    assert 'not refused' in refused(lambda: post(nb, f'runs/{preview.id}/accept'), 409)
    assert 'has ended' in refused(lambda: post(nb, f'runs/{run.id}/cancel'), 409)
    assert_metrics(web)
    assert endpoint.update({'enabled': False})
    assert 'is disabled' in refused(lambda: post(nb, f'endpoints/{endpoint.id}/sync'), 409)
    assert endpoint.delete()
    assert not ProxmoxEndpoint.objects.exists()


def pve_vmid(pve) -> int:
    return next(iter(pve.cluster.guests.values())).vmid


def assert_metrics(web):
    """Check the metrics on NetBox's own page, which collects them from the files of several processes."""
    text = requests.get(f'{web.url}/metrics', timeout=30).text
    told = [line for line in text.splitlines() if 'netbox_proxsync' in line]
    assert len(set(told)) == len(told)
    assert 'django_http_requests_total' in text
    for line in (
        r'netbox_proxsync_endpoint_enabled{endpoint="Lab"} 1.0',
        r'netbox_proxsync_last_run_status{endpoint="Lab",status="completed"} 1.0',
        r'netbox_proxsync_last_run_duration_seconds{endpoint="Lab",phase="apply"} [\d.]+',
        r'netbox_proxsync_last_success_timestamp_seconds{endpoint="Lab"} [\d.e+]+',
        r'netbox_proxsync_guests{endpoint="Lab",state="in-sync"} \d+.0',
        r'netbox_proxsync_runs{endpoint="Lab",status="refused"} 1.0',
    ):
        assert re.search(f'^{line}$', text, re.MULTILINE), line


def test_permissions_etags_and_what_there_is_not(web, standin):
    pve = standin(nodes=1, vms=2, containers=0, templates=0)
    admin = api(web, 'admin', is_superuser=True)
    endpoint = admin.plugins.proxsync.endpoints.create(
        name='Lab', hosts=[f'{pve.host}:{pve.port}'], token_id=pve.token_id, token_secret=pve.token_secret,
        tls_mode='fingerprint', fingerprint=pve.fingerprint,
    )  # fmt: skip
    nb = api(web, 'reader')
    reader = User.objects.get(username='reader')
    permission = ObjectPermission.objects.create(name='read', actions=['view'])
    permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
    permission.users.add(reader)
    seen = nb.plugins.proxsync.endpoints.get(name='Lab')
    for action in ('test', 'preview', 'sync'):
        assert 'permission' in refused(lambda action=action: post(nb, f'endpoints/{seen.id}/{action}'), 403)
    refused(lambda: seen.update({'description': 'no'}), 403)
    assert not SyncRun.objects.exists()
    refused(lambda: post(admin, f'endpoints/{endpoint.id}/nonsense'), 404)
    assert admin.plugins.proxsync.endpoints.get(999999) is None

    headers = {'Authorization': f'Bearer {admin.token}', 'Content-Type': 'application/json'}
    first = requests.get(endpoint.url, headers=headers, timeout=30)
    stale = {**headers, 'If-Match': first.headers['ETag']}
    assert requests.patch(endpoint.url, headers=stale, json={'description': 'a'}, timeout=30).status_code == 200
    second = requests.patch(endpoint.url, headers=stale, json={'description': 'b'}, timeout=30)
    assert second.status_code == 412
    assert ProxmoxEndpoint.objects.get().description == 'a'


@pytest.mark.django_db
def test_the_openapi_schema_describes_it_all_without_a_warning():
    from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
    from drf_spectacular.generators import SchemaGenerator

    reset_generator_stats()
    with override_settings(LOGIN_REQUIRED=False):
        schema = SchemaGenerator().get_schema(request=None, public=True)
    told = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    assert [message for message in told if 'proxsync' in str(message)] == []
    paths = {path.removeprefix('/api/plugins/proxsync'): methods for path, methods in schema['paths'].items()}
    for path in ('/endpoints/', '/rules/'):
        assert {'get', 'post', 'put', 'patch', 'delete'} <= set(paths[path])
        assert {'get', 'put', 'patch', 'delete'} <= set(paths[f'{path}{{id}}/'])
    for path in ('/runs/', '/changes/', '/bindings/', '/guests/'):
        assert 'post' not in paths[path]
    for path, codes in (
        ('/endpoints/{id}/test/', {'200'}),
        ('/endpoints/{id}/preview/', {'202', '409'}),
        ('/endpoints/{id}/sync/', {'202', '409'}),
        ('/runs/{id}/apply/', {'202', '409'}),
        ('/runs/{id}/accept/', {'202', '409'}),
        ('/runs/{id}/cancel/', {'200', '202', '409'}),
    ):
        assert codes <= set(paths[path]['post']['responses'])
