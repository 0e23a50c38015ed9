"""A day is closed once: when it is over, whole, and the exchange has answered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiohttp import web

from tests.operations.spot import FixedClock, Market, desk_of, processing
from tests.operations.test_control import Klines, minute, print_at
from tests.processors.feeding import NOON, Feeder, entry, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import DAY, MINUTE, Channel, Gap, GapReason
from trade_platform.operations.closing import LATENESS, DueDay, close_day, due_days

TODAY = day_of(NOON)
MIDNIGHT = NOON // DAY * DAY + DAY
LATER = MIDNIGHT + LATENESS


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    """A day, and the first trade of the next."""
    feeder = Feeder(connection)
    feeder.apply(entry([*(print_at(n) for n in range(301)), trade(301, MIDNIGHT + MINUTE)]))
    return feeder


def names(due: list[DueDay]) -> list[tuple[str, str]]:
    return [(one.instrument.partition, one.day.isoformat()) for one in due]


def test_a_day_is_due_when_it_is_over(feeder: Feeder, connection: Connection) -> None:
    assert due_days(connection, LATER - 1) == []
    assert names(due_days(connection, LATER)) == [("binance_spot/BTCUSDT", TODAY.isoformat())]
    assert due_days(connection, LATER, first_day=TODAY + timedelta(days=1)) == []
    assert due_days(connection, LATER + 60 * DAY) == [], "too long ago: closed by hand"


def test_a_day_is_not_due_before_anything_was_heard_after_it(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([print_at(n) for n in range(301)]))
    assert due_days(connection, LATER) == []
    feeder.apply(entry([trade(1, MIDNIGHT + 1, symbol="ETHUSDT")], 2))
    assert names(due_days(connection, LATER)) == [("binance_spot/BTCUSDT", TODAY.isoformat())]


def test_a_day_with_a_hole_or_an_open_gap_is_due_when_it_is_repaired(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([*(print_at(n) for n in range(301) if n != 70), trade(301, MIDNIGHT + MINUTE)]))
    assert due_days(connection, LATER) == []
    feeder.apply(entry([print_at(70)], 2))
    assert len(due_days(connection, LATER)) == 1
    broken = Gap(None, None, GapReason.DISCONNECT, None, None, NOON, NOON + 1, "market-0")
    Feeder(connection, "state").apply(entry([broken], producer="other"))
    assert due_days(connection, LATER) == []
    connection.execute("UPDATE gap SET state = 'repaired', closed_at = now()")
    assert len(due_days(connection, LATER)) == 1


def test_numbers_missing_between_two_days_keep_the_first_open(connection: Connection) -> None:
    Feeder(connection).apply(entry([*(print_at(n) for n in range(301)), trade(303, MIDNIGHT + MINUTE)]))
    assert due_days(connection, LATER) == []


async def test_a_closed_day_has_its_candles_and_its_totals_and_is_never_due_again(
    feeder: Feeder, connection: Connection, postgres_url: str, redis_url: str
) -> None:
    market, clock = Klines(), FixedClock()
    clock.now = LATER
    market.trades["BTCUSDT"] = list(range(301))
    market.minutes["BTCUSDT"] = [minute(n) for n in range(6)]
    (due,) = due_days(connection, LATER)
    with processing(postgres_url, redis_url):
        async with market.serving(), desk_of(connection, redis_url, market, clock=clock) as desk:
            closed = await close_day(desk, due)
    assert (closed.built.trades, closed.comparison.counts.open) == (301, 0)
    assert closed.comparison.counts.equal == 6
    assert due_days(connection, LATER) == []
    stored = connection.execute("SELECT count(*) FROM candle WHERE interval = '1h' AND source = 'trade'")
    assert stored.fetchone() == (10,)


async def test_minutes_that_the_exchange_left_out_are_asked_for_once_more(
    feeder: Feeder, connection: Connection, postgres_url: str, redis_url: str
) -> None:
    class Hesitant(Klines):
        async def _klines(self, request: web.Request) -> web.Response:
            first = not any(one["path"] == request.path for one in self.asked)
            self.minutes["BTCUSDT"] = [] if first else [minute(n) for n in range(6)]
            return await super()._klines(request)

    market, clock = Hesitant(), FixedClock()
    clock.now = LATER
    market.trades["BTCUSDT"] = list(range(301))
    (due,) = due_days(connection, LATER)
    with processing(postgres_url, redis_url):
        async with market.serving(), desk_of(connection, redis_url, market, clock=clock) as desk:
            closed = await close_day(desk, due)
    assert (closed.comparison.counts.equal, closed.comparison.counts.open) == (6, 0)
    assert closed.comparison.healed == 6


async def test_a_day_stays_due_while_the_exchange_gives_no_answer(
    feeder: Feeder, connection: Connection, redis_url: str
) -> None:
    market, clock = Market(), FixedClock()
    clock.now, market.url = LATER, "http://127.0.0.1:1"
    (due,) = due_days(connection, LATER)
    async with desk_of(connection, redis_url, market, clock=clock) as desk:
        closed = await close_day(desk, due)
    assert closed.comparison.unanswered
    assert len(due_days(connection, LATER)) == 1


def test_minutes_of_an_exchange_alone_are_closed_too(connection: Connection) -> None:
    """Where trades are not recorded."""
    from tests.processors.feeding import kline

    feeder = Feeder(connection)
    feeder.apply(entry([kline(NOON), kline(MIDNIGHT + MINUTE)]))
    connection.execute(
        "INSERT INTO time_coverage SELECT instrument_id, 'candle', d, tstzmultirange(tstzrange(d, d + 1)) "
        "FROM instrument, unnest(%s::date[]) d ON CONFLICT DO NOTHING",
        ([TODAY, TODAY + timedelta(days=1)],),
    )
    assert len(due_days(connection, LATER)) == 1


def test_channels_that_candles_do_not_hang_on_do_not_keep_a_day_open(
    feeder: Feeder, connection: Connection
) -> None:
    quotes = Gap(None, Channel.QUOTE, GapReason.DISCONNECT, None, None, NOON, NOON + 1, "market-0")
    Feeder(connection, "state").apply(entry([quotes], producer="other"))
    assert len(due_days(connection, LATER)) == 1
