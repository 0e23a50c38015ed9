"""The seam between what an exchange says and whoever carries it: sessions without I/O.

A session is one conversation over one connection. It owns no socket, loop or clock: text and time go
in, outputs come out. Whoever holds the socket (``streamers/supervisor.py``, a test, the in-memory wire)
performs the outputs in order.

Two times are passed, never read: ``receive_time`` is the market clock (integer microseconds UTC, stamped
on records) and ``now`` is a monotonic clock in real seconds (deadlines), so that a replay at twenty
times its pace does not shorten a deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec

from trade_platform.domain.model import (
    Candle,
    Channel,
    ExchangeState,
    Instrument,
    Record,
    Trade,
)
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.limits import WEIGHT, Limit
from trade_platform.exchanges.liveness import Subscription


class ProtocolViolation(Exception):
    """The exchange sent something that its own protocol does not allow.

    ``wanted``: whose channel it came on, where that much could be read.
    """

    def __init__(self, message: str, *, wanted: Wanted | None = None) -> None:
        super().__init__(message)
        self.wanted = wanted


class RestError(Exception):
    """The exchange refused a REST request; ``code`` is its own number, ``retry`` whether to ask again.

    ``quiet_seconds``: how long it wants to hear nothing of the kind, where that is not said by HTTP.
    """

    def __init__(
        self, code: int, message: str, *, retry: bool, maintenance: bool = False, quiet_seconds: float = 0.0
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry
        self.maintenance = maintenance
        self.quiet_seconds = quiet_seconds


class Reason(StrEnum):
    """Why a connection ended or must end; label of the reconnect counter."""

    CLOSED = "closed"
    """The other side closed, or the transport broke."""
    UNREACHABLE = "unreachable"
    TRANSPORT_SILENT = "transport_silent"
    SESSION_SILENT = "session_silent"
    CHANNEL_SILENT = "channel_silent"
    NEVER_DELIVERED = "never_delivered"
    """A channel was acknowledged (or not even that) and no first data came."""
    SUBSCRIBE_REFUSED = "subscribe_refused"
    PROTOCOL = "protocol"
    SHUTDOWN = "shutdown"
    RATE_LIMITED = "rate_limited"
    MAINTENANCE = "maintenance"
    ROTATION = "rotation"
    STOPPED = "stopped"


class Turn(msgspec.Struct):
    """Where a text stands that the host's limit keeps back; its holder sets it, its session reads it."""

    waiting: bool = False
    """It was not said yet: no answer can be due."""


class Send(msgspec.Struct, frozen=True):
    """Write this text to the socket."""

    text: str
    limit: str = ""
    """Which of the host's limits it counts against; empty where the session itself keeps to all there are."""
    turn: Turn | None = None


class Reconnect(msgspec.Struct, frozen=True, gc=False):
    """This connection is of no more use: end it and open another, after the backoff."""

    reason: Reason
    detail: str = ""
    after_seconds: float = 0.0
    """At least this long (Retry-After, 10028 …)."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One REST request as a value; ``adapters/rest`` performs it."""

    path: str
    """From the host's root, leading slash included."""
    query: Mapping[str, str | int] = {}
    method: str = "GET"
    weight: int = 1
    """What it costs of the exchange's published limit."""
    limit: str = WEIGHT
    """Which of the limits that is."""


class Search(msgspec.Struct, frozen=True):
    """A question after the first trade since a moment."""

    request: Request
    until: int
    """Microseconds UTC: where the answer is empty, none is told before this; ask on from here."""


class Rest(msgspec.Struct, frozen=True):
    """Perform the request, hand the answer's body to ``parse`` and treat what comes out as outputs.

    ``failed`` takes the error's sentence instead when the request cannot be answered.
    """

    request: Request
    parse: Callable[[bytes], Sequence[Output]]
    failed: Callable[[str], Sequence[Output]] | None = None


class Missing(msgspec.Struct, frozen=True, gc=False):
    """Sequence numbers [first, last] of a symbol did not arrive; the holder re-reads them by REST."""

    symbol: str
    channel: Channel
    first: int
    last: int


Output: TypeAlias = Record | Send | Reconnect | Rest | Missing


class ConnectionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One socket to open and what to subscribe on it, inside the exchange's published limits."""

    name: str
    """Stable within the exchange, fit for a metric label: ``market-0``."""
    path: str
    """Path and query below the WebSocket host."""
    wanted: tuple[Wanted, ...]


class Session(Protocol):
    """One conversation over one connection."""

    subscriptions: Mapping[str, Subscription]
    """By the exchange's own channel name; health per channel for metrics and status."""
    ignored: dict[str, int]
    """Count of message types (and fields, as ``type.field``) that were tolerated, not parsed. Bounded."""

    def opened(self, now: float) -> Sequence[Output]:
        """The socket is open: what to say first."""

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[Output]:
        """A text came. Raises ProtocolViolation, and nothing else, on what cannot be a message."""

    def due(self, now: float) -> Sequence[Output]:
        """What must be done by now; asked about four times a second: paced subscriptions, silence, probes."""

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        """The selection changed: subscribe what is new, unsubscribe what is gone."""

    def expect(self, sequences: Mapping[str, int]) -> None:
        """The last sequence already published per symbol: a first trade further on yields Missing."""

    @property
    def live(self) -> bool:
        """Every subscription delivered its first data, or is known to be quiet by a probe."""


class Exchange(Protocol):
    """All that is known about one exchange's public side. Stateless; one instance per process."""

    key: str
    websocket_url: str
    """Production host; settings may replace it (the simulator, a test network)."""
    rest_url: str
    channels: frozenset[Channel]
    """What it can deliver per symbol."""
    exchange_channels: frozenset[Channel]
    """What it delivers once for the whole exchange (PLATFORM, INSTRUMENT_STATE …)."""
    maximum_age_seconds: float | None
    """After how long a connection is replaced before the exchange cuts it; None where it never does."""
    archive: Archive | None
    """Published files of the past, where the exchange has them."""

    @property
    def limits(self) -> Sequence[Limit]:
        """What it publishes of how often one address may ask, connect, subscribe."""

    def plan(self, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
        """Shard into connections. What ``previous`` holds stays where it is."""

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> Session:
        """``quote_interval``: keep one quote per symbol in so many market microseconds; 0 keeps every one."""

    def trade_channel(self, channels: Iterable[Channel]) -> Channel | None:
        """Which of these carries the sequence that proves completeness."""

    def instruments_requests(self) -> list[Request]: ...

    def parse_instruments(self, body: bytes) -> list[Instrument]: ...

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Request:
        """At most one page; ask again from the last sequence of the answer + 1."""

    def last_trade_request(self, symbol: str, channel: Channel) -> Request:
        """The newest trade alone; ``parse_trades`` reads the answer."""

    def parse_trades(self, body: bytes, symbol: str, channel: Channel, receive_time: int) -> list[Trade]: ...

    def first_trade_search(self, symbol: str, channel: Channel, since: int, until: int) -> Search:
        """Which number has the first trade made in [since, until) (microseconds UTC)? About as much of
        that span as one question may be about.
        """

    def parse_first_trade(self, body: bytes, channel: Channel) -> int | None:
        """Its number in the channel's sequence; None where there is none.

        Where an exchange counts by something coarser, a neighbour of it: the trades themselves say.
        """

    def candles_request(self, symbol: str, start: int, end: int) -> Request:
        """1-minute candles with open_time in [start, end] (microseconds UTC); at most one page."""

    def parse_candles(self, body: bytes, symbol: str, receive_time: int) -> list[Candle]:
        """``closed`` is set where the candle's end lies before ``receive_time``."""

    def time_request(self) -> Request: ...

    def parse_time(self, body: bytes) -> int:
        """The exchange's clock in microseconds UTC."""

    def status_request(self) -> Request: ...

    def occasion(self, market_time: int) -> str:
        """The announced occasion on which it may be away at this time; empty where there is none."""

    def parse_status(self, body: bytes, receive_time: int) -> ExchangeState: ...

    def error_of(self, status: int, body: bytes) -> RestError | None:
        """The error that an HTTP answer carries, if it carries one."""
