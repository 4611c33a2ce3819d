from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ..sync.values import Value, decode, decode_pairs, show
from .proxmox_objects import ProxmoxObjectModel
from .visibility import MachineScopedQuerySet

__all__ = ('Binding',)


class Binding(ProxmoxObjectModel):
    """
    Links one thing in Proxmox VE to one NetBox object, and stores the field values that were last written.
    """

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint',
        on_delete=models.CASCADE,
        related_name='bindings',
        verbose_name=_('endpoint'),
    )
    unit = models.CharField(
        verbose_name=_('guest or node'),
        max_length=100,
        help_text=_('Guest, node or cluster of the object, for example qemu/100'),
    )
    object_type = models.ForeignKey(
        to='contenttypes.ContentType',
        on_delete=models.CASCADE,
        related_name='+',
        verbose_name=_('NetBox object type'),
    )
    object_id = models.PositiveBigIntegerField(
        verbose_name=_('object ID'),
    )
    object = GenericForeignKey(
        ct_field='object_type',
        fk_field='object_id',
    )
    values = models.JSONField(
        verbose_name=_('values'),
        encoder=DjangoJSONEncoder,
        default=dict,
        blank=True,
        help_text=_('The field values that were last written'),
    )
    proxmox_values = models.JSONField(
        verbose_name=_('Proxmox VE values'),
        encoder=DjangoJSONEncoder,
        default=dict,
        blank=True,
        editable=False,
        help_text=_('The values in Proxmox VE, for fields to which another value was written'),
    )
    kept_values = models.JSONField(
        verbose_name=_('kept values'),
        encoder=DjangoJSONEncoder,
        default=dict,
        blank=True,
        editable=False,
        help_text=_('The fields whose values in NetBox a user keeps until the value in Proxmox VE changes'),
    )
    created_by_sync = models.BooleanField(
        verbose_name=_('created by sync'),
        default=False,
        help_text=_('Otherwise the object existed before and was adopted'),
    )
    first_seen = models.DateTimeField(
        verbose_name=_('first seen'),
        auto_now_add=True,
    )
    missing_since = models.DateTimeField(
        verbose_name=_('missing since'),
        blank=True,
        null=True,
    )
    unmanaged = models.BooleanField(
        verbose_name=_('unmanaged'),
        default=False,
        help_text=_('A user has stopped managing the object: runs neither change it nor create it again'),
    )

    objects = MachineScopedQuerySet.as_manager()

    class Meta:
        # By the column itself: ordering by the relation would order by the endpoint's name.
        ordering = ('endpoint_id', 'kind', 'key')
        verbose_name = _('binding')
        verbose_name_plural = _('bindings')
        constraints = (
            # Its index also serves the ordering of lists, and loading the bindings of an endpoint.
            models.UniqueConstraint(
                fields=('endpoint', 'kind', 'key'),
                name='%(app_label)s_%(class)s_unique_key',
            ),
            models.UniqueConstraint(
                fields=('object_type', 'object_id'),
                name='%(app_label)s_%(class)s_unique_object',
            ),
        )
        indexes = (
            models.Index(fields=('endpoint', 'unit')),
            models.Index(
                fields=('missing_since',),
                condition=models.Q(missing_since__isnull=False),
                name='netbox_proxsync_binding_gone',
            ),
        )

    def __str__(self) -> str:
        return self.titled(self.key)

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:binding', args=[self.pk])

    @property
    def decoded_kept_values(self) -> dict[str, tuple[Value, Value]]:
        """The kept values as (value in Proxmox VE, value in NetBox), by field."""
        return decode_pairs(self.kept_values)

    @property
    def display_values(self) -> dict[str, str]:
        """The values that were last written, as texts for display. Guests control them: escape them."""
        return {name: show(decode(value)) for name, value in self.values.items()}
