"""
What the bulk path relies on, checked at run time: which code of NetBox and of other plugins runs when an object is
created.

The bulk path replaces some functions of NetBox by statements for many objects. Their source is compared with the source
that was replaced, so that a version of NetBox that does something else is noticed. Custom validators, protection rules,
receivers of signals and unique custom fields are found as well. An object of a model for which anything is not as
expected is written by NetBox's own code.
"""

import hashlib
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, cast

from core.models import ObjectChange
from core.signals import handle_changed_object
from dcim.models import Device, Interface, MACAddress
from dcim.models.device_components import BaseInterface, CabledObjectModel, ComponentModel
from dcim.models.mixins import InterfaceChannelRenameMixin, InterfaceValidationMixin
from dcim.signals import update_channelized_cable_paths, update_mac_address_interface
from django.db import DEFAULT_DB_ALIAS, models, router
from django.db.models.signals import m2m_changed, post_init, post_save, pre_init, pre_save
from django.dispatch import Signal
from extras import signals as extras_signals
from extras.managers import NetBoxTaggableManager
from extras.models import ConfigContextModel, CustomField, TaggedItem
from ipam.models import IPAddress
from netbox.config import get_config
from netbox.models import BaseModel, NetBoxModel
from netbox.models.features import ChangeLoggingMixin, CustomFieldsMixin, CustomValidationMixin
from netbox.signals import post_clean
from utilities.counters import post_save_receiver
from utilities.data import get_config_value_ci
from utilities.serialization import serialize_object
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface
from virtualization.signals import update_virtualmachine_disk

__all__ = ('CREATED_TOGETHER', 'MODELS_OF_GUESTS', 'MODELS_OF_NODES', 'digest', 'replaced_functions', 'why_unusable')

# The models of the objects of a guest, and of those of a node.
MODELS_OF_GUESTS: tuple[type[NetBoxModel], ...] = (VirtualMachine, VMInterface, MACAddress, IPAddress, VirtualDisk)
MODELS_OF_NODES: tuple[type[NetBoxModel], ...] = (Device, Interface, MACAddress, IPAddress)
CREATED_TOGETHER: tuple[type[NetBoxModel], ...] = tuple(dict.fromkeys((*MODELS_OF_GUESTS, *MODELS_OF_NODES)))

# Names of functions: what runs for every model.
ALWAYS = {
    'core.signals.handle_changed_object', 'netbox.search.signals.caching_handler',
    'extras.signals.notify_object_changed',
}  # fmt: skip
COUNTERS = 'utilities.counters.post_save_receiver'
CONFIG_CONTEXTS = 'extras.signals._make_object_save_handler.<locals>._handler'
AFTER_SAVE: dict[type[models.Model], set[str]] = {
    VirtualMachine: {COUNTERS, CONFIG_CONTEXTS},
    VMInterface: {COUNTERS, 'dcim.signals.update_mac_address_interface'},
    VirtualDisk: {COUNTERS, 'virtualization.signals.update_virtualmachine_disk'},
    Device: {COUNTERS, CONFIG_CONTEXTS},
    Interface: {
        COUNTERS, 'dcim.signals.update_mac_address_interface', 'dcim.signals.update_channelized_cable_paths',
    },
    MACAddress: set(),
    IPAddress: set(),
}  # fmt: skip
SETS: dict[type[models.Model], set[str]] = {
    TaggedItem: {
        'core.signals.handle_changed_object', 'extras.signals.validate_assigned_tags',
        'extras.signals.invalidate_on_device_vm_tag_change',
    },
    VMInterface.tagged_vlans.through: {'core.signals.handle_changed_object'},
    Interface.tagged_vlans.through: {'core.signals.handle_changed_object'},
}  # fmt: skip
# By model: the names of unique fields and constraints.
UNIQUE: dict[type[models.Model], set[str]] = {
    VirtualMachine: {
        'id', 'primary_ip4', 'primary_ip6', 'virtualization_virtualmachine_unique_name_cluster_tenant',
        'virtualization_virtualmachine_unique_name_device_tenant',
    },
    VMInterface: {'id', 'primary_mac_address', 'virtualization_vminterface_unique_virtual_machine_name'},
    VirtualDisk: {'id', 'virtualization_virtualdisk_unique_virtual_machine_name'},
    Device: {
        'id', 'asset_tag', 'oob_ip', 'primary_ip4', 'primary_ip6', 'dcim_device_unique_name_site_tenant',
        'dcim_device_unique_rack_position_face', 'dcim_device_unique_virtual_chassis_vc_position',
    },
    Interface: {
        'id', 'primary_mac_address', 'dcim_interface_unique_device_name', 'dcim_interface_unique_parent_channel_id',
    },
    MACAddress: {'id'},
    IPAddress: {'id'},
}  # fmt: skip


def replaced_functions() -> dict[str, Callable[..., Any]]:
    """The functions of NetBox that the bulk path does not call, because it does the same for many objects."""
    functions: tuple[Any, ...] = (
        handle_changed_object, post_save_receiver, update_virtualmachine_disk, update_mac_address_interface,
        extras_signals.notify_object_changed, extras_signals._make_object_save_handler,
        extras_signals.validate_assigned_tags, extras_signals.invalidate_on_device_vm_tag_change,
        IPAddress.clean, MACAddress.clean, BaseModel.clean, CustomFieldsMixin.clean, CustomValidationMixin.clean,
        BaseInterface.clean, BaseInterface.save, VirtualMachine.clean, VirtualMachine.save, CustomFieldsMixin.save,
        Device.clean, Device.save, Device.vc_interfaces, ConfigContextModel.clean, Interface.clean, Interface.save,
        ComponentModel.clean, ComponentModel.save, CabledObjectModel.clean, InterfaceValidationMixin.clean,
        InterfaceChannelRenameMixin.save, update_channelized_cable_paths,
        BaseModel.save, ChangeLoggingMixin.to_objectchange, ObjectChange.save, NetBoxTaggableManager.add,
        ChangeLoggingMixin.serialize_object, serialize_object,
        *(cast('Any', model).serialize_object for model in CREATED_TOGETHER),
    )  # fmt: skip
    return {f'{each.__module__}.{each.__qualname__}': each for each in functions}


# By function: the digests of its source in the versions of NetBox that the bulk path was written for (4.7.3).
KNOWN: dict[str, set[str]] = {
    'core.models.change_logging.ObjectChange.save': {'6a5a7d6f2f3ff026'},
    'core.signals.handle_changed_object': {'94ddc9374e8646af'},
    'dcim.models.device_components.BaseInterface.clean': {'e5c545b16cf7c28e'},
    'dcim.models.device_components.BaseInterface.save': {'2754d44907377704'},
    'dcim.models.device_components.CabledObjectModel.clean': {'057a346ff9dbe756'},
    'dcim.models.device_components.ComponentModel.clean': {'742036641f8f679a'},
    'dcim.models.device_components.ComponentModel.save': {'2c41a60c946110d7'},
    'dcim.models.device_components.Interface.clean': {'37b6efef46eabd3c'},
    'dcim.models.device_components.Interface.save': {'cc0bb5349e7ebea4'},
    'dcim.models.devices.Device.clean': {'fea516bc9922d1c1'},
    'dcim.models.devices.Device.save': {'8c8b5f0c96187e31'},
    'dcim.models.devices.Device.vc_interfaces': {'52aaf250bc9ca26d'},
    'dcim.models.devices.MACAddress.clean': {'b357c4c866f7865b'},
    'dcim.models.mixins.InterfaceChannelRenameMixin.save': {'059d21c7d7790790'},
    'dcim.models.mixins.InterfaceValidationMixin.clean': {'58a2f3cc1ba7bb7e'},
    'dcim.signals.update_channelized_cable_paths': {'e9fa494dd1bcdb71'},
    'dcim.signals.update_mac_address_interface': {'baa91122b713a87f'},
    'extras.managers.NetBoxTaggableManager.add': {'734979346f8714da'},
    'extras.models.configs.ConfigContextModel.clean': {'4277e61e5904301e'},
    'extras.models.configs.ConfigContextModel.serialize_object': {'ea366882d93dfc44'},
    'extras.signals._make_object_save_handler': {'0d451cae95a0cc20'},
    'extras.signals.invalidate_on_device_vm_tag_change': {'44c30adbfae684ed'},
    'extras.signals.notify_object_changed': {'0938db59234206fc'},
    'extras.signals.validate_assigned_tags': {'16fd502b685813ce'},
    'ipam.models.ip.IPAddress.clean': {'049629a3ee133edf'},
    'netbox.models.BaseModel.clean': {'982e136403a04f35'},
    'netbox.models.BaseModel.save': {'1c48ad8f0597abbe'},
    'netbox.models.features.ChangeLoggingMixin.serialize_object': {'cc0679c4fa2e0384'},
    'netbox.models.features.ChangeLoggingMixin.to_objectchange': {'b5b1d608a6ddc31e'},
    'netbox.models.features.CustomFieldsMixin.clean': {'fb9cae844c9e1c12'},
    'netbox.models.features.CustomFieldsMixin.save': {'c3aca8a6a5b633cb'},
    'netbox.models.features.CustomValidationMixin.clean': {'0d8ff38a882c03ec'},
    'utilities.counters.post_save_receiver': {'b12e36890d0c1ee5'},
    'utilities.serialization.serialize_object': {'83dfae4eb7516994'},
    'virtualization.models.virtualmachines.VirtualMachine.clean': {'2ac143a8cf794daf'},
    'virtualization.models.virtualmachines.VirtualMachine.save': {'7499a68568fddd62'},
    'virtualization.signals.update_virtualmachine_disk': {'79b5588a654fc859'},
}

# What stands in a source without meaning anything.
IGNORED = ('COMMENT', 'ENDMARKER', 'NL')
# Their text is white space.
LAYOUT = ('DEDENT', 'INDENT', 'NEWLINE')


@cache
def digest(function: Callable[..., Any]) -> str:
    """A short name for the source of a function, without its comments and its white space."""
    source = textwrap.dedent(inspect.getsource(function))
    sha = hashlib.sha256()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name not in IGNORED:
            sha.update(f'{name} {"" if name in LAYOUT else token.string}\n'.encode())
    return sha.hexdigest()[:16]


def why_unusable(models_of_unit: Collection[type[NetBoxModel]] = CREATED_TOGETHER) -> str:
    """
    Why guests or nodes must be created object by object; '' if they can be created many at a time.

    Args:
        models_of_unit: The models of their objects.
    """
    return next(reasons(models_of_unit), '')


def reasons(models_of_unit: Collection[type[NetBoxModel]]) -> Iterator[str]:
    """Why guests or nodes must be created object by object."""
    for name, function in replaced_functions().items():
        if digest(function) not in KNOWN.get(name, ()):
            yield f'{name} of this version of NetBox is not known'
    for model in models_of_unit:
        yield from reasons_of(model)
    for through, names in SETS.items():
        yield from unexpected_receivers(m2m_changed, through, names)
    # Other plugins derive their own records from the change log.
    yield from unexpected_receivers(post_save, ObjectChange, ALWAYS)
    yield from unexpected_receivers(pre_save, ObjectChange, set())


def reasons_of(model: type[NetBoxModel]) -> Iterator[str]:
    """Why objects of a model must be created one by one."""
    label = model._meta.label_lower
    yield from unexpected_receivers(post_save, model, ALWAYS | AFTER_SAVE[model])
    for signal in (pre_init, post_init, pre_save):
        yield from unexpected_receivers(signal, model, set())
    yield from unexpected_receivers(post_clean, model, {'extras.signals.run_save_validators'})
    if get_config_value_ci(get_config().CUSTOM_VALIDATORS, label, default=[]):
        yield f'{label} has custom validators'
    if router.db_for_write(model) != DEFAULT_DB_ALIAS:
        yield f'{label} is written to another database'
    if unique_of(model) != UNIQUE[model]:
        yield f'{label} has other constraints than expected'
    for field in CustomField.objects.get_for_model(model):
        if field.unique:
            yield f'the custom field "{field.name}" of {label} is unique'


def unexpected_receivers(signal: Signal, sender: type[models.Model], expected: set[str]) -> Iterator[str]:
    """The receivers of a signal that are not those that are expected, and vice versa."""
    receivers: list[Any] = [receiver for kind in signal._live_receivers(sender) for receiver in kind]
    found = {f'{each.__module__}.{each.__qualname__}' for each in receivers if hasattr(each, '__qualname__')}
    if len(found) != len(receivers) or found != expected:
        names = ', '.join(sorted(found ^ expected)) or 'an object'
        yield f'not only the expected functions are called when {sender._meta.label_lower} is written: {names}'


def unique_of(model: type[models.Model]) -> set[str]:
    """The names of the unique fields and the constraints of a model."""
    fields = {field.name for field in model._meta.concrete_fields if field.unique}
    constraints = {constraint.name for constraint in model._meta.total_unique_constraints}
    return fields | constraints | {constraint.name for constraint in model._meta.constraints}
