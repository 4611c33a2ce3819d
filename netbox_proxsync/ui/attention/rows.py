"""One thing that requires a user."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dcim.models import Device
from django.urls import reverse

from ...choices import AttentionChoices, KindChoices, color_of
from ...models import ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ...models.runs import unit_key

__all__ = ('ACKNOWLEDGE', 'ORDER', 'AttentionRow')

ORDER = {question: rank for rank, (question, *_rest) in enumerate(AttentionChoices)}
# Faults are acknowledged; that is no decision about an object.
ACKNOWLEDGE = 'acknowledge'


@dataclass
class AttentionRow:
    """
    One thing that requires a user.

    Attributes:
        pk: Identifies the row: 'change-12', 'run-3', 'endpoint-1', or 'fault-1-' and a digest.
        question: One of `AttentionChoices`.
        kind, key, unit: Of the object of a conflict or candidate; of a fault, `unit` is its subject.
        since: When it was first reported.
        run: The run that has reported it, if the user may view it.
        change_id: Of a conflict or candidate.
        object_type_id, object_id: The object that causes the conflict, or the candidate.
        message: Of a fault, as the run has recorded it.
        change, guest, device, object: What the page links to, as far as the user may view it; set by `complete`.
        may_act: Whether the user may use the buttons of the row; set by `complete`.
    """

    pk: str
    question: str
    endpoint: ProxmoxEndpoint
    label: str
    reason: str
    since: datetime | None
    kind: str = ''
    key: str = ''
    unit: str = ''
    position: int = 0
    run: SyncRun | None = None
    run_id: int | None = None
    change_id: int | None = None
    object_type_id: int | None = None
    object_id: int | None = None
    message: dict[str, Any] = field(default_factory=dict)
    change: SyncChange | None = None
    guest: ProxmoxGuest | None = None
    device: Device | None = None
    object: Any = None
    may_act: bool = False

    def __str__(self) -> str:
        return f'{self.get_question_display()}: {self.label}'

    def get_question_display(self) -> str:
        return str(dict(AttentionChoices).get(self.question, self.question))

    def get_question_color(self) -> str | None:
        return color_of(AttentionChoices, self.question)

    @property
    def kind_label(self) -> str:
        """The label of the kind of the object; '' if the row is about none."""
        return KindChoices.label(self.kind) if self.kind else ''

    @property
    def identity(self) -> tuple[int, str, str]:
        """The object in Proxmox VE that the row is about: endpoint (pk), kind and key."""
        return self.endpoint.pk, self.kind, self.key

    @property
    def order(self) -> tuple[int, str, list[tuple[int, str]], int]:
        """The key by which rows are sorted, unless the user has chosen another order."""
        return ORDER[self.question], self.endpoint.name, unit_key(self.unit), self.position

    @property
    def choices(self) -> list[str]:
        """The decisions that the user can make: of `DecisionChoices`, 'ignore_guest', or 'acknowledge'."""
        if self.change is not None:
            found = getattr(self.change, 'resolutions', None)
            return list(dict.fromkeys(button.choice for button in found.buttons)) if found else []
        return [ACKNOWLEDGE] if self.may_act and self.question == AttentionChoices.FAULT else []

    @property
    def plan_url(self) -> str:
        """The page on which the plan is reviewed."""
        if self.run is None:
            return ''
        if self.question == AttentionChoices.BLOCKED and self.may_act:
            return reverse('plugins:netbox_proxsync:syncrun_accept', args=[self.run.pk])
        return self.run.get_absolute_url()

    def matches(self, term: str) -> bool:
        """Whether a search finds the row."""
        texts = (self.label, self.key, self.unit, self.reason, self.endpoint.name)
        return any(term in text.lower() for text in texts)
