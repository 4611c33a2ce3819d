from django.db import models
from django.utils.translation import gettext_lazy as _

from ..choices import KindChoices

__all__ = ('ProxmoxObjectModel',)


class ProxmoxObjectModel(models.Model):
    """Base class for models whose rows name one object of Proxmox VE."""

    kind = models.CharField(
        verbose_name=_('object type'),
        max_length=30,
    )
    key = models.CharField(
        verbose_name=_('key'),
        max_length=200,
        help_text=_('Identifier of the object in Proxmox VE, for example qemu/100/net0'),
    )

    class Meta:
        abstract = True

    @property
    def kind_label(self) -> str:
        return KindChoices.label(self.kind)

    def titled(self, name: str) -> str:
        """A name or key with the label of its kind. The key of a cluster is its kind, and is not repeated."""
        return self.kind_label if name == self.kind else f'{self.kind_label} {name}'
