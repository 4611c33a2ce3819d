from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ('BranchState',)


class BranchState(models.Model):
    """
    What an endpoint's own row says of main, for a branch of netbox-branching: endpoints are the same in every branch.

    Attributes:
        branch_id: The branch's schema ID. No relation: that plugin may not be there.
        guests_read: When Proxmox was read for what the guests are shown to be in the branch.
        cluster_identity: Of the cluster that was synced into the branch.
        bindings_merged: When the bindings had followed into main, after the branch was merged.
        previous_state: The bindings and guests of main that the merge has changed, as they were before.
    """

    # The plugin's own book-keeping, of no use to anybody's permissions, forms or event rules.
    _netbox_private = True

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint', on_delete=models.CASCADE, related_name='branch_states'
    )
    branch_id = models.CharField(max_length=50)
    guests_read = models.DateTimeField(blank=True, null=True)
    cluster_identity = models.JSONField(encoder=DjangoJSONEncoder, default=dict, blank=True)
    bindings_merged = models.DateTimeField(blank=True, null=True)
    previous_state = models.JSONField(encoder=DjangoJSONEncoder, blank=True, null=True)

    class Meta:
        ordering = ('endpoint_id', 'branch_id')
        verbose_name = _('branch state')
        verbose_name_plural = _('branch states')
        constraints = (
            models.UniqueConstraint(fields=('endpoint', 'branch_id'), name='%(app_label)s_%(class)s_unique'),
        )

    def __str__(self) -> str:
        return f'{self.endpoint_id} {self.branch_id}'
