from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ('BranchState',)


class BranchState(models.Model):
    """
    The state of an endpoint in a branch of netbox-branching. Endpoints are not branched: their rows have the state in
    main.

    Attributes:
        branch_id: The schema ID of the branch. No relation, because netbox-branching may not be installed.
        guests_read: When the displayed values of guests in the branch were read from Proxmox VE.
        cluster_identity: The identity of the cluster that was synced into the branch.
        bindings_merged: When the bindings of the branch were merged into main; None: not yet.
        previous_state: The bindings and guests in main that the merge changed, as they were before it.
    """

    # Internal to the plugin: NetBox does not offer it in permissions, forms and event rules.
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
