"""Writes accounts' books. The same records, in whatever order and however often, make the same books.

An account is few records a second, so they go through a temporary table always: COPY into the table
itself is not allowed under row-level security, into a temporary one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec

from trade_platform.adapters.database.book_statements import (
    CONFLICT,
    DERIVE,
    TABLES,
    Statements,
    statements_of,
)
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.roles import DIRECTORY, acting_as
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.domain.accounts import (
    ACCOUNT_KINDS,
    AccountNote,
    AccountRecord,
    Fill,
    OrderEvent,
)

_FIND: Final = "SELECT account_id, tenant_id::text, exchange FROM account WHERE key = %s"
_MOMENTS: Final = frozenset({"event_time", "receive_time", "created", "since", "until"})
_LONGEST_TEXT: Final = 600
"""Of what stands in a key: an index holds some 2,700 bytes a row."""
_PASSING: Final = frozenset({"receive_time", "origin"})
"""How we came to know it is no part of what it says."""
_SEARCHED: Final = "SELECT {columns} FROM {table} WHERE tenant_id = %s AND account_id = %s"

R = TypeVar("R", bound=AccountRecord)


class NoSuchAccount(Exception):
    """The account is not known to this database; the sentence says what to do."""


class Owner(msgspec.Struct, frozen=True):
    """Whose rows they are."""

    tenant_id: str
    account_id: int
    exchange: str


class Written(msgspec.Struct, frozen=True):
    """What became of a batch of records of one kind."""

    new: int
    duplicates: int = 0
    conflicts: int = 0
    """Of the duplicates, those that say something else than what we hold."""


def find_owner(connection: Connection, account: str) -> Owner:
    """Of an account's key, as the role that may know which accounts there are. Raises NoSuchAccount."""
    with acting_as(connection, DIRECTORY):
        row = connection.execute(_FIND, (account,)).fetchone()
    if row is None:
        raise NoSuchAccount(
            f"There is no account {account}: `trade-platform account list` says which there are."
        )
    return Owner(row[1], row[0], row[2])


def write(connection: Connection, owner: Owner, kind: str, records: Sequence[AccountRecord]) -> Written:
    """Store records of one kind, in the caller's transaction, which has chosen the tenant."""
    statements = statements_of(kind)
    with connection.cursor() as cursor:
        cursor.execute(statements.incoming)
        cursor.execute(statements.empty)
        with cursor.copy(statements.copy) as copy:
            for place, record in enumerate(records):
                copy.write_row((owner.tenant_id, owner.account_id, *_values(record), place))
        new = max(cursor.execute(statements.insert).rowcount, 0)
        for statement in statements.after:
            cursor.execute(statement)
        odd: list[int] = []
        if statements.conflicts and new < len(records):
            if statements.complete:
                cursor.execute(statements.complete)
            odd = [row[0] for row in cursor.execute(statements.conflicts)]
    for place in odd:
        _note_conflict(connection, owner, kind, statements, records[place])
    if kind == "order_event":
        _derive(connection, owner, records)  # type: ignore[arg-type]
    return Written(new, len(records) - new, len(odd))


def read(connection: Connection, owner: Owner, kind: type[R], table: str = "", **where: Any) -> list[R]:
    """Rows as records, in no order, in the caller's transaction, which has chosen the tenant.

    ``table``: ``account_order``, ``balance_now`` … where it is not the kind's own. ``where``: columns and
    the one value that each must have; ``since`` and ``until`` (microseconds UTC) bound ``event_time``.
    """
    fields = kind.__struct_fields__
    named = table or next(name for name, one in ACCOUNT_KINDS.items() if one is kind)
    text = _SEARCHED.format(columns=", ".join(fields), table=_known(named))
    values: list[Any] = [owner.tenant_id, owner.account_id]
    for name, value in where.items():
        condition = {"since": "event_time >=", "until": "event_time <"}.get(name)
        assert condition or name in fields, name
        text += f" AND {condition or f'{name} ='} %s"
        values.append(moment(value) if condition else value)
    return [_record(kind, row) for row in connection.execute(text, values)]


def _known(table: str) -> str:
    """Only names of ours become a part of a statement."""
    if table not in TABLES:
        raise ValueError(f"{table!r} is none of the tables of the books")
    return table


def _record(kind: type[R], row: Sequence[Any]) -> R:
    told: dict[str, Any] = {}
    for name, value in zip(kind.__struct_fields__, row, strict=True):
        if isinstance(value, datetime):
            told[name] = microseconds_of(value)
        elif value is not None:
            told[name] = value
    types = {one.name: one.type for one in msgspec.structs.fields(kind)}
    return kind(**{name: msgspec.convert(value, types[name]) for name, value in told.items()})


def _values(record: AccountRecord) -> list[Any]:
    """As the columns have them."""
    values = [
        _value(name, value)
        for name, value in zip(record.__struct_fields__, msgspec.structs.astuple(record), strict=True)
    ]
    match record:
        case Fill(fee_asset=""):
            values[record.__struct_fields__.index("fee")] = record.fee or None  # told later, perhaps
        case AccountNote():
            values[record.__struct_fields__.index("text")] = record.text[:_LONGEST_TEXT]
        case _:
            pass
    return values


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MOMENTS:
        return moment(value)
    return value.value if isinstance(value, Enum) else value


def _derive(connection: Connection, owner: Owner, events: Sequence[OrderEvent]) -> None:
    """The state of every order that was told of, from all that was ever told of it."""
    touched = sorted({(event.symbol, event.order_id) for event in events})
    symbols, orders = zip(*touched, strict=True)
    names = {"tenant": owner.tenant_id, "account": owner.account_id}
    connection.execute(DERIVE, {**names, "symbols": list(symbols), "orders": list(orders)})


def _note_conflict(
    connection: Connection, owner: Owner, kind: str, statements: Statements, record: AccountRecord
) -> None:
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name not in _PASSING}
    identity = [fields[name] for name in statements.key]
    content = msgspec.json.encode(fields).decode()
    connection.execute(
        CONFLICT,
        {
            "tenant": owner.tenant_id,
            "account": owner.account_id,
            "kind": kind,
            "identity": msgspec.json.encode(identity).decode(),
            "content": content,
        },
    )
