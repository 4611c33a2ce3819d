"""Decides how objects are handled whose counterparts are gone from Proxmox VE."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ..proxmox.messages import EMPTY, Message, gettext_noop, joined
from .changes import Action, Change, FieldChange
from .kinds import KINDS, Owner, Removal
from .settings import Settings
from .state import Bound, Existing, Record
from .values import Value

__all__ = ('is_marked', 'may_be_deleted', 'removals')

PRIMARY = {
    'primary_ip4': gettext_noop('the primary IPv4 address of {guest}'),
    'primary_ip6': gettext_noop('the primary IPv6 address of {guest}'),
}


def removals(
    gone: Iterable[Bound], existing: Existing, settings: Settings, now: datetime
) -> tuple[list[Change], tuple[int, ...]]:
    """
    The changes for bindings whose counterparts are gone, and the bindings (pks) that have lost their objects as well.
    """
    changes, forgotten = [], []
    # Parts are removed before their parents: addresses before their interface, VLAN interfaces before their parent.
    order = list(KINDS)
    for bound in sorted(gone, key=lambda bound: (-order.index(bound.kind), bound.last.get('parent') is None)):
        record = existing.by_pointer.get(bound.pointer)
        if record is None:
            forgotten.append(bound.pk)
        elif change := removal(bound, record, existing, settings, now):
            changes.append(change)
    roots = {bound.unit for bound in gone if bound.key == bound.unit and bound.pk in forgotten}
    parts = (bound for bound in existing.bindings.values() if bound.unit in roots)
    return changes, tuple(dict.fromkeys([*forgotten, *(bound.pk for bound in parts)]))


def removal(bound: Bound, record: Record, existing: Existing, settings: Settings, now: datetime) -> Change | None:
    """The change for one such binding; None: the object stays unchanged."""
    kind = KINDS[bound.kind]
    if kind.removal is Removal.DELETE:
        return delete_or_release(bound, record, existing, settings)
    if kind.removal is not Removal.RETIRE or settings.missing_guests == 'leave':
        return None
    if bound.missing_since is None:
        retired = kind.retired.items()
        values = {name: value for name, value in retired if may_write(name, bound, record, existing, settings)}
        reason = Message('No longer present in Proxmox VE.')
        if bound.unit in existing.replaced:
            reason = Message('Another machine now has the VM ID in Proxmox VE.')
        return removal_change(Action.RETIRE, bound, record, values, reason)
    if values := lost_mark(bound, record, existing, settings):
        return removal_change(
            Action.RETIRE, bound, record, values, Message('No longer present in Proxmox VE, and not marked as retired.')
        )
    if not is_expired(bound, settings, now):
        return None
    reason = Message('Missing from Proxmox VE since {day}.', day=f'{bound.missing_since:%Y-%m-%d}')
    if not is_marked(bound, record.values):
        return needs_decision(
            bound,
            record,
            joined(
                (
                    reason,
                    Message(
                        'The object is not deleted because it is no longer marked as retired (status and custom '
                        'field). Delete it yourself, or mark it again.'
                    ),
                )
            ),
        )
    return delete(bound, record, existing, reason)


def is_expired(bound: Bound, settings: Settings, now: datetime) -> bool:
    """Whether the grace period of a retired object is over, so that the endpoint deletes it."""
    is_deletable = KINDS[bound.kind].is_deletable and bound.created_by_sync
    if bound.missing_since is None or not is_deletable or settings.missing_guests != 'delete':
        return False
    return now >= bound.missing_since + timedelta(days=settings.grace_days)


def is_marked(bound: Bound, now: Mapping[str, Value]) -> bool:
    """
    Whether a retired object still has the values that its retirement wrote. An object that a user has changed since may
    be in use, and is never deleted.
    """
    marks = {name: value for name, value in KINDS[bound.kind].retired.items() if bound.last.get(name) == value}
    return bool(marks) and all(now.get(name) == value for name, value in marks.items())


def lost_mark(bound: Bound, record: Record, existing: Existing, settings: Settings) -> dict[str, Value]:
    """
    The values to write again to an object that is stored as retired and not marked as such although no user edited it:
    its retirement was reverted.
    """
    retired = KINDS[bound.kind].retired
    written = {name: value for name, value in retired.items() if may_write(name, bound, record, existing, settings)}
    missing = {name for name, value in written.items() if record.values[name] != value}
    edited = any(bound.last.get(name) == written[name] for name in missing)
    return written if missing and not edited else {}


def may_be_deleted(bound: Bound, settings: Settings) -> bool:
    """Whether an object whose counterpart is gone may be deleted, now or soon, so that its dependents matter."""
    kind = KINDS[bound.kind]
    if kind.removal is Removal.RETIRE:
        deletes = settings.missing_guests == 'delete' and kind.is_deletable
        return deletes and bound.created_by_sync and bound.missing_since is not None
    return kind.removal is Removal.DELETE and kind.missing_policy(settings) != 'leave'


def may_write(name: str, bound: Bound, record: Record, existing: Existing, settings: Settings) -> bool:
    """Whether a field may be written: NetBox accepts it, the endpoint does not ignore it, and no user has edited it."""
    if name not in record.values:
        return False
    limits = existing.limits.get((KINDS[bound.kind].model, name.removeprefix('cf_')))
    if limits and limits.refusal(KINDS[bound.kind].retired.get(name)):
        return False
    owners = {spec.name: settings.owner(bound.kind, spec.name, spec.owner) for spec in KINDS[bound.kind].fields}
    if owners[name] is Owner.EDITORIAL:
        return record.values[name] == bound.last.get(name)
    return owners[name] is not None


def delete_or_release(bound: Bound, record: Record, existing: Existing, settings: Settings) -> Change | None:
    """The change for an object of a kind that is deleted if the sync created it; None: it stays unchanged."""
    if was_reassigned(bound, record):
        reason = Message(
            'No longer present in Proxmox VE. The object was reassigned in NetBox, so it is no longer managed.'
        )
        return removal_change(Action.RELEASE, bound, record, {}, reason)
    policy = KINDS[bound.kind].missing_policy(settings)
    if policy == 'leave':
        return None
    if chosen := chosen_for(bound, record, existing, settings):
        return needs_decision(
            bound,
            record,
            Message(
                'No longer present in Proxmox VE, but a user chose the address as {field}, so it is '
                'left unchanged. Choose another one there, or delete it.',
                field=chosen,
            ),
        )
    released, dependents = KINDS[bound.kind].released, existing.dependents.get(bound.pointer, ())
    if bound.created_by_sync and policy == 'delete' and not (released and dependents):
        return delete(bound, record, existing, Message('No longer present in Proxmox VE.'))
    if not bound.created_by_sync:
        reason = Message(
            'No longer present in Proxmox VE; it was not created by this sync, so the object is retained and no longer '
            'managed.'
        )
    elif policy != 'delete':
        reason = Message(
            'No longer present in Proxmox VE; this endpoint unassigns missing addresses, so the object is retained '
            'and no longer managed.'
        )
    else:
        reason = Message(
            'No longer present in Proxmox VE; other objects depend on it: {dependents}, so the object is retained '
            'and no longer managed.',
            dependents=joined(dependents, ', '),
        )
    return removal_change(Action.RELEASE, bound, record, released, reason)


def was_reassigned(bound: Bound, record: Record) -> bool:
    """Whether a user moved the object to another parent."""
    holder = KINDS[bound.kind].holder
    return holder is not None and record.values[holder] not in (None, bound.last.get(holder))


def chosen_for(bound: Bound, record: Record, existing: Existing, settings: Settings) -> Message:
    """The display text of the primary address field for which a user chose the object; '' if there is none."""
    holder = existing.record_of(KINDS[bound.kind].machine_of(record))
    kept = existing.binding_of(holder.pointer) if holder else None
    if holder is None or kept is None:
        return EMPTY
    for spec in KINDS[kept.kind].fields:
        is_primary = spec.name in PRIMARY and holder.values.get(spec.name) == bound.pointer
        is_ours = kept.last.get(spec.name) == bound.pointer
        if is_primary and not is_ours and settings.owner(kept.kind, spec.name, spec.owner) is not Owner.FACT:
            # The key, because the same run may change the name.
            return Message(PRIMARY[spec.name], guest=kept.key)
    return EMPTY


def delete(bound: Bound, record: Record, existing: Existing, reason: Message) -> Change:
    """The deletion of an object, or a conflict if objects depend on it that this endpoint did not create."""
    if dependents := existing.dependents.get(bound.pointer):
        return needs_decision(
            bound,
            record,
            joined(
                (
                    reason,
                    Message(
                        'The object is not deleted because of dependent objects: {dependents}. Move or delete them, or '
                        'delete it yourself.',
                        dependents=joined(dependents, ', '),
                    ),
                )
            ),
        )
    return removal_change(Action.DELETE, bound, record, {}, reason)


def needs_decision(bound: Bound, record: Record, reason: Message) -> Change:
    """A conflict about which a user has to decide; until then, the object stays unchanged."""
    return Change(
        action=Action.CONFLICT,
        kind=bound.kind,
        key=bound.key,
        unit=bound.unit,
        label=record.pointer.label,
        pointer=record.pointer,
        reason=reason,
    )


def removal_change(
    action: Action, bound: Bound, record: Record, values: Mapping[str, Value], reason: Message
) -> Change:
    """
    A change of an object whose counterpart is gone. Only a retired object is bound afterwards.

    Args:
        values: The values to write.
    """
    owners = {spec.name: spec.owner for spec in KINDS[bound.kind].fields}
    return Change(
        action=action,
        kind=bound.kind,
        key=bound.key,
        unit=bound.unit,
        label=record.pointer.label,
        pointer=record.pointer,
        fields=tuple(
            FieldChange(
                name=name,
                owner=owners[name],
                last=bound.last.get(name),
                now=record.values[name],
                want=value,
                has_last=name in bound.last,
            )
            for name, value in values.items()
            if record.values[name] != value
        ),
        binding={**bound.last, **values} if action is Action.RETIRE else None,
        reason=reason,
    )
