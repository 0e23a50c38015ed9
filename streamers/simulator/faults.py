"""The faults: what can go wrong, and when. A script is a list in TOML (``[[fault]]``) or JSON lines."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from streamers.simulator.listing import BINANCE_USDM, DERIBIT, EXCHANGES, INDICES

Name: TypeAlias = Literal[
    # connections
    "close",
    "abort",
    "server_shutdown",
    "maintenance",
    # handshakes
    "refuse",
    "accept_close",
    "tls_error",
    # what is withheld
    "silence",
    "mute_new",
    "deaf",
    "wrong_route",
    "short_ack",
    "heartbeat_stop",
    # frames
    "skip",
    "duplicate",
    "reorder",
    "split",
    "huge",
    "malformed",
    "unknown_type",
    "null_fields",
    "missing_fields",
    "slow",
    # refusals
    "rest_refuse",
    "too_many_requests",
    "test_request_flood",
    "horizon",
    # the market
    "clock_off",
    "burst",
    "listing",
    "expiry",
    "settlement",
    "partial_lock",
    "locked",
]
NAMES: Final[tuple[str, ...]] = get_args(Name)
AccountName: TypeAlias = Literal[
    # what a private stream lacks, repeats or swaps
    "private_missed",
    "private_duplicate",
    "private_reorder",
    # what private REST does not tell
    "rest_behind",
    "rest_page_lost",
    # keys
    "key_expired",
    "key_revoked",
    "listen_key_expired",
    "auth_refused",
    # what happens to the account
    "cancel_on_disconnect",
    "liquidation",
    "funding",
    "transfer",
]
"""Faults that need an account (``--accounts``); ``settlement`` is the market's, and pays accounts, too."""
ACCOUNT_NAMES: Final[tuple[str, ...]] = get_args(AccountName)
ONLY_ON: Final[dict[str, frozenset[str]]] = {
    "wrong_route": frozenset((BINANCE_USDM,)),
    "horizon": frozenset((BINANCE_USDM,)),
    "short_ack": frozenset((DERIBIT,)),
    "heartbeat_stop": frozenset((DERIBIT,)),
    "too_many_requests": frozenset((DERIBIT,)),
    "test_request_flood": frozenset((DERIBIT,)),
    "settlement": frozenset((DERIBIT,)),
    "partial_lock": frozenset((DERIBIT,)),
    "locked": frozenset((DERIBIT,)),
    "listen_key_expired": frozenset((BINANCE_USDM,)),
    "funding": frozenset((BINANCE_USDM, DERIBIT)),
    "liquidation": frozenset((BINANCE_USDM, DERIBIT)),
}
"""Every other fault can happen to every exchange."""
OF_THE_MARKET: Final = frozenset(
    ("clock_off", "burst", "listing", "expiry", "settlement", "partial_lock", "locked")
)
"""They need a market; a replay only repeats what was recorded."""
REFUSING_STATUSES: Final[dict[str, tuple[int, ...]]] = {
    "refuse": (429, 418, 403, 500, 502, 503, 504),
    "rest_refuse": (429, 418, 500, 502, 503, 504),
}
CLOSE_CODES: Final = range(1000, 5000)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that goes wrong; at a time or after so many messages."""

    fault: Name | AccountName
    exchange: str = ""
    """Empty: every exchange to which it can happen."""
    at: float | None = None
    after: int | None = None
    seconds: float = 10.0
    """How long it lasts. Of ``horizon``: how far back REST reaches from now on."""
    count: int = 1
    """How many frames, answers, instruments or trades."""
    symbol: str = ""
    """Only frames (or instruments) of this symbol."""
    channel: str = ""
    """Only frames of this channel, by the platform's words: trade, candle, quote, ticker …"""
    code: int | None = None
    """Of ``close`` (1011 if not said) and ``accept_close`` (1000)."""
    status: int | None = None
    """Of ``refuse`` (503 if not said) and ``rest_refuse`` (429)."""
    retry_after: int | None = None
    """Seconds in ``Retry-After``; None: no such header."""
    grace_seconds: float = 1.0
    """Between the goodbye and the close."""
    notice: bool = True
    """``maintenance`` is announced; else connections drop without a word."""
    accepting: bool = False
    """During ``maintenance`` handshakes are accepted, and every request is refused."""
    pings: bool = True
    """During ``silence`` the server's pings (Deribit: heartbeats) go on."""
    delay: float = 0.2
    """Of ``slow``: seconds before every frame, handshake and answer."""
    offset_seconds: float = 30.0
    """Of ``clock_off``; negative: the exchange's clock is behind."""
    instead: bool = False
    """Damaged frames come in place of the true ones, not beside them."""
    route: str = "market"
    """Of ``wrong_route``: the route on which new subscriptions stay silent."""
    index: str = "eth_usd"
    """Of ``partial_lock``: btc_usd, eth_usd or btc_usdc."""
    account: str = ""
    """Of faults of accounts: only this one; empty: every one."""
    asset: str = ""
    """Of ``transfer``; empty: the first that the account began with."""
    amount: str = "1"
    """Of ``transfer``; below 0 it leaves. Of ``funding``: per cent of what the position is worth, paid."""
    kind: Literal["transfer", "deposit", "withdrawal"] = "transfer"
    """Of ``transfer``."""


class UnusableScript(Exception):
    """A fault script cannot be read; the sentence says why."""


def possible(exchange: str) -> list[str]:
    """The faults that can happen to an exchange."""
    return [name for name in NAMES if exchange in ONLY_ON.get(name, EXCHANGES)]


def objection(fault: Fault, exchange: str) -> str:
    """Why an exchange cannot have this fault, as a sentence; empty where it can."""
    name = fault.fault
    if fault.exchange not in ("", exchange):
        return f"This is {exchange}, and the fault is meant for {fault.exchange}."
    if exchange not in ONLY_ON.get(name, EXCHANGES):
        return f"{name} cannot happen to {exchange}: only {', '.join(sorted(ONLY_ON[name]))} can have it."
    if fault.count < 1 or fault.seconds < 0 or fault.grace_seconds < 0 or fault.delay < 0:
        return "count must be 1 or more; seconds, grace_seconds and delay must not be negative."
    if fault.code is not None and fault.code not in CLOSE_CODES:
        return f"{fault.code} is no close code: it must be from 1000 to 4999."
    statuses = REFUSING_STATUSES.get(name, ())
    if fault.status is not None and fault.status not in statuses:
        return f"{name} knows no status {fault.status}, only {', '.join(map(str, statuses)) or 'none'}."
    if name == "partial_lock" and fault.index not in INDICES:
        return f"There is no index {fault.index}, only {', '.join(INDICES)}."
    if name == "rest_refuse" and fault.status == 418 and exchange == DERIBIT:
        return f"{exchange} never answers 418."
    return ""


class FaultScript:
    """Faults that still wait for their moment."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._waiting = list(faults)

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def due(self, elapsed: float, messages: int, exchange: str) -> Iterator[Fault]:
        """Take those whose moment has come."""
        for fault in list(self._waiting):
            due = (fault.at is None and fault.after is None) or (
                (fault.at is not None and elapsed >= fault.at)
                or (fault.after is not None and messages >= fault.after)
            )
            if due and fault.exchange in ("", exchange):
                self._waiting.remove(fault)
                if not objection(fault, exchange):
                    yield fault


def read_faults(path: Path) -> list[Fault]:
    """Read a script; raises UnusableScript."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            rows = tomllib.loads(text).get("fault", [])
        else:
            rows = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
        faults = msgspec.convert(rows, list[Fault])
    except OSError as error:
        raise UnusableScript(f"The fault script {path} cannot be read: {error.strerror}.") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnusableScript(f"The fault script {path} is not usable: {error}.") from error
    if not faults:
        raise UnusableScript(
            f"The fault script {path} holds no fault: it needs at least one [[fault]] table, "
            "or one JSON object a line where its name does not end in .toml."
        )
    for fault in faults:
        objections = [objection(fault, exchange) for exchange in EXCHANGES]
        if all(objections):
            raise UnusableScript(f"The fault script {path} is not usable: {objections[0]}")
    return faults
