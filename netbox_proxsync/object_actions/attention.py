"""Buttons of the page "Needs Attention"."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from .decisions import BulkDecisionAction
from .guests import BulkLinkCandidates, IgnoreGuest

__all__ = (
    'ATTENTION_ACTIONS',
    'AcknowledgeAttention',
    'BulkAttentionAction',
    'IgnoreAttention',
    'LinkAttention',
    'SeparateAttention',
)


class BulkAttentionAction(BulkDecisionAction):
    """A decision about selected rows of the page Needs Attention, after a confirmation."""

    @classmethod
    def get_url(cls, obj: Any) -> str:
        return reverse('plugins:netbox_proxsync:attention_resolve', args=[cls.name])


class LinkAttention(BulkAttentionAction):
    name = 'link'
    label = BulkLinkCandidates.label
    color = 'primary'
    icon = BulkLinkCandidates.icon
    hint = _('Link guests and nodes to their only candidates, after a confirmation')


class SeparateAttention(BulkAttentionAction):
    name = 'separate'
    label = _('Create Separately')
    icon = 'plus'
    hint = _('Create new objects and leave the candidates unchanged, after a confirmation')


class IgnoreAttention(BulkAttentionAction):
    name = 'ignore'
    label = _('Ignore')
    icon = IgnoreGuest.icon
    hint = _('Ignore these guests and addresses, after a confirmation')


class AcknowledgeAttention(BulkAttentionAction):
    name = 'acknowledge'
    label = _('Acknowledge')
    icon = 'check'
    hint = _('Acknowledge these faults of Proxmox VE until they change, after a confirmation')


ATTENTION_ACTIONS = (LinkAttention, SeparateAttention, IgnoreAttention, AcknowledgeAttention)
