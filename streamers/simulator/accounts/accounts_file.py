"""The file of ``--accounts``: which simulated accounts there are, how they sign, what they begin with."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from streamers.simulator.listing import EXCHANGES

READING = "account:read trade:read wallet:read"


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do besides reading."""

    withdraw: bool = False
    trade: bool = False
    ip_restricted: bool = True


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account of one exchange, with its one key."""

    exchange: str
    name: str
    key_id: str
    algorithm: Literal["hmac_sha256", "ed25519"] = "hmac_sha256"
    secret: str = ""
    """Of hmac_sha256."""
    public_key: str = ""
    """Of ed25519: base64 of the raw 32 bytes."""
    scopes: str | list[str] = READING
    """What Deribit grants at most, separated by blanks; ``permissions`` may raise it."""
    permissions: Rights = Rights()
    balances: dict[str, Decimal] = {}
    seed: int = 1
    orders_per_minute: float = 30.0
    """Orders, cancels and changes together; 0: it trades only what it is told."""
    symbols: tuple[str, ...] = ()
    """Which it trades; empty: the busiest ones."""

    @property
    def scope(self) -> str:
        """``scopes`` and what ``permissions`` add to it, in Deribit's words."""
        words = self.scopes.split() if isinstance(self.scopes, str) else list(self.scopes)
        levels = dict(word.split(":", 1) for word in words if ":" in word)
        levels |= {"trade": "read_write"} if self.permissions.trade else {}
        levels |= {"wallet": "read_write"} if self.permissions.withdraw else {}
        return " ".join(f"{name}:{level}" for name, level in sorted(levels.items()))

    def signed(self, text: str, signature: str) -> bool:
        """Whether this key made the signature (hex of an HMAC, base64 of Ed25519) of the text."""
        if self.algorithm == "hmac_sha256":
            expected = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 (heavy, and only for such keys)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            key = Ed25519PublicKey.from_public_bytes(b64decode(self.public_key))
            key.verify(b64decode(signature, validate=True), text.encode())
        except (InvalidSignature, NotBase64, ValueError):
            return False
        return True


class UnusableAccounts(Exception):
    """A file of accounts cannot be used; the sentence says why."""


def read_accounts(path: Path) -> list[AccountSpec]:
    """Read the file; raises UnusableAccounts."""
    try:
        accounts = msgspec.json.decode(path.read_bytes(), type=list[AccountSpec])
    except OSError as error:
        raise UnusableAccounts(f"The file of accounts {path} cannot be read: {error.strerror}.") from error
    except msgspec.MsgspecError as error:
        raise UnusableAccounts(f"The file of accounts {path} is not usable: {error}.") from error
    for one in accounts:
        why = _objection(one)
        if why:
            raise UnusableAccounts(f"The file of accounts {path} is not usable: {why}")
    for what in ("name", "key_id"):
        named = [(one.exchange, getattr(one, what)) for one in accounts]
        twice = {one for one in named if named.count(one) > 1}
        if twice:
            raise UnusableAccounts(f"The file of accounts {path} has {what} {min(twice)[1]} twice.")
    return accounts


def _objection(one: AccountSpec) -> str:
    if one.exchange not in EXCHANGES:
        return f"there is no exchange {one.exchange}, only {', '.join(EXCHANGES)}."
    if not one.name.replace("-", "").isalnum():
        return f"the name {one.name!r} may hold only letters, digits and hyphens."
    if not (one.secret if one.algorithm == "hmac_sha256" else one.public_key):
        return f"{one.name} has no {'secret' if one.algorithm == 'hmac_sha256' else 'public_key'}."
    if one.orders_per_minute < 0 or any(amount < 0 for amount in one.balances.values()):
        return f"orders_per_minute and balances of {one.name} must not be negative."
    return ""
