"""What Deribit writes, typed as far as it is read; the rest of a message is skipped unread.

Numbers become ``Decimal`` from their own text. Every failure to read is one of ``UNREADABLE``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from trade_platform.domain.model import Side

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)

Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
Sequence: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
T = TypeVar("T")


class Params(Struct):
    """Of a notification (``channel``, ``data``) or a heartbeat (``type``)."""

    channel: str = ""
    data: Raw = Raw()
    type: str = ""


class Error(Struct):
    code: int
    message: str = ""


class Frame(Struct):
    """Any WebSocket message: notification, heartbeat or the answer to a call."""

    method: str = ""
    params: Params | None = None
    id: int | str | None = None
    result: Raw = Raw()
    error: Error | None = None
    testnet: bool | None = None


class Trade(Struct, gc=False):
    instrument_name: str
    trade_seq: Sequence
    trade_id: str
    timestamp: Milliseconds
    price: Decimal
    amount: Decimal
    direction: Side
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    iv: Decimal | None = None
    liquidation: str | None = None
    """"M", "T" or "MT": whose order was a liquidation."""
    block_trade_id: str | None = None
    combo_id: str | None = None
    combo_trade_id: str | int | None = None


class Quote(Struct, gc=False):
    timestamp: Milliseconds
    best_bid_price: Decimal | None = None
    best_bid_amount: Decimal | None = None
    best_ask_price: Decimal | None = None
    best_ask_amount: Decimal | None = None


class Stats(Struct, gc=False):
    volume: Decimal | None = None
    volume_usd: Decimal | None = None
    volume_notional: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None


class Greeks(Struct, gc=False):
    delta: Decimal | None = None
    gamma: Decimal | None = None
    rho: Decimal | None = None
    theta: Decimal | None = None
    vega: Decimal | None = None


class Ticker(Struct, gc=False):
    timestamp: Milliseconds
    state: str = ""
    best_bid_price: Decimal | None = None
    best_bid_amount: Decimal | None = None
    best_ask_price: Decimal | None = None
    best_ask_amount: Decimal | None = None
    last_price: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    settlement_price: Decimal | None = None
    underlying_price: Decimal | None = None
    open_interest: Decimal | None = None
    current_funding: Decimal | None = None
    funding_8h: Decimal | None = None
    interest_rate: Decimal | None = None
    mark_iv: Decimal | None = None
    bid_iv: Decimal | None = None
    ask_iv: Decimal | None = None
    stats: Stats | None = None
    greeks: Greeks | None = None


class Bar(Struct, gc=False):
    """One state of the running candle of ``chart.trades.*``."""

    tick: Milliseconds
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    cost: Decimal


class Price(Struct, gc=False):
    """``deribit_price_index.*``."""

    timestamp: Milliseconds
    price: Decimal


class Volatility(Struct, gc=False):
    """``deribit_volatility_index.*``."""

    timestamp: Milliseconds
    volatility: Decimal


class State(Struct, gc=False):
    """``instrument.state.*``."""

    timestamp: Milliseconds
    state: str
    instrument_name: str


class Platform(Struct):
    """``platform_state`` and public/status, in all forms that documentation and wire have shown."""

    price_index: str | None = None
    currency: str | None = None
    locked: bool | str | None = None
    maintenance: bool | str | None = None
    allow_unauthenticated_public_requests: bool | None = None
    locked_indices: list[str] | None = None
    locked_currencies: list[str] | None = None


class Instrument(Struct, kw_only=True):
    """One entry of public/get_instruments."""

    instrument_name: str
    kind: str = ""
    state: str = ""
    is_active: bool = True
    base_currency: str = ""
    quote_currency: str = ""
    counter_currency: str = ""
    settlement_currency: str = ""
    settlement_period: str = ""
    instrument_type: str = ""
    future_type: str = ""
    price_index: str = ""
    expiration_timestamp: Milliseconds | None = None
    tick_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    contract_size: Decimal | None = None
    strike: Decimal | None = None
    option_type: str | None = None


class Trades(Struct):
    trades: list[Trade]
    has_more: bool = False


class Chart(Struct):
    """public/get_tradingview_chart_data: columns of equal length."""

    status: str = ""
    ticks: list[Milliseconds] = []
    open: list[Decimal] = []
    high: list[Decimal] = []
    low: list[Decimal] = []
    close: list[Decimal] = []
    volume: list[Decimal] = []
    cost: list[Decimal] = []


class IndexPrice(Struct):
    index_price: Decimal


class Answer(Struct, Generic[T]):
    """The body of a REST answer: a result or an error."""

    result: T | None = None
    error: Error | None = None


read_frame: Final = msgspec.json.Decoder(Frame).decode
read_trades: Final = msgspec.json.Decoder(list[Trade]).decode
read_quote: Final = msgspec.json.Decoder(Quote).decode
read_ticker: Final = msgspec.json.Decoder(Ticker).decode
read_bar: Final = msgspec.json.Decoder(Bar).decode
read_price: Final = msgspec.json.Decoder(Price).decode
read_volatility: Final = msgspec.json.Decoder(Volatility).decode
read_state: Final = msgspec.json.Decoder(State).decode
read_platform: Final = msgspec.json.Decoder(Platform).decode
read_names: Final = msgspec.json.Decoder(list[str]).decode
read_fields: Final = msgspec.json.Decoder(dict[str, Raw] | list[dict[str, Raw]]).decode


def call(number: int, method: str, **params: object) -> str:
    """A JSON-RPC request as text."""
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return msgspec.json.encode(request).decode()
