"""What custom fields and tags of this NetBox require, for the comparison; loaded in a few queries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet
from django.utils.translation import override
from extras.choices import CustomFieldStatusChoices, CustomFieldTypeChoices
from extras.models import CustomField, Tag
from netbox.models import NetBoxModel

from ..custom_fields import OWN_FIELDS, models_of, stored_fields, unusable_fields
from ..proxmox.messages import EMPTY as NOTHING
from ..proxmox.messages import Message, as_is
from ..sync.custom_field_rules import Demand, ValueLimits
from ..sync.kinds import KINDS
from ..sync.values import Pointer
from .fields import pointer_to

__all__ = ('CustomFields', 'limits_of_tags', 'load_custom_fields', 'not_assignable', 'tags_with_limits')

# The models of shared objects, which a sync creates as well.
SHARED_MODELS = (
    'dcim.devicerole', 'dcim.devicetype', 'dcim.manufacturer', 'dcim.platform', 'extras.tag', 'ipam.vlan',
    'virtualization.clustertype', 'virtualization.virtualmachinetype',
)  # fmt: skip
EMPTY = (None, '')


@dataclass
class CustomFields:
    """
    The custom fields of the models that a sync writes.

    Attributes:
        by_model: The fields that NetBox validates.
        written: The names of the fields that a sync writes, without those that cannot be used, by model.
    """

    by_model: Mapping[str, list[CustomField]]
    written: Mapping[str, frozenset[str]]
    verdicts: dict[tuple[int, str], Message] = field(default_factory=dict)

    @property
    def limits(self) -> dict[tuple[str, str], ValueLimits]:
        """The limits of the fields that a sync writes, by (model, name)."""
        found = {
            (model, each.name): limits_of(each)
            for model, fields in self.by_model.items()
            for each in fields
            if each.name in self.written.get(model, ())
        }
        return {identity: limits for identity, limits in found.items() if limits != ValueLimits()}

    @property
    def demands(self) -> dict[str, tuple[Demand, ...]]:
        """The fields for which NetBox refuses a new object with only their defaults, by model."""
        return {
            model: tuple(
                Demand(model=model, plural=plural, field=each.name, reason=reason)
                for each in fields
                if (reason := self.refused_default(each, plural))
            )
            for model, fields in self.by_model.items()
            for plural in (plural_of(model),)
        }

    def refused_default(self, each: CustomField, plural: Message) -> Message:
        """Why NetBox rejects a new object of a model with the default of a field; '' if it does not."""
        names = {'field': each.name, 'objects': plural}
        if each.default in EMPTY:
            required = Message('The custom field "{field}" of {objects} is required and has no default.', **names)
            return required if each.required else NOTHING
        if each.unique:
            return Message(
                'The custom field "{field}" of {objects} is unique and has a default, which only one object can have.',
                **names,
            )
        verdict = self.refused(each, each.default)
        if not verdict:
            return NOTHING
        return Message(
            'The custom field "{field}" of {objects} has an invalid default ({verdict}).',
            **names,
            verdict=verdict.as_phrase(),
        )

    def refused_in(self, model: str, data: Mapping[str, Any]) -> dict[str, Message]:
        """Why NetBox refuses every change of an object, by the custom field with an invalid value."""
        found = {}
        for each in self.by_model.get(model, ()):
            # Values of a sync that NetBox refuses now are removed while the object is validated.
            if each.name in OWN_FIELDS.get(model, ()) and not each.required:
                continue
            if each.name in data:
                verdict = self.refused(each, data[each.name])
            else:
                verdict = Message('The value is missing') if each.required and each.default is None else NOTHING
            if verdict:
                found[each.name] = Message(
                    'The value of the custom field "{field}" is not valid ({verdict}).',
                    field=each.name,
                    verdict=verdict.as_phrase(),
                )
        return found

    def refused(self, each: CustomField, value: Any) -> Message:
        """Why NetBox refuses a value; '' if it does not."""
        if value in EMPTY and not each.required:
            return NOTHING
        identity = each.pk, repr(value)
        if identity not in self.verdicts:
            try:
                each.validate(value)
                self.verdicts[identity] = NOTHING
            except ValidationError as error:
                self.verdicts[identity] = as_is('; '.join(error.messages))
        return self.verdicts[identity]


def plural_of(model: str) -> Message:
    """The plural name of a model, which NetBox translates."""
    with override('en'):
        return Message(str(apps.get_model(model)._meta.verbose_name_plural))


def load_custom_fields(stored: Iterable[CustomField] | None = None) -> CustomFields:
    """
    The active custom fields of the models that a sync writes.

    Args:
        stored: As `custom_fields.stored_fields` returns them; None: load them.
    """
    stored = stored_fields() if stored is None else stored
    models = {*SHARED_MODELS, *(kind.model for kind in KINDS.values())}
    by_model: dict[str, list[CustomField]] = {model: [] for model in models}
    for each in stored:
        if each.status != CustomFieldStatusChoices.STATUS_ACTIVE:
            continue
        for model in models_of(each) & by_model.keys():
            by_model[model].append(each)
    left_out = unusable_fields(stored)
    return CustomFields(
        by_model=by_model,
        written={
            kind.model: frozenset(each.name for each in by_model[kind.model]) - left_out for kind in KINDS.values()
        },
    )


def limits_of(each: CustomField) -> ValueLimits:
    """The limits of the values of a custom field."""
    minimum, maximum = each.validation_minimum, each.validation_maximum
    is_choice = each.type == CustomFieldTypeChoices.TYPE_SELECT
    return ValueLimits(
        required=each.required,
        minimum=None if minimum is None else float(minimum),
        maximum=None if maximum is None else float(maximum),
        pattern=each.validation_regex,
        choices=frozenset(each.choice_set.values) if is_choice and each.choice_set else None,
    )


def tags_with_limits() -> QuerySet[Tag]:
    """All tags, with the object types to which each is limited as `object_type_ids`."""
    limits = Tag.object_types.through.objects.filter(tag=OuterRef('pk')).values('contenttype')
    rows: QuerySet[Tag] = Tag.objects.annotate(object_type_ids=ArraySubquery(limits))
    return rows


def limits_of_tags(tags: Iterable[Tag]) -> dict[Pointer, frozenset[str]]:
    """
    The tags that are limited to some models, with these.

    Args:
        tags: As `tags_with_limits` returns them.
    """
    return {pointer_to(tag): frozenset(map(model_of, tag.object_type_ids)) for tag in tags if tag.object_type_ids}


def model_of(object_type_id: int) -> str:
    """The model of a content type, as 'app_label.model_name'."""
    object_type = ContentType.objects.get_for_id(object_type_id)
    return f'{object_type.app_label}.{object_type.model}'


def not_assignable(tags: Iterable[Pointer], instance: NetBoxModel) -> set[Pointer]:
    """Those of some tags that NetBox refuses for an object because of its type, and that it does not have yet."""
    pks = {tag.pk: tag for tag in tags}
    limited = Tag.objects.filter(pk__in=pks, object_types__isnull=False)
    allowed = Tag.objects.filter(object_types=ContentType.objects.get_for_model(instance)).values('pk')
    refused = limited.exclude(pk__in=allowed).exclude(pk__in=instance.tags.values('pk')).distinct()
    return {pks[pk] for pk in refused.values_list('pk', flat=True)} if pks else set()
