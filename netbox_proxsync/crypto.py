"""Encryption of stored secrets with keys from the plugin's settings."""

import base64
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext as _
from netbox.constants import CENSOR_TOKEN
from netbox.plugins import get_plugin_config

__all__ = (
    'Secret',
    'SecretError',
)

# Binds the derived keys to this use: NetBox's SECRET_KEY serves many others.
KEY_CONTEXT = b'netbox_proxsync secret fields'
# JSON may contain a lone surrogate. The exception for it would contain the secret.
ANY_TEXT = 'surrogatepass'


class SecretError(Exception):
    """A stored secret cannot be decrypted."""


def _not_for_templates[F: Callable[..., Any]](function: F) -> F:
    """
    Keep templates from calling a method. Neither Jinja's sandbox (export templates, webhooks, custom links) nor
    Django's templates call a function with these attributes.
    """
    function.__dict__.update(unsafe_callable=True, alters_data=True)
    return function


class Secret:
    """
    A text that only `reveal()` returns.

    The instance stores the encrypted text alone, so copies, pickles and dumps contain no more than the database.

    Attributes:
        entered: The secret was entered as plain text and is not stored yet.
    """

    __slots__ = ('_ciphertext', '_entered')

    def __init__(self, ciphertext: str = '') -> None:
        self._ciphertext = ciphertext
        self._entered = False

    # With of() or has_same_text_as(), a template could test a guess.
    @classmethod
    @_not_for_templates
    def of(cls, text: str) -> 'Secret':
        """Create a secret from plain text that a user has just entered."""
        secret = cls(_cipher().encrypt(text.encode(errors=ANY_TEXT)).decode('ascii') if text else '')
        secret._entered = True
        return secret

    @property
    def entered(self) -> bool:
        return self._entered

    @_not_for_templates
    def encrypted(self) -> str:
        """The encrypted text, as the database stores it."""
        return self._ciphertext

    @_not_for_templates
    def reveal(self) -> str:
        """
        The plain text ('' if none is set).

        Raises:
            SecretError: The secret was encrypted with a key that is no longer in the settings.
        """
        if not self._ciphertext:
            return ''
        try:
            return _cipher().decrypt(self._ciphertext.encode('ascii')).decode(errors=ANY_TEXT)
        except (InvalidToken, UnicodeError):
            # "from None", because the cause contains only the ciphertext.
            raise SecretError(
                _(
                    'The stored secret cannot be decrypted: the encryption key has changed. Enter the secret again, or '
                    'put the former key back (the plugin setting "encryption_keys", or SECRET_KEY if that is empty).'
                )
            ) from None

    @_not_for_templates
    def rotated(self) -> 'Secret':
        """
        The same secret, encrypted with the first key; this instance if it already is.

        Raises:
            SecretError: As `reveal()`.
        """
        if not self._ciphertext or _encrypted_with_first_key(self._ciphertext):
            return self
        return Secret.of(self.reveal())

    @_not_for_templates
    def has_same_text_as(self, other: 'Secret') -> bool:
        """Whether both hide the same text. False if one of them cannot be decrypted."""
        if not self or not other or self == other:
            return self == other
        try:
            return hmac.compare_digest(self.reveal().encode(errors=ANY_TEXT), other.reveal().encode(errors=ANY_TEXT))
        except SecretError:
            return False

    def __bool__(self) -> bool:
        return bool(self._ciphertext)

    def __str__(self) -> str:
        return CENSOR_TOKEN if self else ''

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    # Compares the ciphertext, which differs each time a text is encrypted: a comparison must not confirm a guess.
    def __eq__(self, other: object) -> bool:
        return self._ciphertext == other._ciphertext if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._ciphertext)

    def __copy__(self) -> 'Secret':
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> 'Secret':
        return self

    def __reduce__(self) -> tuple[type['Secret'], tuple[str]]:
        # A pickled secret does not count as just entered.
        return Secret, (self._ciphertext,)


def _passphrases() -> tuple[str, ...]:
    keys = get_plugin_config('netbox_proxsync', 'encryption_keys')
    # SECRET_KEY can still decrypt, so that secrets survive when the first encryption key is configured.
    return (*keys, settings.SECRET_KEY)


def _cipher() -> MultiFernet:
    return _cipher_for(_passphrases())


def _encrypted_with_first_key(ciphertext: str) -> bool:
    try:
        _cipher_for(_passphrases()[:1]).decrypt(ciphertext.encode('ascii'))
    except (InvalidToken, UnicodeError):
        return False
    return True


@lru_cache(maxsize=8)
def _cipher_for(passphrases: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(passphrase)) for passphrase in passphrases])


def _derive(passphrase: str) -> bytes:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=KEY_CONTEXT).derive(passphrase.encode())
    return base64.urlsafe_b64encode(key)
