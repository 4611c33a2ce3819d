"""The validation of an endpoint."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ..branching import clean_in_main
from ..choices import TLSModeChoices
from ..crypto import SecretError
from ..validators import (
    clean_ca_certificate,
    clean_field_policy,
    clean_fingerprint,
    clean_guest_terms,
    clean_hosts,
    clean_patterns,
    clean_prefixes,
    clean_ssh_host_keys,
    clean_ssh_private_key,
    clean_ssh_user,
    clean_sync_windows,
    clean_token_id,
    clean_token_secret,
)
from .secret_destinations import DESTINATION_FIELDS, check_destinations
from .users import current_user

if TYPE_CHECKING:
    from .endpoints import ProxmoxEndpoint

__all__ = ('SCHEDULE_NOT_PERMITTED', 'may_schedule', 'validate')

SYNC_PERMISSION = 'netbox_proxsync.sync_proxmoxendpoint'
SCHEDULE_NOT_PERMITTED = _(
    'An endpoint with a sync interval or a quick interval is synchronized automatically. To set an interval, to enable '
    'an endpoint that has one, or to change where it connects to, you need the permission to sync this endpoint.'
)


def validate(endpoint: 'ProxmoxEndpoint', clean_model: Callable[[], None]) -> None:
    """
    Validate an endpoint, and normalize the values of its fields.

    Args:
        clean_model: The validation by the base classes of the model.

    Raises:
        ValidationError: The errors by field.
    """
    errors: dict[str, Any] = {}
    try:
        clean_in_main()
        clean_model()
    except ValidationError as error:
        # Continue after other errors: the connection test of the form sends secrets, so their destination is always
        # checked.
        errors = error.update_error_dict({})
    _clean_with(endpoint, errors, 'hosts', clean_hosts)
    _clean_with(endpoint, errors, 'token_id', clean_token_id)
    _clean_with(endpoint, errors, 'ca_certificate', clean_ca_certificate)
    _clean_with(endpoint, errors, 'fingerprint', clean_fingerprint)
    endpoint.field_policy = endpoint.field_policy or {}
    _clean_with(endpoint, errors, 'field_policy', clean_field_policy)
    _clean_with(endpoint, errors, 'include_guests', clean_guest_terms)
    _clean_with(endpoint, errors, 'exclude_guests', clean_guest_terms)
    _clean_with(endpoint, errors, 'ignored_interfaces', clean_patterns)
    _clean_with(endpoint, errors, 'ignored_prefixes', clean_prefixes)
    _clean_with(endpoint, errors, 'sync_windows', clean_sync_windows)
    _clean_token_secret(endpoint, errors)
    _clean_tls_mode(endpoint, errors)
    _clean_with(endpoint, errors, 'ssh_user', clean_ssh_user)
    _clean_with(endpoint, errors, 'ssh_host_keys', clean_ssh_host_keys)
    _clean_ssh_login(endpoint, errors)
    _clean_cluster(endpoint, errors)
    _clean_quick_interval(endpoint, errors)
    stored = endpoint._stored()
    if stored and not errors.keys() & set(DESTINATION_FIELDS):
        # Other errors of the same field are more specific.
        errors = {**check_destinations(endpoint, stored), **errors}
    if endpoint._is_newly_scheduled(stored) and not may_schedule(stored):
        only_quick = endpoint._has_new_interval(stored, 'quick_interval') and not endpoint._has_new_interval(
            stored, 'sync_interval'
        )
        errors['quick_interval' if only_quick else 'sync_interval'] = SCHEDULE_NOT_PERMITTED
    if errors:
        raise ValidationError(errors)


def _clean_with(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any], name: str, clean: Callable[[Any], Any]) -> None:
    # The validation of the field checks whether the value may be empty.
    if not (value := getattr(endpoint, name)):
        return
    try:
        setattr(endpoint, name, clean(value))
    except ValidationError as error:
        errors[name] = error


def _clean_token_secret(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any]) -> None:
    if not endpoint.token_secret:
        return
    try:
        plain = endpoint.token_secret.reveal()
        cleaned = clean_token_secret(plain)
    except SecretError:
        # Users can still change other settings. The next run reports the error.
        return
    except ValidationError as error:
        errors['token_secret'] = error
        return
    if cleaned != plain:
        endpoint.token_secret = cleaned


def _clean_tls_mode(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any]) -> None:
    needed = {TLSModeChoices.CA: 'ca_certificate', TLSModeChoices.FINGERPRINT: 'fingerprint'}.get(endpoint.tls_mode)
    if needed and not getattr(endpoint, needed) and needed not in errors:
        messages = {
            'ca_certificate': _('Enter the certificate of the authority that is to be trusted.'),
            'fingerprint': _('Enter the fingerprint that is to be trusted.'),
        }
        errors[needed] = messages[needed]
    pins = endpoint.fingerprint.count(',') + 1
    if 'hosts' not in errors and 'fingerprint' not in errors and pins not in (1, len(endpoint.hosts or ())):
        errors['fingerprint'] = _(
            '{pins} fingerprints are given for {hosts} hosts. Give one for all, or one for each host.'
        ).format(pins=pins, hosts=len(endpoint.hosts or ()))


def _clean_ssh_login(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any]) -> None:
    if not endpoint.ssh_private_key:
        endpoint.ssh_passphrase = ''  # useless without a key
    if endpoint.ssh_password and endpoint.ssh_private_key:
        errors['ssh_private_key'] = _('There is an SSH password, too. Give one of them; a stored one can be removed.')
    elif endpoint.ssh_user and not endpoint.ssh_password and not endpoint.ssh_private_key:
        errors['ssh_password'] = _('SSH needs a password or a private key for its user.')
    if not endpoint.ssh_private_key or not endpoint._secrets_changed('ssh_private_key', 'ssh_passphrase'):
        return
    try:
        clean_ssh_private_key(endpoint.ssh_private_key.reveal(), endpoint.ssh_passphrase.reveal())
    except SecretError:
        return  # as for the token secret
    except ValidationError as error:
        # The errors of the key and of its passphrase.
        for name, problems in error.error_dict.items():
            errors.setdefault(name, problems)


def _clean_cluster(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any]) -> None:
    """Check the unique constraint, so that the error is at the field and names the other endpoint."""
    if not endpoint.enabled or endpoint.cluster_id is None:
        return
    others = type(endpoint).objects.filter(enabled=True, cluster=endpoint.cluster_id).exclude(pk=endpoint.pk)
    if not others.exists():
        return
    user = current_user()
    if other := (others.restrict(user, 'view') if user else others).first():
        errors['cluster'] = _(
            'The endpoint "{endpoint}" is synchronized with this cluster already. Two endpoints cannot share a '
            'cluster: choose another cluster, or disable one of the endpoints.'
        ).format(endpoint=other)
    else:
        errors['cluster'] = _(
            'An endpoint that you do not have permission to view is synchronized with this cluster already. '
            'Choose another cluster, or disable this endpoint.'
        )


def _clean_quick_interval(endpoint: 'ProxmoxEndpoint', errors: dict[str, Any]) -> None:
    quick, full = endpoint.quick_interval, endpoint.sync_interval
    if quick is None or full is None or errors.keys() & {'quick_interval', 'sync_interval'}:
        return
    if quick >= full:
        errors['quick_interval'] = _(
            'The quick interval ({quick} minutes) must be shorter than the sync interval ({full} minutes). Enter a '
            'shorter one, or leave it blank.'
        ).format(quick=quick, full=full)


def may_schedule(endpoint: 'ProxmoxEndpoint | None') -> bool:
    """
    Whether the user of the current request may let NetBox sync an endpoint automatically. True outside of a request.

    Args:
        endpoint: None: a new endpoint.
    """
    user = current_user()
    return user is None or user.has_perm(SYNC_PERMISSION, endpoint)
