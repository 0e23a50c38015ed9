"""The seam of an exchange's private side, without I/O and without secrets.

An ``AccountSession`` is one private conversation. It never sees a secret: where something is to be signed
it yields ``Sign``, whose holder has the vault sign it. Questions by REST are ``Ask``: a request and what
reads its answer, page by page. Nothing here can place, change or cancel an order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec

from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.limits import Limit
from trade_platform.exchanges.session import Reconnect, Request, RestError, Send


class Algorithm(StrEnum):
    """How a key signs."""

    HMAC_SHA256 = "hmac_sha256"
    """Signatures are lower-case hex."""
    ED25519 = "ed25519"
    """Signatures are base64."""


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a key without its secret."""

    key_id: str
    """The exchange's name of it: apiKey, client_id."""
    algorithm: Algorithm = Algorithm.HMAC_SHA256


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What the vault answers."""

    key: KeyFacts
    signature: str
    at: int
    """Microseconds UTC, as in what was signed."""
    nonce: str


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """Have this signed, and perform what comes of it."""

    purpose: str
    """For the audit trail: ``login``, ``subscribe`` …"""
    prepare: Callable[[KeyFacts, int, str], str]
    """(key, time in microseconds UTC, nonce) → the text to sign."""
    then: Callable[[Signed], Sequence[AccountOutput]]
    failed: Callable[[str], Sequence[AccountOutput]]
    """Takes a sentence."""


class PrivateRequest(Request, frozen=True, kw_only=True):
    """A request that only a key may ask; the exchange's ``signing`` says how it is signed."""

    headers: Mapping[str, str] = {}
    signed: bool = True
    """False: the key's name alone is enough (Binance's listenKey). No vault is asked: ``with_signature`` gets
    an empty signature and puts the name in its place."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    records: Sequence[AccountRecord] = ()
    further: Ask | None = None
    """Where the rest is; None: that was all."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question by REST."""

    what: str
    """For sentences: "open orders", "fills of BTCUSDT" …"""
    request: PrivateRequest
    read: Callable[[bytes, int], Page]
    """(body, receive_time) → what it says. Raises ProtocolViolation."""
    absent: frozenset[int] = frozenset()
    """Codes of a RestError that mean "there is none": an empty answer, and no failure."""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """Ask this, and hand what its pages say to ``then``; ``failed`` takes a sentence instead."""

    ask: Ask
    then: Callable[[Sequence[AccountRecord]], Sequence[AccountOutput]]
    failed: Callable[[str], Sequence[AccountOutput]]


class Obtain(msgspec.Struct, frozen=True, kw_only=True):
    """Perform this request and hand its body to ``then``: a listenKey, not a record."""

    request: PrivateRequest
    then: Callable[[bytes], Sequence[AccountOutput]]
    failed: Callable[[str], Sequence[AccountOutput]]


class Ready(msgspec.Struct, frozen=True):
    """From ``since`` on (microseconds UTC, our clock) nothing private can pass unheard."""

    since: int


AccountOutput: TypeAlias = AccountRecord | Send | Reconnect | Sign | Fetch | Obtain | Ready


class AccountSession(Protocol):
    """One private conversation over one connection.

    It is made before the connection. Its holder calls ``before``, performs what comes out (and out of that,
    to the end), and only then opens ``exchange.path(session.listen_key)``, unless a ``Reconnect`` was among
    it: then no socket is opened, and the next attempt begins with a new session.
    """

    ignored: dict[str, int]
    """Count of message types that were tolerated, not read. Bounded."""
    listen_key: str
    """What ``before`` obtained for the path; empty where there is no such thing. A secret: never in a log."""

    def before(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        """What must be had before the socket is opened: an ``Obtain``, or (mostly) nothing."""

    def opened(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        """The socket is open: what to say first. ``now``: monotonic real seconds."""

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[AccountOutput]:
        """A text came. Raises ProtocolViolation, and nothing else."""

    def due(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        """What must be done by now: renewals, heartbeats, silence; asked about four times a second."""

    @property
    def live(self) -> bool:
        """Logged in, subscribed, acknowledged."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do, as the exchange says; None: it does not say."""

    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    """Withdrawals, and transfers to others."""
    ip_restricted: bool | None = None
    words: str = ""
    """The exchange's own words, for a person."""


class PermissionsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask for them."""

    request: PrivateRequest
    read: Callable[[bytes], Permissions]
    rest_url: str = ""
    """The host that is asked, where it is not the exchange's own ``rest_url``; what replaces the one in
    settings (a simulated market) replaces this one, too."""
    further: Callable[[KeyFacts], PermissionsAsk] | None = None
    """Another question about the same key: it tells what this one leaves out (None), where it is answered."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What of an account is known already; some exchanges tell history by symbol or asset only."""

    symbols: frozenset[str] = frozenset()
    """Ever traded."""
    assets: frozenset[str] = frozenset()
    last_fills: Mapping[str, str] = {}
    """Highest fill id by symbol. Before it some may be missing, where it was heard live after a break."""


class AccountExchange(Protocol):
    """All that is known about one exchange's private side. Stateless."""

    key: str
    websocket_url: str
    """Of the private stream; settings may replace the host."""
    rest_url: str
    maximum_age_seconds: float | None

    @property
    def limits(self) -> Sequence[Limit]: ...

    def path(self, listen_key: str) -> str:
        """Path and query of the private stream below ``websocket_url``."""

    def session(self, key: KeyFacts) -> AccountSession: ...

    def to_sign(self, request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:
        """The text whose signature the request carries."""

    def with_signature(self, request: PrivateRequest, signed: Signed) -> PrivateRequest:
        """Ready to be sent: query and headers complete."""

    def open_orders(self) -> list[Ask]:
        """All that wait, conditional ones included, as order events of origin SNAPSHOT."""

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        """How one order ended; an empty answer where the exchange does not know it (any more)."""

    def balances(self) -> list[Ask]: ...

    def positions(self) -> list[Ask]:
        """Open ones only: what is not told is closed."""

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        """Orders that changed in [since, until), from all of the exchange's histories."""

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        """Fills of [since, until), from all of the exchange's histories."""

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:
        """Rows of the exchange's ledger of [since, until); none where it has no such ledger (spot)."""

    def reach(self, what: str, now: int) -> int:
        """The earliest moment of which it still tells ``orders``, ``fills`` or ``movements``."""

    def permissions(self) -> PermissionsAsk: ...

    def error_of(self, status: int, body: bytes) -> RestError | None: ...
