"""What each error of Deribit means for a private conversation; by its code, never by its text."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

import msgspec

from trade_platform.domain.accounts import NoteKind
from trade_platform.exchanges.deribit import rest
from trade_platform.exchanges.deribit.subscribing import TRANSIENT
from trade_platform.exchanges.session import Reason

REFUSED_SECONDS: Final = 300.0
"""What a person has to put right is tried again at long intervals."""
LOGINS_SECONDS: Final = 900.0
RATE_LIMITED_SECONDS: Final = 10.0
MAINTENANCE_SECONDS: Final = 10.0


class Do(Enum):
    """What to do about an error."""

    LOG_IN = auto()
    """Once; the second time the key is refused."""
    AGAIN = auto()
    """The same call, a little later."""
    GIVE_UP = auto()
    """End the connection, and say why where ``note`` is set."""
    COUNT = auto()
    """It depends on the call; by itself it is only counted."""


class Verdict(msgspec.Struct, frozen=True):
    """What follows from one error."""

    do: Do
    sentence: str = ""
    """For a person; ends where the exchange's code and words follow."""
    note: NoteKind | None = None
    reason: Reason = Reason.SUBSCRIBE_REFUSED
    after_seconds: float = REFUSED_SECONDS


_NOT_TAKEN: Final = (
    "Deribit does not take this key: its id or secret is wrong, it was deleted, it is of the other network, "
    "or this host's clock is a minute off"
)
_FORBIDDEN: Final = "This key may not read the account: make one with account:read trade:read wallet:read"
_SECURITY_KEY: Final = "The account demands a security key: allow this API key to log in without it"
_COUNTED: Final = Verdict(Do.COUNT)
_AGAIN: Final = Verdict(Do.AGAIN)
_UNAUTHORIZED: Final = Verdict(Do.LOG_IN, _NOT_TAKEN, NoteKind.REFUSED)

VERDICTS: Final[Mapping[int, Verdict]] = MappingProxyType(
    {
        **dict.fromkeys(TRANSIENT, _AGAIN),
        10000: _UNAUTHORIZED,
        13009: _UNAUTHORIZED,
        13778: _UNAUTHORIZED,  # raw subscriptions without a login
        13004: Verdict(Do.GIVE_UP, _NOT_TAKEN, NoteKind.REFUSED),
        **dict.fromkeys((11042, 13021, 13403), Verdict(Do.GIVE_UP, _FORBIDDEN, NoteKind.REFUSED)),
        **dict.fromkeys((12998, 13668, 13904), Verdict(Do.GIVE_UP, _SECURITY_KEY, NoteKind.REFUSED)),
        11098: Verdict(Do.GIVE_UP, "Deribit has locked the account: ask its support", NoteKind.LOCK),
        12003: Verdict(
            Do.GIVE_UP,
            "Deribit counts too many logins: look for other programs that use this key",
            NoteKind.REFUSED,
            after_seconds=LOGINS_SECONDS,
        ),
        12005: Verdict(Do.GIVE_UP, "Deribit refuses logins from this country", NoteKind.REFUSED),
        11052: Verdict(
            Do.GIVE_UP, "Deribit ended the private subscriptions", NoteKind.ENDED, after_seconds=0.0
        ),
        rest.TOO_MANY_REQUESTS: Verdict(
            Do.GIVE_UP, "", reason=Reason.RATE_LIMITED, after_seconds=RATE_LIMITED_SECONDS
        ),
        rest.MAINTENANCE: Verdict(
            Do.GIVE_UP, "", reason=Reason.MAINTENANCE, after_seconds=MAINTENANCE_SECONDS
        ),
    }
)


def verdict_of(code: int) -> Verdict:
    """What an error means; a code that nobody here has heard of is counted."""
    return VERDICTS.get(code, _COUNTED)
