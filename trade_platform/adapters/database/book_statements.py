"""The statements that keep the books, made once of the tables' columns; values are always parameters.

Why no order of arrival matters: events and ids are inserted once; what a first copy did not tell is taken
from a later one; the newest standing wins by the exchange's time; and an order's state is computed anew
from all of its events by a total order over what they say: final before open, then most filled, then
latest. None of that asks which came first.
"""
# ruff: noqa: S608 - what is put together are names of ours

from __future__ import annotations

from functools import cache
from typing import Final

import msgspec

from trade_platform.domain.accounts import ACCOUNT_KINDS, OrderEvent

_OWNER: Final = ("tenant_id", "account_id")


class _Rule(msgspec.Struct, frozen=True):
    """What identifies a record, and how a second copy is held against the first."""

    key: tuple[str, ...]
    strict: tuple[str, ...] = ()
    """Every copy tells them alike."""
    told: tuple[str, ...] = ()
    """Not every copy tells them; those that do, alike."""
    flags: tuple[str, ...] = ()
    """True in one copy is true."""
    completed: bool = False
    """What the first copy did not tell is taken from a later one."""


_RULES: Final = {
    "order_event": _Rule(
        ("symbol", "order_id", "event_time", "update", "event", "state", "filled"),
        strict=("side", "quantity", "reduce_only", "post_only", "liquidation"),
        told=(
            "price", "trigger_price", "average_price", "time_in_force", "client_id", "label", "parent_id",
            "created", "reason", "position_side",
        ),
    ),
    "fill": _Rule(
        ("symbol", "fill_id", "order_id"),
        strict=("side", "price", "quantity", "event_time"),
        told=(
            "fee", "fee_asset", "maker", "realized_pnl", "quote_quantity", "sequence", "label",
            "position_side",
        ),
        flags=("liquidation", "settlement", "combo"),
        completed=True,
    ),
    "movement": _Rule(
        ("movement_id", "asset"),
        strict=("kind", "change", "event_time"),
        told=("balance", "symbol", "fill_id", "order_id", "fee", "funding", "sequence"),
        completed=True,
    ),
    "account_note": _Rule(("kind", "event_time", "text")),
    "balance": _Rule(("asset", "event_time", "total")),
    "position": _Rule(("symbol", "position_side", "event_time", "quantity")),
    "blindness": _Rule(("since",)),
}  # fmt: skip
_WORDS: Final = frozenset(
    {"time_in_force", "client_id", "label", "parent_id", "reason", "position_side", "fee_asset", "symbol",
     "fill_id", "order_id"}
)  # fmt: skip
"""Columns that say '' where nothing is told."""
_STANDINGS: Final = {"balance": ("asset",), "position": ("symbol", "position_side")}
_HELD: Final = {"balance": ("total",), "position": ("quantity", "average_price")}
TABLES: Final = frozenset({*ACCOUNT_KINDS, "account_order", "balance_now", "position_now"})


class Statements(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of records."""

    key: tuple[str, ...]
    incoming: str
    empty: str
    copy: str
    insert: str
    complete: str = ""
    conflicts: str = ""
    """Answers with the places, in the batch, of copies that say something else."""
    after: tuple[str, ...] = ()


@cache
def statements_of(kind: str) -> Statements:
    """For a kind of ``ACCOUNT_KINDS``."""
    rule = _RULES[kind]
    columns = (*_OWNER, *ACCOUNT_KINDS[kind].__struct_fields__)
    listed = ", ".join(columns)
    return Statements(
        key=rule.key,
        incoming=(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS incoming_{kind} (LIKE {kind}, place integer) "
            "ON COMMIT DELETE ROWS"
        ),
        empty=f"DELETE FROM incoming_{kind}",
        copy=f"COPY incoming_{kind} ({listed}, place) FROM STDIN",
        insert=_insert(kind, listed),
        complete=_complete(kind, rule) if rule.completed else "",
        conflicts=_conflicts(kind, rule) if rule.strict else "",
        after=_after(kind, columns),
    )


def _insert(kind: str, listed: str) -> str:
    if kind == "blindness":
        return _BLINDNESS
    changed = ""
    if kind in _STANDINGS:  # every change of what is held, and one row a minute
        same = _equal((*_OWNER, *_STANDINGS[kind]), "n", "i")
        alike = " AND ".join(f"n.{name} IS NOT DISTINCT FROM i.{name}" for name in _HELD[kind])
        minute = "date_bin('1 minute', {}.event_time, '1970-01-01 00:00:00+00')"
        changed = (
            f"WHERE NOT EXISTS (SELECT FROM {kind}_now n WHERE {same} AND {alike} "
            f"AND {minute.format('n')} = {minute.format('i')}) "
        )
    return (
        f"INSERT INTO {kind} ({listed}) SELECT {listed} FROM incoming_{kind} i {changed}"
        "ORDER BY place ON CONFLICT DO NOTHING"
    )


def _after(kind: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    if kind == "blindness":
        return (_SEEN_AGAIN,)
    return (_newest(kind, columns),) if kind in _STANDINGS else ()


def _newest(kind: str, columns: tuple[str, ...]) -> str:
    key = ", ".join((*_OWNER, *_STANDINGS[kind]))
    listed = ", ".join(columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
    return (
        f"INSERT INTO {kind}_now AS held ({listed}) SELECT DISTINCT ON ({key}) {listed} FROM incoming_{kind} "
        f"ORDER BY {key}, event_time DESC, receive_time DESC, place DESC "
        f"ON CONFLICT ({key}) DO UPDATE SET {changed} "
        "WHERE (excluded.event_time, excluded.receive_time) >= (held.event_time, held.receive_time)"
    )


def _complete(kind: str, rule: _Rule) -> str:
    """Where the first copy was silent."""
    key = ", ".join((*_OWNER, *rule.key))
    first = ", ".join(
        [
            f"(array_agg({name} ORDER BY place) FILTER (WHERE {_is_told(name)}))[1] AS {name}"
            for name in rule.told
        ]
        + [f"bool_or({name}) AS {name}" for name in rule.flags]
    )
    taken = ", ".join(
        [f"{name} = CASE WHEN {_is_told(f'held.{name}')} THEN held.{name} "
         f"ELSE coalesce(came.{name}, held.{name}) END" for name in rule.told]
        + [f"{name} = held.{name} OR came.{name}" for name in rule.flags]
    )  # fmt: skip
    new = " OR ".join(
        [f"(NOT ({_is_told(f'held.{name}')}) AND came.{name} IS NOT NULL)" for name in rule.told]
        + [f"(came.{name} AND NOT held.{name})" for name in rule.flags]
    )
    same = _equal((*_OWNER, *rule.key), "held", "came")
    return (
        f"UPDATE {kind} AS held SET {taken} "
        f"FROM (SELECT {key}, {first} FROM incoming_{kind} GROUP BY {key}) AS came "
        f"WHERE {same} AND ({new})"
    )


def _conflicts(kind: str, rule: _Rule) -> str:
    differs = " OR ".join(
        [f"held.{name} IS DISTINCT FROM came.{name}" for name in rule.strict]
        + [f"({_is_told(f'held.{name}')} AND {_is_told(f'came.{name}')} AND held.{name} <> came.{name})"
           for name in rule.told]
    )  # fmt: skip
    same = _equal((*_OWNER, *rule.key), "held", "came")
    return (
        f"SELECT came.place FROM incoming_{kind} came JOIN {kind} held ON {same} WHERE {differs} "
        "ORDER BY came.place"
    )


def _is_told(column: str) -> str:
    return f"{column} <> ''" if column.rpartition(".")[2] in _WORDS else f"{column} IS NOT NULL"


def _equal(names: tuple[str, ...], one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)


_BLINDNESS: Final = """
INSERT INTO blindness AS held (tenant_id, account_id, since, reason, receive_time, until)
SELECT tenant_id, account_id, since, (array_agg(reason ORDER BY until, place))[1], min(receive_time),
       max(until)
FROM incoming_blindness GROUP BY tenant_id, account_id, since
ON CONFLICT (tenant_id, account_id, since) DO UPDATE SET until = excluded.until, reason = excluded.reason
WHERE held.until IS NULL AND excluded.until IS NOT NULL
"""
"""Told twice: when it begins, and when it was read again. What was read again stays so."""
_SEEN_AGAIN: Final = """
UPDATE blindness AS held SET until = came.until FROM incoming_blindness AS came
WHERE held.tenant_id = came.tenant_id AND held.account_id = came.account_id AND held.until IS NULL
    AND came.until IS NOT NULL AND held.since >= came.since AND held.since < came.until
"""
"""Whoever reads an interval again has read all that began in it: that of a process that was killed, too."""

CONFLICT: Final = """
INSERT INTO book_conflict AS held (tenant_id, account_id, kind, identity, digest, content)
VALUES (%(tenant)s, %(account)s, %(kind)s, %(identity)s, md5(%(content)s), %(content)s)
ON CONFLICT (tenant_id, account_id, kind, identity, digest)
DO UPDATE SET times = held.times + 1, last_seen = now()
"""

_RANK: Final = """
    CASE state WHEN 'untriggered' THEN 0 WHEN 'open' THEN 1 WHEN 'unknown' THEN 1 ELSE 2 END DESC,
    filled DESC, event_time DESC, update DESC, event COLLATE "C" DESC, state COLLATE "C" DESC
"""
"""The first of these says how the order stands. What is final stays; what is filled is never less."""
_KEPT: Final = ("average_price", "client_id", "label", "parent_id", "created", "reason", "time_in_force")
"""Told by some events only: of those that do, the first."""


def _derived() -> str:
    columns = [name for name in OrderEvent.__struct_fields__ if name not in ("symbol", "order_id")]
    picked = ", ".join(
        f"(array_agg({name} ORDER BY place)"
        f"{f' FILTER (WHERE {_is_told(name)})' if name in _KEPT else ''})[1] AS {name}"
        for name in columns
    )
    silent: dict[str, str] = {name: f"coalesce({name}, '')" for name in _KEPT if name in _WORDS}
    given = ", ".join(silent.get(name, name) for name in columns)
    listed, changed = ", ".join(columns), ", ".join(f"{name} = excluded.{name}" for name in columns)
    return f"""
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY symbol, order_id ORDER BY {_RANK}) AS place
    FROM order_event
    JOIN unnest(%(symbols)s::text[], %(orders)s::text[]) AS touched(symbol, order_id) USING (symbol, order_id)
    WHERE tenant_id = %(tenant)s AND account_id = %(account)s
), derived AS (
    SELECT tenant_id, account_id, symbol, order_id, count(*) AS events, {picked}
    FROM ranked GROUP BY tenant_id, account_id, symbol, order_id
)
INSERT INTO account_order AS held (tenant_id, account_id, symbol, order_id, {listed}, events)
SELECT tenant_id, account_id, symbol, order_id, {given}, events FROM derived
ON CONFLICT (tenant_id, account_id, symbol, order_id) DO UPDATE SET {changed}, events = excluded.events
WHERE held IS DISTINCT FROM excluded
"""


DERIVE: Final = _derived()
