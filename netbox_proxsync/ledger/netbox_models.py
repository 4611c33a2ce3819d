"""NetBox's models by their names, with a type: Django's registry knows them as plain models only."""

from typing import cast

from django.apps import apps
from netbox.models import NetBoxModel

from ..sync.values import Pointer

__all__ = ('find', 'model_named')


def model_named(name: str) -> type[NetBoxModel]:
    """
    A model of NetBox.

    Args:
        name: 'app_label.model_name'.
    """
    # Tags, roles and the like have no custom fields; nothing here reads custom fields of those.
    return cast('type[NetBoxModel]', apps.get_model(name))


def find(pointer: Pointer) -> NetBoxModel | None:
    """The object that a pointer names, if it still exists."""
    instance: NetBoxModel | None = model_named(pointer.model).objects.filter(pk=pointer.pk).first()
    return instance
