"""The bus: what an entry of a Redis stream looks like, and the keys that the platform uses in Redis.

An entry is a batch of records of one kind. Of what Redis ≥ 7 and Valkey have in common only
XADD, XREAD, XRANGE, XREVRANGE, XTRIM MINID, XINFO, MULTI, EVAL, HSET, HDEL, HGETALL, EXPIRE, INFO and TIME
are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from trade_platform.domain.accounts import ACCOUNT_KINDS, AccountRecord
from trade_platform.domain.model import (
    Candle,
    ExchangeState,
    Gap,
    Instrument,
    InstrumentState,
    Liquidation,
    Number,
    Record,
    Trade,
)

VERSION: Final = 1
R = TypeVar("R")

KINDS: Final[Mapping[str, type[Record]]] = {
    "trade": Trade,
    "candle": Candle,
    "number": Number,
    "liquidation": Liquidation,
    "instrument": Instrument,
    "instrument_state": InstrumentState,
    "exchange_state": ExchangeState,
    "gap": Gap,
}
KIND_OF: Final[Mapping[type[Record], str]] = {record: kind for kind, record in KINDS.items()}
EVENTS: Final = frozenset({"instrument_state", "exchange_state", "gap"})
"""Kinds of the events lane: sent at once, never shed; they travel on ``state``."""
ACCOUNT_KIND_OF: Final[Mapping[type[AccountRecord], str]] = {
    record: kind for kind, record in ACCOUNT_KINDS.items()
}
NEVER_SHED: Final = EVENTS | ACCOUNT_KINDS.keys()
"""Of what an account tells nothing is thrown away, either."""

_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(list[record]) for kind, record in KINDS.items()}  # type: ignore[valid-type]
_account_decoders = {
    kind: msgspec.json.Decoder(list[record])  # type: ignore[valid-type]
    for kind, record in ACCOUNT_KINDS.items()
}


class UnreadableEntry(Exception):
    """An entry of a stream is not one of ours, or of a version that we do not know."""


class Entry(msgspec.Struct, frozen=True):
    """One batch on a stream."""

    kind: str
    producer: str
    """One incarnation of one process: its ``n`` starts at 1 and never repeats with other content."""
    n: int
    """Contiguous per producer and stream."""
    since: int
    """Market time since when this connection has delivered without a break; the ground of time coverage."""
    exchange: str
    data: bytes
    """JSON array of records."""

    def fields(self) -> dict[str, str | int | bytes]:
        """As XADD takes them."""
        return {
            "v": VERSION,
            "kind": self.kind,
            "producer": self.producer,
            "n": self.n,
            "since": self.since,
            "exchange": self.exchange,
            "data": self.data,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Entry:
        """As XREAD gives them; raises UnreadableEntry."""
        try:
            if int(fields[b"v"]) != VERSION:
                raise UnreadableEntry(f"version {fields[b'v'].decode(errors='replace')} is not known here")
            return cls(
                kind=fields[b"kind"].decode(),
                producer=fields[b"producer"].decode(),
                n=int(fields[b"n"]),
                since=int(fields[b"since"]),
                exchange=fields[b"exchange"].decode(),
                data=fields[b"data"],
            )
        except (KeyError, ValueError) as error:
            raise UnreadableEntry(f"not an entry of this platform: {error!r}") from error

    def records(self) -> Sequence[Record]:
        """Decode a batch of market records; raises UnreadableEntry."""
        return self._decoded(_decoders)

    def account_records(self) -> Sequence[AccountRecord]:
        """Decode a batch of account records; raises UnreadableEntry, also where they are of a market."""
        return self._decoded(_account_decoders)

    def _decoded(self, decoders: Mapping[str, msgspec.json.Decoder[list[R]]]) -> list[R]:
        try:
            return decoders[self.kind].decode(self.data)
        except KeyError as error:
            raise UnreadableEntry(f"kind {self.kind!r} is not known here") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableEntry(f"{self.kind} batch cannot be decoded: {error}") from error


def encode(records: Sequence[Record | AccountRecord]) -> bytes:
    """The ``data`` field of an entry: a JSON array of records of one kind."""
    return _encoder.encode(records)


def market_stream(exchange: str) -> str:
    """Stream of the numbers lane of one exchange."""
    return f"market:{exchange}"


REPAIR: Final = "repair:"
"""How a producer's name begins that reads again: what it says proves nothing of having listened."""

STATE_STREAM: Final = "state"
"""Gaps, exchange states and instrument states of all exchanges: the events lane's public part."""


def stream_of(exchange: str, kind: str) -> str:
    """Where records of this kind travel."""
    return STATE_STREAM if kind in EVENTS else market_stream(exchange)


ACCOUNT: Final = "account:"
"""How an account's stream begins."""


def account_stream(exchange: str, account: str) -> str:
    """Stream of all that one account tells; ``account`` is its key, ``tenant.name``."""
    return f"{ACCOUNT}{exchange}:{account}"


def account_of(stream: str) -> tuple[str, str]:
    """(exchange, account's key) of an account's stream."""
    exchange, _, account = stream.removeprefix(ACCOUNT).partition(":")
    return exchange, account


def heard_key(stream: str) -> str:
    """Hash of what a restart of an account's streamer must know: how far it heard, and of what."""
    return f"heard:{stream}"


def latest_key(exchange: str, symbol: str) -> str:
    """Hash of the last numbers (by metric) and the running candle (``candle``, JSON); expires."""
    return f"latest:{exchange}:{symbol}"


def sequence_key(exchange: str) -> str:
    """Hash ``symbol|channel`` → highest trade sequence handed to the bus: a restart begins there."""
    return f"sequence:{exchange}"
