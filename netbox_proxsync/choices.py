from typing import TYPE_CHECKING, cast

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from utilities.choices import Choice, ChoiceSet

from .sync.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

__all__ = (
    'AttentionChoices',
    'ChangeActionChoices',
    'ChangeOutcomeChoices',
    'DecisionChoices',
    'DuplicateChoices',
    'EndpointStatusChoices',
    'FieldDecisionChoices',
    'FieldOwnerChoices',
    'GuestStateChoices',
    'GuestTypeChoices',
    'InterfaceNamingChoices',
    'KindChoices',
    'MissingAddressesChoices',
    'MissingGuestsChoices',
    'ObjectEventsChoices',
    'PatternTypeChoices',
    'RunModeChoices',
    'RunStatusChoices',
    'SyncStatusChoices',
    'TLSModeChoices',
    'TagMatchChoices',
    'WritePolicyChoices',
    'choices_of',
    'color_of',
)


def choices_of(choices: type[ChoiceSet]) -> 'list[tuple[str, StrOrPromise]]':
    """The values of a choice set with their labels."""
    return list(cast('Iterable[tuple[str, StrOrPromise]]', choices))


def color_of(choices: type[ChoiceSet], value: str) -> str | None:
    """The color of a value among its choices; None if no choice has this value, or the choice has no color."""
    colors: dict[str, str] = choices.colors
    return colors.get(value)


class EndpointStatusChoices(ChoiceSet):
    NEW = 'new'
    QUEUED = 'queued'
    SYNCING = 'syncing'
    COMPLETED = 'completed'
    ERRORS = 'completed_with_errors'
    REFUSED = 'refused'
    CANCELED = 'canceled'
    FAILED = 'failed'

    CHOICES = [
        Choice(NEW, _('New'), color='blue'),
        Choice(QUEUED, _('Queued'), color='orange'),
        Choice(SYNCING, _('Syncing'), color='cyan'),
        Choice(COMPLETED, _('Completed'), color='green'),
        Choice(
            ERRORS,
            _('Completed with errors'),
            color='orange',
            description=_('The last run could not write some of its changes'),
        ),
        Choice(
            REFUSED, _('Refused'), color='yellow', description=_('The last run was stopped before it wrote anything')
        ),
        Choice(CANCELED, _('Canceled'), color='gray', description=_('A user canceled the last run')),
        Choice(FAILED, _('Failed'), color='red'),
    ]


class SyncStatusChoices(ChoiceSet):
    """How NetBox stands to Proxmox VE. Computed by `models.sync_status`."""

    IN_SYNC = 'in-sync'
    PENDING = 'pending'
    ATTENTION = 'attention'
    UNREACHABLE = 'unreachable'
    NEVER = 'never'

    CHOICES = [
        Choice(IN_SYNC, _('In Sync'), color='green', description=_('NetBox matches Proxmox VE')),
        Choice(
            PENDING, _('Changes Pending'), color='cyan', description=_('A sync or the waiting preview changes NetBox')
        ),
        Choice(
            ATTENTION,
            _('Needs Attention'),
            color='orange',
            description=_('A refused or failed run, a conflict or a candidate requires a decision by a user'),
        ),
        Choice(UNREACHABLE, _('Unreachable'), color='red', description=_('The last run could not read Proxmox VE')),
        Choice(NEVER, _('Never Synced'), color='blue', description=_('No sync has written to NetBox yet')),
    ]


class AttentionChoices(ChoiceSet):
    """What requires a user. In the order in which it is listed."""

    ENDPOINT = 'endpoint'
    BLOCKED = 'blocked'
    CONFLICT = 'conflict'
    CANDIDATE = 'candidate'
    FAULT = 'fault'
    PREVIEW = 'preview'

    CHOICES = [
        Choice(
            ENDPOINT,
            _('Failed run'),
            color='red',
            description=_('Proxmox VE could not be read, or NetBox rejected changes'),
        ),
        Choice(BLOCKED, _('Refused run'), color='orange', description=_('A plan requires approval')),
        Choice(CONFLICT, _('Conflict'), color='yellow', description=_('An object requires a decision')),
        Choice(
            CANDIDATE,
            _('Candidate'),
            color='teal',
            description=_('An object in NetBox that may be the same, without proof'),
        ),
        Choice(
            FAULT,
            _('Fault'),
            color='purple',
            description=_('A fault in the configuration of Proxmox VE that no user has acknowledged'),
        ),
        Choice(PREVIEW, _('Preview'), color='blue', description=_('The changes of a preview wait to be applied')),
    ]


class TLSModeChoices(ChoiceSet):
    SYSTEM = 'system'
    CA = 'ca'
    FINGERPRINT = 'fingerprint'
    OFF = 'off'

    CHOICES = [
        Choice(SYSTEM, _("System's certificate authorities"), color='green'),
        Choice(CA, _('Given certificate authority'), color='green'),
        Choice(FINGERPRINT, _('Pinned SHA-256 fingerprint'), color='green'),
        Choice(OFF, _('Not verified (unsafe)'), color='red'),
    ]


class InterfaceNamingChoices(ChoiceSet):
    key = 'ProxmoxEndpoint.interface_naming'

    PROXMOX = 'proxmox'
    GUEST = 'guest'

    CHOICES = [
        Choice(PROXMOX, _('Key in Proxmox VE (net0)')),
        Choice(GUEST, _('Name inside the guest, if the guest agent reports it (ens18)')),
    ]


class MissingGuestsChoices(ChoiceSet):
    RETIRE = 'retire'
    DELETE = 'delete'
    LEAVE = 'leave'

    CHOICES = [
        Choice(RETIRE, _('Retire (mark as deleted, retain the object)')),
        Choice(DELETE, _('Retire, and delete after the grace period')),
        Choice(LEAVE, _('Leave unchanged')),
    ]


class PatternTypeChoices(ChoiceSet):
    GLOB = 'glob'
    REGEX = 'regex'

    CHOICES = [
        Choice(GLOB, _('Wildcards (* ? [abc])')),
        Choice(REGEX, _('Regular expression')),
    ]


class TagMatchChoices(ChoiceSet):
    ANY = 'any'
    ALL = 'all'

    CHOICES = [
        Choice(ANY, _('Any of these tags')),
        Choice(ALL, _('All of these tags')),
    ]


class MissingAddressesChoices(ChoiceSet):
    DELETE = 'delete'
    UNASSIGN = 'unassign'
    LEAVE = 'leave'

    CHOICES = [
        Choice(DELETE, _('Delete those that the sync created, unassign all others')),
        Choice(UNASSIGN, _('Unassign')),
        Choice(LEAVE, _('Leave unchanged')),
    ]


class WritePolicyChoices(ChoiceSet):
    """The values of `sync.write_policy.WritePolicy`."""

    EVERYTHING = 'everything'
    NO_REMOVALS = 'no-removals'
    CREATE_ONLY = 'create-only'
    REPORT_ONLY = 'report-only'

    CHOICES = [
        Choice(EVERYTHING, _('Everything'), color='green'),
        Choice(NO_REMOVALS, _('No Removals'), color='cyan', description=_('Nothing is retired, released or deleted')),
        Choice(CREATE_ONLY, _('Create Only'), color='blue', description=_('Existing objects are not changed')),
        Choice(REPORT_ONLY, _('Report Only'), color='gray', description=_('Nothing is written')),
    ]


class ObjectEventsChoices(ChoiceSet):
    ALWAYS = 'always'
    LATER = 'later'
    NEVER = 'never'

    CHOICES = [
        Choice(ALWAYS, _('Always, for each object')),
        Choice(LATER, _('Not in the first sync')),
        Choice(NEVER, _('Never')),
    ]


class FieldOwnerChoices(ChoiceSet):
    """The owners that a field policy may set."""

    FACT = 'fact'
    EDITORIAL = 'editorial'
    IGNORED = 'ignored'

    CHOICES = [
        Choice(FACT, _('Proxmox VE: edits in NetBox are reset'), color='blue'),
        Choice(EDITORIAL, _('NetBox: edits in NetBox are retained'), color='green'),
        Choice(IGNORED, _('Ignored: neither compared nor written'), color='gray'),
    ]


class FieldDecisionChoices(ChoiceSet):
    """What a user decides about a field that differs between NetBox and Proxmox VE."""

    PROXMOX = 'proxmox'
    KEEP = 'keep'
    ALWAYS = 'always'

    CHOICES = [
        Choice(PROXMOX, _('Use Proxmox VE Value'), color='blue', description=_('The next sync writes it')),
        Choice(KEEP, _('Keep Mine'), color='green', description=_('Until the value in Proxmox VE changes')),
        Choice(
            ALWAYS,
            _('Always Keep Mine'),
            color='teal',
            description=_('For all objects of this type, by the field policy of the endpoint'),
        ),
    ]


class RunModeChoices(ChoiceSet):
    PREVIEW = 'preview'
    SYNC = 'sync'
    APPLY = 'apply'
    QUICK = 'quick'
    REVERT = 'revert'

    CHOICES = [
        Choice(PREVIEW, _('Preview'), color='blue'),
        Choice(SYNC, _('Sync'), color='green'),
        Choice(
            QUICK,
            _('Quick run'),
            color='cyan',
            description=_('Synchronizes the guests whose entry in the list of guests has changed'),
        ),
        Choice(APPLY, _('Apply'), color='teal', description=_('Applies the stored plan of an earlier run')),
        Choice(REVERT, _('Revert'), color='purple', description=_('Plans how to undo what an earlier run wrote')),
    ]

    # They make a plan and apply it.
    SYNCING = (SYNC, QUICK)
    # They make a plan and store it.
    PLANNING = (PREVIEW, REVERT)
    # They read Proxmox VE.
    READING = (PREVIEW, *SYNCING)


class RunStatusChoices(ChoiceSet):
    QUEUED = 'queued'
    RUNNING = 'running'
    CANCELING = 'canceling'
    COMPLETED = 'completed'
    ERRORS = 'completed_with_errors'
    REFUSED = 'refused'
    CANCELED = 'canceled'
    FAILED = 'failed'

    CHOICES = [
        Choice(QUEUED, _('Queued'), color='orange'),
        Choice(RUNNING, _('Running'), color='cyan'),
        Choice(CANCELING, _('Canceling'), color='cyan', description=_('The run stops soon')),
        Choice(COMPLETED, _('Completed'), color='green'),
        Choice(
            ERRORS,
            _('Completed with errors'),
            color='orange',
            description=_('Some changes of the run could not be written'),
        ),
        Choice(REFUSED, _('Refused'), color='yellow'),
        Choice(CANCELED, _('Canceled'), color='gray'),
        Choice(FAILED, _('Failed'), color='red'),
    ]

    WORKING = (RUNNING, CANCELING)
    FINISHED = (COMPLETED, ERRORS, REFUSED, CANCELED, FAILED)
    # The run has reached its end, and its changes are written as far as NetBox accepted them.
    DONE = (COMPLETED, ERRORS)


class ChangeActionChoices(ChoiceSet):
    CREATE = 'create'
    ADOPT = 'adopt'
    UPDATE = 'update'
    RETIRE = 'retire'
    REVIVE = 'revive'
    RELEASE = 'release'
    DELETE = 'delete'
    CONFLICT = 'conflict'
    CANDIDATE = 'candidate'

    CHOICES = [
        Choice(CREATE, _('Create'), color='green'),
        Choice(ADOPT, _('Adopt'), color='teal'),
        Choice(UPDATE, _('Update'), color='blue'),
        Choice(RETIRE, _('Retire'), color='orange'),
        Choice(REVIVE, _('Revive'), color='cyan'),
        Choice(RELEASE, _('Release'), color='purple', description=_('Missing from Proxmox VE; the object is retained')),
        Choice(DELETE, _('Delete'), color='red'),
        Choice(CONFLICT, _('Conflict'), color='yellow'),
        Choice(
            CANDIDATE,
            _('Candidate'),
            color='yellow',
            description=_('An object in NetBox that may be the same, without proof'),
        ),
    ]

    # Nothing is written: a user has to decide.
    OPEN = (CONFLICT, CANDIDATE)
    # The object is deleted, marked as deleted, or no longer managed.
    REMOVING = (DELETE, RETIRE, RELEASE)
    # What a user has to look at first comes first.
    BY_SEVERITY = (*OPEN, *REMOVING, UPDATE, ADOPT, REVIVE, CREATE)


class ChangeOutcomeChoices(ChoiceSet):
    PLANNED = 'planned'
    APPLIED = 'applied'
    OUTDATED = 'outdated'
    SKIPPED = 'skipped'
    CANCELED = 'canceled'
    FAILED = 'failed'
    WITHHELD = 'withheld'
    REJECTED = 'rejected'
    LEFT = 'left'

    CHOICES = [
        Choice(PLANNED, _('Planned'), color='gray'),
        Choice(APPLIED, _('Applied'), color='green'),
        Choice(OUTDATED, _('Outdated'), color='yellow', description=_('NetBox was edited since the plan was created')),
        Choice(SKIPPED, _('Skipped'), color='yellow'),
        Choice(CANCELED, _('Not written'), color='gray', description=_('The run was canceled before this change')),
        Choice(FAILED, _('Failed'), color='red'),
        Choice(
            WITHHELD,
            _('Withheld'),
            color='purple',
            description=_('The write policy of the endpoint does not permit this change'),
        ),
        Choice(
            REJECTED,
            _('Rejected'),
            color='red',
            description=_('NetBox would reject this change, so it is not part of the plan'),
        ),
        Choice(
            LEFT,
            _('Left unchanged'),
            color='yellow',
            description=_('It cannot be reverted, so it is not part of the plan'),
        ),
    ]

    # A preview writes nothing, so its changes have only these.
    OF_PREVIEWS = (PLANNED, OUTDATED, WITHHELD, REJECTED, LEFT)
    # They are shown and are not part of the plan.
    LEFT_OUT = (WITHHELD, REJECTED, LEFT)


class DecisionChoices(ChoiceSet):
    """The values of `sync.answers.Choice`."""

    LINK = 'link'
    SEPARATE = 'separate'
    RENAME = 'rename'
    MOVE = 'move'
    VRF = 'vrf'
    IGNORE = 'ignore'

    CHOICES = [
        Choice(
            LINK,
            pgettext_lazy('verb', 'Link'),
            color='teal',
            description=_('The existing NetBox object is this guest or node'),
        ),
        Choice(SEPARATE, _('Create Separately'), color='green', description=_('The candidates are other machines')),
        Choice(
            RENAME,
            _('Create Under Another Name'),
            color='cyan',
            description=_('The candidates are other machines, and a user has chosen the name'),
        ),
        Choice(MOVE, _('Move Address Here'), color='blue', description=_('Assign the IP address to this interface')),
        Choice(VRF, _('Use Another VRF'), color='indigo', description=_('Create the IP address in this VRF')),
        Choice(IGNORE, _('Ignore'), color='purple', description=_('The object is neither created nor changed')),
    ]


class GuestTypeChoices(ChoiceSet):
    QEMU = 'qemu'
    LXC = 'lxc'

    CHOICES = [
        Choice(QEMU, _('Virtual machine'), color='blue'),
        Choice(LXC, _('Container'), color='purple'),
    ]


class DuplicateChoices(ChoiceSet):
    """What guests may have in common with others."""

    NAME = 'name'
    VMID = 'vmid'
    MAC = 'mac'
    ADDRESS = 'address'

    CHOICES = [
        Choice(NAME, _('Name')),
        Choice(VMID, _('VM ID')),
        Choice(MAC, _('MAC address')),
        Choice(ADDRESS, _('IP address')),
    ]


class GuestStateChoices(ChoiceSet):
    IN_SYNC = 'in-sync'
    NEW = 'new'
    CHANGED = 'changed'
    MISSING = 'missing'
    CONFLICT = 'conflict'
    CANDIDATE = 'candidate'
    SKIPPED = 'skipped'
    IGNORED = 'ignored'
    UNKNOWN = 'unknown'

    CHOICES = [
        Choice(IN_SYNC, _('In sync'), color='green', description=_('NetBox matches Proxmox VE')),
        Choice(NEW, _('New'), color='blue', description=_('Not in NetBox yet')),
        Choice(CHANGED, _('Changed'), color='cyan', description=_('A sync would change NetBox')),
        Choice(MISSING, _('Missing'), color='orange', description=_('Present in NetBox, and no longer in Proxmox VE')),
        Choice(CONFLICT, _('Conflict'), color='red', description=_('Requires a decision by a user')),
        Choice(
            CANDIDATE,
            _('Candidate'),
            color='teal',
            description=_('NetBox has a virtual machine that may be this guest'),
        ),
        Choice(SKIPPED, _('Skipped'), color='gray', description=_('Excluded by a filter of the endpoint or by a rule')),
        Choice(IGNORED, _('Ignored'), color='purple', description=_('Excluded from synchronization by a user')),
        Choice(UNKNOWN, _('Unknown'), color='yellow', description=_('The guest could not be read')),
    ]

    # The order in which users look at guests.
    BY_ATTENTION = (CONFLICT, CANDIDATE, MISSING, NEW, CHANGED, UNKNOWN, IN_SYNC, SKIPPED, IGNORED)
    # The reasons of these states may contain the names of other virtual machines.
    NAMING_OTHERS = (CONFLICT, CANDIDATE)
    # A sync would change NetBox.
    PENDING = (NEW, CHANGED)


class KindChoices(ChoiceSet):
    """The labels of the kinds in sync/kinds/, in the same order."""

    CHOICES = [(kind.name, _(kind.label)) for kind in KINDS.values()]

    @classmethod
    def label(cls, kind: str) -> str:
        """The label of a kind; the kind itself if this release does not have it."""
        return str(dict(cls.CHOICES).get(kind, kind))
