"""The fields of synchronized objects for display: their labels, and their values as texts."""

from collections.abc import Callable, Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from extras.models import CustomField
from utilities.templatetags.helpers import humanize_disk_capacity, humanize_ram_capacity, humanize_speed

from ..sync.kinds import KINDS, Kind
from ..sync.values import Value, show

__all__ = ('labels_of', 'shown_value')

CUSTOM = 'cf_'
# The labels of NetBox contain a unit, which values have here.
LABELS = {
    'memory': gettext_lazy('Memory'),
    'disk': gettext_lazy('Disk'),
    'size': gettext_lazy('Size'),
    'speed': gettext_lazy('Speed'),
}


def labels_of(kind: Kind) -> Mapping[str, str]:
    """The label of each field of a kind. Custom fields that an administrator has removed have none."""
    model = apps.get_model(kind.model)
    labels = {spec.name: label_of(model, spec.name) for spec in kind.fields if not spec.name.startswith(CUSTOM)}
    return {**labels, **{f'{CUSTOM}{field.name}': str(field) for field in CustomField.objects.get_for_model(model)}}


def label_of(model: type[Model], name: str) -> str:
    """The label of a field. NetBox translates the names of some fields only with an initial capital."""
    if name in LABELS:
        return str(LABELS[name])
    label = getattr(model._meta.get_field(name), 'verbose_name', name.replace('_', ' '))
    text = str(label)
    return _(text[:1].upper() + text[1:]) if text == label else text


def shown_value(kind: str, name: str, value: Value) -> str:
    """A value as a text, with its unit or its label. Guests control it: escape it."""
    if isinstance(value, bool):
        return _('Yes') if value else _('No')
    if value is None or name.startswith(CUSTOM) or kind not in KINDS:
        return show(value)
    if isinstance(value, int) and name in UNITS:
        return UNITS[name](value)
    try:
        field: Any = apps.get_model(KINDS[kind].model)._meta.get_field(name)
    except FieldDoesNotExist:
        return show(value)
    labels = dict(getattr(field, 'flatchoices', ()) or ())
    return str(labels[value]) if isinstance(value, str) and value in labels else show(value)


def capacity(humanize: Callable[[int], str]) -> Callable[[int], str]:
    """A function for sizes in the base unit of NetBox: in the most suitable unit, and exactly."""

    def text(value: int) -> str:
        exact = f'{value} {humanize(1).rpartition(" ")[2]}'
        size = humanize(value)
        return exact if size in ('', exact) else _('{size} ({exact})').format(size=size, exact=exact)

    return text


UNITS: dict[str, Callable[[int], str]] = {
    'memory': capacity(humanize_ram_capacity),
    'disk': capacity(humanize_disk_capacity),
    'size': capacity(humanize_disk_capacity),
    'speed': humanize_speed,
}
