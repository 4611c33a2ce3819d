"""The keys that users enter: pinned host keys, and the private key that NetBox logs in with."""

import base64
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ..hosts import BRACKETED
from ..messages import Message
from .errors import InvalidPassphraseError, InvalidSSHSettingsError
from .host_key import fingerprint_of, host_names

__all__ = (
    'ALGORITHMS',
    'Pin',
    'load_private_key',
    'parse_pins',
    'with_confirmed',
)

# The signature algorithms of each type of key, in order of preference. `ssh-rsa`, which is RSA with SHA-1, is excluded.
ALGORITHMS = {
    'ssh-ed25519': ('ssh-ed25519',),
    'ecdsa-sha2-nistp256': ('ecdsa-sha2-nistp256',),
    'ecdsa-sha2-nistp384': ('ecdsa-sha2-nistp384',),
    'ecdsa-sha2-nistp521': ('ecdsa-sha2-nistp521',),
    'ssh-rsa': ('rsa-sha2-512', 'rsa-sha2-256'),
}
SHA256 = re.compile(r'SHA256:([A-Za-z0-9+/]{43})=?')

PIN_FORM = Message(
    "Write one key per line: 'host key-type key' as ssh-keyscan prints it, or a fingerprint "
    '\'SHA256:...\' as "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" prints it on the node.'
)
KEY_FORM = Message('Paste the whole file of an Ed25519, ECDSA or RSA key, with its BEGIN and END lines.')


type SupportedKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pin:
    """
    A pinned host key.

    Attributes:
        hosts: The names of the hosts to which it applies; None means all.
        type: The type of the key; None if only the fingerprint is known.
        fingerprint: The fingerprint, 'SHA256:...'.
    """

    hosts: tuple[str, ...] | None
    type: str | None
    fingerprint: str

    def is_for(self, host: str, port: int) -> bool:
        """Return whether the pin applies to a host and port."""
        return self.hosts is None or not set(self.hosts).isdisjoint(host_names(host, port))


def parse_pins(lines: Iterable[str]) -> tuple[Pin, ...]:
    """
    Parse pinned keys from lines '[host] key-type base64 [comment]' or '[host] SHA256:...'.

    Empty lines and lines that begin with '#' are ignored.

    Raises:
        InvalidSSHSettingsError: A line has another format.
    """
    pins = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not words[0].startswith('#'):
            pins.append(_parse_pin(words, number))
    return tuple(pins)


def with_confirmed(text: str, lines: Iterable[str]) -> str:
    """
    Pinned keys, one per line, after a user has confirmed some: each replaces the other keys of its host.

    Raises InvalidSSHSettingsError if a confirmed line is not 'host key-type base64'.
    """
    lines = [' '.join(line.split()) for line in lines]
    names: set[str] = set()
    for number, line in enumerate(lines, 1):
        pin = _parse_pin(line.split(), number) if line else None
        if pin is None or pin.hosts is None or pin.type is None:
            raise InvalidSSHSettingsError(
                Message('Line {number} does not contain a host and its complete key.', number=number), PIN_FORM
            )
        names.update(alias for name in pin.hosts for alias in _aliases(name))
    kept = (_without(line, names) for line in text.splitlines())
    return '\n'.join([*(line for line in kept if line is not None), *dict.fromkeys(lines)])


def _without(line: str, names: set[str]) -> str | None:
    """A line that does not stand for these hosts any more; None if it stood for no other."""
    first, _, rest = line.strip().partition(' ')
    if not first or first.startswith('#') or _starts_key(first):
        return line
    hosts = [host for host in first.split(',') if _normal_host(host) not in names]
    return f'{",".join(hosts)} {rest}' if hosts else None


def _aliases(name: str) -> set[str]:
    """Both forms in which a host may be pinned: a line without a port stands for every port."""
    bracketed = BRACKETED.fullmatch(name)
    return {name, bracketed[1]} if bracketed else {name}


def _parse_pin(words: list[str], number: int) -> Pin:
    hosts = None
    if words[0].startswith(('@', '|')):
        raise InvalidSSHSettingsError(
            Message('Line {number} of the SSH host keys is a marker or a hashed name.', number=number), PIN_FORM
        )
    if not _starts_key(words[0]) and len(words) > 1:
        hosts = tuple(_normal_host(name) for name in words.pop(0).split(','))
        if any(set(name) & set('*?!') for name in hosts):
            raise InvalidSSHSettingsError(
                Message('Line {number} of the SSH host keys names hosts by a pattern.', number=number), PIN_FORM
            )
    if fingerprint := SHA256.fullmatch(words[0]):
        return Pin(hosts, None, f'SHA256:{fingerprint[1]}')
    if words[0] not in ALGORITHMS:
        raise InvalidSSHSettingsError(
            Message('Line {number} of the SSH host keys does not contain a key of a supported type.', number=number),
            PIN_FORM,
        )
    try:
        blob = base64.b64decode(words[1], validate=True)
        # A key of another type than stated, or a truncated key, must be rejected.
        genuine = paramiko.PKey.from_type_string(words[0], blob).asbytes() == blob
    except Exception:  # noqa: BLE001 - each type of key complains in its own way
        genuine = False
    if not genuine:
        raise InvalidSSHSettingsError(
            Message('The key in line {number} of the SSH host keys is damaged or incomplete.', number=number), PIN_FORM
        )
    return Pin(hosts, words[0], fingerprint_of(blob))


def _starts_key(word: str) -> bool:
    return word in ALGORITHMS or word.startswith('SHA256:')


def _normal_host(name: str) -> str:
    bracketed = BRACKETED.fullmatch(name)
    if bracketed and bracketed['port']:
        host, port = bracketed['name'], int(bracketed['port'])
        return host_names(host, port)[port == 22]
    return host_names(name, 22)[0]


def load_private_key(text: str, passphrase: str | None) -> paramiko.PKey:
    """
    Load a private key in OpenSSH, PKCS#1, SEC 1 or PKCS#8 format.

    Raises:
        InvalidSSHSettingsError: The text is not a complete private key of a supported type. The error holds no part of
            it.
        InvalidPassphraseError: The key is encrypted, and the passphrase is missing or wrong.
    """
    data = ('\n'.join(line.strip() for line in text.strip().splitlines()) + '\n').encode()
    _check_form(text)
    load = serialization.load_ssh_private_key if b'OPENSSH' in data[:40] else serialization.load_pem_private_key
    key, encrypted = _try(load, data, None)
    if encrypted and not passphrase:
        raise InvalidPassphraseError(
            Message('The SSH private key is encrypted.'),
            Message('Give its passphrase, or a key that is not encrypted.'),
        )
    if encrypted:
        key, _ = _try(load, data, passphrase)
        if key is None:
            raise InvalidPassphraseError(
                Message('The passphrase does not decrypt the SSH private key.'), Message('Enter it again.')
            )
    if key is None:
        raise InvalidSSHSettingsError(Message('The SSH private key is damaged or incomplete.'), KEY_FORM)
    loaded = None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        loaded = _converted(key, paramiko.Ed25519Key)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        loaded = _converted(key, paramiko.ECDSAKey)
    elif isinstance(key, rsa.RSAPrivateKey):
        loaded = _converted(key, paramiko.RSAKey)
    if loaded is None:
        raise InvalidSSHSettingsError(Message('The SSH private key is of a type that is not supported.'), KEY_FORM)
    return loaded


def _check_form(text: str) -> None:
    if text.lstrip().startswith('PuTTY-User-Key-File'):
        raise InvalidSSHSettingsError(
            Message("The SSH private key is in PuTTY's form."),
            Message('Convert it: PuTTYgen > Conversions > Export OpenSSH key.'),
        )
    if text.lstrip().startswith(('ssh-', 'ecdsa-', '-----BEGIN PUBLIC')):
        raise InvalidSSHSettingsError(Message('This is a public key, not the SSH private key.'), KEY_FORM)
    if not re.search(r'-----BEGIN [A-Z ]*PRIVATE KEY-----', text):
        raise InvalidSSHSettingsError(Message('The SSH private key is not in PEM form.'), KEY_FORM)


def _try(
    load: Callable[[bytes, bytes | None], object], data: bytes, passphrase: str | None
) -> tuple[object | None, bool]:
    """Return the key, or None, and whether it is encrypted."""
    try:
        return load(data, passphrase.encode() if passphrase else None), False
    except TypeError:
        # Both loaders raise TypeError only for an encrypted key without a passphrase.
        return None, True
    except (ValueError, UnsupportedAlgorithm):
        return None, False


def _converted(key: SupportedKey, paramiko_class: type[paramiko.PKey]) -> paramiko.PKey | None:
    try:
        # paramiko supports fewer formats (no PKCS#8), so it always gets the OpenSSH format.
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        return paramiko_class.from_private_key(io.StringIO(pem.decode()))
    except (paramiko.SSHException, ValueError):
        return None
