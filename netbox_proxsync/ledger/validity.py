"""NetBox's own validation."""

from django.core.exceptions import ObjectDoesNotExist
from django.db import models

__all__ = ('validate',)


def validate(instance: models.Model):
    """
    Validate an object as NetBox's forms do.

    Raises:
        ValidationError: NetBox refuses it; also where it names an object that is gone, deleted since a plan was made.
    """
    try:
        instance.full_clean()
    except ObjectDoesNotExist:
        # NetBox's checks of an object as a whole trust that whatever it names is there. Its fields' own do not.
        instance.clean_fields()
        raise
