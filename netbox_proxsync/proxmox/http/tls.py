"""
Verification of a host before it receives the token, in one of four modes:

- `system`: a certificate of a certificate authority that the operating system trusts;
- `ca`: a certificate of the given authority only;
- `fingerprint`: exactly the certificate with this fingerprint, regardless of its issuer and name;
- `off`: no verification.
"""

import hashlib
import re
import socket
import ssl
import time
from contextlib import suppress
from enum import StrEnum

from ..connections import ContactPolicy, connect
from ..errors import HostUnreachableError, InvalidConnectionError, NotProxmoxError, ProxmoxError, TLSError
from ..hosts import Host
from ..messages import EMPTY, Message, joined

__all__ = (
    'TLSMode',
    'fetch_fingerprint',
    'no_tls',
    'normalize_fingerprint',
    'tls_context',
    'tls_failure',
    'try_fetch_fingerprint',
    'unreachable',
    'wrong_fingerprint',
)

FINGERPRINT = re.compile(r'[0-9A-F]{64}')

# OpenSSL's verification results (X509_V_ERR_*).
NOT_YET_VALID, EXPIRED = 9, 10
SELF_SIGNED = (18, 19)
HOST_MISMATCH = (62, 64)


class TLSMode(StrEnum):
    """The values of an endpoint's `tls_mode`."""

    SYSTEM = 'system'
    CA = 'ca'
    FINGERPRINT = 'fingerprint'
    OFF = 'off'


def normalize_fingerprint(text: str) -> str:
    """
    Return a SHA-256 fingerprint in the form of Proxmox VE, 'AB:CD:...', from any common notation.

    Raises:
        InvalidConnectionError: The text is anything else, such as a SHA-1 fingerprint.
    """
    digits = re.sub(r'[\s:-]', '', re.sub(r'^\s*sha-?256[\s:=]*', '', text, flags=re.IGNORECASE)).upper()
    if not FINGERPRINT.fullmatch(digits):
        raise InvalidConnectionError(
            Message('The fingerprint is not a SHA-256 fingerprint (32 bytes in hexadecimal).'),
            Message(
                'Copy it from Proxmox VE: node > System > Certificates > pve-ssl.pem (or pveproxy-ssl.pem) > View.'
            ),
        )
    return ':'.join(digits[i : i + 2] for i in range(0, 64, 2))


def tls_context(mode: TLSMode, ca_certificate: str = '') -> ssl.SSLContext:
    """
    Return the TLS context for a mode. In mode `fingerprint`, `transport.TLSAdapter` performs the verification.

    Raises:
        InvalidConnectionError: The CA certificate is not a certificate.
    """
    if mode in (TLSMode.FINGERPRINT, TLSMode.OFF):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if mode is TLSMode.SYSTEM:
        context = ssl.create_default_context()
    else:
        # create_default_context(cadata='') would trust the operating system's authorities.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_ca(context, ca_certificate)
    # The CA that Proxmox VE creates at installation has no keyUsage, which RFC 5280 requires and Python checks by
    # default from 3.13 on. The chain, the dates and the hostname are still verified.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load_ca(context: ssl.SSLContext, ca_certificate: str) -> None:
    with suppress(ssl.SSLError, ValueError):
        context.load_verify_locations(cadata=ca_certificate)
    if not context.cert_store_stats()['x509']:
        raise InvalidConnectionError(
            Message('The CA certificate is not a certificate in PEM form.'),
            Message(
                "Paste the whole file, with its BEGIN and END lines. Proxmox VE's own is /etc/pve/pve-root-ca.pem."
            ),
        )


def fetch_fingerprint(host: str, timeout: float = 10, policy: ContactPolicy | None = None) -> str:
    """
    Return the SHA-256 fingerprint of the certificate that a host currently presents, for a user to compare and confirm.

    Nothing is verified, and no request is sent.

    Args:
        timeout: Seconds for the connection and the handshake together.

    Raises:
        HostUnreachableError: No connection; AddressNotAllowedError if the policy forbids it.
        NotProxmoxError: The host does not speak TLS.
        InvalidConnectionError: `host` is not a host.
    """
    target = Host.parse(host)
    deadline = time.monotonic() + timeout
    failure: ProxmoxError
    try:
        with connect(target.name, target.port, policy or ContactPolicy(), deadline) as sock:
            # The time limit of the socket applies to the handshake as a whole.
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            with tls_context(TLSMode.OFF).wrap_socket(sock, server_hostname=target.name) as secured:
                certificate = secured.getpeercert(binary_form=True)
            digest = hashlib.sha256(certificate or b'').hexdigest()
            return normalize_fingerprint(digest)
    except ssl.SSLError as error:
        failure = no_tls(target, error)
    except (OSError, UnicodeError) as error:
        failure = unreachable(target, error, timeout)
    raise failure


def unreachable(host: Host, error: BaseException, timeout: float) -> HostUnreachableError:
    """Return the error for a failed connection."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return HostUnreachableError(
            Message('The name {name} cannot be resolved.', name=host.name),
            Message('Check the spelling, and that the name resolves on the NetBox server.'),
        )
    if isinstance(error, TimeoutError):
        return HostUnreachableError(
            Message('{host} did not answer within {timeout} seconds.', host=host, timeout=f'{timeout:g}'),
            Message('Check that the host is online and that no firewall blocks NetBox.'),
        )
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachableError(
            Message('{host} refused the connection.', host=host),
            Message('Check the port (default: 8006), and that pveproxy is running.'),
            transient=True,
        )
    if isinstance(error, ConnectionError):
        return HostUnreachableError(
            Message('{host} closed the connection.', host=host),
            Message('Check the port (default: 8006), and that pveproxy is running.'),
            transient=True,
        )
    reason = getattr(error, 'strerror', None) or type(error).__name__
    return HostUnreachableError(
        Message('{host} cannot be reached: {reason}.', host=host, reason=reason),
        Message('Check that the NetBox server can reach this network.'),
    )


def no_tls(host: Host, error: ssl.SSLError) -> ProxmoxError:
    """Return the error for a handshake that failed before the certificate."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return unreachable(host, ConnectionResetError(), 0)
    # Usually WRONG_VERSION_NUMBER: the server speaks plain HTTP, SSH or another protocol.
    return NotProxmoxError(
        Message('{host} does not speak TLS (https), so it is not the API of Proxmox VE.', host=host),
        Message('Check the port (default: 8006).'),
    )


def tls_failure(host: Host, error: ssl.SSLCertVerificationError, fingerprint: str | None) -> TLSError:
    """What a certificate that was not accepted means, with the fingerprint that the host shows."""
    pin = Message('compare the fingerprint with the one that Proxmox VE shows under System > Certificates, and pin it')
    code = error.verify_code
    if code in HOST_MISMATCH:
        what = Message('The certificate of {host} is for another name.', host=host)
        remedy = Message('Use a name that is in the certificate, or {pin}.', pin=pin)
    elif code == EXPIRED:
        what = Message('The certificate of {host} has expired.', host=host)
        remedy = Message('Renew it on the node (pvecm updatecerts --force, or ACME).')
    elif code == NOT_YET_VALID:
        what = Message('The certificate of {host} is not valid yet.', host=host)
        remedy = Message('Check the clocks of NetBox and of the node.')
    elif code in SELF_SIGNED:
        what = Message(
            'The certificate of {host} is self-signed, or signed by an authority that NetBox does not trust.', host=host
        )
        remedy = Message("Give Proxmox VE's CA (/etc/pve/pve-root-ca.pem), or {pin}.", pin=pin)
    else:
        what = Message('The certificate of {host} was not accepted ({reason}).', host=host, reason=error.verify_message)
        remedy = Message('Give the CA that signed it (/etc/pve/pve-root-ca.pem), or {pin}.', pin=pin)
    shown = (
        Message('The host presents the fingerprint {fingerprint}.', fingerprint=fingerprint) if fingerprint else EMPTY
    )
    return TLSError(joined((what, shown)), remedy, fingerprint=fingerprint)


def wrong_fingerprint(host: Host, fingerprint: str | None) -> TLSError:
    """Return the error for a certificate without the pinned fingerprint."""
    wrong = Message('The certificate of {host} does not have the pinned fingerprint.', host=host)
    shown = (
        Message('The host presents the fingerprint {fingerprint}.', fingerprint=fingerprint) if fingerprint else EMPTY
    )
    return TLSError(
        joined((wrong, shown)),
        Message(
            'If the certificate was renewed, compare the fingerprint with System > Certificates in Proxmox VE '
            'and pin the new one. Otherwise, the connection may be intercepted.'
        ),
        fingerprint=fingerprint,
    )


def try_fetch_fingerprint(host: Host, timeout: float, policy: ContactPolicy) -> str | None:
    """As `fetch_fingerprint`, but return None if it fails."""
    try:
        return fetch_fingerprint(str(host), timeout, policy)
    except ProxmoxError:
        return None
