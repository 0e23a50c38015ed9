"""Binance's frames as it sends them: only the fields that are read, and which others are known to exist.

Limits stand in the types, so that what decodes can also be stored: ids fit a bigint, times a timestamp.
Decimals come from the exchange's own text; whoever converts a frame checks them (``exchanges/amounts.py``).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
IdOrNone = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
"""-1 stands for none: a minute without trades, a withdrawn aggregate of old."""
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]*$")]
"""Text that is kept as it came."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ArithmeticError)
"""All that decoding foreign text can raise; ArithmeticError is a comparison with NaN."""

COIN_MARGINED: Final = 2
"""``st`` of rows that belong to COIN-M futures, which share streams since 2026."""


class Envelope(msgspec.Struct, gc=False):
    """Every event of a combined stream; answers and the raw shutdown notice have neither field."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


class Fault(msgspec.Struct):
    code: int = 0
    msg: str = ""


class Answer(msgspec.Struct):
    """What the server says to a request of ours; errors come in both shapes, with and without ``error``."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    code: int | None = None
    msg: str = ""
    error: Fault | None = None


class AggregateRow(
    msgspec.Struct,
    gc=False,
    rename={
        "sequence": "a", "price": "p", "quantity": "q", "first_id": "f", "last_id": "l", "time": "T",
        "buyer_is_maker": "m", "symbol": "s", "family": "st",
    },
):  # fmt: skip
    """An aggregate trade as REST lists it."""

    sequence: Id
    price: Decimal
    quantity: Decimal
    first_id: IdOrNone
    last_id: IdOrNone
    time: Milliseconds
    buyer_is_maker: bool


class AggregateTrade(AggregateRow):
    symbol: str
    family: int = 1


class RawTrade(
    msgspec.Struct,
    gc=False,
    rename={
        "symbol": "s", "sequence": "t", "price": "p", "quantity": "q", "time": "T", "buyer_is_maker": "m",
        "family": "st",
    },
):  # fmt: skip
    symbol: str
    sequence: Id
    price: Decimal
    quantity: Decimal
    time: Milliseconds
    buyer_is_maker: bool
    family: int = 1


class RawTradeRow(
    msgspec.Struct,
    gc=False,
    rename={"sequence": "id", "quantity": "qty", "buyer_is_maker": "isBuyerMaker"},
):
    """A raw trade as REST lists it."""

    sequence: Id
    price: Decimal
    quantity: Decimal
    time: Milliseconds
    buyer_is_maker: bool


class Kline(
    msgspec.Struct,
    gc=False,
    rename={
        "open_time": "t", "symbol": "s", "interval": "i", "first_id": "f", "last_id": "L", "open": "o",
        "close": "c", "high": "h", "low": "l", "volume": "v", "trades": "n", "closed": "x",
        "quote_volume": "q", "taker_volume": "V", "taker_quote_volume": "Q",
    },
):  # fmt: skip
    open_time: Milliseconds
    symbol: str
    interval: str
    first_id: IdOrNone
    last_id: IdOrNone
    open: Decimal
    close: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    trades: Id
    closed: bool
    quote_volume: Decimal
    taker_volume: Decimal
    taker_quote_volume: Decimal


class KlineEvent(msgspec.Struct, rename={"time": "E", "symbol": "s", "kline": "k", "family": "st"}):
    time: Milliseconds
    symbol: str
    kline: Kline
    family: int = 1


class Quote(
    msgspec.Struct,
    gc=False,
    rename={
        "update": "u", "symbol": "s", "bid": "b", "bid_quantity": "B", "ask": "a", "ask_quantity": "A",
        "time": "T", "family": "st",
    },
):  # fmt: skip
    """Best bid and ask. Spot sends no time at all."""

    update: Id
    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    time: Milliseconds | None = None
    family: int = 1


class Ticker(
    msgspec.Struct,
    gc=False,
    rename={
        "time": "E", "symbol": "s", "last": "c", "high": "h", "low": "l", "volume": "v",
        "quote_volume": "q", "last_id": "L", "family": "st",
    },
):  # fmt: skip
    time: Milliseconds
    symbol: str
    last: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    quote_volume: Decimal
    last_id: IdOrNone | None = None
    family: int = 1


class MarkPrice(
    msgspec.Struct,
    gc=False,
    rename={
        "time": "E", "symbol": "s", "mark": "p", "index": "i", "settle": "P", "funding": "r",
        "next_funding": "T", "family": "st",
    },
):  # fmt: skip
    """Prices but the mark are text, because Binance writes "" for what a contract does not have."""

    time: Milliseconds
    symbol: str
    mark: Decimal
    index: str = ""
    settle: str = ""
    funding: str = ""
    next_funding: Milliseconds = 0
    family: int = 1


class ForceOrder(
    msgspec.Struct,
    gc=False,
    rename={
        "symbol": "s", "side": "S", "price": "p", "average_price": "ap", "quantity": "q", "filled": "z",
        "status": "X", "time": "T",
    },
):  # fmt: skip
    symbol: str
    side: str
    price: Decimal
    average_price: Decimal
    quantity: Decimal
    filled: Decimal
    status: Word
    time: Milliseconds


class ForceOrderEvent(msgspec.Struct, rename={"order": "o", "family": "st"}):
    order: ForceOrder
    family: int = 1


class ContractInfo(
    msgspec.Struct, gc=False, rename={"time": "E", "symbol": "s", "status": "cs", "family": "st"}
):
    time: Milliseconds
    symbol: Word
    status: Word
    family: int = 1


class Shutdown(msgspec.Struct, gc=False, rename={"time": "E"}):
    time: Milliseconds


SHUTDOWN: Final = "serverShutdown"
