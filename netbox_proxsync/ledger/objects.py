"""Creates, changes and deletes single NetBox objects, and writes their bindings."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from netbox.models import NetBoxModel

from ..branching import in_branch
from ..models import ProxmoxEndpoint
from ..proxmox.messages import Message, joined
from ..sync.changes import Action, Change, FieldChange
from ..sync.kinds import KINDS, Removal
from ..sync.ownership import resolve_field
from ..sync.removal import is_marked
from ..sync.values import Pointer, Ref, Shared
from .binding_writer import BindingWriter
from .change_checker import ChangeChecker
from .dependents import dependents_of
from .errors import OutdatedError
from .field_writer import FieldWriter
from .fields import is_set, pointer_to, read, write
from .managed_objects import ManagedObjects, Named
from .netbox_models import model_named
from .rollback import Journal
from .value_resolver import ValueResolver

__all__ = ('ObjectWriter',)


class ObjectWriter:
    """
    Writes the changes of one endpoint within one run.

    Every method that writes raises what NetBox refuses with (ValidationError, AbortRequest, ProtectedError, ...),
    `OutdatedError` or `UnresolvedError`; the caller holds the savepoint.

    Args:
        message: For every entry of the change log.
        moment: The time of the run: for stamps, retirements and new bindings.
        planned: When the run began that made the plan; None: this run, at `moment`.

    Attributes:
        journal: Undoes what is remembered here together with a savepoint or a transaction.
    """

    def __init__(
        self, endpoint: ProxmoxEndpoint, message: str, moment: datetime, planned: datetime | None = None
    ) -> None:
        self.endpoint = endpoint
        self.journal = Journal()
        self.objects = ManagedObjects(endpoint, self.journal)
        self.values = ValueResolver(endpoint, self.objects, self.journal)
        self.fields = FieldWriter(message, moment, self.values, self.objects)
        self.bindings = BindingWriter(moment, self.objects, self.values, self.fields.displacement)
        self.checker = ChangeChecker(endpoint, self.objects, self.values, self.fields, planned or moment)

    # For the whole plan, or around a transaction

    def expect(self, changes: Iterable[Change]) -> None:
        """Note what a plan will do to names and roles, and read the bindings that it needs, before its first change."""
        named = Named()
        self.fields.displacement.expect(named.noting(changes))
        self.objects.expect(named)

    def remember_shared(self, pointers: Mapping[Shared, Pointer]) -> None:
        """Store shared objects that were found by name."""
        self.values.remember_shared(pointers)

    def load(self) -> None:
        """Read the bindings, the ignored guests and the decisions again."""
        self.objects.load()

    def begin_transaction(self) -> None:
        """Look again for edits by users."""
        self.checker.newcomers.forget()

    # Around a single change

    def begin_change(self, change: Change) -> dict[str, Exception]:
        """
        Create the shared objects that a change needs, in savepoints of their own.

        Returns:
            What NetBox refused, by field.
        """
        self.fields.has_written = False
        return self.values.create_shared(change)

    @property
    def has_written(self) -> bool:
        """Whether anything was written since `begin_change`."""
        return self.fields.has_written

    @property
    def unassignable_tags(self) -> set[Pointer]:
        """The tags that the object of the change in hand may not have any more."""
        return self.values.unassignable

    def lacking(self, change: Change) -> frozenset[Shared]:
        """The shared objects that a change needs and that do not exist."""
        return self.values.lacking(change)

    def written_object(self, change: Change) -> Pointer | None:
        """The object that is bound by a change now; None: there is none (any more)."""
        return self.objects.pointers.get((change.kind, change.key))

    # The changes

    def check(self, change: Change) -> None:
        """
        Raises:
            OutdatedError: It must not be written, because of edits or decisions since the plan was created.
        """
        self.checker.check(change)
        if change.pointer is not None:
            self.fields.displacement.leaving.discard(change.pointer)

    def create(self, change: Change) -> None:
        """Create an object and its binding. Late fields stay empty."""
        kind = KINDS[change.kind]
        model = model_named(kind.model)
        fields = [field for field in change.writes if not field.deferred and self.values.is_available(field)]
        instance = self.created_with_parent(change)
        is_new = instance is None
        if instance is None:
            instance = model()
        else:
            fields = [field for field in fields if self.may_fill(instance, field)]
            self.fields.prepare(instance)
        for field in fields:
            if not is_set(model, field.name):
                write(instance, field.name, self.values.resolve(field.want))
        self.fields.displacement.displace(instance)
        self.fields.stamp(instance, change.kind)
        self.fields.save(instance)
        self.fields.write_sets(instance, fields)
        pointer = pointer_to(instance)
        self.fields.stamped.add(pointer)
        skipped = {field.name for field in change.writes if field not in fields}
        self.bindings.bind(change, pointer, skipped=skipped, is_created=is_new)
        if change.kind == 'cluster':
            self.assign_cluster(pointer)

    def update(self, change: Change) -> list[str]:
        """
        Write the early fields of a change and its binding.

        Returns:
            The fields that were not written, because NetBox was edited since the plan was created.
        """
        pointer = self.objects.pointer_of(change)
        early = [field for field in change.writes if not field.deferred and self.values.is_available(field)]
        outdated = self.fields.write_fields(change, early, pointer)
        skipped = {field.name for field in change.writes if field not in early}
        self.bindings.bind(change, pointer, skipped=skipped | set(outdated))
        if change.kind == 'cluster':
            self.assign_cluster(pointer)
        return outdated

    def write_late(self, change: Change, names: Collection[str], pending: Collection[str] = ()) -> list[str]:
        """
        Write fields that point to objects which did not exist before this unit was written.

        Args:
            names: The fields to write.
            pending: The fields that are not written yet, or were refused.

        Returns:
            The fields that were not written, because NetBox was edited since the plan was created.
        """
        pointer = self.objects.pointer_of(change)
        late = [field for field in change.writes if field.deferred and field.name in names]
        resolved = [field for field in late if not isinstance(field.want, Ref) or self.values.exists(field.want)]
        if change.action is Action.UPDATE and not resolved and len(late) == len(change.writes):
            # Nothing of the change can be written: raise, so that it is not reported as applied.
            self.values.resolve(late[0].want)
        outdated = self.fields.write_fields(change, resolved, pointer)
        unresolved = {field.name for field in late if field not in resolved}
        unavailable = {field.name for field in change.writes if not self.values.is_available(field)}
        self.bindings.bind(change, pointer, skipped=unresolved | unavailable | set(outdated) | set(pending))
        return outdated

    def release(self, change: Change) -> list[str]:
        """
        Stop managing an object that belongs to a user: it remains, without a binding.

        Returns:
            The fields that were not written, because NetBox was edited since the plan was created.
        """
        outdated = self.fields.write_fields(change, list(change.writes), self.objects.pointer_of(change))
        self.bindings.unbind(change)
        return outdated

    def delete(self, change: Change) -> None:
        """
        Delete an object and its binding.

        Raises:
            OutdatedError: Since the plan was made, it got dependents, or it is no longer marked as retired.
        """
        instance = self.fields.locked(self.objects.pointer_of(change))
        if dependents := sorted(set(dependents_of(instance, self.objects.bound_to))):
            raise OutdatedError(Message('Dependent objects: {dependents}.', dependents=joined(dependents, ', ')))
        if not self.is_retired(instance, change):
            raise OutdatedError(Message('The object is no longer marked as retired.'))
        self.fields.prepare(instance)
        instance.delete()
        self.fields.has_written = True
        self.bindings.unbind(change)

    def stamp_unit(self, change: Change) -> None:
        """Set the stamp of the root object of a unit of which something has changed, unless its own write has."""
        root = next(
            (name for name, kind in KINDS.items() if kind.stamp and (name, change.unit) in self.objects.pointers), None
        )
        if root is None or (pointer := self.objects.pointers[root, change.unit]) in self.fields.stamped:
            return
        if self.objects.bound_to[pointer].unmanaged:
            return
        instance = self.fields.locked(pointer)
        self.fields.prepare(instance)
        self.fields.stamp(instance, root)
        self.fields.save(instance)
        self.fields.stamped.add(pointer)

    # Parts of the above

    def created_with_parent(self, change: Change) -> NetBoxModel | None:
        """The object that NetBox has created from a template together with its parent, in the same run."""
        kind = KINDS[change.kind]
        if kind.comes_with_parent is None:
            return None
        wants = {field.name: field.want for field in change.writes}
        parent, name = (self.values.resolve(wants.get(field)) for field in kind.comes_with_parent)
        if not isinstance(parent, Pointer) or parent not in self.fields.stamped:
            return None
        lookup = dict(zip(kind.comes_with_parent, (parent.pk, name), strict=True))
        found = model_named(kind.model).objects.filter(**lookup).first()
        return None if found is None or pointer_to(found) in self.objects.bound_to else found

    def may_fill(self, instance: NetBoxModel, field: FieldChange) -> bool:
        """Whether the sync may write a field of an object that exists already."""
        now = read(instance, field.name)
        return resolve_field(field.owner, field.name, {}, now, self.values.resolve(field.want)).writes

    def is_retired(self, instance: NetBoxModel, change: Change) -> bool:
        """Whether an object is still marked as retired, if it is of a kind that is retired before it is deleted."""
        bound, kind = self.objects.bound_to.get(self.objects.pointer_of(change)), KINDS[change.kind]
        if kind.removal is not Removal.RETIRE or bound is None:
            return True
        return is_marked(bound, {name: read(instance, name) for name in kind.retired})

    def assign_cluster(self, cluster: Pointer) -> None:
        """
        Assign the cluster that the first sync creates or finds to the endpoint.

        In a branch that is done by the merge: the endpoint is in main, which may not have the cluster.
        """
        if in_branch():
            return
        endpoint = ProxmoxEndpoint.objects.get(pk=self.endpoint.pk)
        if endpoint.cluster_id is None:
            self.fields.prepare(endpoint)
            endpoint.cluster_id = cluster.pk
            endpoint.save()
