"""What Deribit writes of an account, typed as far as it is read; the rest is skipped unread.

Documentation and wire disagree about much here, so what both have shown is taken: one object or an array
of them, singular or plural keys, ids as text or number, booleans as text, fields that are absent or null.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from trade_platform.domain.model import Side
from trade_platform.exchanges.deribit.wire import Error, Milliseconds

Id: TypeAlias = str | int
Flag: TypeAlias = bool | str | None
Some: TypeAlias = Decimal | None
T = TypeVar("T")

_ABSENT: Final = frozenset({b"", b"null", b"[]", b"{}"})
_read_price: Final = msgspec.json.Decoder(Decimal | None).decode


class Order(Struct, kw_only=True, gc=False):
    """An order as it stands, of any source; of the history of triggers, too."""

    order_id: Id | None = None
    trigger_order_id: Id | None = None
    instrument_name: str
    order_state: str
    direction: Side
    amount: Decimal
    order_type: str = ""
    filled_amount: Some = None
    price: Raw = Raw()
    """A number, or a word ("market_price")."""
    average_price: Some = None
    trigger_price: Some = None
    time_in_force: str | None = None
    label: str | None = None
    cancel_reason: str | None = None
    creation_timestamp: Milliseconds | None = None
    last_update_timestamp: Milliseconds | None = None
    timestamp: Milliseconds | None = None
    reduce_only: Flag = None
    post_only: Flag = None
    is_liquidation: Flag = None
    replaced: Flag = None


class Trade(Struct, kw_only=True, gc=False):
    """Our own execution; ``direction`` is ours."""

    instrument_name: str
    trade_id: Id
    order_id: Id
    timestamp: Milliseconds
    price: Decimal
    amount: Decimal
    direction: Side
    trade_seq: int | None = None
    fee: Some = None
    fee_currency: str | None = None
    liquidity: str | None = None
    """"M" or "T": what we were."""
    liquidation: str | None = None
    """"M", "T" or "MT": whose order was a liquidation."""
    order_type: str | None = None
    label: str | None = None
    profit_loss: Some = None
    combo_id: str | None = None
    legs: Raw = Raw()
    """On the net row of a combo."""


class Position(Struct, kw_only=True, gc=False):
    instrument_name: str
    size: Decimal
    direction: str = ""
    """"buy", "sell" or "zero"."""
    average_price: Some = None
    mark_price: Some = None
    estimated_liquidation_price: Some = None
    floating_profit_loss: Some = None
    realized_profit_loss: Some = None
    initial_margin: Some = None
    maintenance_margin: Some = None


class Changes(Struct, kw_only=True):
    """``user.changes.*``: all that one event changed."""

    orders: list[Order] | Order | None = None
    order: list[Order] | Order | None = None
    trades: list[Trade] | Trade | None = None
    trade: list[Trade] | Trade | None = None
    positions: list[Position] | Position | None = None
    position: list[Position] | Position | None = None


class Portfolio(Struct, kw_only=True, gc=False):
    """One currency: ``user.portfolio.*`` and each summary of get_account_summaries."""

    currency: str
    balance: Decimal
    equity: Some = None
    available_funds: Some = None
    spot_reserve: Some = None
    initial_margin: Some = None
    maintenance_margin: Some = None
    session_rpl: Some = None
    session_upl: Some = None
    cross_collateral_enabled: Flag = None


class Lock(Struct, gc=False):
    locked: Flag = None
    currency: str | None = None


class Access(Struct, gc=False):
    """``user.access_log``: somebody did something with the account."""

    log: str | None = None
    ip: str | None = None
    country: str | None = None
    city: str | None = None
    timestamp: Milliseconds | None = None


class Protection(Struct, gc=False):
    """``user.mmp_trigger.*``: market maker protection stopped the quotes."""

    frozen_until: Milliseconds | None = None
    index_name: str | None = None
    mmp_group: str | None = None


class LogRow(Struct, kw_only=True, gc=False):
    """One row of the transaction log."""

    id: Id
    type: str
    currency: str
    timestamp: Milliseconds
    change: Some = None
    balance: Some = None
    user_seq: int | None = None
    instrument_name: str | None = None
    trade_id: Id | None = None
    order_id: Id | None = None
    commission: Some = None
    interest_pl: Some = None


class Summaries(Struct):
    summaries: list[Portfolio]


class Trades(Struct):
    trades: list[Trade]
    has_more: bool = False


class Orders(Struct):
    """Histories of orders, where they come with a continuation."""

    orders: list[Order] = []
    entries: list[Order] = []
    continuation: Id | None = None


class Log(Struct):
    logs: list[LogRow]
    continuation: Id | None = None


class Granted(Struct):
    """What public/auth gave. The access token is not even read: the socket itself is logged in."""

    scope: str
    expires_in: float
    refresh_token: str

    def __repr__(self) -> str:
        return f"Granted(scope={self.scope!r})"


class ApiKey(Struct):
    """One key of private/list_api_keys."""

    client_id: str
    max_scope: str = ""
    enabled: Flag = None
    ip_whitelist: list[str] | str | None = None


class Answer(Struct, Generic[T]):
    """The body of a REST answer."""

    result: T | None = None
    error: Error | None = None
    usOut: int | None = None  # noqa: N815 - their name
    """When it was answered, microseconds UTC of the exchange's clock."""


read_changes: Final = msgspec.json.Decoder(Changes | list[Changes]).decode
read_orders: Final = msgspec.json.Decoder(Order | list[Order]).decode
read_trades: Final = msgspec.json.Decoder(Trade | list[Trade]).decode
read_portfolio: Final = msgspec.json.Decoder(Portfolio | list[Portfolio]).decode
read_lock: Final = msgspec.json.Decoder(Lock | list[Lock]).decode
read_access: Final = msgspec.json.Decoder(Access | list[Access]).decode
read_protection: Final = msgspec.json.Decoder(Protection | list[Protection]).decode
read_granted: Final = msgspec.json.Decoder(Granted).decode


def many(*found: list[T] | T | None) -> list[T]:
    """All of what may be one, several or nothing."""
    rows: list[T] = []
    for one in found:
        if isinstance(one, list):
            rows += one
        elif one is not None:
            rows.append(one)
    return rows


def said(flag: Flag) -> bool:
    """A boolean, however it is written; absent is False."""
    return flag is True or (isinstance(flag, str) and flag.lower() == "true")


def text(value: Id | None) -> str:
    """An id, verbatim; empty where there is none."""
    return "" if value is None else str(value)


def price_of(raw: Raw) -> Decimal | None:
    """None where a word stands instead of a number: it takes what the market gives."""
    told = bytes(raw).strip()
    is_word = told[:1] == b'"' and told[1:2].isalpha()
    return None if is_word or not told else _read_price(told)


def is_empty(raw: Raw) -> bool:
    """Absent, null, or an array or object without anything in it."""
    return bytes(raw).strip() in _ABSENT
