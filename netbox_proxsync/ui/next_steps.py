"""What the page of an endpoint proposes: the steps of the first run, and the plan that waits for a user."""

from dataclasses import dataclass, replace
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from ..models import Binding, ProxmoxEndpoint, SyncRun
from ..models.sync_status import plan_of
from ..models.users import AnyUser
from ..object_actions import PreviewEndpoint, TestEndpoint
from ..runs.stored_plans import may_apply, open_rows

__all__ = ('Step', 'WaitingPlan', 'first_steps', 'waiting_plan')


@dataclass(frozen=True)
class WaitingPlan:
    """
    The newest plan of an endpoint, if it can be applied.

    Attributes:
        run: The preview, or the refused run.
        number: The number of changes that can be applied.
        url, label: The button.
    """

    run: SyncRun
    number: int
    url: str
    label: str


def waiting_plan(endpoint: ProxmoxEndpoint, user: AnyUser) -> WaitingPlan | None:
    """The plan that waits, for a user who may view its run; None if there is none."""
    runs = SyncRun.objects.restrict(user, 'view').select_related('endpoint')
    pk = ProxmoxEndpoint.objects.filter(pk=endpoint.pk).annotate(plan=plan_of()).values_list('plan', flat=True).first()
    run = runs.filter(pk=pk).first()
    if run is None:
        return None
    url, label = run.get_absolute_url(), _('Review')
    if run.refusal and may_apply(user, run):
        url, label = reverse('plugins:netbox_proxsync:syncrun_accept', args=[run.pk]), _('Review and Approve')
    return WaitingPlan(run, number_of_changes(run), url, label)


def number_of_changes(run: SyncRun) -> int:
    """The number of changes of a plan that can still be applied."""
    if not run.applied_by.exists():
        return run.total_changes - run.conflicts - run.candidates
    return open_rows(run).count()


@dataclass(frozen=True)
class Step:
    """
    A step of the first run.

    Attributes:
        is_next: The first step that is not done.
        actions: Buttons of the endpoint.
        url, link: Another button.
    """

    title: str
    text: str
    done: bool
    is_next: bool = False
    actions: tuple[Any, ...] = ()
    url: str = ''
    link: str = ''


def first_steps(endpoint: ProxmoxEndpoint, plan: WaitingPlan | None) -> list[Step]:
    """The steps from a new endpoint to scheduled syncs; empty after the first sync."""
    if endpoint.last_sync or Binding.objects.filter(endpoint=endpoint).exists():
        return []
    is_read = endpoint.guests_read is not None
    edit = reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk])
    steps = [
        Step(
            _('Connect'),
            _('Test whether Proxmox VE responds and the token has all privileges.'),
            is_read or endpoint.cluster_state != {},
            actions=(TestEndpoint,),
        ),
        Step(
            _('Preview'),
            _('Read Proxmox VE and list what a sync would change. Nothing is written to your objects.'),
            is_read,
            actions=(PreviewEndpoint,),
        ),
        Step(
            _('Apply'),
            _('Review the changes, and write all or some of them to NetBox.'),
            done=False,
            url=plan.url if plan else '',
            link=plan.label if plan else '',
        ),
        Step(
            _('Schedule'),
            _('Set a sync interval to keep NetBox up to date.'),
            endpoint.sync_interval is not None,
            url=f'{edit}#id_sync_interval',
            link=_('Set an Interval'),
        ),
    ]
    upcoming = next(number for number, step in enumerate(steps) if not step.done)
    steps[upcoming] = replace(steps[upcoming], is_next=True)
    return steps
