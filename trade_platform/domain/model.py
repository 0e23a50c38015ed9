"""The nouns of the market: what a session emits, what the bus carries, what the tables hold.

Every record is frozen. Prices and quantities are ``Decimal`` made from the exchange's own text, never
from a float. Times are integers, microseconds since 1970-01-01 UTC: ``event_time`` is the exchange's
clock, ``receive_time`` is ours. ``symbol`` is the exchange's own name, verbatim; the exchange itself is
named by whoever holds the record (a Redis stream, a table column). Units, sides and sources of every
field: ``docs/semantics.md``.

Records that travel on the bus are ``array_like``: on the wire each is a JSON array in field order, so
new fields go to the end, with a default.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import TypeAlias

import msgspec


class Side(StrEnum):
    """The taker's side: BUY means that a buyer crossed the spread."""

    BUY = "buy"
    SELL = "sell"


class TradeFlag(IntFlag):
    """What is special about a trade; a plain trade has none of these."""

    AGGREGATE = 1
    """Several fills of one taker; ``sequence`` counts aggregates, first_id and last_id are raw ids."""
    BLOCK = 2
    """Negotiated off the book: counts as volume, says nothing about the price."""
    MAKER_LIQUIDATED = 4
    TAKER_LIQUIDATED = 8
    COMBO = 16
    """A leg of a combo trade."""


class Channel(StrEnum):
    """What can be recorded of an instrument; the words of ``config/instruments.toml``."""

    TRADE = "trade"
    AGGREGATE_TRADE = "aggregate_trade"
    CANDLE = "candle"
    QUOTE = "quote"
    TICKER = "ticker"
    MARK = "mark"
    INDEX = "index"
    VOLATILITY = "volatility"
    OPEN_INTEREST = "open_interest"
    LIQUIDATION = "liquidation"
    INSTRUMENT_STATE = "instrument_state"
    PLATFORM = "platform"


class Metric(StrEnum):
    """What a Number measures. Units: docs/semantics.md."""

    BEST_BID = "best_bid"
    BEST_BID_QUANTITY = "best_bid_quantity"
    BEST_ASK = "best_ask"
    BEST_ASK_QUANTITY = "best_ask_quantity"
    LAST_PRICE = "last_price"
    MARK_PRICE = "mark_price"
    INDEX_PRICE = "index_price"
    SETTLE_PRICE = "settle_price"
    UNDERLYING_PRICE = "underlying_price"
    FUNDING_RATE = "funding_rate"
    FUNDING_8H = "funding_8h"
    INTEREST_RATE = "interest_rate"
    OPEN_INTEREST = "open_interest"
    VOLUME_24H = "volume_24h"
    QUOTE_VOLUME_24H = "quote_volume_24h"
    HIGH_24H = "high_24h"
    LOW_24H = "low_24h"
    MARK_IV = "mark_iv"
    BID_IV = "bid_iv"
    ASK_IV = "ask_iv"
    DELTA = "delta"
    GAMMA = "gamma"
    RHO = "rho"
    THETA = "theta"
    VEGA = "vega"
    VOLATILITY_INDEX = "volatility_index"


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"
    COMBO = "combo"
    INDEX = "index"
    """Not tradable: a price or volatility index, recorded for its numbers."""
    UNKNOWN = "unknown"


class QuantityUnit(StrEnum):
    """What ``quantity`` counts. A bare number is a bug: Deribit's inverse contracts count quote currency."""

    BASE = "base"
    QUOTE = "quote"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A tradable thing, or an index, as the exchange lists it. Identity: (exchange, symbol)."""

    symbol: str
    kind: InstrumentKind = InstrumentKind.UNKNOWN
    status: str = ""
    """The exchange's own word, verbatim (TRADING, open, halted …)."""
    base: str = ""
    quote: str = ""
    settlement: str = ""
    quantity_unit: QuantityUnit = QuantityUnit.BASE
    tick_size: Decimal | None = None
    quantity_step: Decimal | None = None
    contract_size: Decimal | None = None
    expiry: int | None = None
    """Microseconds UTC; None for what never expires."""
    strike: Decimal | None = None
    option_type: str | None = None
    """"call" or "put"."""
    index: str | None = None
    """The price index that it settles against, where the exchange names one."""


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A public print. (symbol, event_time, sequence) is its identity."""

    symbol: str
    sequence: int
    """The exchange's contiguous number: the proof of completeness."""
    price: Decimal
    quantity: Decimal
    side: Side
    event_time: int
    receive_time: int
    first_id: int
    """First raw trade id that it stands for; equal to sequence where trades are raw."""
    last_id: int
    flags: int = 0
    trade_id: str | None = None
    """The exchange's opaque id, where it differs from the sequence."""
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    iv: Decimal | None = None
    """Implied volatility in percent; options only."""


class Candle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One interval [open_time, open_time + interval) as the exchange itself reports it."""

    symbol: str
    interval: str
    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int | None
    taker_buy_volume: Decimal | None
    taker_buy_quote_volume: Decimal | None
    first_id: int | None
    last_id: int | None
    closed: bool
    """The exchange says that it is final; False for a running candle and where it never says so."""
    event_time: int
    receive_time: int


class Number(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One measurement. (symbol, metric, event_time, update) is its identity."""

    symbol: str
    metric: Metric
    value: Decimal
    event_time: int
    """Equal to receive_time where the exchange stamps none (Binance spot quotes)."""
    receive_time: int
    channel: Channel
    update: int = 0
    """The exchange's update id, where it has one; orders what shares a millisecond."""


class Liquidation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A forced order that the exchange shows. On Binance a sample (the largest per second), no ledger."""

    symbol: str
    side: Side
    """The forced order's own side: SELL closes a long."""
    price: Decimal
    average_price: Decimal
    quantity: Decimal
    filled: Decimal
    status: str
    event_time: int
    receive_time: int


class InstrumentState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step in an instrument's life (listed, halted, expired …), in the exchange's own word."""

    symbol: str
    status: str
    event_time: int
    receive_time: int


class ExchangeStatus(StrEnum):
    OPEN = "open"
    PARTIAL = "partial"
    """Some indices or products are locked; ``scope`` names them."""
    LOCKED = "locked"
    MAINTENANCE = "maintenance"
    SHUTDOWN = "shutdown"
    """This connection's server is about to close; the exchange itself goes on."""


class ExchangeState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an exchange says of itself as a whole, or of one index of its."""

    status: ExchangeStatus
    scope: str
    """Empty for the whole exchange, else the index or product that is concerned."""
    reason: str
    """Which signal said so (platform_state, serverShutdown, 11051 …)."""
    event_time: int
    receive_time: int


class GapReason(StrEnum):
    """Why something is missing."""

    DISCONNECT = "disconnect"
    SEQUENCE = "sequence"
    RESTART = "restart"
    SHED = "shed"
    BUS = "bus"
    DECODE = "decode"


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A known hole: in sequence where the channel has one, in time otherwise."""

    symbol: str | None
    channel: Channel | None
    reason: GapReason
    first_sequence: int | None
    """First and last missing number, both inclusive."""
    last_sequence: int | None
    since: int
    """Microseconds UTC, our clock: what lies in [since, until) may be missing."""
    until: int | None
    detail: str = ""


Record: TypeAlias = Trade | Candle | Number | Liquidation | Instrument | InstrumentState | ExchangeState | Gap
"""Everything that a session can say about the market."""

MICROSECONDS = 1_000_000
MINUTE = 60 * MICROSECONDS
DAY = 24 * 60 * MINUTE
