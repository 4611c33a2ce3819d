"""Checks before each write that NetBox and the decisions of users still allow a change of a plan."""

from datetime import datetime

from django.contrib.contenttypes.models import ContentType
from ipam.models import IPAddress

from ..models import Binding, ProxmoxEndpoint
from ..proxmox.messages import Message
from ..sync.answers import Answer, Choice
from ..sync.changes import Action, Change
from ..sync.values import Pointer
from .errors import OutdatedError
from .field_writer import FieldWriter
from .later_edits import Newcomers
from .managed_objects import ManagedObjects
from .netbox_models import find
from .other_endpoints import given_up
from .value_resolver import ValueResolver

__all__ = ('ChangeChecker',)

ADDRESS = 'ipam.ipaddress'
# The kinds of the roots of units about which users decide.
ROOTS = ('vm', 'device')


class ChangeChecker:
    """
    Args:
        planned: When the run began that made the plan.
    """

    def __init__(
        self,
        endpoint: ProxmoxEndpoint,
        objects: ManagedObjects,
        values: ValueResolver,
        fields: FieldWriter,
        planned: datetime,
    ) -> None:
        self.endpoint = endpoint
        self.objects = objects
        self.values = values
        self.fields = fields
        self.planned = planned
        self.newcomers = Newcomers(planned)

    def check(self, change: Change) -> None:
        """
        Check that the guest or node is still bound to the object of the plan, and that no user has decided otherwise.

        Raises:
            OutdatedError: It must not be written.
            UnresolvedError: It refers to a cluster that does not exist.
        """
        if change.unit in self.objects.ignored:
            raise OutdatedError(Message('A user has set this guest to be ignored.'))
        bound = self.objects.pointers.get((change.kind, change.key))
        if bound and self.objects.bound_to[bound].unmanaged:
            raise OutdatedError(Message('The object was set to unmanaged by a user.'))
        self.check_decisions(change)
        if change.action in (Action.CREATE, Action.ADOPT):
            if bound and bound != change.pointer and find(bound) is not None:
                raise OutdatedError(Message('Another object is already bound.'))
            if change.pointer and self.is_managed_by_another(change.pointer):
                raise OutdatedError(Message('The object is now managed by another endpoint.'))
            self.check_identity(change)
        elif bound != change.pointer:
            raise OutdatedError(Message('The object is no longer managed by this endpoint.'))

    def check_decisions(self, change: Change) -> None:
        """
        Raises:
            OutdatedError: A user has decided otherwise since the plan was created, about the object, its guest or its
                node.
        """
        answers = self.objects.answers
        answer = answers.get((change.kind, change.key))
        if answer and (answer.choice is Choice.IGNORE or self.contradicts(change, answer)):
            raise OutdatedError(Message('A user has decided about this object since the plan was created.'))
        for kind in ROOTS:
            root = answers.get((kind, change.unit))
            if root and change.key != change.unit and self.contradicts_part(kind, change, root):
                raise OutdatedError(Message('A user has decided about the guest or node since the plan was created.'))
        if change.pointer and change.action in (Action.CREATE, Action.ADOPT) and change.kind in ROOTS:
            others = (each for identity, each in answers.items() if identity != (change.kind, change.key))
            if any(each.choice is Choice.LINK and each.pointer == change.pointer for each in others):
                raise OutdatedError(Message('A user has linked the object to another guest or node.'))

    def contradicts(self, change: Change, answer: Answer) -> bool:
        """Whether a planned change is not what a user has decided since."""
        if answer.decided < self.planned:
            return False
        match answer.choice:
            case Choice.LINK:
                return change.pointer != answer.pointer
            case Choice.SEPARATE:
                return change.action is Action.ADOPT
        return True

    def contradicts_part(self, kind: str, change: Change, answer: Answer) -> bool:
        """Whether a part was planned for another guest or node than the one that a user has chosen since."""
        if answer.decided < self.planned or not (answer.choice is Choice.LINK or answer.is_separate):
            return False
        root = self.objects.pointers.get((kind, change.unit))
        if answer.choice is Choice.LINK:
            return root != answer.pointer
        return root is None and (answer.choice is Choice.RENAME or change.action is not Action.CREATE)

    def is_linked(self, change: Change) -> bool:
        """Whether a user has linked the guest or node of a change."""
        answer = self.objects.answers.get((change.kind, change.key))
        return answer is not None and answer.choice is Choice.LINK

    def check_identity(self, change: Change) -> None:
        """
        Raises:
            OutdatedError: After edits since the plan was created, another object may be the guest or node.
        """
        if change.action is Action.CREATE:
            answer = self.objects.answers.get((change.kind, change.key))
            if answer is None or not answer.is_separate:
                self.check_newcomers(change)
        elif change.kind == 'vm' and change.pointer and not self.is_linked(change):
            vmid = self.fields.locked(change.pointer).custom_field_data.get('vmid')
            if vmid is not None and vmid != int(change.key.rpartition('/')[2]):
                raise OutdatedError(
                    Message(
                        '"{name}" now has the VM ID {vmid}, so it is another machine.',
                        name=change.pointer.label,
                        vmid=vmid,
                    )
                )

    def check_newcomers(self, change: Change) -> None:
        """
        Raises:
            OutdatedError: A user has created or edited an object since that may be the guest or node.
        """
        cluster = next((field.want for field in change.writes if field.name == 'cluster'), None)
        pointer = self.values.resolve(cluster) if change.kind == 'vm' else None
        if found := self.newcomers.like(change, pointer.pk if isinstance(pointer, Pointer) else None):
            raise OutdatedError(
                Message(
                    '"{name}" was created or edited in NetBox since the plan was created, and may be the same object.',
                    name=found,
                )
            )

    def is_managed_by_another(self, pointer: Pointer) -> bool:
        """Whether another endpoint manages an object and does not give it up."""
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        others = Binding.objects.filter(object_type=object_type, object_id=pointer.pk).exclude(endpoint=self.endpoint)
        if pointer in self.objects.bound_to or not others.exists():
            return False
        address = IPAddress.objects.filter(pk=pointer.pk).first() if pointer.model == ADDRESS else None
        return address is None or not given_up(others, address, self.objects.bound_to)
