"""Validation and normalization of the values that users enter as settings of an endpoint."""

import re
from ipaddress import ip_network
from urllib.parse import urlsplit

from cryptography import x509
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from .proxmox.errors import InvalidConnectionError
from .proxmox.hosts import Host
from .proxmox.http.tls import normalize_fingerprint
from .proxmox.ssh.errors import InvalidPassphraseError, InvalidSSHSettingsError
from .proxmox.ssh.keys import load_private_key, parse_pins
from .proxmox.ssh.settings import check_user
from .sync.field_policy import InvalidPolicyError, clean_policy
from .sync.guest_filters import Term
from .sync.sync_windows import InvalidWindowError, SyncWindow
from .wording import worded

__all__ = (
    'clean_ca_certificate',
    'clean_field_policy',
    'clean_fingerprint',
    'clean_guest_terms',
    'clean_hosts',
    'clean_patterns',
    'clean_prefixes',
    'clean_ssh_host_keys',
    'clean_ssh_private_key',
    'clean_ssh_user',
    'clean_sync_windows',
    'clean_token_id',
    'clean_token_secret',
)

# https://pve.proxmox.com/pve-docs/api-viewer/ : the formats pve-userid and pve-tokenid
TOKEN_ID = re.compile(r'[^\s:/@!=]+(@[^\s:/@!=]+)*@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+')
FINGERPRINT_DIGITS = 64
URL = re.compile(r'(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://')


def clean_hosts(hosts: list[str]) -> list[str]:
    """
    The hosts as `host:port` in their order, without duplicates.

    Raises:
        ValidationError: A value is not a host, or there is no host.
    """
    cleaned = list(dict.fromkeys(_clean_host(host) for host in hosts if host.strip()))
    if not cleaned:
        raise ValidationError(_('Name at least one host, for example pve1.example.com or 10.0.0.1:8006.'))
    return cleaned


def _clean_host(text: str) -> str:
    if '@' in text:
        # The message does not contain the text, which may contain a password.
        raise ValidationError(_('A host must not contain a user name or a password.'))
    if match := URL.match(text.strip()):
        text = _host_of_url(text.strip(), match['scheme'].lower())
    try:
        return str(Host.parse(text))
    except InvalidConnectionError as error:
        raise ValidationError(worded(error)) from None


def _host_of_url(url: str, scheme: str) -> str:
    """The host of a URL from the address bar of a browser."""
    if scheme != 'https':
        raise ValidationError(
            _('{url}: Proxmox VE answers by https only. Write host:port, for example pve1.example.com:8006.').format(
                url=url
            )
        )
    netloc = urlsplit(url).netloc
    # A URL without a port means 443 (Proxmox VE behind a reverse proxy), a mere name means 8006.
    return netloc if re.search(r':\d+$', netloc) else f'{netloc}:443'


def clean_token_id(text: str) -> str:
    """
    The ID of a token, `user@realm!name`.

    Raises:
        ValidationError: The text is something else: a whole header, an ID with its secret, a user.
    """
    text = text.strip()
    if text.lower().startswith('pveapitoken') or '=' in text:
        # The message does not contain the text, which may contain the secret.
        raise ValidationError(
            _(
                'This contains more than the token ID. Enter the part before the "=" here (user@realm!name), '
                'and the part after it as the secret.'
            )
        )
    # As above: the text may be the secret itself.
    if '!' not in text:
        raise ValidationError(
            _(
                'This is not an API token. Enter user@realm!name, for example netbox@pve!proxsync, as Proxmox '
                'VE displays it under Datacenter > Permissions > API Tokens.'
            )
        )
    if not TOKEN_ID.fullmatch(text):
        raise ValidationError(
            _('This is not a token ID. It has the form user@realm!name, for example netbox@pve!proxsync.')
        )
    return text


def clean_token_secret(text: str) -> str:
    """
    The secret of a token.

    Raises:
        ValidationError: The text cannot be a secret. The message never contains it.
    """
    text = text.strip()
    if '!' in text or text.lower().startswith('pveapitoken') or '=' in text:
        raise ValidationError(_('This contains more than the secret. Enter only the part after the "=" of the token.'))
    if not text.isascii() or not text.isprintable() or ' ' in text:
        raise ValidationError(
            _('This cannot be the secret of a token: it contains spaces, line breaks or characters beyond ASCII.')
        )
    return text


def clean_fingerprint(text: str) -> str:
    """
    SHA-256 fingerprints as Proxmox VE shows them ('AB:CD:...'), from any usual notation: one for all hosts, or one for
    each host in their order, separated by commas; '' for ''.

    Raises:
        ValidationError: The text is something else.
    """
    try:
        found = [pin for part in re.split(r'[,;\n]+', text) if part.strip() for pin in _fingerprints_in(part)]
    except InvalidConnectionError as error:
        raise ValidationError(worded(error)) from None
    # The same fingerprint for every host is stored once, for all.
    return ', '.join(found[:1] if len(set(found)) == 1 else found)


def _fingerprints_in(text: str) -> list[str]:
    """The fingerprints in a text: one, whose bytes may be separated by blanks, or several separated by blanks."""
    try:
        return [normalize_fingerprint(text)]
    except InvalidConnectionError:
        if not all(len(word) >= FINGERPRINT_DIGITS for word in text.split()):
            raise
    return [normalize_fingerprint(word) for word in text.split()]


def clean_ca_certificate(text: str) -> str:
    """
    One or more certificates in PEM format; '' for ''.

    Raises:
        ValidationError: The text contains no certificate, or a private key.
    """
    text = text.strip()
    if not text:
        return ''
    if 'PRIVATE KEY-----' in text:
        raise ValidationError(
            _('This contains a private key. Enter the certificate only (on a node: /etc/pve/pve-root-ca.pem).')
        )
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValidationError(
            _(
                'This is not a certificate in PEM form. Paste the whole file with its BEGIN and END lines; '
                "Proxmox VE's own is /etc/pve/pve-root-ca.pem."
            )
        ) from None
    return f'{text}\n'


def clean_field_policy(policy: object) -> dict[str, str]:
    """
    The field policy, in the order of the fields.

    Raises:
        ValidationError: A field or an owner does not exist.
    """
    try:
        return clean_policy(policy)
    except InvalidPolicyError as error:
        raise ValidationError([worded(text) for text in error.args]) from None


def clean_ssh_user(text: str) -> str:
    """Raise ValidationError if the text cannot be a user name."""
    text = text.strip()
    try:
        check_user(text)
    except InvalidSSHSettingsError as error:
        raise ValidationError(worded(error)) from None
    return text


def clean_ssh_host_keys(text: str) -> str:
    """
    Pinned SSH host keys, one per line, without empty lines.

    Raises:
        ValidationError: A line is not a host key.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        parse_pins(lines)
    except InvalidSSHSettingsError as error:
        raise ValidationError(worded(error)) from None
    return '\n'.join(lines)


def clean_ssh_private_key(key: str, passphrase: str) -> None:
    """
    Check whether an SSH private key can be used.

    Raises:
        ValidationError: The errors by field. The messages contain no part of the key.
    """
    try:
        load_private_key(key, passphrase or None)
    except InvalidPassphraseError as error:
        raise ValidationError({'ssh_passphrase': worded(error)}) from None
    except InvalidSSHSettingsError as error:
        raise ValidationError({'ssh_private_key': worded(error)}) from None


def clean_guest_terms(texts: list[str]) -> list[str]:
    """
    The terms of a guest filter ('web-*', 'tag:prod', ...), without duplicates.

    Raises:
        ValidationError: A text is not a term.
    """
    cleaned = []
    for text in texts:
        try:
            cleaned.append(str(Term.parse(text)))
        except ValueError as error:
            raise ValidationError(
                _(
                    '"{text}" is not a valid filter: {error}. Enter a name (web-*), tag:prod, pool:lab or node:pve1.'
                ).format(text=text, error=worded(error))
            ) from None
    return list(dict.fromkeys(cleaned))


def clean_patterns(texts: list[str]) -> list[str]:
    """Shell patterns for the names of interfaces, without duplicates and empty ones."""
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def clean_prefixes(texts: list[str]) -> list[str]:
    """
    Networks in CIDR notation, without duplicates.

    Raises:
        ValidationError: A text is not a network.
    """
    cleaned = []
    for text in texts:
        try:
            cleaned.append(str(ip_network(text.strip())))
        except ValueError as error:
            raise ValidationError(
                _('"{text}" is not a valid prefix ({error}). Enter it as 172.17.0.0/16 or fd00::/8.').format(
                    text=text, error=error
                )
            ) from None
    return list(dict.fromkeys(cleaned))


def clean_sync_windows(windows: list[str]) -> list[str]:
    """
    The windows in their normal form, without duplicates.

    Raises:
        ValidationError: A text is not a window.
    """
    try:
        return list(dict.fromkeys(str(SyncWindow.parse(window)) for window in windows if window.strip()))
    except InvalidWindowError as error:
        raise ValidationError(worded(error)) from None
