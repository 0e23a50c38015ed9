"""An account of the operator's, and records to keep its books with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from trade_platform.adapters.bus import ACCOUNT_KIND_OF, Entry, encode
from trade_platform.adapters.database.books import Owner, Written, find_owner, write
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.roles import ACCOUNTS, OPERATOR_TENANT, acting_as
from trade_platform.domain.accounts import (
    AccountRecord,
    Balance,
    Fill,
    Movement,
    MovementKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.domain.model import Side

NOON = 1_790_000_000_000_000
ACCOUNT = "operator.main"
_ADD = "INSERT INTO account (tenant_id, key, exchange, name) VALUES (%s, %s, %s, %s)"
BOOKS = (
    "order_event", "account_order", "fill", "movement", "balance", "balance_now", "position", "position_now",
    "account_note", "blindness", "book_conflict",
)  # fmt: skip


def add_account(connection: Connection, key: str = ACCOUNT, exchange: str = "deribit") -> Owner:
    """As whoever the tests are: the tables' owner."""
    connection.execute(_ADD, (OPERATOR_TENANT, key, exchange, key.partition(".")[2]))
    return find_owner(connection, key)


@contextmanager
def as_owner(connection: Connection, owner: Owner) -> Iterator[None]:
    """One transaction of a process that may see this tenant's rows."""
    with acting_as(connection, ACCOUNTS, owner.tenant_id):
        yield


def put(connection: Connection, owner: Owner, *records: AccountRecord) -> Written:
    """One batch of records of one kind."""
    with as_owner(connection, owner):
        return write(connection, owner, ACCOUNT_KIND_OF[type(records[0])], records)


def rows(connection: Connection, table: str, columns: str = "*") -> list[Any]:
    """All of it, as the owner of the tables sees it."""
    return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3").fetchall()


def emptied(connection: Connection) -> None:
    connection.execute(f"TRUNCATE {', '.join(BOOKS)}")


def order(at: int = 0, **changes: Any) -> OrderEvent:
    """``at``: milliseconds after noon."""
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "order_id": "9007199254740993",
        "state": OrderState.OPEN,
        "status": "NEW",
        "event": "NEW",
        "side": Side.BUY,
        "order_type": "LIMIT",
        "quantity": Decimal("1.50"),
        "filled": Decimal(0),
        "event_time": NOON + at * 1000,
        "receive_time": NOON + at * 1000 + 500,
        "price": Decimal("100.5"),
    }
    return OrderEvent(**(fields | changes))


def fill(at: int = 0, **changes: Any) -> Fill:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "fill_id": "17",
        "order_id": "9007199254740993",
        "side": Side.BUY,
        "price": Decimal("100.5"),
        "quantity": Decimal("0.50"),
        "event_time": NOON + at * 1000,
        "receive_time": NOON + at * 1000 + 500,
        "fee": Decimal("0.0005"),
        "fee_asset": "BTC",
    }
    return Fill(**(fields | changes))


def balance(at: int = 0, total: str = "10", **changes: Any) -> Balance:
    fields: dict[str, Any] = {
        "asset": "BTC",
        "total": Decimal(total),
        "event_time": NOON + at * 1000,
        "receive_time": NOON + at * 1000 + 500,
    }
    return Balance(**(fields | changes))


def position(at: int = 0, quantity: str = "1", **changes: Any) -> Position:
    fields: dict[str, Any] = {
        "symbol": "BTC-PERPETUAL",
        "quantity": Decimal(quantity),
        "event_time": NOON + at * 1000,
        "receive_time": NOON + at * 1000 + 500,
    }
    return Position(**(fields | changes))


def movement(at: int = 0, **changes: Any) -> Movement:
    fields: dict[str, Any] = {
        "movement_id": "m-1",
        "kind": MovementKind.FUNDING,
        "word": "FUNDING_FEE",
        "asset": "USDT",
        "change": Decimal("-0.25"),
        "event_time": NOON + at * 1000,
        "receive_time": NOON + at * 1000 + 500,
    }
    return Movement(**(fields | changes))


def entry(records: Sequence[AccountRecord], n: int = 1, producer: str = "account:1") -> Entry:
    """One batch of records of one kind, as it stands on the stream."""
    kind = ACCOUNT_KIND_OF[type(records[0])]
    return Entry(kind, producer, n, NOON, "deribit", encode(records))
