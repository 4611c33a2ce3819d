from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from core.choices import ObjectChangeActionChoices
from core.models import ObjectChange
from django.db import models
from netbox.constants import CENSOR_TOKEN_CHANGED

from ..crypto import Secret
from ..fields import SecretField

if TYPE_CHECKING:
    from .netbox_types import PrimaryModel as Base
else:
    Base = models.Model

__all__ = ('CensoredSecretsMixin', 'alters_data')


def alters_data[F: Callable[..., Any]](function: F) -> F:
    """Mark a method that writes to the database. Django's and Jinja's templates do not call such methods."""
    function.__dict__['alters_data'] = True
    return function


class CensoredSecretsMixin(Base):
    """
    Records in the change log that a secret was changed, without the secret.

    `SecretField` serializes every secret as the same token, so the change log would not notice a change.
    """

    class Meta:
        abstract = True

    @alters_data
    def snapshot(self) -> None:
        super().snapshot()
        self._prechange_secrets = self.secrets

    @alters_data
    def to_objectchange(self, action: str) -> ObjectChange:
        objectchange = super().to_objectchange(action)
        before = getattr(self, '_prechange_secrets', None)
        if action == ObjectChangeActionChoices.ACTION_CREATE:
            before = {}
        if before is not None and objectchange.postchange_data:
            for name, secret in self.secrets.items():
                if secret and not secret.has_same_text_as(before.get(name, Secret())):
                    # Events use the same dictionary as the snapshot.
                    objectchange.postchange_data[name] = CENSOR_TOKEN_CHANGED
        return objectchange

    def _secrets_changed(self, *names: str) -> bool:
        """Whether one of these secrets differs from the snapshot, or there is no snapshot."""
        before = getattr(self, '_prechange_secrets', {})
        return any(not getattr(self, name).has_same_text_as(before.get(name, Secret())) for name in names)

    @property
    def secrets(self) -> dict[str, Secret]:
        """All secrets by the name of their field, including empty ones."""
        return {name: getattr(self, name) for name in self._secret_fields()}

    @classmethod
    def _secret_fields(cls) -> Iterable[str]:
        return [field.name for field in cls._meta.concrete_fields if isinstance(field, SecretField)]
