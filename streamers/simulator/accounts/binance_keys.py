"""Whether a request to Binance is signed as it must be: by a known key, in time, over the right text.

REST signs the percent-encoded query and the body behind it, the signature itself standing last; the
WebSocket API signs its parameters in alphabetical order, not encoded. Times are milliseconds UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.binance_parameters import Query, Refused, required

DEFAULT_WINDOW: Final = 5_000
LONGEST_WINDOW: Final = 60_000
AHEAD: Final = 1_000
"""So far a client's clock may be ahead."""
NO_KEY: Final = (-2014, "API-key format invalid.", 401)
BAD_KEY: Final = (-2015, "Invalid API-key, IP, or permissions for action.", 401)
NUMBER: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,3})?", re.ASCII)
MICROSECOND_DIGITS: Final = 16
BAD_SIGNATURE: Final = (-1022, "Signature for this request is not valid.", 400)


def rest_text(query: str, body: str = "") -> tuple[str, str]:
    """What a REST request signs, and its signature; Refused where it has none, or where it is not last."""
    signed_query, query_signature = _split(query)
    signed_body, body_signature = _split(body)
    signature = query_signature or body_signature
    if not signature:
        raise Refused(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    return signed_query + signed_body, unquote(signature)


def _split(text: str) -> tuple[str, str]:
    """What stands before the signature, and the signature."""
    before, mark, signature = text.rpartition("signature=")
    if not mark:
        return text, ""
    if "&" in signature:
        raise Refused(*BAD_SIGNATURE)
    return before.removesuffix("&"), signature


def api_text(params: Mapping[str, Any]) -> str:
    """What a request to the WebSocket API signs."""
    return "&".join(f"{name}={_plain(params[name])}" for name in sorted(params) if name != "signature")


def check_time(query: Query, now: int) -> None:
    """Raise Refused where the request is too old, from the future, or does not say when it was made."""
    sent, window = _number(required(query, "timestamp")), DEFAULT_WINDOW
    if query.get("recvWindow"):
        window = _number(query["recvWindow"])
        if window > LONGEST_WINDOW:
            raise Refused(-1131, "recvWindow must be less than 60000.")
    if sent >= now + AHEAD:
        raise Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - sent > window:
        raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def _number(text: str) -> int:
    """Whole milliseconds; microseconds are taken as well, and a window may have decimals."""
    if not NUMBER.fullmatch(text):
        raise Refused(-1100, "Illegal characters found in a parameter; legal range is '^[0-9]{1,20}$'.")
    whole = text.partition(".")[0]
    return int(whole) // 1000 if len(whole) == MICROSECOND_DIGITS else int(whole)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Keyring:
    """The keys of one exchange, as those ask who sign with them."""

    def __init__(
        self,
        find: Callable[[str], AccountSpec | None],
        refuses: Callable[[str, float], bool],
        clock: Callable[[], int],
    ) -> None:
        """``find`` knows the keys that are good, ``refuses`` who is let in to no account just now.

        ``clock`` tells the exchange's time in milliseconds UTC.
        """
        self._find = find
        self._refuses = refuses
        self._clock = clock

    def known(self, key_id: str, now: float) -> AccountSpec:
        """Whose key this is; raises Refused where it is nobody's (any more)."""
        if not key_id:
            raise Refused(*NO_KEY)
        one = self._find(key_id)
        if one is None or self._refuses(one.name, now):
            raise Refused(*BAD_KEY)
        return one

    def signed(self, key_id: str, query: Query, text: str, signature: str, now: float) -> AccountSpec:
        """Who signed this just now; raises Refused."""
        one = self.known(key_id, now)
        check_time(query, self._clock())
        if not one.signed(text, signature):
            raise Refused(*BAD_SIGNATURE)
        return one

    def lives(self, key_id: str) -> bool:
        """Whether a key that was good still is."""
        return self._find(key_id) is not None
