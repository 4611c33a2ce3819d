from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from .bindings import Binding

if TYPE_CHECKING:
    from .endpoints import ProxmoxEndpoint

__all__ = ('FormerBinding', 'FormerEndpoint')

BATCH = 1000
# The columns that a former binding copies.
COLUMNS = (
    'kind', 'key', 'unit', 'object_type_id', 'object_id', 'values', 'created_by_sync', 'first_seen', 'missing_since',
    'unmanaged',
)  # fmt: skip


class FormerEndpoint(models.Model):
    """
    A deleted endpoint and the identity of its cluster. A new endpoint for the same cluster restores its bindings.
    """

    _netbox_private = True

    name = models.CharField(max_length=100)
    cluster_identity = models.JSONField(default=dict)
    deleted = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ('pk',)
        verbose_name = _('former endpoint')
        verbose_name_plural = _('former endpoints')

    def __str__(self) -> str:
        return self.name


class FormerBinding(models.Model):
    """A binding of a deleted endpoint: which objects the sync created, and which values it wrote last."""

    _netbox_private = True

    former = models.ForeignKey(to=FormerEndpoint, on_delete=models.CASCADE, related_name='bindings')
    kind = models.CharField(max_length=30)
    key = models.CharField(max_length=200)
    unit = models.CharField(max_length=100)
    object_type = models.ForeignKey(to='contenttypes.ContentType', on_delete=models.CASCADE, related_name='+')
    object_id = models.PositiveBigIntegerField()
    values = models.JSONField(default=dict)
    created_by_sync = models.BooleanField(default=False)
    first_seen = models.DateTimeField()
    missing_since = models.DateTimeField(null=True)
    unmanaged = models.BooleanField(default=False)

    class Meta:
        ordering = ('pk',)
        indexes = (models.Index(fields=('object_type', 'object_id')),)
        verbose_name = _('former binding')
        verbose_name_plural = _('former bindings')

    def __str__(self) -> str:
        return f'{self.kind} {self.key}'


def _store_bindings(endpoint: 'ProxmoxEndpoint', using: str) -> None:
    """Store the bindings of an endpoint before its deletion."""
    rows = Binding.objects.using(using).filter(endpoint=endpoint.pk).order_by('pk')
    if not rows.exists():
        return
    # A run may have updated the identity since the instance was loaded.
    stored = type(endpoint).objects.using(using).filter(pk=endpoint.pk)
    identity = stored.values_list('cluster_identity', flat=True).first()
    former = FormerEndpoint.objects.using(using).create(name=endpoint.name, cluster_identity=identity or {})
    batch: list[FormerBinding] = []
    for values in rows.values(*COLUMNS).iterator():
        batch.append(FormerBinding(former=former, **values))
        if len(batch) == BATCH:
            FormerBinding.objects.using(using).bulk_create(batch)
            batch = []
    FormerBinding.objects.using(using).bulk_create(batch)
