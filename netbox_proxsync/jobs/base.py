"""What the jobs about one endpoint have in common."""

from typing import Any

from core.models import Job
from netbox.jobs import JobRunner

from ..ledger.query_cache import query_cached
from ..models import ProxmoxEndpoint

__all__ = ('EndpointJob',)


class EndpointJob(JobRunner):
    """A job about one endpoint."""

    @classmethod
    def handle(cls, job: Job, *args: Any, **kwargs: Any) -> None:
        """As NetBox does; the job of an endpoint that was deleted meanwhile is deleted as well."""
        with query_cached():
            super().handle(job, *args, **kwargs)
        # A job with data has recorded the end of its run a moment ago, so its endpoint exists.
        if job.data is None and not ProxmoxEndpoint.objects.filter(pk=job.object_id).exists():
            # The row was deleted with the endpoint, and ending the job has inserted it again.
            Job.objects.filter(pk=job.pk).delete()
