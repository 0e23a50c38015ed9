"""What a connection has around it: who holds it and hears of it, and what all connections share."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from streamers.oddities import Oddity
from streamers.publisher import Publisher
from streamers.skew import ClockSkew
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Record
from trade_platform.exchanges.session import Missing

if TYPE_CHECKING:
    from streamers.connection import Connection


class Holder(Protocol):
    """Who holds a connection and hears of it."""

    def delivering(self, connection: Connection) -> None:
        """Its first market data came; an accepted connection and heartbeats are none."""

    def rotation_wished(self, connection: Connection) -> None:
        """The server announced its end: a successor is to be opened while this one still delivers."""

    def missing(self, connection: Connection, missing: Missing) -> None:
        """Trades were jumped over. All that came before them is sealed, none that follows."""

    def odd(self, oddities: Sequence[Oddity]) -> None:
        """Messages came that could not be read."""

    def event(self, record: Record) -> None:
        """An event passed; states of the exchange are left to the holder, all others were published."""


class Surroundings(msgspec.Struct, frozen=True):
    """What every connection of a process shares."""

    publisher: Publisher
    rest: RestClient
    clock: Clock
    budget: Budget
    skew: ClockSkew
    tls: ssl.SSLContext | None = None
    compression: str | None = None
    without: frozenset[Defence] = frozenset()
