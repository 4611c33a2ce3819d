"""The background job that looks for changed guests before a quick run."""

from typing import Any

from core.choices import JobNotificationChoices, JobStatusChoices
from core.models import Job

from ..choices import RunModeChoices
from ..crypto import SecretError
from ..models import ProxmoxEndpoint, SyncRun
from ..proxmox.errors import ProxmoxError
from ..proxmox.messages import Message
from ..runs.maintenance import InMaintenanceError, refuse_in_maintenance
from ..runs.quick import Changed, find_changed
from .base import EndpointJob
from .sync import AlreadyRunningError, EndpointDeletedError, SyncJob

__all__ = ('QuickJob', 'quick_run')


def quick_run(endpoint: ProxmoxEndpoint, immediate: bool = False) -> tuple[Changed, SyncRun | None]:
    """
    Look at the list of guests of an endpoint, and enqueue a run for the guests whose entry has changed.

    Args:
        immediate: Carry out the run now, in this process, instead.

    Returns:
        What was found, and the run; None: there is nothing to synchronize.

    Raises:
        AlreadyRunningError: The endpoint has a run that is queued or running.
        EndpointDeletedError: The endpoint was deleted.
        InMaintenanceError: NetBox is in maintenance mode.
        ProxmoxError, SecretError: The list could not be read.
    """
    refuse_in_maintenance()
    SyncJob.refuse_second(endpoint)
    found = find_changed(endpoint)
    if not found.vmids:
        return found, None
    return found, SyncJob.enqueue_run(
        endpoint, user=None, mode=RunModeChoices.QUICK, immediate=immediate, vmids=found.vmids
    )


class QuickJob(EndpointJob):
    """
    Looks at the list of guests of one endpoint. Only if guests have changed, a run is created: most looks find nothing,
    and users who start a sync meanwhile do not have to wait.
    """

    class Meta:
        name = 'Proxmox VE quick run'

    @classmethod
    def enqueue_look(cls, endpoint: ProxmoxEndpoint) -> Job | None:
        """Enqueue the job, unless that of the previous slot has not ended yet, because all workers are busy."""
        if cls.get_jobs(endpoint).exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES).exists():
            return None
        job: Job = cls.enqueue(instance=endpoint, notifications=JobNotificationChoices.NOTIFICATION_NEVER)
        return job

    def run(self, **kwargs: Any) -> None:
        """Look at the list. Problems are logged only: the next sync reports them."""
        endpoint = ProxmoxEndpoint.objects.filter(pk=self.job.object_id, enabled=True).first()
        if endpoint is None:
            self.logger.info(Message('The endpoint is disabled.'))
            return
        try:
            found, run = quick_run(endpoint)
        except (AlreadyRunningError, EndpointDeletedError, InMaintenanceError) as error:
            self.logger.info(str(error))
        except (ProxmoxError, SecretError) as error:
            self.logger.warning(str(error))
        else:
            self.logger.info(found.reason or f'Changed guests: {len(found.vmids)} of {found.guests}')
            if run is not None:
                self.logger.info(f'Run {run.pk} is queued')
