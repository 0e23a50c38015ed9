"""Signatures as exchanges want them: HMAC-SHA256 in lower-case hex, Ed25519 in base64.

The ciphers are loaded when they are needed: they would cost every other command its time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final

from trade_platform.exchanges.account import Algorithm
from trade_platform.vault.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES: Final = 32


class UnusableSecret(Exception):
    """What was given as a secret is none; the sentence says what is wanted, not what was given."""


def sign(algorithm: Algorithm, secret: Secret, text: str) -> str:
    """The signature of the text's UTF-8 bytes."""
    if algorithm is Algorithm.HMAC_SHA256:
        return hmac.new(secret.reveal(), text.encode(), hashlib.sha256).hexdigest()
    return base64.b64encode(_private(secret).sign(text.encode())).decode("ascii")


def secret_from(algorithm: Algorithm, given: Secret) -> Secret:
    """What a person gave, as it is kept: an HMAC secret as it is, an Ed25519 key as its 32 bytes.

    Raises UnusableSecret.
    """
    if algorithm is Algorithm.HMAC_SHA256:
        text = given.reveal().strip()
        if not text:
            raise UnusableSecret("The secret is empty: give the one that the exchange showed.")
        return Secret(text)
    return _ed25519(given)


def generate() -> Secret:
    """A new Ed25519 private key: 32 bytes of chance."""
    return Secret(os.urandom(SEED_BYTES))


def public_half(secret: Secret) -> str:
    """Of an Ed25519 key, as exchanges take it: PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    public = _private(secret).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def public_raw(secret: Secret) -> str:
    """Of an Ed25519 key, its 32 bytes in base64."""
    return base64.b64encode(_private(secret).public_key().public_bytes_raw()).decode("ascii")


def _private(secret: Secret) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    return ed25519.Ed25519PrivateKey.from_private_bytes(secret.reveal())


def _ed25519(given: Secret) -> Secret:
    text = given.reveal().strip()
    if text.startswith(b"-----BEGIN"):
        return _from_pem(text)
    try:
        seed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnusableSecret(_WANTED) from None
    if len(seed) != SEED_BYTES:
        raise UnusableSecret(_WANTED)
    return Secret(seed)


def _from_pem(text: bytes) -> Secret:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableSecret(_WANTED) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UnusableSecret(_WANTED)
    return Secret(key.private_bytes_raw())


_WANTED: Final = (
    "That is no Ed25519 private key: give it as PEM without a password, or its 32 bytes in base64."
)
