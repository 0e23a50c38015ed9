"""The books of an account: how each order stands, what was filled, what is held; whatever order it came in.

A record that is told twice counts once. Of an order, a balance and a position the newest word counts; of
fills and rows of a ledger there is only one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from trade_platform.domain.accounts import (
    FINAL,
    AccountRecord,
    Balance,
    Fill,
    Movement,
    OrderEvent,
    OrderState,
    Position,
)

Entry: TypeAlias = OrderEvent | Fill | Balance | Position | Movement
"""What books are made of; notes and times of blindness are none of it."""

WAITING: Final = frozenset({OrderState.OPEN, OrderState.UNTRIGGERED})
"""An order in one of these can still be filled."""

_encode: Final = msgspec.json.Encoder().encode


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """An account at one moment, and what led to it. Rows stand in no particular order."""

    orders: Sequence[OrderEvent] = ()
    """Each as it stands now."""
    fills: Sequence[Fill] = ()
    balances: Sequence[Balance] = ()
    positions: Sequence[Position] = ()
    movements: Sequence[Movement] = ()


def books_of(records: Iterable[AccountRecord]) -> Books:
    """What records say together, in any order, each as often as it likes."""
    kinds: dict[type, list[Any]] = {kind: [] for kind in KEYS}
    for record in records:
        kinds.get(type(record), []).append(record)
    newest = {kind: sorted(newest_of(rows).values(), key=KEYS[kind]) for kind, rows in kinds.items()}
    return Books(
        orders=newest[OrderEvent],
        fills=newest[Fill],
        balances=newest[Balance],
        positions=newest[Position],
        movements=newest[Movement],
    )


def newest_of(rows: Iterable[Any]) -> dict[str, Any]:
    """By key, what counts of several rows about the same thing."""
    found: dict[str, Any] = {}
    for row in rows:
        key = key_of(row)
        if key not in found or rank(row) > rank(found[key]):
            found[key] = row
    return found


def key_of(entry: Entry) -> str:
    """What the exchange tells it apart by, as text."""
    return KEYS[type(entry)](entry)


def rank(entry: Entry) -> tuple[Any, ...]:
    """The higher, the newer; of two of the same moment the one that says more, and never by chance."""
    if isinstance(entry, OrderEvent):
        ended = entry.state in FINAL
        return entry.event_time, entry.update, entry.filled, ended, _encode(entry)
    return entry.event_time, _encode(entry)


def order_key(symbol: str, order_id: str) -> str:
    """Of an order, in differences and tables."""
    return f"{symbol}|{order_id}"


KEYS: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    OrderEvent: lambda one: order_key(one.symbol, one.order_id),
    Fill: lambda one: f"{one.symbol}|{one.fill_id}|{one.order_id}",
    Balance: lambda one: str(one.asset),
    Position: lambda one: f"{one.symbol}|{one.position_side}",
    Movement: lambda one: f"{one.movement_id}|{one.asset}",
}
