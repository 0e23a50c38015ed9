"""Days of the past, the whole way: REST and archive on loopback, the bus, processors, candles, coverage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.operations.past import (
    HOUR,
    PACE,
    SYMBOL,
    TODAY,
    Past,
    desk_of,
    stored_minutes,
    target_of,
    told_minutes,
)
from tests.operations.spot import Producer, numbers_of, processing
from tests.processors.feeding import NOON, STREAM, trade, until
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.database import backfill as held
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.outlet import MOST_UNSTORED
from trade_platform.domain.backfill import DayState, SourceOfDays
from trade_platform.domain.model import MICROSECONDS, MINUTE, Channel
from trade_platform.operations import gaps
from trade_platform.operations.backfill import (
    Backfilled,
    BackfillRuns,
    Progress,
    backfill,
)
from trade_platform.operations.desk import Desk, NotStored
from trade_platform.operations.wishes import Wish, find_targets

USDM = "binance_usdm"


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[Producer]:
    with processing(postgres_url, redis_url, STREAM, market_stream(USDM)):
        producer = Producer(redis_url)
        yield producer
        producer.client.close()


@pytest.fixture
def past() -> Past:
    return Past()


async def read(desk: Desk, *days: date, exchange: str = "binance_spot", **options: Any) -> Backfilled:
    target = await desk.ask(target_of, exchange)
    return await backfill(desk, [Wish(target, days)], pauses=(), **options)


def around(past: Past, *days: date) -> list[int]:
    """Numbers of these days, with the one before and the one after."""
    own = past.of(*days)
    return [own[0] - 1, *own, own[-1] + 1]


# --- by REST ---


async def test_days_are_read_whole_with_their_neighbours_and_become_candles(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    days = [past.day(-3), past.day(-2)]
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, *days)
    assert done.good
    assert [(one.day, one.state, one.source) for one in done.days] == [
        (day, DayState.WHOLE, "rest") for day in days
    ]
    assert numbers_of(connection) == around(past, *days)
    assert done.trades == len(around(past, *days))
    for day in days:
        assert stored_minutes(connection, day) == told_minutes(past, day)
        assert stored_minutes(connection, day, "exchange") == told_minutes(past, day)
    assert [(one.minutes, one.complete, one.candles) for one in done.days] == [(1440, 1440, 1440)] * 2
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE complete) FROM candle WHERE interval = '1d' AND open_time = ANY(%s)",
        (days,),
    ).fetchone()
    assert row == (2,)


async def test_what_is_whole_is_not_asked_about_again(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        await read(desk, past.day(-2))
        past.asked.clear()
        done = await read(desk, past.day(-2))
    assert (done.good, done.trades, past.asked) == (True, 0, [])


async def test_only_what_coverage_lacks_is_read(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    day = past.day(-2)
    own = past.of(day)
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        await read(desk, day)
        connection.execute("DELETE FROM trade WHERE sequence BETWEEN %s AND %s", (own[50], own[59]))
        connection.execute(
            "UPDATE coverage SET held = held - %s::int8multirange WHERE day = %s",
            (f"{{[{own[50]},{own[60]})}}", day),
        )
        past.asked.clear()
        done = await read(desk, day)
    assert (done.good, done.trades) == (True, 10)
    assert [one["fromId"] for one in past.questions("historicalTrades")] == [str(own[50])]
    assert numbers_of(connection) == around(past, day)


async def test_a_day_on_which_nobody_trades_is_proven_by_its_neighbours(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    past.silence(past.day(-2))
    before = past.of(past.day(-3))[-1]
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-2))
    assert [one.state for one in done.days] == [DayState.WHOLE]
    assert numbers_of(connection) == [before, before + 1]


@pytest.mark.parametrize("first", [0, 1, 701])
async def test_the_first_day_of_all_begins_with_its_first_trade(
    running: Producer, connection: Connection, redis_url: str, first: int
) -> None:
    past = Past(days=2, first=first)
    day = past.day(-2)
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-3), day)
    own = past.of(day)
    assert numbers_of(connection) == [*own, own[-1] + 1]
    assert [one.state for one in done.days] == [DayState.WHOLE, DayState.WHOLE]


async def test_today_is_read_up_to_now_and_stays_open(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, TODAY)
    assert [one.state for one in done.days] == [DayState.OPEN]
    assert done.good
    own = past.of(TODAY)
    assert numbers_of(connection) == [own[0] - 1, *own]


@pytest.mark.parametrize("timed_by", [-1, 0])
@pytest.mark.parametrize("group", [3, 7])
async def test_where_an_aggregate_reaches_across_midnight_the_trades_own_times_decide(
    running: Producer, connection: Connection, redis_url: str, past: Past, group: int, timed_by: int
) -> None:
    """Raw trades are found by the aggregates' times: those of their last, or of their first."""
    past.group, past.timed_by = group, timed_by
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        for offset in (-4, -3, -2):
            done = await read(desk, past.day(offset))
            assert [one.state for one in done.days] == [DayState.WHOLE], group
    days = [past.day(offset) for offset in (-4, -3, -2)]
    assert set(numbers_of(connection)) >= set(around(past, *days))


async def test_what_rest_leaves_out_is_said_with_its_numbers_and_the_rest_is_kept(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    own = past.of(past.day(-2))
    past.left_out = {own[5], own[6]}
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-2))
    (outcome,) = done.days
    assert (done.good, outcome.state) == (False, DayState.LACKING)
    assert outcome.words == f"REST leaves out numbers {own[5]} to {own[6]}, and there is no archive"
    expected = [number for number in around(past, past.day(-2)) if number not in past.left_out]
    assert numbers_of(connection) == expected
    assert outcome.complete < outcome.minutes


# --- beyond REST's reach, and the archive ---


async def test_a_day_beyond_the_reach_of_rest_is_said_to_be_so(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    """The exchange's candles count trades that it does not tell any more."""
    past.reach = NOON - 24 * HOUR
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-3), past.day(-1), exchange=USDM)
    assert not done.good
    beyond = done.days[0]
    assert (beyond.day, beyond.state) == (past.day(-3), DayState.LACKING)
    assert beyond.words == "REST does not reach so far back, and there is no archive"
    assert done.days[1].state is DayState.LACKING  # its first hours are beyond reach
    assert len(past.questions("aggTrades")) < 10


async def test_days_beyond_the_reach_of_rest_come_from_the_archive(
    running: Producer, connection: Connection, redis_url: str, past: Past, tmp_path: Path
) -> None:
    past.reach = NOON - 24 * HOUR
    days = [past.day(-3), past.day(-2), past.day(-1)]
    past.publish(tmp_path, past.day(-4), *days, root="data/futures/um", kind="aggTrades")
    async with past.serving(), desk_of(connection, redis_url, past, archive=tmp_path) as desk:
        done = await read(desk, *days, exchange=USDM)
    assert done.good, done.days
    assert numbers_of(connection) == around(past, *days)
    for day in days:
        assert stored_minutes(connection, day) == told_minutes(past, day)


async def test_past_days_come_from_the_archive_and_rest_is_asked_for_what_it_lacks(
    running: Producer, connection: Connection, redis_url: str, past: Past, tmp_path: Path
) -> None:
    days = [past.day(-3), past.day(-2)]
    past.publish(tmp_path, days[0])
    async with past.serving(), desk_of(connection, redis_url, past, archive=tmp_path) as desk:
        done = await read(desk, *days)
    assert done.good, done.days
    assert [one.source for one in done.days] == ["archive and rest", "archive and rest"]
    assert numbers_of(connection) == around(past, *days)
    read_by_rest = [int(one["limit"]) for one in past.questions("historicalTrades")]
    assert sum(read_by_rest) <= len(past.of(days[1])) + 4  # the second day, and neighbours


async def test_the_archive_alone_is_asked_where_that_is_wished(
    running: Producer, connection: Connection, redis_url: str, past: Past, tmp_path: Path
) -> None:
    past.publish(tmp_path, past.day(-4), past.day(-3), past.day(-2))
    async with past.serving(), desk_of(connection, redis_url, past, archive=tmp_path) as desk:
        done = await read(desk, past.day(-3), past.day(-1), source=SourceOfDays.ARCHIVE)
    assert past.questions("historicalTrades", "aggTrades", "trades") == []
    assert [one.state for one in done.days] == [DayState.WHOLE, DayState.LACKING]
    assert done.days[1].words == f"the archive has no file of {past.day(-1)}"
    assert numbers_of(connection) == around(past, past.day(-3))


async def test_without_an_archive_the_archive_alone_is_no_source(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-3), source=SourceOfDays.ARCHIVE)
    assert done.days[0].words == "there is no archive of this exchange, or ARCHIVE names none"


# --- cut short ---


async def test_whoever_is_asked_to_stop_goes_on_from_there(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    past = Past(days=4)
    days = [past.day(-3), past.day(-2)]
    async with past.serving(), desk_of(connection, redis_url, past) as desk:

        def stop_in_the_second(query: dict[str, str]) -> None:
            if int(query.get("fromId", 0)) > past.of(days[1])[0]:
                desk.stop.set()

        past.before_answer = stop_in_the_second
        first = await read(desk, *days)
    assert first.stopped
    assert not first.good
    assert [one.state for one in first.days] == [DayState.WHOLE]
    past.before_answer = lambda _: None
    past.asked.clear()
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        second = await read(desk, *days)
    assert second.good
    assert numbers_of(connection) == around(past, *days)


async def test_an_exchange_that_is_away_is_not_asked_about_every_day(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    past.status = 503
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-3), past.day(-2))
    assert (done.good, done.asked, [one.state for one in done.days]) == (False, 2, [DayState.UNREACHABLE])
    assert len(past.asked) == 1


async def test_a_question_without_an_answer_is_put_again(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    def away_once(_: dict[str, str]) -> None:
        past.status = 503 if len(past.asked) in (1, 4) else 200

    past.before_answer = away_once
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        target = await desk.ask(target_of)
        done = await backfill(desk, [Wish(target, [past.day(-2)])], pauses=(0.0,))
    assert done.good
    assert numbers_of(connection) == around(past, past.day(-2))


async def test_only_so_much_waits_in_redis(connection: Connection, redis_url: str) -> None:
    """Nobody stores it: it is said, and Redis is not filled."""
    past = Past(days=2, until=NOON)
    past.trades = [
        type(one)(one.number * 200 + n, one.time + n * 1000) for one in past.trades for n in range(200)
    ]
    bus = Redis.from_url(redis_url)
    async with past.serving(), desk_of(connection, redis_url, past, patience_seconds=0.2) as desk:
        with pytest.raises(NotStored, match="is its processor running"):
            await read(desk, past.day(-1))
    assert 0 < bus.xlen(STREAM) <= MOST_UNSTORED
    bus.close()


async def test_one_backfill_runs_at_a_time(
    running: Producer, connection: Connection, postgres_url: str, redis_url: str, past: Past
) -> None:
    other = connect(postgres_url, name="other")
    assert held.try_to_begin(other)
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        with pytest.raises(BackfillRuns, match="runs already"):
            await read(desk, past.day(-2))
        assert held.one_runs(connection)
        other.close()
        await asyncio.to_thread(until, lambda: not held.one_runs(connection), "the lock is free")
        assert (await read(desk, past.day(-2))).good
    assert not held.one_runs(connection)


# --- the ledger of gaps ---


def live(past: Past, producer: Producer, since: int) -> list[int]:
    """A streamer records from this moment on."""
    own = [one for one in past.trades if one.time >= since]
    for one in own:
        producer.send(trade(one.number, one.time, price=one.price, quantity=one.quantity, symbol=SYMBOL))
    return [one.number for one in own]


def find(connection: Connection, days: int = 400) -> int:
    return gaps.find(connection, NOON + 120 * MINUTE, days=days)


@pytest.mark.parametrize("offset", [-4, -2, -1])
async def test_what_was_never_recorded_is_no_gap(
    running: Producer, connection: Connection, redis_url: str, past: Past, offset: int
) -> None:
    """Between a day that was backfilled and the moment from which on we record."""
    recorded = live(past, running, NOON - 2 * HOUR)
    await asyncio.to_thread(until, lambda: len(numbers_of(connection)) == len(recorded), "it is stored")
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        assert (await read(desk, past.day(offset))).good
    for days in (1, 2, 3, 400):
        assert find(connection, days) == 0, days
    assert connection.execute("SELECT count(*) FROM gap").fetchone() == (0,)


async def test_a_hole_in_what_is_recorded_is_still_found(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    recorded = live(past, running, NOON - 4 * HOUR)
    await asyncio.to_thread(until, lambda: len(numbers_of(connection)) == len(recorded), "it is stored")
    hole = recorded[10]
    connection.execute(
        "UPDATE coverage SET held = held - %s::int8multirange WHERE day = %s",
        (f"{{[{hole},{hole + 1})}}", TODAY),
    )
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        assert (await read(desk, past.day(-1))).good
    assert find(connection) == 1
    row = connection.execute("SELECT first_sequence, last_sequence FROM gap").fetchone()
    assert row == (hole, hole)


async def test_a_break_after_the_first_trade_of_a_recorded_day_is_no_border(
    running: Producer, connection: Connection
) -> None:
    """It looks like the neighbour of a backfilled day, but came as it was made."""
    past = Past(days=1)
    own = past.of(past.day(-1)), past.of(TODAY)
    kept = {*own[0], own[1][0], *own[1][6:]}
    past.trades = [one for one in past.trades if one.number in kept]
    recorded = live(past, running, 0)
    await asyncio.to_thread(until, lambda: len(numbers_of(connection)) == len(recorded), "it is stored")
    assert find(connection) == 1
    row = connection.execute("SELECT first_sequence, last_sequence FROM gap").fetchone()
    assert row == (own[1][1], own[1][5])


async def test_while_one_runs_its_half_day_is_no_gap_and_a_killed_one_s_is(
    running: Producer, connection: Connection, postgres_url: str, redis_url: str, past: Past
) -> None:
    """Yesterday, half read: whoever reads it is at it; when he is gone, the ledger says what is missing."""
    recorded = live(past, running, NOON - 4 * HOUR)
    await asyncio.to_thread(until, lambda: len(numbers_of(connection)) == len(recorded), "it is stored")
    own = past.of(past.day(-1))
    past.left_out = set(own[100:])
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        await read(desk, past.day(-1))
    other = connect(postgres_url, name="other")
    assert held.try_to_begin(other)
    assert find(connection) == 0
    other.close()
    await asyncio.to_thread(until, lambda: not held.one_runs(connection), "the lock is free")
    assert find(connection) == 1


# --- who is meant, and what is said ---


async def test_instruments_are_found_with_the_sequence_that_is_recorded(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    wanted: Callable[[str, str, Channel], bool] = lambda *given: given[2] is Channel.AGGREGATE_TRADE  # noqa: E731
    target_of(connection, USDM)
    async with past.serving(), desk_of(connection, redis_url, past, recorded=wanted) as desk:
        target_of(connection)
        assert await find_targets(desk) == []
        named = await find_targets(desk, symbols=[SYMBOL])
        assert [(one.exchange, one.channel) for one in named] == [
            ("binance_spot", Channel.AGGREGATE_TRADE),
            (USDM, Channel.AGGREGATE_TRADE),
        ]
        await read(desk, past.day(-2))  # raw trades are stored from now on
        (one,) = await find_targets(desk)
        assert (one.exchange, one.channel) == ("binance_spot", Channel.TRADE)
        assert await find_targets(desk, exchanges=[USDM]) == []


async def test_progress_is_told(
    running: Producer, connection: Connection, redis_url: str, past: Past
) -> None:
    heard: list[Progress] = []
    async with past.serving(), desk_of(connection, redis_url, past) as desk:
        done = await read(desk, past.day(-3), past.day(-2), progress=heard.append)
    assert {one.days for one in heard} == {2}
    counts = [one.done for one in heard]
    assert counts == sorted(counts)
    assert counts[-1] == 2
    assert heard[-1].trades == done.trades
    assert any("reads trades" in one.doing for one in heard)
    assert any("candles" in one.doing for one in heard)
    assert heard[0].what == f"binance_spot {SYMBOL} {past.day(-3)}"


def test_the_market_of_these_tests_trades_on_every_day() -> None:
    past = Past()
    assert all(len(past.of(TODAY - timedelta(days=n))) > 100 for n in range(6))
    assert past.trades[1].time - past.trades[0].time == PACE > MICROSECONDS
