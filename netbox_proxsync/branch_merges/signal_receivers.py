"""Connects this plugin to netbox-branching: what is branched, checks before actions, and receivers of its signals."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models.signals import post_delete, pre_delete
from django.utils.translation import gettext as _
from utilities.exceptions import AbortRequest

from ..branching import BRANCHED, BranchUnusableError, InBranchError, installed, refuse_in_branch
from ..wording import worded

if TYPE_CHECKING:
    from netbox_branching.models import Branch as BranchRow

__all__ = ('register',)

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# For the log, if a receiver has failed.
NOTHING_LOST = 'Runs work all the same.'
REPAIR = '"proxsync_check --repair" tries it again.'
SYNC_AGAIN = 'The next sync of the branch that finds a change in main tries it again.'
CHECK_CLUSTER = 'If the revert fails, remove the cluster from the endpoint that manages it, and revert again.'
LOOK_FOR_EDITS = 'It is not retried: the next run in main may take values that were reset for edits by users.'
TOO_LATE = 'Nothing tries it again: the next run in main adopts what it finds.'


def register() -> None:
    """To be called when NetBox starts. Does nothing if netbox-branching is not installed."""
    if not installed():
        return
    from netbox_branching import signals
    from netbox_branching.constants import BRANCH_ACTIONS
    from netbox_branching.models import Branch
    from netbox_branching.utilities import register_branching_resolver

    from ..models import MappingRule, ProxmoxEndpoint
    from . import copies, merging

    register_branching_resolver(is_branched)
    for action in BRANCH_ACTIONS:
        Branch.register_preaction_check(refuse_during_runs, action)
    for signal, receive, remedy in (
        (signals.post_provision, merging.on_provision, NOTHING_LOST),
        (signals.post_merge, merging.after_merge, REPAIR),
        (signals.post_sync, merging.after_sync, SYNC_AGAIN),
        (signals.pre_revert, merging.before_revert, CHECK_CLUSTER),
        (signals.post_revert, merging.after_revert, LOOK_FOR_EDITS),
        (signals.pre_deprovision, merging.before_deprovision, TOO_LATE),
        (signals.post_deprovision, merging.after_deprovision, NOTHING_LOST),
    ):
        signal.connect(partial(call_receiver, receive, remedy), weak=False)
    signals.post_migrate.connect(copies.drop_foreign_keys)
    for model in (ProxmoxEndpoint, MappingRule):
        pre_delete.connect(refuse_to_delete, sender=model)
    post_delete.connect(delete_endpoint_copies, sender=ProxmoxEndpoint)
    signals.pre_deprovision.connect(refuse_to_drop)


def is_branched(model: type[models.Model]) -> bool | None:
    """Whether a model has a table in every branch; None: it is not a model of this plugin."""
    if model._meta.app_label != 'netbox_proxsync':
        return None
    return model._meta.model_name in BRANCHED


def refuse_during_runs(branch: 'BranchRow') -> Any:
    """Refuse actions on a branch during a run: what it writes then would be neither in the branch nor in main."""
    from netbox_branching.utilities import BranchActionIndicator

    from ..models import SyncRun

    run = SyncRun.objects.active().filter(branch_id=branch.schema_id).first()
    if run is None:
        return BranchActionIndicator(True)
    message = _('Run {run} of the Proxmox VE plugin works in this branch. Wait for it to end, or cancel it.')
    return BranchActionIndicator(False, message.format(run=run.pk))


def call_receiver(receive: Callable[['BranchRow'], None], remedy: str, branch: 'BranchRow', **kwargs: Any) -> None:
    """
    Call a receiver. If it fails, that is logged, since the action on the branch has been carried out already.

    Args:
        remedy: The consequence of a failure, and what to do.
    """
    try:
        receive(branch)
    except BranchUnusableError as error:
        # The branch was created before this plugin was installed, so it has no rows to merge.
        logger.info(str(error))
    except Exception:
        logger.exception(f'The bindings of the branch "{branch}" could not follow. {remedy}')


def refuse_to_delete(**kwargs: Any) -> None:
    """Refuse to delete objects in a branch that are the same in every branch."""
    try:
        refuse_in_branch()
    except InBranchError as error:
        raise AbortRequest(worded(error)) from None


def refuse_to_drop(branch: 'BranchRow', **kwargs: Any) -> None:
    """Refuse to drop a branch during a run: both would wait for each other's connection for ever."""
    from ..choices import RunStatusChoices
    from ..models import SyncRun

    runs = SyncRun.objects.filter(branch_id=branch.schema_id, status__in=RunStatusChoices.WORKING)
    if run := runs.first():
        message = _('Run {run} of the Proxmox VE plugin works in this branch. Wait for it to end, or cancel it.')
        raise AbortRequest(message.format(run=run.pk))


def delete_endpoint_copies(instance: models.Model, using: str, **kwargs: Any) -> None:
    """After an endpoint was deleted: delete its rows in all branches."""
    if using == DEFAULT_DB_ALIAS:
        from .copies import delete_endpoint_copies as forget

        transaction.on_commit(partial(forget, instance.pk))
