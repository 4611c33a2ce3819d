from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ('SharedObject',)


class SharedObject(models.Model):
    """
    The object in NetBox that a shared value stands for: the role "Hypervisor", the tag "web", the platform "Linux".

    The value is what a sync asks for; the object may have been renamed since.

    Attributes:
        model: 'app_label.model_name'.
        within: In what the name is unique: the manufacturer of a device type, the place of a VLAN; '' for others.
    """

    # The plugin's own book-keeping, of no use to anybody's permissions, forms or event rules.
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
