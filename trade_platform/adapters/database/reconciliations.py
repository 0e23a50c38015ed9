"""What reconciliation found: runs, discrepancies and their lives, and what waits to be matched.

Everything is part of the caller's transaction, which has chosen the tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment, optional_moment
from trade_platform.domain.difference import Difference, Subject
from trade_platform.domain.reconciliation import State
from trade_platform.domain.suspense import Suspended

OPEN: Final = "open"
HEALED: Final = "healed"
EXPLAINED: Final = "explained"
MANUAL: Final = "manual"


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """One difference that was seen twice, and what became of it."""

    identity: UUID
    difference: Difference
    row_time: int | None
    state: str = OPEN
    reason: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``reconciliation``. Times: microseconds UTC, of the market's clock."""

    at: int
    since: int
    until: int
    occasion: str
    states: Mapping[Subject, State]
    compared: int = 0
    skipped: int = 0
    raised: int = 0
    healed: int = 0
    pending: int = 0
    words: Sequence[str] = ()


_SAVE_RUN: Final = """
INSERT INTO reconciliation (
    tenant_id, account_id, at, since, until, occasion, open_orders, orders, fills, positions, balances,
    movements, wallet, compared, skipped, raised, healed, pending, words
) VALUES (
    %(tenant)s, %(account)s, %(at)s, %(since)s, %(until)s, %(occasion)s, %(open_orders)s, %(orders)s,
    %(fills)s, %(positions)s, %(balances)s, %(movements)s, %(wallet)s, %(compared)s, %(skipped)s,
    %(raised)s, %(healed)s, %(pending)s, %(words)s
) ON CONFLICT DO NOTHING
"""
_RAISE: Final = """
INSERT INTO discrepancy AS held (
    tenant_id, account_id, discrepancy_id, subject, key, kind, field, ours, theirs, money, severity, state,
    reason, row_time, first_seen, last_seen, closed_at
) VALUES (
    %(tenant)s, %(account)s, %(id)s, %(subject)s, %(key)s, %(kind)s, %(field)s, %(ours)s, %(theirs)s,
    %(money)s, %(severity)s, %(state)s, %(reason)s, %(row_time)s, %(at)s, %(at)s, %(closed_at)s
) ON CONFLICT (tenant_id, account_id, discrepancy_id) DO UPDATE SET
    kind = excluded.kind, ours = excluded.ours, theirs = excluded.theirs, money = excluded.money,
    severity = excluded.severity, state = excluded.state, reason = excluded.reason,
    row_time = excluded.row_time, last_seen = excluded.last_seen, closed_at = excluded.closed_at,
    first_seen = CASE WHEN held.closed_at IS NULL THEN held.first_seen ELSE excluded.first_seen END,
    times = held.times + 1
"""
_OVER: Final = """
UPDATE discrepancy SET state = 'healed', closed_at = %(at)s,
    reason = 'A later look at the same time no longer finds it: what was missing has come, or was corrected.'
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND closed_at IS NULL
  AND subject = ANY(%(subjects)s) AND NOT discrepancy_id = ANY(%(seen)s)
  AND (row_time IS NULL OR (row_time >= %(since)s AND row_time < %(until)s))
RETURNING discrepancy_id
"""
_EXPLAIN: Final = """
UPDATE discrepancy SET state = 'explained', closed_at = %(at)s, reason = %(reason)s
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND discrepancy_id = %(id)s AND closed_at IS NULL
RETURNING discrepancy_id
"""
_EXPLAINED: Final = """
SELECT discrepancy_id, ours, theirs, reason FROM discrepancy
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND state = 'explained'
"""
_SUSPEND: Final = """
INSERT INTO suspense (tenant_id, account_id, key, asset, amount, reason, since, first_seen, last_seen)
VALUES (%(tenant)s, %(account)s, %(key)s, %(asset)s, %(amount)s, %(reason)s, %(of)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, account_id, key) DO UPDATE SET
    amount = excluded.amount, reason = excluded.reason, last_seen = excluded.last_seen, closed_at = NULL
"""
_MATCHED: Final = """
UPDATE suspense SET closed_at = %(at)s
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND closed_at IS NULL AND NOT key = ANY(%(seen)s)
  AND since >= %(since)s AND since < %(until)s
"""


def save_run(connection: Connection, owner: Owner, run: Run) -> None:
    """What one run came to; a subject that it did not ask is unknown."""
    states = {subject.value: run.states.get(subject, State.UNKNOWN).value for subject in Subject}
    counts = {name: getattr(run, name) for name in ("compared", "skipped", "raised", "healed", "pending")}
    times = {"at": moment(run.at), "since": moment(run.since), "until": moment(run.until)}
    told = {"occasion": run.occasion, "words": list(run.words)}
    connection.execute(_SAVE_RUN, {**_of(owner), **times, **states, **counts, **told})


def save_raised(connection: Connection, owner: Owner, raised: Sequence[Raised], at: int) -> None:
    """New ones, and what became of those that are known."""
    for one in raised:
        difference = one.difference
        connection.execute(
            _RAISE,
            {
                **_of(owner),
                "id": one.identity,
                "subject": difference.subject.value,
                "key": difference.key,
                "kind": difference.kind.value,
                "field": difference.field,
                "ours": difference.ours,
                "theirs": difference.theirs,
                "money": difference.money,
                "severity": difference.severity.value,
                "state": one.state,
                "reason": one.reason,
                "row_time": optional_moment(one.row_time),
                "at": moment(at),
                "closed_at": moment(at) if one.state in (HEALED, EXPLAINED) else None,
            },
        )


def close_vanished(connection: Connection, owner: Owner, run: Run, seen: Sequence[UUID], until: int) -> int:
    """Close what this run would have seen and did not. ``until``: rows from then on were left alone."""
    asked = [subject.value for subject, state in run.states.items() if state in (State.OK, State.DIFFERS)]
    rows = connection.execute(
        _OVER,
        {
            **_of(owner),
            "at": moment(run.at),
            "subjects": asked,
            "seen": list(seen),
            "since": moment(run.since),
            "until": moment(until),
        },
    )
    return len(rows.fetchall())


def explain(connection: Connection, owner: Owner, identity: UUID, reason: str, at: int) -> bool:
    """A person says why it is so. False where there is no such open discrepancy."""
    row = connection.execute(_EXPLAIN, {**_of(owner), "id": identity, "reason": reason, "at": moment(at)})
    return row.fetchone() is not None


class Explained(msgspec.Struct, frozen=True):
    """What a person said of a difference, as long as it is that difference."""

    ours: str | None
    theirs: str | None
    reason: str


def load_explained(connection: Connection, owner: Owner) -> dict[UUID, Explained]:
    """All that were explained, by their names."""
    rows = connection.execute(_EXPLAINED, _of(owner))
    return {identity: Explained(ours, theirs, reason) for identity, ours, theirs, reason in rows}


def save_suspense(
    connection: Connection, owner: Owner, suspended: Sequence[Suspended], run: Run, until: int
) -> None:
    """What waits to be matched; what this run could match now is closed."""
    at = moment(run.at)
    for one in suspended:
        told = {"key": one.key, "asset": one.asset, "amount": one.amount, "reason": one.reason}
        connection.execute(_SUSPEND, {**_of(owner), **told, "of": moment(one.since), "at": at})
    seen = [one.key for one in suspended]
    span = {"since": moment(run.since), "until": moment(until)}
    connection.execute(_MATCHED, {**_of(owner), **span, "seen": seen, "at": at})


# --- read ---


class StoredDiscrepancy(msgspec.Struct, frozen=True, kw_only=True):
    """One row, with ages by the market's clock of its runs."""

    discrepancy_id: UUID
    subject: str
    key: str
    kind: str
    field: str
    ours: str | None
    theirs: str | None
    money: Decimal | None
    severity: str
    state: str
    reason: str
    row_time: int | None
    first_seen: int
    last_seen: int
    times: int


class StoredSuspense(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that waits to be matched."""

    key: str
    asset: str
    amount: Decimal
    reason: str
    since: int
    first_seen: int


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """The newest run of an account."""

    at: int
    since: int
    until: int
    occasion: str
    states: dict[str, str]
    compared: int
    skipped: int
    raised: int
    healed: int
    pending: int
    words: list[str]


_MICROSECONDS: Final = "(extract(epoch from {0}) * 1000000)::bigint AS {0}"
_TIMES: Final = {
    name: _MICROSECONDS.format(name)
    for name in ("row_time", "first_seen", "last_seen", "at", "since", "until")
}
_OPEN: Final = f"""
SELECT discrepancy_id, subject, key, kind, field, ours, theirs, money, severity, state, reason,
       {_TIMES["row_time"]}, {_TIMES["first_seen"]}, {_TIMES["last_seen"]}, times
FROM discrepancy
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND (closed_at IS NULL OR %(closed)s)
ORDER BY (closed_at IS NOT NULL), array_position(ARRAY['critical', 'major', 'minor'], severity),
         money DESC NULLS LAST, first_seen DESC, discrepancy_id
LIMIT %(limit)s
"""  # noqa: S608 - names of our own, here and below
_WAITING: Final = f"""
SELECT key, asset, amount, reason, {_TIMES["since"]}, {_TIMES["first_seen"]} FROM suspense
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND closed_at IS NULL ORDER BY since, key
"""  # noqa: S608
_RUNS: Final = f"""
SELECT {_TIMES["at"]}, {_TIMES["since"]}, {_TIMES["until"]}, occasion,
       jsonb_build_object('open_orders', open_orders, 'orders', orders, 'fills', fills,
                          'positions', positions, 'balances', balances, 'movements', movements,
                          'wallet', wallet) AS states,
       compared, skipped, raised, healed, pending, words
FROM reconciliation
WHERE tenant_id = %(tenant)s AND account_id = %(account)s
  AND (NOT %(ledger)s OR movements IN ('ok', 'differs'))
ORDER BY reconciliation.at DESC LIMIT 1
"""  # noqa: S608


def discrepancies(
    connection: Connection, owner: Owner, *, closed: bool = False, limit: int = 1000
) -> list[StoredDiscrepancy]:
    """Open ones, the gravest first; with ``closed`` those of the past behind them."""
    with connection.cursor(row_factory=class_row(StoredDiscrepancy)) as cursor:
        return cursor.execute(_OPEN, {**_of(owner), "closed": closed, "limit": limit}).fetchall()


def suspended(connection: Connection, owner: Owner) -> list[StoredSuspense]:
    """What waits, the oldest first."""
    with connection.cursor(row_factory=class_row(StoredSuspense)) as cursor:
        return cursor.execute(_WAITING, _of(owner)).fetchall()


def last_run(connection: Connection, owner: Owner, *, with_movements: bool = False) -> StoredRun | None:
    """The newest run; ``with_movements``: of those whose question for the ledger was answered."""
    with connection.cursor(row_factory=class_row(StoredRun)) as cursor:
        return cursor.execute(_RUNS, {**_of(owner), "ledger": with_movements}).fetchone()


def _of(owner: Owner) -> dict[str, Any]:
    return {"tenant": owner.tenant_id, "account": owner.account_id}
