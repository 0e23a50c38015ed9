"""The tables of accounts' books; migration 6 makes the same. Units and sources: ``domain/accounts.py``.

Columns are named as the records' fields, so that a row is a record with whose it is in front. What an
exchange does not tell is '' or NULL. All of them are private: row-level security is forced.

``order_event`` is append-only, and ``account_order`` follows from it alone. ``fill`` and ``movement`` have
the exchange's ids: a second copy changes nothing but what the first did not tell, and a copy that says
something else is kept in ``book_conflict``. ``balance`` and ``position`` are histories, ``…_now`` the newest
of each. A ``blindness`` without ``until`` was not read again yet; where a processor notes that entries did
not arrive, it is bounded from the beginning, and the next reconciliation reads it again.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.schema import SchemaItem

from trade_platform.adapters.database.schema import metadata, side

WAITING: Final = "state IN ('untriggered', 'open', 'unknown')"


def _word(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _stamp(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _amount(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=nullable)


def _count(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _flag(name: str, *, nullable: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=nullable)


def _private(name: str, key: tuple[str, ...], *items: SchemaItem) -> Table:
    """A table of an account's rows, whose key begins with whose they are."""
    owner = ("tenant_id", "account_id")
    return Table(
        name,
        metadata,
        Column("tenant_id", UUID, nullable=False),
        Column("account_id", Integer, nullable=False),
        *items,
        PrimaryKeyConstraint(*owner, *key, name=f"{name}_pkey"),
        ForeignKeyConstraint(owner, ["account.tenant_id", "account.account_id"], name=f"{name}_account_fkey"),
    )


def _order_columns() -> list[SchemaItem]:
    return [
        _word("symbol"),
        _word("order_id"),
        _word("state"),
        _word("status"),
        _word("event"),
        Column("side", side, nullable=False),
        _word("order_type"),
        _amount("quantity"),
        _amount("filled"),
        _moment("event_time"),
        _moment("receive_time"),
        _amount("price", nullable=True),
        _amount("trigger_price", nullable=True),
        _amount("average_price", nullable=True),
        _word("time_in_force"),
        _word("client_id"),
        _word("label"),
        _word("parent_id"),
        _moment("created", nullable=True),
        _flag("reduce_only"),
        _flag("post_only"),
        _flag("liquidation"),
        _word("reason"),
        _word("position_side"),
        _count("update"),
        _word("origin"),
    ]


def _balance_columns() -> list[SchemaItem]:
    return [
        _word("asset"),
        _amount("total"),
        _moment("event_time"),
        _moment("receive_time"),
        _amount("available", nullable=True),
        _amount("locked", nullable=True),
        _amount("equity", nullable=True),
        _amount("initial_margin", nullable=True),
        _amount("maintenance_margin", nullable=True),
        _amount("session_realized", nullable=True),
        _amount("session_unrealized", nullable=True),
        _flag("shared_margin"),
        _word("origin"),
    ]


def _position_columns() -> list[SchemaItem]:
    return [
        _word("symbol"),
        _amount("quantity"),
        _moment("event_time"),
        _moment("receive_time"),
        _word("position_side"),
        _amount("average_price", nullable=True),
        _amount("mark_price", nullable=True),
        _amount("liquidation_price", nullable=True),
        _amount("unrealized_pnl", nullable=True),
        _amount("realized_pnl", nullable=True),
        _amount("initial_margin", nullable=True),
        _amount("maintenance_margin", nullable=True),
        _word("margin_mode"),
        _word("asset"),
        _word("origin"),
    ]


order_event: Final = _private(
    "order_event",
    ("symbol", "order_id", "event_time", "update", "event", "state", "filled"),
    *_order_columns(),
    CheckConstraint("quantity < 'Infinity' AND filled < 'Infinity'", name="order_event_finite_check"),
    Index("order_event_time_idx", "tenant_id", "account_id", "event_time"),
)
"""``state`` and ``filled`` are in the key: exchanges change an order twice in the same millisecond."""

account_order: Final = _private(
    "account_order",
    ("symbol", "order_id"),
    *_order_columns(),
    _count("events"),
    Index("account_order_waiting_idx", "tenant_id", "account_id", postgresql_where=text(WAITING)),
    Index("account_order_time_idx", "tenant_id", "account_id", "event_time"),
)

fill: Final = _private(
    "fill",
    ("symbol", "fill_id", "order_id"),
    _word("symbol"),
    _word("fill_id"),
    _word("order_id"),
    Column("side", side, nullable=False),
    _amount("price"),
    _amount("quantity"),
    _moment("event_time"),
    _moment("receive_time"),
    _amount("fee", nullable=True),
    _word("fee_asset"),
    _flag("maker", nullable=True),
    _amount("realized_pnl", nullable=True),
    _amount("quote_quantity", nullable=True),
    _count("sequence", nullable=True),
    _word("label"),
    _word("position_side"),
    _flag("liquidation"),
    _flag("settlement"),
    _flag("combo"),
    _word("origin"),
    CheckConstraint(
        "price < 'Infinity' AND price > '-Infinity' AND quantity < 'Infinity' AND quantity >= 0",
        name="fill_finite_check",
    ),
    Index("fill_time_idx", "tenant_id", "account_id", "event_time"),
    Index("fill_order_idx", "tenant_id", "account_id", "symbol", "order_id"),
)

movement: Final = _private(
    "movement",
    ("movement_id", "asset"),
    _word("movement_id"),
    _word("kind"),
    _word("word"),
    _word("asset"),
    _amount("change"),
    _moment("event_time"),
    _moment("receive_time"),
    _amount("balance", nullable=True),
    _word("symbol"),
    _word("fill_id"),
    _word("order_id"),
    _amount("fee", nullable=True),
    _amount("funding", nullable=True),
    _count("sequence", nullable=True),
    _word("origin"),
    CheckConstraint("change < 'Infinity' AND change > '-Infinity'", name="movement_finite_check"),
    Index("movement_time_idx", "tenant_id", "account_id", "event_time"),
)

balance: Final = _private(
    "balance",
    ("asset", "event_time", "total"),
    *_balance_columns(),
    CheckConstraint("total < 'Infinity' AND total > '-Infinity'", name="balance_finite_check"),
)

balance_now: Final = _private("balance_now", ("asset",), *_balance_columns())

position: Final = _private(
    "position",
    ("symbol", "position_side", "event_time", "quantity"),
    *_position_columns(),
    CheckConstraint("quantity < 'Infinity' AND quantity > '-Infinity'", name="position_finite_check"),
)

position_now: Final = _private("position_now", ("symbol", "position_side"), *_position_columns())

account_note: Final = _private(
    "account_note",
    ("kind", "event_time", "text"),
    _word("kind"),
    _word("text"),
    _moment("event_time"),
    _moment("receive_time"),
)

blindness: Final = _private(
    "blindness",
    ("since",),
    _moment("since"),
    _word("reason"),
    _moment("receive_time"),
    _moment("until", nullable=True),
)

book_conflict: Final = _private(
    "book_conflict",
    ("kind", "identity", "digest"),
    _word("kind"),
    _word("identity"),
    _word("digest"),
    _word("content"),
    Column("times", BigInteger, nullable=False, server_default=text("1")),
    _stamp("first_seen"),
    _stamp("last_seen"),
)
"""Copies with a key that we hold, and another content: ``content`` is the record as it came, JSON."""
