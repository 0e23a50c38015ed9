"""The statement: what accounts did over a time, one curve of equity and profit in USD, how near risk is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.adapters.database import roles
from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.books import Owner, read
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import last_run
from trade_platform.adapters.database.statement_days import StatementDay, save_day
from trade_platform.adapters.database.times import EPOCH, microseconds_of
from trade_platform.adapters.database.valuations import load_prices, load_terms
from trade_platform.domain.accounts import Balance, Fill, Movement, Position
from trade_platform.domain.model import DAY
from trade_platform.domain.ohlc import ZERO
from trade_platform.domain.reconciliation import GUARD
from trade_platform.domain.statement import (
    AssetLine,
    Curve,
    LabelLine,
    Risk,
    asset_line,
    curve_of,
    label_lines,
    margin_ratio,
    risks,
    together,
)
from trade_platform.domain.suspense import OF_FILLS
from trade_platform.domain.valuation import DOLLARS, ONE, Terms, Valuation
from trade_platform.domain.wallet import Ledger, account_for, legs_of, rule_of

POINTS: Final = 160
"""Of a curve."""


class AccountStatement(msgspec.Struct, frozen=True, kw_only=True):
    """One account's part."""

    account: str
    exchange: str
    lines: Sequence[AssetLine]
    labels: Sequence[LabelLine]
    curve: Curve
    margin: Decimal | None
    """Maintenance margin by equity: at 1 the exchange liquidates."""
    risks: Sequence[Risk]
    taxes: Sequence[TaxRow]


class TaxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One taxable or money-moving event, as the CSV has it."""

    time: int
    account: str
    exchange: str
    kind: str
    symbol: str = ""
    side: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    asset: str = ""
    change: Decimal | None = None
    fee: Decimal | None = None
    fee_asset: str = ""
    realized: Decimal | None = None
    usd: Decimal | None = None
    """Worth of what was traded or moved, at its time."""
    id: str = ""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. Times: microseconds UTC."""

    since: int
    until: int
    accounts: Sequence[AccountStatement]
    curve: Curve
    unpriced: Sequence[str]
    """Assets that nothing trades against dollars here: they count as nothing in USD."""


def statement(
    connection: Connection, accounts: Sequence[Account], since: int, until: int, points: int = POINTS
) -> Statement:
    """Of rows that are held; the connection has stepped down, and reads each account as its own tenant."""
    span = max(1, until - since)
    times = [since + span * at // points for at in range(points + 1)]
    parts = [_one(connection, account, since, until, times) for account in accounts]
    return Statement(
        since=since,
        until=until,
        accounts=parts,
        curve=together([part.curve for part in parts]),
        unpriced=sorted({line.asset for part in parts for line in part.lines if line.price is None}),
    )


def statement_of_day(connection: Connection, account: Account, day: date) -> Statement:
    """The same of one account and UTC day, whose lines are kept."""
    since = (day - EPOCH.date()).days * DAY
    made = statement(connection, [account], since, since + DAY)
    rows = [StatementDay(day=day, **msgspec.structs.asdict(line)) for line in made.accounts[0].lines]
    with connection.transaction():
        roles.tenant(connection, account.tenant_id)
        save_day(connection, _owner(account), day, rows)
    return made


class _Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one account."""

    balances: Sequence[Balance]
    movements: Sequence[Movement]
    fills: Sequence[Fill]
    positions: Sequence[Position]
    terms: Mapping[str, Terms]
    ledger_until: int | None
    """So far the exchange's ledger was read; None: nobody knows."""


def _owner(account: Account) -> Owner:
    return Owner(account.tenant_id, account.account_id, account.exchange)


def _read(connection: Connection, account: Account, since: int, until: int) -> _Rows:
    owner = _owner(account)
    with connection.transaction():
        roles.tenant(connection, account.tenant_id)
        fills = read(connection, owner, Fill, since=since, until=until)
        positions = read(connection, owner, Position, "position_now")
        run = last_run(connection, owner, with_movements=True)
        by_fills = rule_of(account.exchange).ledger is Ledger.FILLS
        return _Rows(
            ledger_until=None if run is None or by_fills else run.until - GUARD,
            balances=[
                *_opening(connection, owner, since),
                *read(connection, owner, Balance, since=since, until=until),
            ],
            movements=read(connection, owner, Movement, since=since, until=until),
            fills=fills,
            positions=positions,
            terms=load_terms(
                connection,
                account.exchange,
                {one.symbol for one in fills} | {one.symbol for one in positions},
            ),
        )


_OPENING: Final = """
SELECT DISTINCT ON (asset) asset, event_time FROM balance
WHERE tenant_id = %s AND account_id = %s AND event_time < to_timestamp(%s / 1000000.0)
ORDER BY asset, event_time DESC
"""


def _opening(connection: Connection, owner: Owner, since: int) -> list[Balance]:
    """The last balance of each asset before the range."""
    rows = connection.execute(_OPENING, (owner.tenant_id, owner.account_id, since)).fetchall()
    return [
        one
        for asset, at in rows
        for one in read(connection, owner, Balance, asset=asset, since=microseconds_of(at), until=since)
    ]


def _one(
    connection: Connection, account: Account, since: int, until: int, times: Sequence[int]
) -> AccountStatement:
    rows = _read(connection, account, since, until)
    happened = {row.event_time for row in rows.fills} | {row.event_time for row in rows.movements}
    moments = {*times, until, *happened}
    prices = load_prices(connection, account.exchange, _assets(rows), sorted(moments))

    def price(asset: str, at: int) -> Decimal | None:
        return ONE if asset in DOLLARS else prices.get((asset, at))

    by_moment: dict[int, dict[str, Decimal]] = {}
    for (asset, at), cost in prices.items():
        by_moment.setdefault(at, {})[asset] = cost
    valuation = Valuation(prices=by_moment.get(until, {}), terms=rows.terms)
    latest = list(_latest(rows.balances).values())
    return AccountStatement(
        account=account.key,
        exchange=account.exchange,
        lines=_lines(account, rows, valuation, since),
        labels=label_lines(rows.fills, valuation),
        curve=curve_of(rows.balances, rows.movements, times, price),
        margin=margin_ratio(latest),
        risks=risks(rows.positions),
        taxes=_taxes(account, rows, by_moment),
    )


def _assets(rows: _Rows) -> set[str]:
    assets = {one.asset for one in rows.balances} | {row.asset for row in rows.movements}
    assets |= {one.fee_asset for one in rows.fills}
    return assets | {asset for terms in rows.terms.values() for asset in (terms.base, terms.quote)}


def _latest(balances: Sequence[Balance]) -> dict[str, Balance]:
    found: dict[str, Balance] = {}
    for one in sorted(balances, key=lambda one: (one.event_time, one.receive_time)):
        found[one.asset] = one
    return found


def _lines(account: Account, rows: _Rows, valuation: Valuation, since: int) -> list[AssetLine]:
    """Each asset from its last balance before the range, or the first within, to its last.

    Where movements are read by REST alone, it ends where they were read last: what came since has no reason
    here yet, and is in the equity alone.
    """
    first: dict[str, Balance] = {}
    for one in sorted(rows.balances, key=lambda one: (-one.event_time, one.receive_time)):
        known = first.get(one.asset)
        if known is None or known.event_time >= since or known.event_time == one.event_time:
            first[one.asset] = one
    legs = legs_of(rule_of(account.exchange), rows.fills, rows.movements, rows.terms)
    told = [one for one in rows.balances if rows.ledger_until is None or one.event_time <= rows.ledger_until]
    proven, lines = _latest(told), []
    for asset, newest in sorted(_latest(rows.balances).items()):
        begun = first[asset]
        last = proven.get(asset, begun)
        own = [leg for leg in legs if leg.asset == asset and begun.event_time < leg.at <= last.event_time]
        (line,) = account_for({asset: begun.total}, own, {asset: last.total})
        equity = newest.total if newest.equity is None else newest.equity
        if line.changes or line.opening or line.closing or equity:
            lines.append(asset_line(line, equity, valuation.price(asset)))
    return lines


def _taxes(account: Account, rows: _Rows, prices: Mapping[int, Mapping[str, Decimal]]) -> list[TaxRow]:
    """Every fill, and every movement that is not told by a fill already."""
    spot = rule_of(account.exchange).ledger is Ledger.FILLS
    found = [_fill_row(account, fill, rows.terms, prices) for fill in rows.fills if not fill.combo]
    found += [
        _movement_row(account, row, prices.get(row.event_time, {}))
        for row in rows.movements
        if row.kind not in OF_FILLS or (not spot and not row.fill_id)
    ]
    return sorted(found, key=lambda one: (one.time, one.id))


def _movement_row(account: Account, row: Movement, prices: Mapping[str, Decimal]) -> TaxRow:
    return TaxRow(
        time=row.event_time,
        account=account.key,
        exchange=account.exchange,
        kind=row.kind.value,
        symbol=row.symbol,
        asset=row.asset,
        change=row.change,
        usd=Valuation(prices=prices).worth(row.asset, row.change),
        id=row.movement_id,
    )


def _fill_row(
    account: Account, fill: Fill, terms: Mapping[str, Terms], prices: Mapping[int, Mapping[str, Decimal]]
) -> TaxRow:
    valuation = Valuation(prices=prices.get(fill.event_time, {}), terms=terms)
    return TaxRow(
        time=fill.event_time,
        account=account.key,
        exchange=account.exchange,
        kind="trade",
        symbol=fill.symbol,
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        realized=fill.realized_pnl,
        usd=valuation.notional(fill.symbol, fill.quantity, fill.price),
        id=fill.fill_id,
    )


def totals(made: Statement) -> dict[str, Decimal]:
    """Of all accounts in USD at the end's prices: equity, profit, fees, funding, transfers."""
    sums = dict.fromkeys(("equity", "trading", "fees", "funding", "transfers"), ZERO)
    for part in made.accounts:
        for line in part.lines:
            if line.price is not None:
                for name in sums:
                    sums[name] += getattr(line, name) * line.price
    known = [value for value in made.curve.profit if value is not None]
    return {**sums, "profit": known[-1] if known else ZERO}
