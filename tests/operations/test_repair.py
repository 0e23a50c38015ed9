"""The whole way: a hole in the ledger, REST on loopback, the bus, a processor, the proof."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import date
from decimal import Decimal

import msgspec
import pytest

from tests.operations.spot import (
    FixedClock,
    Market,
    Producer,
    broken,
    desk_of,
    ledger_of,
    noted,
    numbers_of,
    print_of,
    processing,
    stored,
)
from tests.processors.feeding import NOON, until
from trade_platform.adapters.database import gap_proof
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.gaps import open_gaps
from trade_platform.adapters.database.times import day_of, microseconds_of
from trade_platform.adapters.sources import NotThere, SourceError, Unreachable, Unusable
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import ASKED_AGAIN, ENOUGH_ATTEMPTS, Attempt
from trade_platform.domain.model import MINUTE, Channel, GapReason, Trade
from trade_platform.exchanges.session import Request
from trade_platform.operations.desk import NotStored
from trade_platform.operations.repair import _Pass, repair

DAY_WORD = day_of(NOON).isoformat()


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[Producer]:
    with processing(postgres_url, redis_url):
        producer = Producer(redis_url)
        yield producer
        producer.client.close()


async def test_a_hole_is_read_again_by_rest_and_closed_by_proof(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 21), *range(81, 101)])
    running.send(noted(21, 80))
    await stored(connection, 40, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        outcome = await repair(desk, everything=True)
    assert numbers_of(connection) == list(range(1, 101))
    assert ledger_of(connection) == [
        ("BTCUSDT", "trade", 21, 80, "repaired", "rest", "numbers 21 to 80 held")
    ]
    assert (outcome.records, len(outcome.closed), outcome.attempts) == (60, 1, 1)


async def test_a_break_of_a_connection_is_proven_channel_by_channel(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """The older form: neither symbol nor channel."""
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 21), *range(31, 101)])
    running.send(broken(None, 21, 30))
    await stored(connection, 90, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
        await repair(desk, everything=True)
    assert numbers_of(connection) == list(range(1, 101))
    rows = {(row[1], row[2]): row[4] for row in ledger_of(connection)}
    assert rows == {(Channel.TRADE.value, None): "repaired", (Channel.TRADE.value, 21): "repaired"}


async def test_what_rest_leaves_out_is_given_up_with_its_numbers_and_the_rest_is_kept(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = [n for n in range(1, 101) if n not in {40, 41}]
    running.trades([*range(1, 21), *range(61, 101)])
    running.send(noted(21, 60))
    await stored(connection, 60, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
        assert ledger_of(connection)[0][4:] == (
            *("open", "rest", "REST leaves out numbers 40 to 41; it is asked again"),
        )
        for _ in range(2):
            outcome = await repair(desk, everything=True)
    assert numbers_of(connection) == market.trades["BTCUSDT"]
    words = "REST leaves out numbers 40 to 41, and there is no archive"
    assert ledger_of(connection)[0][4:] == ("unrepairable", "rest", words)
    assert remaining_of(connection) == "{[40,42)}"
    assert [one.state for one in outcome.closed] == ["unrepairable"]


async def test_a_symbol_that_the_exchange_does_not_know_is_given_up_after_three_attempts(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.status = 400
    running.trades([*range(1, 21), *range(31, 41)])
    running.send(noted(21, 30))
    await stored(connection, 30, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        for _ in range(3):
            await repair(desk, everything=True)
    state, _, verdict = ledger_of(connection)[0][4:]
    assert state == "unrepairable"
    assert verdict == "the exchange refuses it (-1121: Invalid symbol.), and there is no archive"


@pytest.mark.parametrize(("status", "words"), [(503, "refuses for now"), (429, "refuses for now")])
async def test_an_exchange_that_is_away_costs_no_verdict(
    running: Producer, connection: Connection, redis_url: str, status: int, words: str
) -> None:
    market = Market()
    market.status, market.refusal = status, "away"
    running.trades([*range(1, 21), *range(31, 41)])
    running.send(noted(21, 30))
    await stored(connection, 30, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        for _ in range(5):
            await repair(desk, everything=True)
        assert ledger_of(connection)[0][4] == "open"
        assert words in ledger_of(connection)[0][6]
        market.status = 200
        market.trades["BTCUSDT"] = list(range(1, 41))
        await repair(desk, everything=True)
    assert ledger_of(connection)[0][4:6] == ("repaired", "rest")


async def test_a_page_that_fails_part_way_keeps_what_was_read(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 3001))
    running.trades([*range(1, 11), *range(2991, 3001)])
    running.send(noted(11, 2990))
    await stored(connection, 20, 1)

    def fail_at_the_third() -> None:
        if len(market.asked) == 3:
            market.status, market.refusal = 500, ""

    market.before_answer = fail_at_the_third
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
        assert len(numbers_of(connection)) == 2020
        assert remaining_of(connection) == "{[2011,2991)}"
        market.status = 200
        await repair(desk, everything=True)
    assert numbers_of(connection) == list(range(1, 3001))
    assert market.asked[3]["fromId"] == "2011"


async def test_what_the_streamer_fills_itself_is_closed_without_asking_anybody(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    running.trades([1, 2, 5, 6])
    running.send(noted(3, 4))
    await stored(connection, 4, 1)
    running.trades([3, 4])
    await stored(connection, 6, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    assert market.asked == []
    assert ledger_of(connection)[0][4:] == ("repaired", "streamer", "numbers 3 to 4 held")


async def test_a_fresh_gap_is_left_to_the_streamer_for_some_seconds(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 11))
    running.trades([1, 2, 5, 6])
    running.send(noted(3, 4))
    await stored(connection, 4, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        assert (await repair(desk)).attempts == 0
        connection.execute("UPDATE gap SET detected_at = detected_at - interval '10 s'")
        assert (await repair(desk)).attempts == 1
    assert ledger_of(connection)[0][4] == "repaired"


async def test_candles_that_a_repair_touches_are_made_anew(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """One trade a second: the minute that lost 20 of its 60 has all of them afterwards, and is complete."""
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 301))
    running.trades([*range(1, 71), *range(91, 301)])
    await stored(connection, 280)
    minute = (
        "SELECT trades, volume, high, complete FROM candle WHERE source = 'trade' ORDER BY open_time OFFSET 1"
    )
    assert connection.execute(minute).fetchone() == (40, Decimal("10.00"), Decimal("106.5"), False)
    running.send(noted(71, 90))
    await stored(connection, 280, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    assert connection.execute(minute).fetchone() == (60, Decimal("15.00"), Decimal("106.5"), True)


async def test_a_repair_without_its_defence_settles_and_asks_nobody(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    running.trades([1, 2, 5, 6])
    running.send(noted(3, 4), noted(5, 5))
    await stored(connection, 4, 2)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True, without=frozenset({Defence.REPAIR}))
    assert market.asked == []
    assert [row[4] for row in ledger_of(connection)] == ["open", "repaired"]


async def test_nobody_stores_what_was_read_is_said_and_nothing_is_lost(
    postgres_url: str, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 11))
    producer = Producer(redis_url)
    with processing(postgres_url, redis_url):
        producer.trades([1, 2, 9, 10])
        producer.send(noted(3, 8))
        await stored(connection, 4, 1)
    async with market.serving(), desk_of(connection, redis_url, market, patience_seconds=0.2) as desk:
        with pytest.raises(NotStored, match="is its processor running"):
            await repair(desk, everything=True)
        with processing(postgres_url, redis_url):
            await stored(connection, 10, 1)
            await repair(desk)
    assert ledger_of(connection)[0][4:6] == ("repaired", "rest")
    producer.client.close()


async def test_a_long_hole_waits_for_the_processor_page_by_page(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """120,000 trades, more than a streamer reads again: never more than 20 entries wait in the stream."""
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 120_011))
    running.trades([*range(1, 6), *range(120_006, 120_011)])
    running.send(noted(6, 120_005, reason=GapReason.RESTART))
    await stored(connection, 10, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        outcome = await repair(desk, everything=True)
    assert outcome.records == 120_000
    assert connection.execute("SELECT count(*), max(sequence) FROM trade").fetchone() == (120_010, 120_010)
    assert ledger_of(connection)[0][4:6] == ("repaired", "rest")
    assert len(market.asked) == 120


async def test_a_quiet_instrument_is_asked_for_its_newest_trade(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades = {"BTCUSDT": list(range(1, 131)), "THIN": list(range(1, 51)), "DEAF": list(range(1, 56))}
    running.trades(range(1, 131))
    for symbol in ("THIN", "DEAF"):
        running.trades(range(1, 51), symbol)
    running.send(broken(Channel.TRADE, 101, 110))
    await stored(connection, 230, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    assert numbers_of(connection, "DEAF") == list(range(1, 56))
    assert ledger_of(connection)[0][4] == "repaired"
    assert {one["symbol"] for one in market.asked} == {"THIN", "DEAF"}


async def test_an_instrument_that_is_no_longer_recorded_keeps_no_break_open(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    running.trades(range(1, 131))
    running.trades(range(1, 51), "GONE")
    running.send(broken(Channel.TRADE, 101, 110))
    await stored(connection, 180, 1)
    wanted = {("binance_spot", "BTCUSDT", Channel.TRADE)}
    async with (
        market.serving(),
        desk_of(connection, redis_url, market, recorded=lambda *key: key in wanted) as desk,
    ):
        await repair(desk, everything=True)
    assert market.asked == []
    assert ledger_of(connection)[0][4] == "repaired"


async def test_missing_minutes_are_read_again_as_closed_candles(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.minutes["BTCUSDT"] = [NOON + n * MINUTE for n in range(-5, 10)]
    running.candles(*(NOON + n * MINUTE for n in (0, 1, 5)))
    running.send(broken(Channel.CANDLE, 130, 300))
    await until_gap(connection)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    held = connection.execute("SELECT open_time FROM candle WHERE source = 'exchange' ORDER BY 1").fetchall()
    assert [microseconds_of(opening) - NOON for (opening,) in held] == [n * MINUTE for n in range(6)]
    assert ledger_of(connection)[0][4:6] == ("repaired", "exchange candles")


async def test_candles_read_again_say_nothing_of_having_listened(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """The time coverage of the live stream stays as it was, or the next live candle would leave a hole."""
    market = Market()
    market.minutes["BTCUSDT"] = [NOON + n * MINUTE for n in range(10)]
    running.candles(NOON, NOON + 5 * MINUTE)
    running.send(broken(Channel.CANDLE, 130, 250))
    await until_gap(connection)
    coverage = "SELECT held FROM time_coverage"
    before = connection.execute(coverage).fetchall()
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        outcome = await repair(desk, everything=True)
    assert outcome.records
    assert connection.execute(coverage).fetchall() == before


async def test_minutes_that_the_exchange_does_not_have_are_given_up(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.minutes["BTCUSDT"] = [NOON + n * MINUTE for n in range(10) if n != 2]
    running.candles(NOON, NOON + MINUTE, NOON + 5 * MINUTE)
    running.send(broken(Channel.CANDLE, 130, 250))
    await until_gap(connection)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        for _ in range(3):
            await repair(desk, everything=True)
    assert ledger_of(connection)[0][4] == "unrepairable"


class Archive:
    """A trade source behind REST."""

    def __init__(self, numbers: Sequence[int], error: SourceError | None = None) -> None:
        self.numbers = numbers
        self.error = error
        self.days: list[date] = []

    async def trades(
        self, symbol: str, channel: Channel, first: int, last: int, days: Sequence[date]
    ) -> AsyncGenerator[Sequence[Trade], None]:
        assert (symbol, channel) == ("BTCUSDT", Channel.TRADE)
        self.days = list(days)
        if found := [print_of(n) for n in self.numbers if first <= n <= last]:
            yield found
        if self.error:
            raise self.error


async def test_what_rest_does_not_reach_comes_from_the_archive(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(51, 101))
    archive = Archive(range(1, 101))
    running.trades([*range(1, 21), *range(81, 101)])
    running.send(noted(21, 80))
    await stored(connection, 40, 1)
    async with market.serving(), desk_of(connection, redis_url, market, archive=archive) as desk:
        await repair(desk, everything=True)
    assert numbers_of(connection) == list(range(1, 101))
    assert ledger_of(connection)[0][4:6] == ("repaired", "archive")
    assert archive.days == [day_of(NOON)]


@pytest.mark.parametrize(
    ("error", "age", "state", "words"),
    [
        (
            NotThere("no file"),
            1,
            "open",
            f"REST leaves out numbers 3 to 4; waits for the archive of {DAY_WORD}",
        ),
        (NotThere("no file"), 8, "unrepairable", "REST leaves out numbers 3 to 4, and so does the archive"),
        (Unreachable("no answer"), 1, "open", "no answer"),
        (
            *(Unusable("bad digest"), 1, "unrepairable"),
            "REST leaves out numbers 3 to 4, and the archive cannot be used (bad digest)",
        ),
    ],
)
async def test_what_an_archive_does_not_have(
    running: Producer,
    connection: Connection,
    redis_url: str,
    error: SourceError,
    age: int,
    state: str,
    words: str,
) -> None:
    market, clock = Market(), FixedClock()
    clock.now = NOON + age * 24 * 60 * MINUTE
    running.trades([1, 2, 5, 6])
    running.send(noted(3, 4))
    await stored(connection, 4, 1)
    archive = Archive([], error)
    async with (
        market.serving(),
        desk_of(connection, redis_url, market, archive=archive, clock=clock) as desk,
    ):
        for _ in range(3):
            await repair(desk, everything=True)
    row = ledger_of(connection)[0]
    assert (row[4], row[6]) == (state, words)


async def test_a_hole_that_nobody_noted_is_found_and_repaired(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market, clock = Market(), FixedClock()
    clock.now = NOON + 10 * MINUTE
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 21), *range(31, 101)])
    await stored(connection, 90)
    async with market.serving(), desk_of(connection, redis_url, market, clock=clock) as desk:
        outcome = await repair(desk, everything=True)
    assert outcome.found == 1
    assert numbers_of(connection) == list(range(1, 101))


async def test_two_repairs_at_once_store_everything_once(
    running: Producer, postgres_url: str, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 5001))
    running.trades([*range(1, 11), *range(4991, 5001)])
    running.send(noted(11, 4990))
    await stored(connection, 20, 1)
    with connect(postgres_url, name="other") as other:
        async with (
            market.serving(),
            desk_of(connection, redis_url, market) as one,
            desk_of(other, redis_url, market) as two,
        ):
            await asyncio.gather(repair(one, everything=True), repair(two, everything=True))
    assert numbers_of(connection) == list(range(1, 5001))
    assert connection.execute("SELECT count(*) FROM gap").fetchone() == (1,)  # no batch was missed
    assert ledger_of(connection)[0][4] == "repaired"


async def until_gap(connection: Connection) -> None:
    """The market's stream is stored, and a gap is."""
    await stored(connection, 0, 1)

    def candles() -> bool:
        return bool(connection.execute("SELECT FROM candle LIMIT 1").fetchone() is not None)

    await asyncio.to_thread(until, candles, "candles are stored")


def remaining_of(connection: Connection) -> str:
    row = connection.execute("SELECT remaining::text FROM gap").fetchone()
    assert row is not None
    return str(row[0])


async def test_one_question_about_a_quiet_instrument_serves_every_break_before_it(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """Ten connections of one exchange break at once: thousands of instruments are not asked ten times."""
    market = Market()
    market.trades = {"BTCUSDT": list(range(1, 131)), "THIN": list(range(1, 51))}
    running.trades(range(1, 131))
    running.trades(range(1, 51), "THIN")
    running.send(*(broken(Channel.TRADE, 101, 110 + n) for n in range(3)))
    await stored(connection, 180, 3)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    assert [row[4] for row in ledger_of(connection)] == ["repaired"] * 3
    assert len(market.asked) == 1


async def test_missing_minutes_of_many_instruments_are_read_some_at_a_time(
    running: Producer, connection: Connection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gap_proof, "MINUTES_SYMBOLS", 2)
    market = Market()
    symbols = ["AUSDT", "aUSDT", "BUSDT", "CUSDT", "DUSDT"]
    for symbol in symbols:
        market.minutes[symbol] = [NOON + n * MINUTE for n in range(10)]
        running.candles(NOON, NOON + 5 * MINUTE, symbol=symbol)
    running.send(broken(Channel.CANDLE, 130, 250))
    await until_gap(connection)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        await repair(desk, everything=True)
    assert ledger_of(connection)[0][4:6] == ("repaired", "exchange candles")
    assert sorted(one["symbol"] for one in market.asked) == sorted(symbols)


async def test_attempts_that_nobody_answered_give_nothing_up(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """The first answer after an outage may leave out what REST has some seconds later."""
    market = Market()
    market.status, market.refusal = 503, "away"
    running.trades([*range(1, 21), *range(31, 41)])
    running.send(noted(21, 30))
    await stored(connection, 30, 1)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        for _ in range(5):
            await repair(desk, everything=True)
        market.status = 200
        await repair(desk, everything=True)
        assert ledger_of(connection)[0][4] == "open"
        market.trades["BTCUSDT"] = list(range(1, 41))
        await repair(desk, everything=True)
    assert ledger_of(connection)[0][4:6] == ("repaired", "rest")


async def test_what_somebody_else_brought_meanwhile_is_not_given_up(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    """Between the last look at coverage and the verdict."""
    running.trades([*range(1, 21), *range(31, 41)])
    running.send(noted(21, 30))
    await stored(connection, 30, 1)
    async with desk_of(connection, redis_url, Market()) as desk:
        (gap,) = open_gaps(connection)
        gap = msgspec.structs.replace(gap, attempts=ENOUGH_ATTEMPTS, verdict=ASKED_AGAIN)
        work = _Pass(desk, 1, lambda *_: None)
        work._attempts.append((gap, Attempt(left_out=gap.expected, refusal="gone")))
        running.trades(range(21, 31))
        await stored(connection, 40, 1)
        assert await work.judge() == []
        await repair(desk)
    assert ledger_of(connection)[0][4:6] == ("repaired", "streamer")


@pytest.mark.parametrize("source", ["rest", "archive"])
async def test_a_source_that_takes_its_time_does_not_hold_up_the_end(
    running: Producer, connection: Connection, redis_url: str, source: str
) -> None:
    """A request may wait for its budget, a file may be long: whoever is to stop is killed after 15 s."""
    asked, stop = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        asked.set()
        await asyncio.Event().wait()

    class Slow(Archive):
        async def trades(self, *_: object) -> AsyncGenerator[Sequence[Trade], None]:
            await never()
            yield []

    market = Market()
    running.trades([*range(1, 21), *range(31, 41)])
    running.send(noted(21, 30))
    await stored(connection, 30, 1)
    async with (
        market.serving(),
        desk_of(connection, redis_url, market, archive=Slow([]), stop=stop) as desk,
    ):
        if source == "rest":
            reach = desk.reaches["binance_spot"]

            async def fetch(_: Request) -> bytes:
                await never()
                return b""

            desk.reaches = {"binance_spot": msgspec.structs.replace(reach, fetch=fetch)}
        passing = asyncio.create_task(repair(desk, everything=True))
        await asked.wait()
        stop.set()
        async with asyncio.timeout(30):
            await passing
    state, _, verdict = ledger_of(connection)[0][4:]
    assert (state, verdict) == ("open", "the repair was stopped")
