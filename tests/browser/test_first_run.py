"""A new user comes from an empty list to a scheduled endpoint by what the pages say, without the documentation."""

import pytest
from playwright.sync_api import expect
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint

pytestmark = pytest.mark.usefixtures('emptied')


def test_from_an_empty_list_to_a_scheduled_endpoint(site, person, cluster):
    pve = cluster('first', nodes=1, vms=3, containers=0, templates=0)
    nora = person('nora')
    nora.open('/plugins/proxsync/')
    nora.sees('Add one to begin.')
    nora.follow('Add an Endpoint')
    nora.page.fill('#id_hosts', f'{pve.host}:{pve.port}')
    nora.page.fill('#id_token_id', pve.token_id)
    nora.page.fill('#id_token_secret', pve.token_secret)
    # The certificate of a stock Proxmox VE does not lead to an error, but to its fingerprint.
    nora.press('Test Connection')
    nora.sees(pve.fingerprint)
    nora.press('Use These Fingerprints')
    expect(nora.page.locator('#id_fingerprint')).to_have_value(pve.fingerprint)
    nora.press('Test Connection')
    nora.sees('Connected to')
    nora.press('Create', exact=True)
    nora.sees('First Sync')
    nora.picture('first-steps')
    endpoint = ProxmoxEndpoint.objects.get().get_absolute_url()
    nora.page.locator('#first-steps').get_by_role('button', name='Preview').click()
    nora.sees_the_end()
    nora.open(endpoint)
    nora.sees('changes are waiting.')
    nora.picture('waiting-plan')
    assert not VirtualMachine.objects.exists()
    nora.page.get_by_role('alert').get_by_role('link', name='Review').click()
    nora.sees_the_end()
    nora.open(endpoint)
    nora.press('Sync', exact=True)
    nora.sees_the_end()
    assert VirtualMachine.objects.count() == 3
    nora.open(endpoint)
    nora.sees('In Sync')
    nora.follow('Set an Interval')
    nora.page.select_option('#id_sync_interval', '60', force=True)
    nora.press('Save', exact=True)
    # The summary of the endpoint, which the form does not have.
    nora.sees('Next run')
    assert ProxmoxEndpoint.objects.get().sync_interval == 60
    assert 'Not scheduled' not in nora.text
    nora.picture('endpoint-after-first-run')
    nora.open(f'{endpoint}runs/')
    nora.page.get_by_text('Show as Table').first.click()
    nora.picture('run-charts')
