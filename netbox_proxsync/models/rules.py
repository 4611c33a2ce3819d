import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..branching import clean_in_main
from ..choices import GuestTypeChoices, PatternTypeChoices, TagMatchChoices, color_of
from ..documentation import help_url
from ..fields import column
from ..sync.patterns import PatternError, compile_pattern
from ..wording import worded

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
    from extras.models import Tag

from .exporting import rule_as_yaml
from .netbox_types import PrimaryModel

__all__ = ('NO_OUTCOME', 'MappingRule')

# The code of the error of a rule that does nothing.
NO_OUTCOME = 'no_outcome'

# Proxmox VE's own formats: pve-tag, pve-poolid, pve-node (https://pve.proxmox.com/pve-docs/api-viewer/).
TAG = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_\-+.]*')
POOL = re.compile(r'[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*')
NODE = re.compile(r'[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?')
# The range that Proxmox VE accepts (pve-common, JSONSchema.pm: pve-vmid).
MIN_VMID, MAX_VMID = 100, 999_999_999
VMID = [MinValueValidator(MIN_VMID), MaxValueValidator(MAX_VMID)]


def texts(verbose_name: 'StrOrPromise', help_text: 'StrOrPromise') -> 'ArrayField[list[str], list[str]]':
    return ArrayField(
        verbose_name=verbose_name,
        base_field=models.CharField(max_length=255),
        default=list,
        blank=True,
        help_text=help_text,
    )


def related(to: str, verbose_name: 'StrOrPromise', **kwargs: Any) -> 'models.ForeignKey[Any, Any]':
    # PROTECT, as for the placement of an endpoint: deleting an object must not silently change what a rule sets.
    defaults: dict[str, Any] = {'on_delete': models.PROTECT, 'related_name': '+', 'blank': True, 'null': True}
    return models.ForeignKey(to=to, verbose_name=verbose_name, **(defaults | kwargs))


class MappingRule(PrimaryModel):
    """
    Conditions on guests and the resulting values: guests that match are skipped, or get a role, a tenant, ...
    """

    name = models.CharField(
        verbose_name=_('name'),
        max_length=100,
        unique=True,
    )
    weight = models.PositiveSmallIntegerField(
        verbose_name=_('weight'),
        default=1000,
        help_text=_('Rules are evaluated in order of increasing weight; the first match takes precedence'),
    )
    enabled = models.BooleanField(
        verbose_name=_('enabled'),
        default=True,
    )

    # Conditions. Empty fields are no conditions; all others must hold.
    # CASCADE: a rule for one endpoint must not become one for all when that endpoint is deleted.
    endpoint = related(
        'netbox_proxsync.ProxmoxEndpoint',
        _('endpoint'),
        on_delete=models.CASCADE,
        related_name='mapping_rules',
        help_text=_('Leave blank to apply the rule to all endpoints'),
    )
    guest_type = models.CharField(
        verbose_name=_('guest type'),
        max_length=30,
        choices=GuestTypeChoices,
        blank=True,
    )
    name_pattern = models.CharField(
        verbose_name=_('name pattern'),
        max_length=255,
        blank=True,
        help_text=_(
            'Wildcards must match the entire name: web-*, db?, [a-f]*. A regular expression (RE2 syntax) may be found '
            'anywhere in it: ^(web|app)-\\d+$. Matching is case-insensitive.'
        ),
    )
    pattern_type = models.CharField(
        verbose_name=_('pattern type'),
        max_length=30,
        choices=PatternTypeChoices,
        default=PatternTypeChoices.GLOB,
    )
    guest_tags = texts(
        _('guest tags'),
        _("Proxmox VE's tags of the guest, separated by commas, for example: prod, web"),
    )
    tag_match = models.CharField(
        verbose_name=_('tag match'),
        max_length=30,
        choices=TagMatchChoices,
        default=TagMatchChoices.ANY,
        help_text=_('Whether the guest must have one or all of the tags'),
    )
    pools = texts(
        _('pools'),
        _('One of these pools or a pool nested in them, separated by commas: "web" includes "web/prod"'),
    )
    nodes = texts(
        _('nodes'),
        _('One of these nodes, separated by commas, for example: pve1, pve2. A guest that migrates changes its node.'),
    )
    vmid_min = models.PositiveIntegerField(
        verbose_name=_('VM ID from'),
        blank=True,
        null=True,
        validators=VMID,
    )
    vmid_max = models.PositiveIntegerField(
        verbose_name=_('VM ID to'),
        blank=True,
        null=True,
        validators=VMID,
        help_text=_('Both ends are included'),
    )
    template = models.BooleanField(
        verbose_name=_('template'),
        blank=True,
        null=True,
        help_text=_(
            'Whether the guest is a template. Templates are only synchronized by endpoints with "sync templates"'
        ),
    )

    # Outcome. The next rule that matches, and finally the endpoint, decides about empty fields.
    skip = models.BooleanField(
        verbose_name=_('skip the guest'),
        default=False,
        help_text=_('The guest is not synchronized. Its existing NetBox objects are left unchanged.'),
    )
    role = related('dcim.DeviceRole', _('role'))
    tenant = related('tenancy.Tenant', _('tenant'))
    platform = related('dcim.Platform', _('platform'), help_text=_('Replaces the platform that the guest reports'))
    vrf = related('ipam.VRF', _('VRF'), help_text=_("VRF of the guest's addresses"))
    vlan_group = related(
        'ipam.VLANGroup', _('VLAN group'), help_text=_("Where the VLANs of the guest's interfaces are looked up")
    )
    extra_tags: 'models.ManyToManyField[Tag, Any]' = models.ManyToManyField(
        to='extras.Tag',
        related_name='+',
        verbose_name=_('extra tags'),
        blank=True,
        help_text=_("NetBox tags in addition to the guest's own. Those of all matching rules are combined."),
    )

    CONDITIONS = (
        'endpoint', 'guest_type', 'name_pattern', 'guest_tags', 'pools', 'nodes', 'vmid_min', 'vmid_max', 'template',
    )  # fmt: skip
    OBJECT_OUTCOMES = ('role', 'tenant', 'platform', 'vrf', 'vlan_group')

    clone_fields = (
        'weight', 'enabled', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type', 'guest_tags', 'tag_match',
        'pools', 'nodes', 'vmid_min', 'vmid_max', 'template', 'skip', 'role', 'tenant', 'platform', 'vrf', 'vlan_group',
        'extra_tags',
    )  # fmt: skip
    prerequisite_models = ()

    class Meta:
        # The order in which a sync evaluates them.
        ordering = ('weight', 'name')
        verbose_name = _('mapping rule')
        verbose_name_plural = _('mapping rules')

    def __str__(self) -> str:
        return self.name

    @property
    def docs_url(self) -> str:
        # NetBox's default is a URL in its own documentation, which does not cover plugins.
        return help_url('rules')

    def get_guest_type_color(self) -> str | None:
        return color_of(GuestTypeChoices, self.guest_type)

    def clean(self) -> None:
        clean_in_main()
        super().clean()
        errors: dict[str, Any] = {}
        for name, clean in (('guest_tags', clean_tag), ('pools', clean_pool), ('nodes', clean_node)):
            self._clean_texts(errors, name, clean)
        self._clean_pattern(errors)
        self._clean_range(errors)
        self._clean_role(errors)
        self._clean_outcome(errors)
        if errors:
            raise ValidationError(errors)

    def _clean_texts(self, errors: dict[str, Any], name: str, clean: Callable[[str], str]) -> None:
        try:
            entered = [text.strip() for text in getattr(self, name) or ()]
            setattr(self, name, list(dict.fromkeys(clean(text) for text in entered if text)))
        except ValidationError as error:
            errors[name] = error

    def _clean_pattern(self, errors: dict[str, Any]) -> None:
        self.name_pattern = self.name_pattern.strip()
        try:
            if self.name_pattern:
                compile_pattern(self.name_pattern, self.pattern_type)
        except PatternError as error:
            errors['name_pattern'] = _('This pattern is not valid: {error}').format(error=worded(error))

    def _clean_range(self, errors: dict[str, Any]) -> None:
        if self.vmid_min is not None and self.vmid_max is not None and self.vmid_min > self.vmid_max:
            errors['vmid_max'] = _('The range is reversed: {first} is more than {last}.').format(
                first=self.vmid_min, last=self.vmid_max
            )

    def _clean_role(self, errors: dict[str, Any]) -> None:
        if self.role_id and not self.role.vm_role:
            errors['role'] = _('The role "{role}" is not for virtual machines.').format(role=self.role)

    def _clean_outcome(self, errors: dict[str, Any]) -> None:
        tags = self._extra_tags()
        sets = [name for name in self.OBJECT_OUTCOMES if getattr(self, f'{name}_id')]
        if self.skip and (sets or tags):
            contradicting = [*sets, 'extra_tags'] if tags else sets
            labels = [str(column(MappingRule, name).verbose_name) for name in contradicting]
            message = _('A rule that skips guests cannot set {names}.')
            errors['skip'] = message.format(names=', '.join(labels))
        elif self.skip and not self.has_conditions:
            errors['skip'] = _(
                'This rule would skip every guest: give it a condition. To sync nothing, disable the endpoint.'
            )
        elif not self.skip and not sets and tags is not None and not tags:
            errors[NON_FIELD_ERRORS] = ValidationError(
                _(
                    'A rule must either skip guests or set a role, a tenant, a platform, a VRF, a VLAN group or extra '
                    'tags.'
                ),
                code=NO_OUTCOME,
            )
        if foreign := [str(tag) for tag in tags or () if not is_for_vms(tag)]:
            errors['extra_tags'] = _('Not for virtual machines: {tags}.').format(tags=', '.join(foreign))

    def _extra_tags(self) -> list[Any] | None:
        """
        The tags that the rule will have after it is saved; None if they are not known.

        Forms, bulk edits and serializers of NetBox set an attribute with the new values of many-to-many fields.
        """
        pending = getattr(self, '_m2m_values', None)
        if pending is not None and 'extra_tags' in pending:
            return cast(list[Any] | None, pending['extra_tags'])
        if self.pk:
            return list(self.extra_tags.all())
        return None if pending is None else []

    @property
    def has_conditions(self) -> bool:
        return any(getattr(self, name) not in (None, '', []) for name in self.CONDITIONS)

    def is_for(self, endpoint_id: int | None) -> bool:
        """Whether the rule is enabled and applies to an endpoint."""
        return self.enabled and self.endpoint_id in (None, endpoint_id)

    @property
    def vmid_range(self) -> str:
        """The range for display, such as '100 to 199' or '100 and above'; '' if there is none."""
        if self.vmid_min is not None and self.vmid_max is not None:
            return _('{first} to {last}').format(first=self.vmid_min, last=self.vmid_max)
        if self.vmid_min is not None:
            return _('{vmid} and above').format(vmid=self.vmid_min)
        if self.vmid_max is not None:
            return _('up to {vmid}').format(vmid=self.vmid_max)
        return ''

    def to_yaml(self) -> str:
        """The rule as the bulk import accepts it."""
        return rule_as_yaml(self)


def clean_tag(text: str) -> str:
    return clean_text(text, TAG, _('"{text}" is not a valid Proxmox VE tag (letters, digits and _ - + .).'))


def clean_pool(text: str) -> str:
    return clean_text(text.strip('/'), POOL, _('"{text}" is not a valid pool name, such as prod or prod/web.'))


def clean_node(text: str) -> str:
    return clean_text(text, NODE, _('"{text}" is not a valid node name, such as pve1 (without a domain).'))


def clean_text(text: str, form: re.Pattern[str], message: 'StrOrPromise') -> str:
    if not form.fullmatch(text):
        raise ValidationError(str(message).format(text=text))
    return text


def is_for_vms(tag: Any) -> bool:
    """Whether a tag may be given to virtual machines."""
    allowed: Iterable[Any] = tag.object_types.all()
    vm = ContentType.objects.get_by_natural_key('virtualization', 'virtualmachine')
    return not allowed or vm.pk in {object_type.pk for object_type in allowed}
