"""Reconciliation against real books and a real stream; the exchange tells a generated week."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.adapters.database.booking import as_owner, rows
from tests.domain.account_week import ASKED, EXCHANGES, START, Week, week_of
from tests.operations.accounting import Told, desk_of, keep, no_ledger, opened, without
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import discrepancies, explain, last_run, suspended
from trade_platform.domain.account_books import key_of
from trade_platform.domain.accounts import Balance, Fill, Movement, OrderEvent, OrderState, Origin, Position
from trade_platform.domain.difference import Subject
from trade_platform.domain.reconciliation import State
from trade_platform.operations.account_desk import AccountDesk
from trade_platform.operations.desk import NotStored
from trade_platform.operations.reconcile import Reconciled, reconcile


@pytest.fixture(params=EXCHANGES)
def week(request: pytest.FixtureRequest) -> Week:
    return week_of(request.param, 1, orders=40)


@pytest.fixture
def owner(connection: Connection, week: Week) -> Owner:
    return opened(connection, week)


@pytest.fixture
def told(week: Week) -> Told:
    return Told(week)


async def run(desk: AccountDesk, **options: Any) -> Reconciled:
    return await reconcile(desk, **{"since": START, "confirm_seconds": 0.01, **options})


async def test_books_that_are_theirs_raise_nothing(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    keep(connection, owner, week.events)
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk)
    assert (list(done.raised), list(done.pending), list(done.suspended), list(done.words)) == ([], [], [], [])
    positions = State.NOT_SERVED if week.exchange == "binance_spot" else State.OK
    assert done.states == {**dict.fromkeys(Subject, State.OK), Subject.POSITIONS: positions}
    assert done.compared > 80
    assert done.lines
    with as_owner(connection, owner):
        stored = last_run(connection, owner)
    assert stored is not None
    assert (stored.at, stored.raised, stored.states["wallet"]) == (ASKED, 0, "ok")


async def test_what_was_missed_is_raised_healed_and_explained(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    """A fill, the order's word of it, and what it did to a balance never came."""
    lost = sorted(week.truth.fills, key=lambda one: one.event_time)[-2]
    of_it = [
        event
        for event in week.events
        if event.event_time == lost.event_time and isinstance(event, Fill | OrderEvent | Position)
    ]
    keep(connection, owner, without(week, *of_it))
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        first = await run(desk)
        second = await run(desk)
    assert {(one.difference.subject, one.difference.key) for one in first.raised} >= {
        (Subject.FILLS, key_of(lost))
    }
    assert {one.state for one in first.raised} == {"healed"}
    assert all("was added to account:" in one.reason for one in first.raised)
    assert (list(second.raised), set(second.states.values()) - {State.NOT_SERVED}) == ([], {State.OK})
    assert (lost.fill_id, "history", 1) in rows(connection, "fill", "fill_id, origin, 1")
    with as_owner(connection, owner):
        assert discrepancies(connection, owner) == []
        assert {one.state for one in discrepancies(connection, owner, closed=True)} == {"healed"}


async def test_a_ledger_that_is_told_by_rest_alone_is_read_and_no_discrepancy(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    keep(connection, owner, no_ledger(week.events))
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        first, second = await run(desk), await run(desk)
    assert (first.ledger, second.ledger) == (len(week.truth.movements), 0)
    assert list(first.raised) == []
    assert len(rows(connection, "movement")) == len(week.truth.movements)


async def test_a_row_of_the_ledger_that_vanished_afterwards_is_missing(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    keep(connection, owner, week.events)
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        await run(desk)
        connection.execute("UPDATE reconciliation SET at = at - interval '1 hour'")
        gone = week.truth.movements[0]
        connection.execute("DELETE FROM movement WHERE movement_id = %s", (gone.movement_id,))
        done = await run(desk)
    assert (Subject.MOVEMENTS, key_of(gone), "healed") in [
        (one.difference.subject, one.difference.key, one.state) for one in done.raised
    ]


async def test_no_answer_is_unknown_and_closes_nothing(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    lost = week.truth.fills[3]
    keep(connection, owner, without(week, lost))
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        first = await run(desk, heal=False)
        told.failing = {"fills", "balances"}
        connection.execute("UPDATE reconciliation SET at = at - interval '1 hour'")
        second = await run(desk, heal=False)
    assert first.open > 0
    assert second.states[Subject.FILLS] is second.states[Subject.BALANCES] is State.UNKNOWN
    assert any("could not be asked" in word for word in second.words)
    with as_owner(connection, owner):
        still = discrepancies(connection, owner)
    assert (Subject.FILLS.value, key_of(lost), "open") in [(one.subject, one.key, one.state) for one in still]


async def test_a_row_that_only_we_have_is_left_to_a_person(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    """Who explains it is not asked again, until it is another difference."""
    invented = msgspec.structs.replace(week.truth.fills[0], fill_id="invented")
    keep(connection, owner, [*week.events, invented])
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk)
        (extra,) = [one for one in done.raised if one.difference.subject is Subject.FILLS]
        assert (extra.difference.kind.value, extra.state) == ("extra", "manual")
        with as_owner(connection, owner):
            assert explain(connection, owner, extra.identity, "a test", ASKED)
            assert not explain(connection, owner, extra.identity, "again", ASKED)
        connection.execute("UPDATE reconciliation SET at = at - interval '1 hour'")
        again = await run(desk)
    (extra,) = [one for one in again.raised if one.difference.subject is Subject.FILLS]
    assert (extra.state, extra.reason) == ("explained", "a test")


async def test_what_differs_no_more_is_closed(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    lost = week.truth.fills[3]
    keep(connection, owner, without(week, lost))
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        first = await run(desk, heal=False)
        keep(connection, owner, [lost])
        connection.execute("UPDATE reconciliation SET at = at - interval '1 hour'")
        second = await run(desk)
    assert (first.open > 0, list(second.raised)) == (True, [])
    with as_owner(connection, owner):
        assert discrepancies(connection, owner) == []


async def test_an_order_that_waits_with_us_alone_is_looked_up(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    """Its history is forgotten already; the exchange still knows it by its id."""
    template = week.truth.orders[0]
    ghost = msgspec.structs.replace(
        template, order_id="ghost", state=OrderState.OPEN, filled=Decimal(0), event_time=START
    )
    keep(connection, owner, [*week.events, ghost])
    told.looked_up["ghost"] = msgspec.structs.replace(
        ghost, state=OrderState.CANCELLED, event_time=START + 1, origin=Origin.HISTORY
    )
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk)
    (one,) = done.raised
    assert (one.difference.subject, one.difference.kind.value, one.state) == (
        Subject.OPEN_ORDERS,
        "stale",
        "healed",
    )


async def test_an_order_that_nobody_knows_any_more_stays_open(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    ghost = msgspec.structs.replace(
        week.truth.orders[0], order_id="ghost", state=OrderState.OPEN, filled=Decimal(0), event_time=START
    )
    keep(connection, owner, [*week.events, ghost])
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk)
    (one,) = done.raised
    assert one.state == "manual"
    assert any("does not know order ghost" in word for word in done.words)


async def test_a_history_beyond_reach_is_said_to_be_so(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    early = min(week.truth.fills, key=lambda one: one.event_time)
    keep(connection, owner, without(week, early))
    told.remembered = early.event_time + 1
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk)
    assert any(word.startswith("fills: the exchange tells nothing of before") for word in done.words)
    assert Subject.FILLS not in {one.difference.subject for one in done.raised}


async def test_what_nobody_stores_is_said(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    keep(connection, owner, without(week, week.truth.fills[3]))
    with (
        desk_of(postgres_url, redis_url, owner, told, stored=False) as desk,
        pytest.raises(NotStored, match="is its processor running"),
    ):
        await run(desk)


async def test_a_look_alone_adds_nothing(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    lost = week.truth.fills[3]
    keep(connection, owner, without(week, lost))
    with desk_of(postgres_url, redis_url, owner, told, stored=False) as desk:
        done = await run(desk, heal=False)
        assert {one.state for one in done.raised} == {"open"}
        assert desk.outlet.records == 0


async def test_another_tenant_s_rows_are_not_there(
    connection: Connection, week: Week, owner: Owner, told: Told, postgres_url: str, redis_url: str
) -> None:
    keep(connection, owner, week.events)
    stranger = Owner("00000000-0000-4000-8000-00000000dead", owner.account_id, owner.exchange)
    with desk_of(postgres_url, redis_url, stranger, told, stored=False) as desk:
        assert await desk.ask(lambda connection, _: connection.execute("SELECT * FROM fill").fetchall()) == []
        with as_owner(connection, owner):
            assert suspended(connection, owner) == []


@pytest.mark.parametrize("kind", [Balance, Movement])
async def test_a_wrong_amount_of_ours_is_found_in_the_arithmetic_too(
    connection: Connection,
    week: Week,
    owner: Owner,
    told: Told,
    postgres_url: str,
    redis_url: str,
    kind: type,
) -> None:
    keep(connection, owner, week.events)
    table, column = ("balance_now", "total") if kind is Balance else ("movement", "change")
    connection.execute(f"UPDATE {table} SET {column} = {column} + 1 WHERE asset IN ('BTC', 'USDT')")
    with desk_of(postgres_url, redis_url, owner, told) as desk:
        done = await run(desk, heal=False)
    subjects = {one.difference.subject for one in done.raised}
    assert subjects >= ({Subject.BALANCES} if kind is Balance else {Subject.MOVEMENTS, Subject.WALLET})
