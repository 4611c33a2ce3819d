"""The way from the list of endpoints to applied changes with the keyboard alone, with a focus that can be seen."""

import pytest
from virtualization.models import VirtualMachine

from tests.scenarios.synced import pin

pytestmark = pytest.mark.usefixtures('emptied')


def test_a_part_of_a_preview_is_applied_by_keyboard(site, person, cluster):
    pve = cluster('koblenz', nodes=1, vms=6, containers=0, templates=0)
    pin(pve, name='Koblenz')
    kim = person('kim')
    keyboard, page = kim.page.keyboard, kim.page
    kim.open('/plugins/proxsync/endpoints/')
    kim.tab_to(page.get_by_role('link', name='Koblenz', exact=True))
    keyboard.press('Enter')
    kim.tab_to(page.get_by_role('button', name='Preview', exact=True).first)
    keyboard.press('Enter')
    kim.sees_the_end()
    # The rows of a plan of this size are folded.
    kim.tab_to(page.locator('details > summary').first)
    keyboard.press('Enter')
    page.locator('.unit-changes').first.get_by_text('Create').first.wait_for()
    kim.tab_to(page.get_by_role('link', name='Apply Preview'), 'Shift+Tab')
    keyboard.press('Enter')
    box = page.locator('input[name=pk]').nth(1)
    kim.tab_to(box)
    keyboard.press('Space')
    chosen = box.get_attribute('aria-label')
    # What is selected is counted.
    page.locator('#plan-totals tr', has_text='Virtual machine').get_by_role('cell', name='1', exact=True).wait_for()
    kim.tab_to(page.get_by_role('button', name='Apply Selected'))
    keyboard.press('Enter')
    kim.sees_the_end()
    assert list(VirtualMachine.objects.values_list('name', flat=True)) == [chosen]
