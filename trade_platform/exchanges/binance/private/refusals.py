"""What a private session does about an error: is it the key, the rate, the house, or just this once?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from trade_platform.domain.accounts import AccountNote, NoteKind
from trade_platform.exchanges.account import AccountOutput
from trade_platform.exchanges.binance.errors import MAINTENANCE
from trade_platform.exchanges.session import Reason, Reconnect

KEY_CODES: Final = frozenset({-1002, -1022, -2014, -2015})
"""Unauthorized; a wrong signature; no such form of key; a key, address or permission that is not taken."""
UNAUTHORIZED: Final = 401
RATE: Final = -1003
BANNED: Final = 418
RATE_STATUS: Final = frozenset({BANNED, 429})
GONE: Final = -1125
"""There is no such listenKey (any more)."""

KEY_SECONDS: Final = 600.0
"""Long: whoever hammers with a dead key is shut out as an address, and a person must act in any case."""
BANNED_SECONDS: Final = 120.0
RATE_SECONDS: Final = 60.0
MAINTENANCE_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 3 * 24 * 3600.0
"""So long the longest of its bans lasts."""

_CODE: Final = re.compile(r"(?<![\w.])-[1-9][0-9]{3}(?![\w.])")
_STATUS: Final = re.compile(r"(?<![\w.])(401|418|429)(?=:)")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error, however it came."""

    code: int = 0
    status: int = 0
    text: str = ""
    wait_seconds: float = 0.0
    """As the exchange asks."""

    @property
    def of_key(self) -> bool:
        """The key is not taken (any more)."""
        return self.code in KEY_CODES or self.status == UNAUTHORIZED


def refusal_of(sentence: str) -> Refusal:
    """Out of a sentence about a failed request, in which an exchange's error begins with its code."""
    code, status = _CODE.search(sentence), _STATUS.search(sentence)
    return Refusal(
        code=int(code[0]) if code else 0, status=int(status[0]) if status else 0, text=sentence[:300]
    )


def outputs_of(refusal: Refusal, doing: str, receive_time: int) -> Sequence[AccountOutput]:
    """What comes of it."""
    detail = f"{doing}: {refusal.text}"[:300]
    if refusal.of_key:
        note = AccountNote(NoteKind.REFUSED, detail, receive_time, receive_time)
        return (note, Reconnect(Reason.SUBSCRIBE_REFUSED, detail, KEY_SECONDS))
    if refusal.code == RATE or refusal.status in RATE_STATUS:
        least = BANNED_SECONDS if refusal.status == BANNED else RATE_SECONDS
        return (Reconnect(Reason.RATE_LIMITED, detail, min(refusal.wait_seconds or least, LONGEST_SECONDS)),)
    if refusal.code in MAINTENANCE:
        return (Reconnect(Reason.MAINTENANCE, detail, MAINTENANCE_SECONDS),)
    return (Reconnect(Reason.SUBSCRIBE_REFUSED, detail, AGAIN_SECONDS),)
