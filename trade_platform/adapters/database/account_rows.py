"""An account's rows as a comparison needs them; in the caller's transaction, which has chosen the tenant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.books import Owner, read
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.domain.account_books import WAITING, Books, key_of
from trade_platform.domain.account_proof import Opening
from trade_platform.domain.accounts import Balance, Fill, Movement, OrderEvent, Position
from trade_platform.domain.difference import Subject
from trade_platform.domain.model import DAY
from trade_platform.domain.reconciliation import Held
from trade_platform.exchanges.account import Known

MOST_CANDIDATES: Final = 20
"""Instruments that are asked for although we know nothing of them."""

_SYMBOLS: Final = """
SELECT symbol FROM account_order WHERE tenant_id = %(tenant)s AND account_id = %(account)s
UNION SELECT symbol FROM fill WHERE tenant_id = %(tenant)s AND account_id = %(account)s
UNION SELECT symbol FROM position_now WHERE tenant_id = %(tenant)s AND account_id = %(account)s
"""
_ASSETS: Final = """
SELECT asset FROM balance_now WHERE tenant_id = %(tenant)s AND account_id = %(account)s
UNION SELECT asset FROM movement WHERE tenant_id = %(tenant)s AND account_id = %(account)s
"""
_CANDIDATES: Final = """
SELECT symbol FROM instrument
WHERE exchange = %(exchange)s AND kind = 'spot' AND base = ANY(%(assets)s) AND quote = ANY(%(assets)s)
ORDER BY symbol LIMIT %(limit)s
"""
# Since when the balance is what it is: the first row after the last one that said something else.
_STILL_BALANCES: Final = """
SELECT n.asset, coalesce(
    (SELECT min(b.event_time) FROM balance b
     WHERE (b.tenant_id, b.account_id, b.asset) = (n.tenant_id, n.account_id, n.asset)
       AND b.event_time > (SELECT coalesce(max(o.event_time), '-infinity') FROM balance o
                           WHERE (o.tenant_id, o.account_id, o.asset) = (n.tenant_id, n.account_id, n.asset)
                             AND o.event_time <= n.event_time
                             AND (o.total, o.locked) IS DISTINCT FROM (n.total, n.locked))),
    n.event_time)
FROM balance_now n WHERE n.tenant_id = %(tenant)s AND n.account_id = %(account)s
"""
_STILL_POSITIONS: Final = """
SELECT n.symbol, n.position_side, coalesce(
    (SELECT min(b.event_time) FROM position b
     WHERE (b.tenant_id, b.account_id, b.symbol, b.position_side)
         = (n.tenant_id, n.account_id, n.symbol, n.position_side)
       AND b.event_time > (SELECT coalesce(max(o.event_time), '-infinity') FROM position o
                           WHERE (o.tenant_id, o.account_id, o.symbol, o.position_side)
                               = (n.tenant_id, n.account_id, n.symbol, n.position_side)
                             AND o.event_time <= n.event_time AND o.quantity <> n.quantity)),
    n.event_time)
FROM position_now n WHERE n.tenant_id = %(tenant)s AND n.account_id = %(account)s
"""
_STOOD: Final = """
SELECT DISTINCT ON (symbol, position_side) symbol, position_side, quantity, event_time FROM position
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND event_time <= %(at)s
ORDER BY symbol, position_side, event_time DESC, receive_time DESC
"""
_FIRST: Final = """
SELECT min(event_time) FROM balance WHERE tenant_id = %(tenant)s AND account_id = %(account)s
"""


def load_known(connection: Connection, owner: Owner) -> Known:
    """Every symbol and asset that ever occurred; on spot also instruments between assets that are held."""
    of = _of(owner)
    symbols = {row[0] for row in connection.execute(_SYMBOLS, of)}
    assets = {row[0] for row in connection.execute(_ASSETS, of)}
    if "spot" in owner.exchange:
        asked = {"exchange": owner.exchange, "assets": sorted(assets), "limit": MOST_CANDIDATES}
        symbols |= {row[0] for row in connection.execute(_CANDIDATES, asked)}
    return Known(symbols=frozenset(symbols), assets=frozenset(assets))


def load_held(connection: Connection, owner: Owner, since: int, at: int) -> Held:
    """What is held now, and what happened from a day before ``since`` on."""
    back = since - DAY
    recent = read(connection, owner, OrderEvent, "account_order", since=back)
    waiting = [
        one
        for state in sorted(WAITING)
        for one in read(connection, owner, OrderEvent, "account_order", state=state.value)
    ]
    books = Books(
        orders=list(_once([*recent, *waiting])),
        fills=read(connection, owner, Fill, since=back),
        balances=read(connection, owner, Balance, "balance_now"),
        positions=read(connection, owner, Position, "position_now"),
        movements=read(connection, owner, Movement, since=back),
    )
    return Held(books=books, at=at, changed=_changed(connection, owner))


def load_opening(connection: Connection, owner: Owner, since: int) -> Opening:
    """Balances of the day before and since, and how positions stood then."""
    of = _of(owner)
    first = connection.execute(_FIRST, of).fetchone()
    begun = microseconds_of(first[0]) if first and first[0] is not None else None
    stood = connection.execute(_STOOD, {**of, "at": moment(since)}).fetchall()
    return Opening(
        balances=read(connection, owner, Balance, since=since - DAY),
        positions=[
            Position(symbol=symbol, position_side=side, quantity=quantity, event_time=0, receive_time=0)
            for symbol, side, quantity, _ in stood
        ],
        positions_at=since if begun is not None and begun <= since else None,
    )


def _changed(connection: Connection, owner: Owner) -> dict[tuple[Subject, str], int]:
    found = {
        (Subject.BALANCES, asset): microseconds_of(at)
        for asset, at in connection.execute(_STILL_BALANCES, _of(owner))
    }
    for symbol, side, at in connection.execute(_STILL_POSITIONS, _of(owner)):
        found[Subject.POSITIONS, f"{symbol}|{side}"] = microseconds_of(at)
    return found


def _once(orders: Iterable[OrderEvent]) -> Iterable[OrderEvent]:
    """One table, read twice: the same row twice is not held twice."""
    return {key_of(one): one for one in orders}.values()


def _of(owner: Owner) -> dict[str, Any]:
    return {"tenant": owner.tenant_id, "account": owner.account_id}


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """How an account is, as far as its rows tell."""

    last_fill: int | None
    open_blindness: int
    blind_since_run: int
    """Times of blindness that were noted after the last run."""


_ACTIVITY: Final = """
SELECT (SELECT max(event_time) FROM fill WHERE tenant_id = %(tenant)s AND account_id = %(account)s),
       (SELECT count(*) FROM blindness
        WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND until IS NULL),
       (SELECT count(*) FROM blindness
        WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND coalesce(until, receive_time) > (
            SELECT coalesce(max(at), '-infinity') FROM reconciliation
            WHERE tenant_id = %(tenant)s AND account_id = %(account)s))
"""


def load_activity(connection: Connection, owner: Owner) -> Activity:
    """What asks for a reconciliation by itself."""
    row = connection.execute(_ACTIVITY, _of(owner)).fetchone() or (None, 0, 0)
    return Activity(
        last_fill=None if row[0] is None else microseconds_of(row[0]),
        open_blindness=row[1],
        blind_since_run=row[2],
    )
