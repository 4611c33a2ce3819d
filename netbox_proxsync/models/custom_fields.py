from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ('ManagedCustomField',)


class ManagedCustomField(models.Model):
    """
    A custom field that the plugin needs, and what the plugin did to install it.

    The removal of the plugin reverts exactly that. A row without its custom field means that a user removed the field.
    """

    name = models.CharField(
        verbose_name=_('name'),
        max_length=50,
        unique=True,
    )
    created = models.BooleanField(
        verbose_name=_('created'),
        help_text=_('Otherwise the object existed before and was adopted'),
    )
    object_type_added = models.BooleanField(
        verbose_name=_('object type added'),
    )
    choice_set_created = models.BooleanField(
        verbose_name=_('choice set created'),
    )

    # Internal to the plugin: NetBox does not offer it in permissions, forms and event rules.
    _netbox_private = True

    class Meta:
        ordering = ('name',)
        verbose_name = _('managed custom field')
        verbose_name_plural = _('managed custom fields')

    def __str__(self) -> str:
        return self.name
