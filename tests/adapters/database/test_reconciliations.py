"""Runs, discrepancies and suspense as they are kept; what is read for a comparison; prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.database.booking import (
    NOON,
    add_account,
    as_owner,
    balance,
    fill,
    movement,
    order,
    position,
    put,
)
from trade_platform.adapters.database.account_rows import (
    load_activity,
    load_held,
    load_known,
    load_opening,
)
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import (
    Raised,
    Run,
    close_vanished,
    discrepancies,
    explain,
    last_run,
    load_explained,
    save_raised,
    save_run,
    save_suspense,
    suspended,
)
from trade_platform.adapters.database.statement_days import StatementDay, save_day, statement_days
from trade_platform.adapters.database.times import day_of
from trade_platform.adapters.database.valuations import load_prices, load_terms, load_valuation
from trade_platform.domain.accounts import Blindness, OrderState
from trade_platform.domain.difference import Difference, DifferenceKind, Subject, identity_of
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import HOUR
from trade_platform.domain.reconciliation import State
from trade_platform.domain.suspense import Suspended
from trade_platform.domain.valuation import Severity


@pytest.fixture
def owner(connection: Connection) -> Owner:
    return add_account(connection)


def run(at: int = NOON, **changes: Any) -> Run:
    told: dict[str, Any] = {
        "at": at,
        "since": at - HOUR,
        "until": at,
        "occasion": "timer",
        "states": dict.fromkeys(Subject, State.OK),
    }
    return Run(**{**told, **changes})


def raised(key: str = "BTC", state: str = "open", row_time: int | None = None, **changes: Any) -> Raised:
    told: dict[str, Any] = {
        "subject": Subject.BALANCES,
        "key": key,
        "kind": DifferenceKind.MISMATCHED,
        "field": "total",
        "ours": "1",
        "theirs": "2",
        "money": Decimal("12.5"),
        "severity": Severity.MAJOR,
    }
    one = Difference(**{**told, **changes})
    return Raised(
        identity=identity_of("deribit", "operator.main", one), difference=one, row_time=row_time, state=state
    )


# --- discrepancies ---


def test_a_discrepancy_has_one_life_however_often_it_is_found(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised()], NOON)
        save_raised(connection, owner, [raised(theirs="3")], NOON + MINUTE)
        (one,) = discrepancies(connection, owner)
    assert (one.first_seen, one.last_seen, one.times, one.theirs) == (NOON, NOON + MINUTE, 2, "3")
    assert (one.state, one.severity, one.money) == ("open", "major", Decimal("12.5"))


def test_one_that_comes_back_is_open_again_from_then_on(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised(state="healed")], NOON)
        assert discrepancies(connection, owner) == []
        assert len(discrepancies(connection, owner, closed=True)) == 1
        save_raised(connection, owner, [raised(state="manual")], NOON + MINUTE)
        (one,) = discrepancies(connection, owner)
    assert (one.state, one.first_seen) == ("manual", NOON + MINUTE)


def test_the_gravest_come_first(connection: Connection, owner: Owner) -> None:
    found = [
        raised("a", severity=Severity.MINOR),
        raised("b", severity=Severity.CRITICAL, money=None),
        raised("c", severity=Severity.CRITICAL),
    ]
    with as_owner(connection, owner):
        save_raised(connection, owner, found, NOON)
        assert [one.key for one in discrepancies(connection, owner)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("states", "row_time", "closed"),
    [
        ({Subject.BALANCES: State.OK}, None, 1),
        ({Subject.BALANCES: State.UNKNOWN}, None, 0),
        ({}, None, 0),
        ({Subject.BALANCES: State.DIFFERS}, NOON - MINUTE, 1),
        ({Subject.BALANCES: State.OK}, NOON - 2 * HOUR, 0),
    ],
)
def test_only_what_a_run_could_see_is_closed_by_it(
    connection: Connection, owner: Owner, states: dict[Subject, State], row_time: int | None, closed: int
) -> None:
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised(row_time=row_time)], NOON - MINUTE)
        done = run(states=states)
        assert close_vanished(connection, owner, done, [raised().identity], NOON) == 0
        assert close_vanished(connection, owner, done, [], NOON) == closed
        assert len(discrepancies(connection, owner)) == 1 - closed


def test_what_a_person_explained_is_known(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised()], NOON)
        assert load_explained(connection, owner) == {}
        assert explain(connection, owner, raised().identity, "as it should be", NOON)
        (one,) = load_explained(connection, owner).values()
    assert (one.ours, one.theirs, one.reason) == ("1", "2", "as it should be")


# --- runs and suspense ---


def test_the_newest_run_is_found_and_that_of_the_ledger(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        assert last_run(connection, owner) is None
        save_run(connection, owner, run(raised=3, words=["a sentence"]))
        save_run(connection, owner, run(NOON + MINUTE, states={Subject.BALANCES: State.OK}))
        newest, ledger = last_run(connection, owner), last_run(connection, owner, with_movements=True)
    assert newest is not None
    assert ledger is not None
    assert (newest.at, newest.states["balances"], newest.states["movements"]) == (
        NOON + MINUTE,
        "ok",
        "unknown",
    )
    assert (ledger.at, ledger.raised, ledger.words, ledger.since) == (NOON, 3, ["a sentence"], NOON - HOUR)


def test_suspense_has_an_age_and_ends_when_it_is_matched(connection: Connection, owner: Owner) -> None:
    one = Suspended(
        key="fill|1", asset="BTC", amount=Decimal(2), reason="its order is not known", since=NOON - 9
    )
    old = Suspended(key="fill|0", asset="BTC", amount=Decimal(1), reason="…", since=NOON - 2 * HOUR)
    with as_owner(connection, owner):
        save_suspense(connection, owner, [old], run(NOON - HOUR), NOON - HOUR)
        save_suspense(connection, owner, [one], run(), NOON)
        assert [(row.key, row.since) for row in suspended(connection, owner)] == [
            ("fill|0", NOON - 2 * HOUR),
            ("fill|1", NOON - 9),
        ]
        save_suspense(connection, owner, [], run(NOON + 1), NOON)
        assert [row.key for row in suspended(connection, owner)] == ["fill|0"]


# --- what a comparison reads ---


def test_the_books_of_a_range_hold_what_waits_however_old_it_is(connection: Connection, owner: Owner) -> None:
    ages = [order(order_id="new"), order(-3 * 86_400_000, order_id="old")]
    over = order(-3 * 86_400_000, order_id="over", state=OrderState.CANCELLED)
    put(connection, owner, *ages, over)
    put(connection, owner, fill(), fill(-3 * 86_400_000, fill_id="1"))
    put(connection, owner, movement())
    with as_owner(connection, owner):
        held = load_held(connection, owner, NOON - HOUR, NOON)
        known = load_known(connection, owner)
    assert sorted(one.order_id for one in held.books.orders) == ["new", "old"]
    assert [one.fill_id for one in held.books.fills] == ["17"]
    assert held.at == NOON
    assert (known.symbols, known.assets) == ({"BTCUSDT"}, {"USDT"})


def test_a_balance_stands_still_since_it_last_said_something_else(
    connection: Connection, owner: Owner
) -> None:
    """A row a minute repeats it."""
    said = [(0, "10"), (60_000, "11"), (120_000, "11"), (180_000, "11")]
    for at, total in said:
        put(connection, owner, balance(at, total))
    for at, quantity in said[:1]:
        put(connection, owner, position(at, quantity))
    with as_owner(connection, owner):
        held = load_held(connection, owner, NOON, NOON)
    assert held.changed == {
        (Subject.BALANCES, "BTC"): NOON + MINUTE,
        (Subject.POSITIONS, "BTC-PERPETUAL|"): NOON,
    }


def test_an_opening_is_how_it_stood_then(connection: Connection, owner: Owner) -> None:
    for at, quantity in ((0, "1"), (1000, "2"), (5000, "3")):
        put(connection, owner, position(at, quantity))
        put(connection, owner, balance(at, quantity))
    with as_owner(connection, owner):
        opening = load_opening(connection, owner, NOON + 2_000_000)
        before = load_opening(connection, owner, NOON - DAY)
    assert [one.quantity for one in opening.positions] == [Decimal(2)]
    assert opening.positions_at == NOON + 2_000_000
    assert (len(before.positions), before.positions_at) == (0, None)


def test_on_spot_instruments_between_assets_that_are_held_are_candidates(connection: Connection) -> None:
    owner = add_account(connection, "operator.spot", "binance_spot")
    for symbol, base, quote in (("BTCUSDT", "BTC", "USDT"), ("ETHUSDT", "ETH", "USDT")):
        _instrument(connection, symbol, base, quote, exchange="binance_spot", kind="spot")
    put(connection, owner, balance(), balance(asset="USDT"))
    with as_owner(connection, owner):
        assert load_known(connection, owner).symbols == {"BTCUSDT"}


def test_blindness_asks_for_a_run(connection: Connection, owner: Owner) -> None:
    with as_owner(connection, owner):
        save_run(connection, owner, run())
        assert load_activity(connection, owner).blind_since_run == 0
    put(connection, owner, Blindness(NOON - MINUTE, "the connection broke", NOON, NOON + 5))
    put(connection, owner, Blindness(NOON - 9, "and again", NOON - 9))
    with as_owner(connection, owner):
        told = load_activity(connection, owner)
    assert (told.blind_since_run, told.open_blindness, told.last_fill) == (1, 1, None)


# --- prices and days ---


def _instrument(connection: Connection, symbol: str, base: str, quote: str, **more: str) -> int:
    told = {"exchange": "deribit", "kind": "perpetual", "quantity_unit": "base", **more}
    row = connection.execute(
        "INSERT INTO instrument (exchange, symbol, kind, base, quote, settlement, quantity_unit)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING instrument_id",
        (told["exchange"], symbol, told["kind"], base, quote, base, told["quantity_unit"]),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _candle(connection: Connection, instrument_id: int, at: int, close: int | None) -> None:
    connection.execute(
        "INSERT INTO candle (instrument_id, interval, open_time, source, close, volume, quote_volume,"
        " complete, receive_time)"
        " VALUES (%s, '1m', to_timestamp(%s / 1000000.0), 'trade', %s, 0, 0, true, now())",
        (instrument_id, at, close),
    )


def test_an_asset_costs_what_was_last_paid_for_it_at_its_own_exchange(connection: Connection) -> None:
    own = _instrument(connection, "BTC-PERPETUAL", "BTC", "USD", quantity_unit="quote")
    other = _instrument(connection, "BTCUSDT", "BTC", "USDT", exchange="binance_spot", kind="spot")
    for at, close in ((NOON - 2 * MINUTE, 100), (NOON - MINUTE, None), (NOON, 777)):
        _candle(connection, own, at, close)
    _candle(connection, other, NOON - MINUTE, 555)
    assert load_prices(connection, "deribit", ["BTC", "USDT", "DOGE"], [NOON]) == {
        ("BTC", NOON): Decimal(100)
    }
    assert load_prices(connection, "binance_spot", ["BTC"], [NOON]) == {("BTC", NOON): Decimal(555)}
    valuation = load_valuation(connection, "deribit", ["BTC-PERPETUAL"], [], NOON)
    assert valuation.notional("BTC-PERPETUAL", Decimal(30), Decimal(100)) == 30
    assert valuation.worth("BTC", Decimal(2)) == 200
    assert load_terms(connection, "deribit", ["unknown"]) == {}


def test_a_day_is_kept_as_it_is_known_last(connection: Connection, owner: Owner) -> None:
    def row(asset: str, closing: str) -> StatementDay:
        zero = Decimal(0)
        return StatementDay(
            day=day_of(NOON),
            asset=asset,
            opening=zero,
            trading=zero,
            fees=zero,
            funding=zero,
            transfers=zero,
            other=zero,
            rest=zero,
            closing=Decimal(closing),
            equity=zero,
            price=None,
        )

    with as_owner(connection, owner):
        save_day(connection, owner, day_of(NOON), [row("BTC", "1"), row("ETH", "2")])
        save_day(connection, owner, day_of(NOON), [row("BTC", "3")])
        assert statement_days(connection, owner, day_of(NOON), day_of(NOON)) == [row("BTC", "3")]
        assert statement_days(connection, owner, day_of(NOON + DAY), day_of(NOON + DAY)) == []


@pytest.mark.parametrize("table", ["reconciliation", "discrepancy", "suspense", "statement_day"])
def test_another_tenant_sees_nothing_and_cannot_write(
    connection: Connection, owner: Owner, table: str
) -> None:
    with as_owner(connection, owner):
        save_run(connection, owner, run())
        save_raised(connection, owner, [raised()], NOON)
    stranger = Owner("00000000-0000-4000-8000-00000000dead", owner.account_id, owner.exchange)
    with as_owner(connection, stranger):
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == []
        assert connection.execute(f"DELETE FROM {table}").rowcount == 0
    with as_owner(connection, owner):
        assert last_run(connection, owner) is not None
