"""What would make our books the exchange's: rows to be added, and rows that no addition can undo.

Nothing is invented: what is added is what the exchange told, word for word. A balance or position that the
exchange does not have is told to be zero, because its list of what there is was answered wholly. A fill or a
row of a ledger that only we have stays: who takes it away must be a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from trade_platform.domain.account_books import Books, Entry, key_of, newest_of
from trade_platform.domain.accounts import Balance, Fill, Movement, OrderEvent, Origin, Position
from trade_platform.domain.difference import Difference, DifferenceKind, Subject
from trade_platform.domain.reconciliation import Told, rows_of

ROWS: Final = (Subject.ORDERS, Subject.FILLS, Subject.POSITIONS, Subject.BALANCES, Subject.MOVEMENTS)
_ZERO: Final = Decimal(0)


class Healing(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about differences."""

    add: Sequence[Entry] = ()
    """Rows of theirs, and zeros where they have nothing."""
    look_up: Sequence[OrderEvent] = ()
    """Orders of ours that wait no longer: how they ended has to be asked."""
    too_many: Sequence[tuple[Subject, str]] = ()
    """Rows of ours, by key, that they do not have, or that we have twice: adding cannot heal them."""


def healing_of(differences: Iterable[Difference], ours: Books, told: Told, at: int) -> Healing:
    """``at``: the moment of the question, of which zeros are told."""
    add: dict[str, Entry] = {}
    look_up: dict[str, OrderEvent] = {}
    too_many: set[tuple[Subject, str]] = set()
    theirs = {subject: newest_of(rows_of(subject, told.books)) for subject in ROWS}
    theirs[Subject.OPEN_ORDERS] = newest_of(told.open_orders)
    held = {subject: newest_of(rows_of(subject, ours)) for subject in theirs}
    for one in differences:
        if one.subject not in theirs:
            continue
        row, own = theirs[one.subject].get(one.key), held[one.subject].get(one.key)
        if one.kind is DifferenceKind.DUPLICATE:
            too_many.add((one.subject, one.key))
        elif row is not None:
            add[_name(row)] = row
        elif one.subject is Subject.OPEN_ORDERS and own is not None:
            look_up[one.key] = own
        elif (zero := _emptied(own, at)) is not None:
            add[_name(zero)] = zero
        else:
            too_many.add((one.subject, one.key))
    return Healing(
        add=[add[name] for name in sorted(add)],
        look_up=[look_up[key] for key in sorted(look_up)],
        too_many=sorted(too_many),
    )


def _name(row: Entry) -> str:
    return f"{type(row).__name__}|{key_of(row)}"


def _emptied(own: Any, at: int) -> Balance | Position | None:
    """A balance or position that the exchange no longer has."""
    if isinstance(own, Balance):
        return Balance(asset=own.asset, total=_ZERO, event_time=at, receive_time=at, origin=Origin.SNAPSHOT)
    if isinstance(own, Position):
        return Position(
            symbol=own.symbol,
            quantity=_ZERO,
            event_time=at,
            receive_time=at,
            position_side=own.position_side,
            origin=Origin.SNAPSHOT,
        )
    return None


def healed(ours: Books, healing: Healing) -> Books:
    """The books after it, ``too_many`` taken out as a person would: a row that is held twice stays once."""
    rows = {_name(row): row for subject in ROWS for row in newest_of(rows_of(subject, ours)).values()}
    gone = {_owner(subject, key) for subject, key in healing.too_many}
    doubled = _doubled(ours)
    for name in gone - doubled:
        rows.pop(name, None)
    rows |= {_name(row): row for row in healing.add}
    return _books(rows.values())


def _owner(subject: Subject, key: str) -> str:
    kinds = {Subject.ORDERS: OrderEvent, Subject.FILLS: Fill, Subject.MOVEMENTS: Movement}
    return f"{kinds[subject].__name__}|{key}" if subject in kinds else f"{subject}|{key}"


def _doubled(books: Books) -> set[str]:
    seen: set[str] = set()
    doubled: set[str] = set()
    for subject in ROWS:
        for row in rows_of(subject, books):
            name = _name(row)
            (doubled if name in seen else seen).add(name)
    return doubled


def _books(rows: Iterable[Entry]) -> Books:
    kinds: dict[type, list[Any]] = {}
    for row in rows:
        kinds.setdefault(type(row), []).append(row)
    return Books(
        orders=kinds.get(OrderEvent, []),
        fills=kinds.get(Fill, []),
        balances=kinds.get(Balance, []),
        positions=kinds.get(Position, []),
        movements=kinds.get(Movement, []),
    )
