from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ('SharedObject',)


class SharedObject(models.Model):
    """
    The NetBox object for a value that guests share: the role "Hypervisor", the tag "web", the platform "Linux".

    A sync looks up the value; users may have renamed the object since.

    Attributes:
        model: 'app_label.model_name'.
        within: The scope in which the name is unique: the manufacturer of a device type, the site or group of a VLAN;
            '' for others.
    """

    # Internal to the plugin: NetBox does not offer it in permissions, forms and event rules.
    _netbox_private = True

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint', on_delete=models.CASCADE, related_name='shared_objects'
    )
    model = models.CharField(max_length=100)
    within = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200)
    object_id = models.PositiveBigIntegerField()

    class Meta:
        ordering = ('endpoint_id', 'model', 'within', 'name')
        verbose_name = _('shared object')
        verbose_name_plural = _('shared objects')
        constraints = (
            models.UniqueConstraint(
                fields=('endpoint', 'model', 'within', 'name'), name='%(app_label)s_%(class)s_unique_value'
            ),
        )
        indexes = (models.Index(fields=('model', 'name')),)

    def __str__(self) -> str:
        return f'{self.model} {self.name}'
