"""The signatures of NetBox's base classes for models, which have no annotations. At run time, they are NetBox's own."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from core.models import ObjectChange
from netbox.models import PrimaryModel as NetBoxPrimaryModel
from netbox.models.features import JobsMixin as NetBoxJobsMixin
from utilities.querysets import RestrictedQuerySet as NetBoxRestrictedQuerySet

from .users import AnyUser

__all__ = ('JobsMixin', 'PrimaryModel', 'RestrictedQuerySet')

if TYPE_CHECKING:

    class JobsMixin(NetBoxJobsMixin):
        class Meta:
            abstract = True

        def delete(self, using: str | None = None, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]: ...

    class PrimaryModel(NetBoxPrimaryModel):
        class Meta:
            abstract = True

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        def clean(self) -> None: ...

        def clone(self) -> dict[str, Any]: ...

        def delete(self, using: str | None = None, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]: ...

        def get_absolute_url(self) -> str: ...

        def save(self, *args: Any, **kwargs: Any) -> None: ...

        def serialize_object(self, exclude: Iterable[str] | None = None) -> dict[str, Any]: ...

        def snapshot(self) -> None: ...

        def to_objectchange(self, action: str) -> ObjectChange: ...

    class RestrictedQuerySet(NetBoxRestrictedQuerySet):
        def restrict(self, user: AnyUser | None, action: str = 'view') -> Self: ...

else:
    JobsMixin = NetBoxJobsMixin
    PrimaryModel = NetBoxPrimaryModel
    RestrictedQuerySet = NetBoxRestrictedQuerySet
