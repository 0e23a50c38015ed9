"""Envelopes: a secret sealed with a key of its own, which is wrapped with a key-encryption key.

AES-256-GCM both times. What is sealed is bound to its context: a ciphertext that was moved to another
tenant, credential, field or version does not open. A sealed value is nonce, ciphertext and tag.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from trade_platform.vault.keyring import Keyring
from trade_platform.vault.secret import Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SECRET: Final = "secret"  # noqa: S105 - a field's name
DATA_KEY: Final = "data-key"


class CannotOpen(Exception):
    """The envelope does not open; the sentence says why, as far as a cipher tells."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sealed value belongs."""

    tenant: str
    credential: str
    version: int
    field: str = SECRET

    def bound(self, *more: str) -> bytes:
        """What the cipher authenticates beside the value; no part can run into the next."""
        return msgspec.json.encode([self.tenant, self.credential, self.field, self.version, *more])


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as the database holds it."""

    kek_id: str
    wrapped_key: bytes
    sealed_secret: bytes


def seal(secret: Secret, context: Context, keyring: Keyring) -> Sealed:
    """Seal with a new data key, wrapped with the newest key-encryption key."""
    with Secret(os.urandom(KEY_BYTES)) as data_key:
        return Sealed(
            kek_id=keyring.newest,
            wrapped_key=_wrap(data_key, context, keyring, keyring.newest),
            sealed_secret=_encrypt(data_key, secret, context.bound()),
        )


def unseal(sealed: Sealed, context: Context, keyring: Keyring) -> Secret:
    """Raises CannotOpen, UnknownKey."""
    with _unwrap(sealed, context, keyring) as data_key:
        return _decrypt(data_key, sealed.sealed_secret, context.bound(), "secret")


def rewrap(sealed: Sealed, context: Context, keyring: Keyring) -> Sealed:
    """The same secret below the newest key-encryption key; the secret itself is not opened.

    Raises CannotOpen, UnknownKey.
    """
    with _unwrap(sealed, context, keyring) as data_key:
        return Sealed(
            kek_id=keyring.newest,
            wrapped_key=_wrap(data_key, context, keyring, keyring.newest),
            sealed_secret=sealed.sealed_secret,
        )


def _wrap(data_key: Secret, context: Context, keyring: Keyring, kek_id: str) -> bytes:
    return _encrypt(keyring.key(kek_id), data_key, context.bound(DATA_KEY, kek_id))


def _unwrap(sealed: Sealed, context: Context, keyring: Keyring) -> Secret:
    bound = context.bound(DATA_KEY, sealed.kek_id)
    return _decrypt(keyring.key(sealed.kek_id), sealed.wrapped_key, bound, "data key")


def _encrypt(key: Secret, value: Secret, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - loaded when needed

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, value.reveal(), bound)


def _decrypt(key: Secret, sealed: bytes, bound: bytes, what: str) -> Secret:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return Secret(AESGCM(key.reveal()).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound))
    except (InvalidTag, ValueError):  # nothing of the values may stand in a traceback's chain
        raise CannotOpen(
            f"The {what} does not open: it was altered, belongs to another credential or tenant, "
            "or the key-encryption key of that name is not the one that sealed it."
        ) from None
