"""What actions take."""

from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework import serializers

from ...choices import ChangeActionChoices, DecisionChoices, FieldDecisionChoices, choices_of
from ...models.rules import MAX_VMID, MIN_VMID
from ...models.runs import MAX_LIMIT

__all__ = (
    'ApplySerializer',
    'EmptySerializer',
    'FaultSerializer',
    'FieldDecisionSerializer',
    'LimitSerializer',
    'LinkOneSerializer',
    'LinkSerializer',
    'NodeKeySerializer',
    'ResolveOneSerializer',
    'ResolveSerializer',
)


class StrictSerializer(serializers.Serializer[Any]):
    """What an action takes. A word that is misspelled must not let it do all that it can."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if unknown := sorted(set(data) - set(self.fields)):
            raise serializers.ValidationError({name: [_('This field does not exist.')] for name in unknown})
        return cast(dict[str, Any], values)


class LinkSerializer(StrictSerializer):
    """The virtual machine that a guest is."""

    virtual_machine = serializers.IntegerField(min_value=1)


class FieldDecisionSerializer(StrictSerializer):
    """A decision about a field that differs between NetBox and Proxmox VE."""

    field = serializers.CharField(max_length=100, help_text='The name of the field, as in the values of the binding')
    choice = serializers.ChoiceField(choices=FieldDecisionChoices.CHOICES)


class ResolveSerializer(StrictSerializer):
    """A decision about what a run could not decide."""

    choice = serializers.ChoiceField(choices=DecisionChoices.CHOICES)
    object_id = serializers.IntegerField(
        min_value=1,
        required=False,
        help_text='ID of the object to link, the IP address to move, or its VRF. Default: the object of the change',
    )
    name = serializers.CharField(
        required=False, max_length=64, help_text='The name of the object that is created under another name'
    )


class LinkOneSerializer(LinkSerializer):
    """A guest, and the virtual machine that it is."""

    id = serializers.IntegerField(min_value=1, help_text='The guest')


class ResolveOneSerializer(ResolveSerializer):
    """A change, and a decision about what the run could not decide."""

    id = serializers.IntegerField(min_value=1, help_text='The sync change')


class FaultSerializer(StrictSerializer):
    """A fault of Proxmox VE's configuration, as a run has reported it."""

    subject = serializers.CharField()
    message = serializers.CharField(trim_whitespace=False)


class EmptySerializer(StrictSerializer):
    """For an action that takes nothing."""


class ApplySerializer(StrictSerializer):
    """Which part of a plan to apply."""

    units = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='Guests and nodes of the plan, such as "qemu/100". Default: all',
    )
    except_units = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='All guests and nodes of the plan except these',
    )
    actions = serializers.ListField(
        child=serializers.ChoiceField(
            choices=[choice for choice in choices_of(ChangeActionChoices) if choice[0] not in ChangeActionChoices.OPEN]
        ),
        required=False,
        allow_null=True,
        allow_empty=False,
        help_text='Only changes with these actions. Default: all',
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Only one of the two lists of units may be given."""
        if attrs.get('units') is not None and attrs.get('except_units') is not None:
            raise serializers.ValidationError({'except_units': [_('Name either units or except_units.')]})
        return attrs


class LimitSerializer(StrictSerializer):
    """Which guests a run is for."""

    vmids = serializers.ListField(
        child=serializers.IntegerField(min_value=MIN_VMID, max_value=MAX_VMID),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='VM IDs of the guests to which the run is limited. Default: all guests, and the cluster',
    )


class NodeKeySerializer(serializers.Serializer[Any]):
    """The SSH host key that a node shows now."""

    node = serializers.CharField()
    address = serializers.CharField()
    status = serializers.CharField(help_text='pinned, new or changed; empty if the node presents no key')
    type = serializers.CharField()
    fingerprint = serializers.CharField()
    line = serializers.CharField(help_text='The line to pin')
    command = serializers.CharField(help_text='Command that displays the fingerprint on the console of the node')
    error = serializers.CharField()
    remedy = serializers.CharField()
