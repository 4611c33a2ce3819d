"""
Accessibility of the pages, tested by axe-core in light and dark. NetBox's pages have violations of their own, in
components that the plugin's pages use as well. They are no findings here.
"""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from dcim.models import Site
from ipam.models import IPAddress
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.models import ProxmoxGuest
from tests.scenarios.synced import pin

from .test_walks import begin, names_of, preview, put_on_dashboard
from .user import Person

pytestmark = pytest.mark.usefixtures('emptied')

PLUGIN = '/plugins/proxsync/'
TAG = re.compile(r'<([a-z0-9]+)([^>]*)>')
CLASSES = re.compile(r'class="([^"]*)"')
# NetBox's pages have no main landmark, so that nothing on them is inside of one.
LAYOUT = ('landmark-one-main', 'region')
# The colors of these components are those of NetBox's theme.
THEMED = {'badge', 'btn', 'nav-link'}
# The menus of NetBox are the same on all pages.
CONTENT = {'exclude': [['aside'], ['header.navbar']]}
# Only colors differ between light and dark.
COLORS = ['color-contrast', 'link-in-text-block']

type Finding = tuple[str, str, frozenset[str]]


def findings(user: Person, path: str) -> Iterator[tuple[Finding, str]]:
    """The violations on a page: the rule, the tag and the classes of the element; and a description."""
    user.open(path)
    axe = Axe()
    for theme, options in (
        ('light', {'resultTypes': ['violations']}),
        ('dark', {'resultTypes': ['violations'], 'runOnly': COLORS}),
    ):
        user.page.evaluate(f"document.documentElement.setAttribute('data-bs-theme', '{theme}')")
        for violation in axe.run(user.page, CONTENT, options).response['violations']:
            for node in violation['nodes']:
                tag, attributes = TAG.search(node['html']).groups()
                found = CLASSES.search(attributes)
                classes = frozenset(found[1].split() if found else ())
                shape = violation['id'], tag, classes
                if shape[0] in LAYOUT or (shape[0] == 'color-contrast' and classes & THEMED):
                    continue
                yield shape, f'{theme} {path} {violation["id"]}: {node["html"][:300]}'


def test_pages_are_accessible(site, person, cluster):
    pve = cluster('weimar', nodes=2, vms=6, containers=1, running=1, agent=1, ipv6=0, templates=0)
    own = Cluster.objects.create(name='By hand', type=ClusterType.objects.create(name='By hand', slug='by-hand'))
    machine = VirtualMachine.objects.create(name='printer', cluster=own)
    IPAddress.objects.create(
        address='10.99.0.7/24', assigned_object=VMInterface.objects.create(virtual_machine=machine, name='eth0')
    )
    pve.set_addresses(next(iter(names_of(pve))), 'net0', '10.99.0.7/24')
    endpoint = pin(pve, name='Weimar', site=Site.objects.create(name='Weimar', slug='weimar'))
    synced = begin(endpoint)
    for vmid in names_of(pve):
        pve.set_config(vmid, sockets=1, cores=7)
    planned = preview(endpoint)
    for vmid in list(names_of(pve))[:5]:
        pve.delete(vmid)
    refused = begin(endpoint)
    assert (synced.status, refused.status) == ('completed', 'refused')
    guest = ProxmoxGuest.objects.filter(virtual_machine__isnull=False).first()
    ada = person('ada')
    put_on_dashboard('ada', 'netbox_proxsync.EndpointsWidget')
    ours = endpoint.get_absolute_url()
    bea = person('bea')
    machines = '/virtualization/virtual-machines/'
    excused = {
        shape for path in ('/', machine.get_absolute_url(), machines, f'{machines}add/')
        for shape, _text in findings(bea, path)
    }  # fmt: skip
    pages = (
        '/', ours, f'{ours}guests/', f'{ours}runs/', f'{PLUGIN}endpoints/add/', guest.get_absolute_url(),
        synced.get_absolute_url(), f'{planned.get_absolute_url()}apply/', f'{refused.get_absolute_url()}accept/',
        f'{synced.get_absolute_url()}revert/', f'{PLUGIN}attention/', f'{PLUGIN}changes/', f'{PLUGIN}rules/add/',
        f'{guest.virtual_machine.get_absolute_url()}proxmox/',
    )  # fmt: skip
    assert [text for path in pages for shape, text in findings(ada, path) if shape not in excused] == []
