from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ..choices import DecisionChoices, color_of
from .proxmox_objects import ProxmoxObjectModel
from .visibility import MachineScopedQuerySet

__all__ = ('Decision',)


class Decision(ProxmoxObjectModel):
    """
    The answer of a user to a question that a run has raised about one thing in Proxmox VE. Later runs honor it.

    Decisions are the same in every branch. That guests are ignored, that objects are unmanaged and that faults are
    acknowledged is stored with these.
    """

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint',
        on_delete=models.CASCADE,
        related_name='decisions',
        verbose_name=_('endpoint'),
    )
    unit = models.CharField(
        verbose_name=_('guest or node'),
        max_length=100,
        help_text=_('Guest or node of the object, for example qemu/100'),
    )
    choice = models.CharField(
        verbose_name=_('decision'),
        max_length=20,
        choices=DecisionChoices,
    )
    # No relation to the object is enforced: a decision about an object that was deleted has no effect.
    object_type = models.ForeignKey(
        to='contenttypes.ContentType',
        on_delete=models.CASCADE,
        related_name='+',
        verbose_name=_('NetBox object type'),
        blank=True,
        null=True,
    )
    object_id = models.PositiveBigIntegerField(
        verbose_name=_('object ID'),
        blank=True,
        null=True,
        help_text=_('The linked object, the interface from which the IP address is moved, or its VRF'),
    )
    object = GenericForeignKey(
        ct_field='object_type',
        fk_field='object_id',
    )
    name = models.CharField(
        verbose_name=_('name'),
        max_length=64,
        blank=True,
        help_text=_('The name of the new object, if the user has chosen it'),
    )
    user = models.ForeignKey(
        to=settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name='+',
        verbose_name=_('user'),
        blank=True,
        null=True,
    )
    created = models.DateTimeField(
        verbose_name=_('created'),
        auto_now_add=True,
    )

    objects = MachineScopedQuerySet.as_manager()

    class Meta:
        ordering = ('endpoint_id', 'kind', 'key')
        verbose_name = _('decision')
        verbose_name_plural = _('decisions')
        constraints = (
            models.UniqueConstraint(
                fields=('endpoint', 'kind', 'key'),
                name='%(app_label)s_%(class)s_unique_key',
            ),
            models.UniqueConstraint(
                fields=('object_type', 'object_id'),
                condition=models.Q(choice=DecisionChoices.LINK),
                name='%(app_label)s_%(class)s_unique_link',
            ),
        )
        indexes = (models.Index(fields=('endpoint', 'unit')),)

    def __str__(self) -> str:
        return f'{self.get_choice_display()}: {self.titled(self.key)}'

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:decision', args=[self.pk])

    def get_choice_color(self) -> str | None:
        return color_of(DecisionChoices, self.choice)
