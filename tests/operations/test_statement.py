"""The statement of accounts, from rows that are held."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.adapters.database.booking import as_owner
from tests.domain.account_week import END, EXCHANGES, START, Week, week_of
from tests.operations.accounting import keep, opened
from trade_platform.adapters.database.accounts import Account, account_of
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.roles import ACCOUNTS, become
from trade_platform.adapters.database.statement_days import statement_days
from trade_platform.domain.model import DAY
from trade_platform.operations.ledger_day import ledger_of
from trade_platform.operations.statement import Statement, statement, statement_of_day, totals

CENT = Decimal("0.01")


@pytest.fixture(params=EXCHANGES)
def week(request: pytest.FixtureRequest) -> Week:
    return week_of(request.param, 1, orders=40)


def account(connection: Connection, week: Week, key: str = "operator.main") -> Account:
    owner = opened(connection, week, key)
    keep(connection, owner, week.events)
    found = account_of(connection, key)
    assert found is not None
    return found


def test_a_week_s_lines_come_out_and_end_with_what_is_held(connection: Connection, week: Week) -> None:
    one = account(connection, week)
    become(connection, ACCOUNTS)
    made = statement(connection, [one], START, END, points=30)
    (part,) = made.accounts
    held = {row.asset: row.total for row in week.truth.balances}
    assert {line.asset: line.closing for line in part.lines} == held
    assert {line.rest for line in part.lines} == {0}
    assert made.unpriced == []
    assert sum(row.fills for row in part.labels) == len(week.truth.fills)
    known = [value for value in made.curve.equity if value is not None]
    worth = sum((line.worth or Decimal(0) for line in part.lines), Decimal(0))
    assert abs(known[-1] - worth) < CENT
    assert abs(totals(made)["equity"] - worth) < CENT


def test_profit_is_what_trading_made_at_prices_that_stand_still(connection: Connection, week: Week) -> None:
    """What was moved in and out is none."""
    one = account(connection, week)
    become(connection, ACCOUNTS)
    made = statement(connection, [one], START, END, points=50)
    sums = totals(made)
    made_by_trading = sums["trading"] + sums["fees"] + sums["funding"]
    assert sums["transfers"] != 0
    assert abs(sums["profit"] - made_by_trading) < CENT


def test_every_trade_and_movement_of_money_is_a_row_for_taxes(connection: Connection, week: Week) -> None:
    one = account(connection, week)
    become(connection, ACCOUNTS)
    rows = statement(connection, [one], START, END).accounts[0].taxes
    trades = [row for row in rows if row.kind == "trade"]
    assert len(trades) == len(week.truth.fills)
    assert all(row.usd is not None for row in rows)
    assert {row.id for row in rows if row.kind != "trade"} == {
        row.movement_id for row in week.truth.movements if not row.fill_id
    }


def test_accounts_are_added_up(connection: Connection) -> None:
    weeks = [week_of("binance_usdm", 1, orders=10), week_of("binance_usdm", 2, orders=10)]
    one = account(connection, weeks[0])
    owner_of_other = "operator.other"
    connection.execute(
        "INSERT INTO account (tenant_id, key, exchange, name)"
        " SELECT tenant_id, %s, exchange, 'other' FROM account",
        (owner_of_other,),
    )
    other = account_of(connection, owner_of_other)
    assert other is not None
    become(connection, ACCOUNTS)
    alone = statement(connection, [one], START, END, points=5)
    both = statement(connection, [one, other], START, END, points=5)
    assert both.curve == alone.curve
    assert [part.account for part in both.accounts] == ["operator.main", "operator.other"]


def test_a_day_is_kept(connection: Connection, week: Week) -> None:
    one = account(connection, week)
    become(connection, ACCOUNTS)
    day = date(2026, 9, 23)
    made: Statement = statement_of_day(connection, one, day)
    since = START + 2 * DAY
    assert (made.since, made.until) == (since, since + DAY)
    from trade_platform.adapters.database.books import Owner

    owner = Owner(one.tenant_id, one.account_id, one.exchange)
    with as_owner(connection, owner):
        kept = statement_days(connection, owner, day, day)
    assert {(row.asset, row.closing) for row in kept} == {
        (line.asset, line.closing) for line in made.accounts[0].lines
    }
    assert kept
    ledger = ledger_of(connection, one, since, since + DAY)
    own = [row for row in week.truth.movements if since <= row.event_time < since + DAY]
    assert sum(line.rows for line in ledger) == len(own)
    assert sum(line.change for line in ledger) == sum(row.change for row in own)


def test_nothing_held_is_an_empty_statement(connection: Connection, week: Week) -> None:
    opened(connection, week)
    found = account_of(connection, "operator.main")
    assert found is not None
    become(connection, ACCOUNTS)
    made = statement(connection, [found], START, END, points=3)
    assert (list(made.accounts[0].lines), list(made.curve.equity)) == ([], [None] * 4)
    assert totals(made)["equity"] == 0
