"""Ways in which books of an account can be wrong: operations × fields, made one by one from a true week.

A corruption takes a week and chance, and gives the books that it leaves, or None where it does not apply (no
such field at this exchange). ``HELD_BACK`` were written, and run for the first time, after the detector was
frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Decimal
from enum import Enum
from random import Random
from typing import Any, Final, TypeAlias

import msgspec

from tests.domain.account_week import Week
from trade_platform.domain.account_books import Books, books_of, key_of
from trade_platform.domain.accounts import (
    AccountRecord,
    Balance,
    Fill,
    Movement,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.domain.difference import Subject
from trade_platform.domain.model import MINUTE
from trade_platform.domain.reconciled_fields import FIELDS

Corruption: TypeAlias = Callable[[Week, Random], Books | None]

TABLES: Final = {
    "orders": Subject.ORDERS,
    "fills": Subject.FILLS,
    "balances": Subject.BALANCES,
    "positions": Subject.POSITIONS,
    "movements": Subject.MOVEMENTS,
}
KINDS: Final = {"orders": OrderEvent, "fills": Fill, "balances": Balance, "positions": Position}
HOUR: Final = 60 * MINUTE
LIVE: Final = ("orders", "positions", "balances")


def _with(week: Week, table: str, rows: Sequence[Any]) -> Books:
    return msgspec.structs.replace(week.truth, **{table: list(rows)})


def _rows(week: Week, table: str) -> list[Any]:
    rows = list(getattr(week.truth, table))
    return [row for row in rows if row.quantity] if table == "positions" else rows


def _replaced(week: Week, table: str, old: Any, new: Any) -> Books:
    return _with(week, table, [new if row is old else row for row in getattr(week.truth, table)])


# --- operations on rows -------------------------------------------------------------------------------------


def drop(table: str) -> Corruption:
    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = _rows(week, table)
        gone = chance.choice(rows) if rows else None
        return (
            _with(week, table, [row for row in getattr(week.truth, table) if row is not gone])
            if gone
            else None
        )

    return corrupt


def duplicate(table: str) -> Corruption:
    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = _rows(week, table)
        return _with(week, table, [*rows, chance.choice(rows)]) if rows else None

    return corrupt


def duplicate_under_another_name(table: str, field: str) -> Corruption:
    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = _rows(week, table)
        if table == "orders":
            rows = [row for row in rows if row.state in (OrderState.FILLED, OrderState.OPEN)]
        if not rows:
            return None
        row = chance.choice(rows)
        again = msgspec.structs.replace(row, **{field: f"{getattr(row, field)}-2"})
        return _with(week, table, [*getattr(week.truth, table), again])

    return corrupt


def cut_off(table: str) -> Corruption:
    """The newest rows are not there."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = sorted(_rows(week, table), key=lambda row: row.event_time)
        return _with(week, table, rows[: -chance.randint(1, 3)]) if len(rows) > 3 else None

    return corrupt


# --- operations on fields -----------------------------------------------------------------------------------


def alter(table: str, field: str) -> Corruption:
    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = [row for row in _rows(week, table) if getattr(row, field) not in (None, "")]
        if not rows:
            return None
        row = chance.choice(rows)
        return _replaced(
            week, table, row, msgspec.structs.replace(row, **{field: _other(getattr(row, field), chance)})
        )

    return corrupt


def _other(value: Any, chance: Random) -> Any:
    match value:
        case bool():
            return not value
        case Decimal():
            return value + (
                Decimal("0.00000001") if chance.random() < 0.5 and abs(value) < 100 else value / 8 + 1
            )
        case int():
            return value + chance.choice([-1, 1]) * 2_000_000
        case Enum():
            return chance.choice([one for one in type(value) if one is not value])
        case _:
            return f"{value}x"


def truncate(table: str, field: str, digits: int) -> Corruption:
    """Digits behind the point are lost."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        step = Decimal(1).scaleb(-digits)
        cut = [
            (row, value.quantize(step, rounding=ROUND_DOWN))
            for row in _rows(week, table)
            if (value := getattr(row, field)) is not None
        ]
        cut = [(row, short) for row, short in cut if short != getattr(row, field)]
        if not cut:
            return None
        row, short = chance.choice(cut)
        return _replaced(week, table, row, msgspec.structs.replace(row, **{field: short}))

    return corrupt


def delay(table: str) -> Corruption:
    """A row says that it happened an hour later."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = _rows(week, table)
        if not rows:
            return None
        row = chance.choice(rows)
        return _replaced(week, table, row, msgspec.structs.replace(row, event_time=row.event_time + HOUR))

    return corrupt


def swap(table: str, field: str) -> Corruption:
    """Two rows have each other's."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        rows = _rows(week, table)
        chance.shuffle(rows)
        told = [row for row in rows if getattr(row, field) not in (None, "")]
        other = next((row for row in told[1:] if getattr(row, field) != getattr(told[0], field)), None)
        if other is None:
            return None
        one = told[0]
        books = _replaced(week, table, one, msgspec.structs.replace(one, **{field: getattr(other, field)}))
        changed = msgspec.structs.replace(other, **{field: getattr(one, field)})
        rows = [changed if row is other else row for row in getattr(books, table)]
        return msgspec.structs.replace(books, **{table: rows})

    return corrupt


# --- operations on the stream -------------------------------------------------------------------------------


def older_word_counts(table: str) -> Corruption:
    """Applied in the wrong order: what was told before the last word stands."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        told: dict[str, list[Any]] = {}
        for event in week.events:
            if isinstance(event, KINDS[table]):
                told.setdefault(key_of(event), []).append(event)  # type: ignore[arg-type]
        changed = [rows for rows in told.values() if len(rows) > 1 and _says(rows[-1]) != _says(rows[-2])]
        if not changed:
            return None
        rows = chance.choice(changed)
        current = next(row for row in getattr(week.truth, table) if key_of(row) == key_of(rows[0]))
        return _replaced(week, table, current, rows[-2])

    return corrupt


def _says(row: Any) -> tuple[Any, ...]:
    match row:
        case OrderEvent():
            return row.state, row.filled
        case Position():
            return (row.quantity,)
        case _:
            return (row.total,)


def lost(kind: type[Any]) -> Corruption:
    """The last message about something never came."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        last = {key_of(event): event for event in week.events if isinstance(event, kind)}
        if kind is Position:
            last = {key: one for key, one in last.items() if _told_otherwise_before(week, one)}
        if not last:
            return None
        gone = chance.choice(sorted(last.values(), key=key_of))
        return books_of(event for event in week.events if event is not gone)

    return corrupt


def _told_otherwise_before(week: Week, last: Position) -> bool:
    before = [one for one in week.events if isinstance(one, Position) and one.symbol == last.symbol][:-1]
    return (before[-1].quantity if before else 0) != last.quantity


def blind(minutes: int) -> Corruption:
    """Everything of some time never came."""

    def corrupt(week: Week, chance: Random) -> Books | None:
        fill = chance.choice(week.truth.fills)
        since, until = fill.event_time - minutes * MINUTE // 2, fill.event_time + minutes * MINUTE // 2
        return books_of(event for event in week.events if not since <= event.event_time < until)

    return corrupt


def stopped(week: Week, chance: Random) -> Books:
    """From some time on nothing came."""
    fill = sorted(week.truth.fills, key=lambda one: one.event_time)[-chance.randint(1, 20)]
    return books_of(event for event in week.events if event.event_time < fill.event_time)


def another_week(week: Week, chance: Random) -> Books:
    """What is left is of the week's first half alone."""
    return books_of(week.events[: len(week.events) // 2])


# --- all of them --------------------------------------------------------------------------------------------

_DIGITS: Final = (
    ("fills", "price", 0),
    ("fills", "fee", 4),
    ("balances", "total", 3),
    ("movements", "change", 4),
    ("orders", "price", 0),
)
_SWAPPED: Final = (
    *(("fills", field) for field in ("price", "quantity", "fee", "fill_id", "order_id", "event_time")),
    *(
        ("movements", field)
        for field in ("change", "event_time", "movement_id", "kind", "fill_id", "balance")
    ),
    *(("orders", field) for field in ("price", "quantity", "order_id", "client_id")),
    ("balances", "total"),
    ("positions", "quantity"),
)

KNOWN: Final[dict[str, Corruption]] = {
    **{f"drop a row of {table}": drop(table) for table in TABLES},
    **{f"duplicate a row of {table}": duplicate(table) for table in TABLES},
    **{
        f"duplicate a row of {table} under another {field}": duplicate_under_another_name(table, field)
        for table, field in (("orders", "order_id"), ("fills", "fill_id"), ("movements", "movement_id"))
    },
    **{f"truncate {table}": cut_off(table) for table in ("orders", "fills", "movements")},
    **{
        f"alter {table}.{field.name}": alter(table, field.name)
        for table, subject in TABLES.items()
        for field in FIELDS[subject]
    },
    **{f"truncate {table}.{field}": truncate(table, field, digits) for table, field, digits in _DIGITS},
    **{f"delay a row of {table}": delay(table) for table in ("orders", "fills", "movements")},
    **{f"swap {table}.{field}": swap(table, field) for table, field in _SWAPPED},
    **{f"reorder {table}": older_word_counts(table) for table in LIVE},
    **{f"lose the last {kind.__name__}": lost(kind) for kind in (OrderEvent, Fill, Position, Movement)},
    **{f"lose {minutes} minutes of the stream": blind(minutes) for minutes in (1, 60, 1440)},
    "lose the stream's end": stopped,
    "lose half of the stream": another_week,
}


# --- kept back until the detector was frozen ----------------------------------------------------------


def split_a_fill(week: Week, chance: Random) -> Books | None:
    """One fill stands as two halves."""
    fills = [fill for fill in week.truth.fills if fill.quantity > Decimal("0.002")]
    fill = chance.choice(fills)
    half = msgspec.structs.replace(fill, quantity=fill.quantity / 2)
    other = msgspec.structs.replace(half, fill_id=f"{fill.fill_id}b")
    return _with(week, "fills", [*(one for one in week.truth.fills if one is not fill), half, other])


def merge_two_fills(week: Week, chance: Random) -> Books | None:
    """Two fills of an order stand as one."""
    by_order: dict[str, list[Fill]] = {}
    for fill in week.truth.fills:
        by_order.setdefault(fill.order_id, []).append(fill)
    pairs = [fills for fills in by_order.values() if len(fills) > 1]
    if not pairs:
        return None
    one, two, *_ = chance.choice(pairs)
    both = msgspec.structs.replace(one, quantity=one.quantity + two.quantity, fee=one.fee + two.fee)
    return _with(week, "fills", [*(row for row in week.truth.fills if row not in (one, two)), both])


def negate_a_movement(week: Week, chance: Random) -> Books | None:
    rows = [row for row in week.truth.movements if row.change]
    row = chance.choice(rows)
    return _replaced(week, "movements", row, msgspec.structs.replace(row, change=-row.change))


def move_to_another_asset(week: Week, chance: Random) -> Books | None:
    row = chance.choice(list(week.truth.movements))
    return _replaced(week, "movements", row, msgspec.structs.replace(row, asset="DOGE"))


def rename_a_balance(week: Week, chance: Random) -> Books | None:
    row = chance.choice([one for one in week.truth.balances if one.total])
    return _replaced(week, "balances", row, msgspec.structs.replace(row, asset=f"{row.asset}X"))


def resurrect_an_order(week: Week, chance: Random) -> Books | None:
    """It is over, and waits again."""
    ended = [one for one in week.truth.orders if one.state is OrderState.CANCELLED]
    row = chance.choice(ended)
    return _replaced(week, "orders", row, msgspec.structs.replace(row, state=OrderState.OPEN))


def close_a_waiting_order(week: Week, chance: Random) -> Books | None:
    waiting = [one for one in week.truth.orders if one.state in (OrderState.OPEN, OrderState.UNTRIGGERED)]
    row = chance.choice(waiting)
    return _replaced(week, "orders", row, msgspec.structs.replace(row, state=OrderState.CANCELLED))


def flip_a_position(week: Week, chance: Random) -> Books | None:
    rows = _rows(week, "positions")
    if not rows:
        return None
    row = chance.choice(rows)
    return _replaced(week, "positions", row, msgspec.structs.replace(row, quantity=-row.quantity))


def shift_all_fills(week: Week, chance: Random) -> Books | None:
    """A clock that was a second off."""
    shifted = [
        msgspec.structs.replace(fill, event_time=fill.event_time + 1_000_000) for fill in week.truth.fills
    ]
    return _with(week, "fills", shifted)


def swap_two_symbols(week: Week, chance: Random) -> Books | None:
    one, other = sorted({fill.symbol for fill in week.truth.fills})
    swapped = {one: other, other: one}
    fills = [msgspec.structs.replace(fill, symbol=swapped[fill.symbol]) for fill in week.truth.fills]
    return _with(week, "fills", fills)


HELD_BACK: Final[dict[str, Corruption]] = {
    one.__name__.replace("_", " "): one
    for one in (
        split_a_fill,
        merge_two_fills,
        negate_a_movement,
        move_to_another_asset,
        rename_a_balance,
        resurrect_an_order,
        close_a_waiting_order,
        flip_a_position,
        shift_all_fills,
        swap_two_symbols,
    )
}


def reordered(events: Sequence[AccountRecord], chance: Random) -> list[AccountRecord]:
    """Harmless: whatever order it comes in, it says the same."""
    return chance.sample(list(events), len(events))


def repeated(events: Sequence[AccountRecord], chance: Random) -> list[AccountRecord]:
    """Harmless: told twice, or again much later."""
    return [*events, *chance.sample(list(events), len(events) // 2)]
