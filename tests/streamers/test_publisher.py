from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from streamers import sender as sender_module
from streamers.bus_link import LAST_FLUSH, BusLink, BusUnavailable, Parcel
from streamers.publisher import Publisher
from streamers.spool import Spool
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.embedded.server import Server
from trade_platform.domain.model import (
    Channel,
    ExchangeState,
    ExchangeStatus,
    Gap,
    GapReason,
    Instrument,
    Metric,
    Number,
    Record,
    Side,
    Trade,
)
from trade_platform.exchanges.session import Missing

AOF = {"appendonly": "yes", "appendfsync": "always"}


def trade(sequence: int, symbol: str = "AAA") -> Trade:
    return Trade(symbol, sequence, Decimal("1.5"), Decimal(2), Side.BUY, sequence, 1, sequence, sequence)


def trades(first: int, last: int) -> list[Record]:
    return [trade(sequence) for sequence in range(first, last + 1)]


def quote(at: int) -> Number:
    return Number("AAA", Metric.BEST_BID, Decimal(1), at, at, Channel.QUOTE)


def state() -> ExchangeState:
    return ExchangeState(ExchangeStatus.OPEN, "", "test", 1, 1)


def publisher_on(
    link: BusLink | str,
    folder: Path,
    *,
    producer: str = "test:1",
    megabytes: float = 16,
    buffer: int = 100_000,
) -> Publisher:
    return Publisher(
        BusLink(link) if isinstance(link, str) else link,
        Spool(folder / "spool", int(megabytes * (1 << 20))),
        exchange="fictional",
        producer=producer,
        clock=WallClock(),
        buffer_records=buffer,
    )


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[Publisher]:
    publisher.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        try:
            yield publisher
        finally:
            publisher.finish(10)


@pytest.fixture
def bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    bus.close()


class LossyLink(BusLink):
    """Loses the answers to some sends, after Redis took the entries."""

    lost_answers = 0

    async def send(self, parcels: list[Parcel]) -> list[str]:
        identities = await super().send(parcels)
        if self.lost_answers:
            self.lost_answers -= 1
            await self.close()
            raise BusUnavailable("the answer was lost")
        return identities


class RefusingLink(BusLink):
    """Refuses what it is given, once it is told to."""

    refusing = False

    async def send(self, parcels: list[Parcel]) -> list[str]:
        if self.refusing:
            await self.close()
            raise BusUnavailable("out of memory")
        return await super().send(parcels)


class HungLink(BusLink):
    """Takes nothing and says nothing until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.go = asyncio.Event()

    async def send(self, parcels: list[Parcel]) -> list[str]:
        await self.go.wait()
        return await super().send(parcels)


async def test_records_of_an_inlet_arrive_batched_by_kind_with_their_since(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        await publisher.acquainted.wait()
        inlet = publisher.inlet()
        inlet.since = 77
        inlet.buffers[Trade] += trades(1, 2500)
        inlet.buffers[Number].append(quote(5))
        publisher.touch()
        await until(lambda: bus.has(2500))
    entries = bus.entries()
    assert contiguous(entries)
    assert sorted(entry.kind for entry in entries) == ["number", "trade", "trade", "trade"]
    assert {entry.since for entry in entries} == {77}
    assert bus.promised() == 2500
    assert bus.promised(LAST_FLUSH) > 0


async def test_a_batch_of_a_connection_that_told_nothing_yet_is_heard_from_its_first_record_on(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    """A jump of numbers in a connection's first chunk seals what came before it, at a later moment."""
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        await publisher.acquainted.wait()
        publisher.inlet().buffers[Trade] += trades(1, 2)
        publisher.seal()
        await until(lambda: bus.has(2))
    assert [entry.since for entry in bus.entries()] == [trades(1, 1)[0].receive_time]


async def test_events_go_at_once_to_their_own_stream(redis_url: str, bus: Bus, tmp_path: Path) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        publisher.event(state())
        await until(lambda: bus.entries("state"))
        publisher.publish([Instrument(symbol="AAA"), trade(1)], since=5)
        await until(lambda: len(bus.entries()) == 2)
    assert [entry.n for entry in bus.entries("state")] == [1]
    assert [entry.kind for entry in bus.entries()] == ["instrument", "trade"]


async def test_an_answer_that_is_lost_repeats_n_and_nothing_else(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    link = LossyLink(redis_url)
    async with running(publisher_on(link, tmp_path)) as publisher:
        await publisher.acquainted.wait()
        link.lost_answers = 1
        publisher.publish(trades(1, 3), since=1)
        publisher.event(state())
        await until(lambda: len(bus.entries()) == 2)
        publisher.publish(trades(4, 4), since=1)
        await until(lambda: bus.has(4))
    assert [entry.n for entry in bus.entries()] == [1, 1, 2]
    assert bus.trades() == [1, 2, 3, 4]
    assert len(bus.records("state")) == 1


@pytest.mark.parametrize("at_once", [False, True])
async def test_redis_killed_in_mid_flow_loses_nothing_and_keeps_the_order(
    redis_server: Callable[..., Server], tmp_path: Path, at_once: bool
) -> None:
    server = redis_server(parameters=AOF)
    count = 0

    async with running(publisher_on(server.url, tmp_path)) as publisher:

        async def flow(batches: int) -> None:
            nonlocal count
            for _ in range(batches):
                publisher.publish(trades(count + 1, count + 10), since=1)
                count += 10
                await asyncio.sleep(0)

        await flow(20)
        if not at_once:
            await until(lambda: not publisher.backlog.records)
        server.kill()
        await flow(20)
        await until(lambda: publisher.backlog.spooling and publisher.sender.away)
        publisher.event(state())
        await flow(20)
        server = redis_server(parameters=AOF)
        await until(lambda: not publisher.backlog.spooling)
        await flow(20)
        bus = Bus(server.url)
        await until(lambda: bus.has(count))
    assert bus.trades() == sorted(bus.trades())
    assert bus.promised() == count
    assert len(bus.records("state")) == 1
    assert publisher.backlog.spool.bytes == 0
    bus.close()


async def test_what_redis_lost_of_its_last_seconds_is_sent_again(
    redis_server: Callable[..., Server], tmp_path: Path
) -> None:
    """A server without persistence forgets everything: the worst case of losing the last second."""
    server = redis_server(parameters={"appendonly": "no", "save": ""})
    async with running(publisher_on(server.url, tmp_path)) as publisher:
        publisher.publish(trades(1, 10), since=1)
        publisher.event(state())
        await until(lambda: publisher.sender.sent_records == 11)
        server.kill()
        server = redis_server(parameters={"appendonly": "no", "save": ""})
        publisher.publish(trades(11, 12), since=1)
        bus = Bus(server.url)
        await until(lambda: bus.has(12) and bus.records("state"))
    assert contiguous(bus.entries())
    assert bus.promised() == 12
    bus.close()


async def test_redis_out_of_memory_is_waited_for_in_the_spool(
    redis_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = redis_server(parameters={"maxmemory-policy": "noeviction"})
    bus = Bus(server.url)
    async with running(publisher_on(server.url, tmp_path)) as publisher:
        publisher.publish(trades(1, 5), since=1)
        await until(lambda: bus.has(5))
        bus.client.config_set("maxmemory", "1")
        publisher.publish(trades(6, 7), since=1)
        await until(lambda: publisher.backlog.spooling)
        publisher.publish(trades(8, 9), since=1)
        assert "OOM" in publisher.sender.away or "memory" in publisher.sender.away
        bus.client.config_set("maxmemory", "0")
        await until(lambda: bus.has(9))
    assert contiguous(bus.entries())
    bus.close()


async def test_a_slow_redis_fills_the_spool_and_not_the_memory(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    link = HungLink(redis_url)
    async with running(publisher_on(link, tmp_path, buffer=100)) as publisher:
        await publisher.acquainted.wait()
        for first in range(1, 1001, 10):
            publisher.publish(trades(first, first + 9), since=1)
            await asyncio.sleep(0)
        assert publisher.backlog.spooling
        assert publisher.backlog.high_water <= 100
        link.go.set()
        await until(lambda: bus.has(1000))
        assert not publisher.backlog.spooling
    assert contiguous(bus.entries())
    assert bus.trades() == sorted(bus.trades())


async def test_a_full_spool_sheds_numbers_as_a_gap_and_stops_before_it_sheds_events(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    link = HungLink(redis_url)
    async with running(publisher_on(link, tmp_path, megabytes=0.05, buffer=10)) as publisher:
        await publisher.acquainted.wait()
        inlet = publisher.inlet()
        inlet.since = 3
        sent = 0
        while not publisher.shed:
            inlet.buffers[Trade] += trades(sent + 1, sent + 100)
            sent += 100
            publisher.seal()
        assert inlet.since == 0  # what follows does not connect to what was before
        events = 0
        while not publisher.blocked:
            publisher.event(state())
            events += 1
        publisher.event(state())
        link.go.set()
        await until(lambda: not publisher.blocked or publisher.seal())
        await until(lambda: bus.gaps() or publisher.seal())
        await until(lambda: len(bus.records("state")) == events + 2)
    (gap,) = bus.gaps()
    assert (gap.symbol, gap.channel, gap.reason) == ("AAA", Channel.TRADE, GapReason.SHED)
    kept = set(bus.trades())
    assert kept == set(range(1, sent + 1)) - set(range(gap.first_sequence, gap.last_sequence + 1))
    assert contiguous(bus.entries())
    assert publisher.shed.records == sent - len(kept)


async def test_a_stop_without_redis_leaves_everything_in_the_spool_for_the_next_process(
    redis_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = redis_server(parameters=AOF)
    async with running(publisher_on(server.url, tmp_path, producer="test:1")) as publisher:
        publisher.publish(trades(1, 5), since=1)
        await until(lambda: publisher.sender.sent_records == 5)
        server.kill()
        publisher.publish(trades(6, 9), since=1)
        publisher.event(state())
    assert publisher.backlog.spool.bytes > 0

    server = redis_server(parameters=AOF)
    bus = Bus(server.url)
    successor = publisher_on(server.url, tmp_path, producer="test:2")
    async with running(successor):
        assert successor.sequences.seen["AAA|trade"] == 9  # from the spool, before Redis was asked
        await successor.acquainted.wait()
        successor.publish(trades(10, 11), since=1)
        await until(lambda: bus.has(11))
    producers = [entry.producer for entry in bus.entries()]
    assert producers == sorted(producers)
    assert set(producers) == {"test:1", "test:2"}
    assert contiguous(bus.entries())
    assert bus.promised() == 11
    bus.close()


async def test_a_successor_learns_where_the_process_before_it_ended(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        publisher.inlet().buffers[Trade] += trades(1, 5)
        publisher.seal()
    async with running(publisher_on(redis_url, tmp_path, producer="test:2")) as successor:
        await successor.acquainted.wait()
        assert successor.sequences.expected({"AAA": Channel.TRADE}) == {"AAA": 5}
        assert successor.last_flush > 0


async def test_what_redis_tells_after_the_first_trades_came_is_still_compared(
    redis_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = redis_server(parameters=AOF)
    async with running(publisher_on(server.url, tmp_path)) as publisher:
        publisher.publish(trades(1, 5), since=1)
    server.kill()
    holes: list[Missing] = []
    successor = publisher_on(server.url, tmp_path, producer="test:2")
    successor.on_missing = holes.append
    async with running(successor):
        successor.publish(trades(9, 10), since=1)
        await until(lambda: successor.sender.away)
        redis_server(parameters=AOF)
        await until(lambda: holes)
    assert holes == [Missing("AAA", Channel.TRADE, 6, 8)]


async def test_the_history_is_bounded(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "HISTORY_BYTES", 10_000)
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        for first in range(1, 2001, 100):
            publisher.publish(trades(first, first + 99), since=1)
        await until(lambda: publisher.sender.sent_records == 2000)
        history = publisher.sender.history
        assert history.bytes <= 10_000
        assert history.bytes == sum(parcel.size for _, _, parcel in history._sent)


async def test_a_removed_inlet_leaves_nothing_behind(redis_url: str, bus: Bus, tmp_path: Path) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        inlet = publisher.inlet()
        inlet.buffers[Trade].append(trade(1))
        publisher.remove(inlet)
        await until(lambda: bus.has(1))


async def test_a_gap_keeps_its_reason(redis_url: str, bus: Bus, tmp_path: Path) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        publisher.event(Gap("AAA", Channel.TRADE, GapReason.SEQUENCE, 1, 2, 3, 4))
        await until(bus.gaps)
    assert bus.gaps()[0].reason is GapReason.SEQUENCE


async def test_a_hole_shown_by_a_batch_that_is_shed_is_told(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = publisher_on(redis_url, tmp_path)
    holes: list[Missing] = []
    publisher.on_missing = holes.append
    publisher.sequences.learn({"AAA|trade": 5})
    monkeypatch.setattr(publisher.backlog, "add", lambda _: False)
    publisher.publish(trades(9, 10), since=1)
    assert holes == [Missing("AAA", Channel.TRADE, 6, 8)]
    assert publisher.shed


async def test_a_redis_that_comes_back_empty_learns_of_symbols_that_do_not_trade(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        publisher.publish([trade(5, "THIN"), trade(9, "BUSY")], since=1)
        await until(lambda: bus.promised("THIN|trade") == 5)
        await until(lambda: publisher.sender.history.bytes)
        publisher.sender.history = sender_module.History()  # longer ago than it reaches back
        bus.client.flushdb()
        bus.client.client_kill_filter(_type="normal", skipme=True)
        publisher.publish([trade(10, "BUSY")], since=1)
        await until(lambda: bus.promised("BUSY|trade") == 10)
        publisher.publish([trade(11, "BUSY")], since=1)
        await until(lambda: bus.promised("BUSY|trade") == 11)
        assert bus.promised("THIN|trade") == 5


async def test_an_event_that_redis_lost_is_sent_again_though_another_producer_went_on(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        publisher.event(state())
        await until(lambda: publisher.sender.sent_records == 1)
        ((_, fields),) = bus.client.xrange("state")
        bus.client.delete("state")
        bus.client.xadd("state", {**fields, b"producer": b"other:1"})
        bus.client.client_kill_filter(_type="normal", skipme=True)
        publisher.event(state())
        await until(lambda: len(bus.entries("state")) == 3)
    assert [(one.producer, one.n) for one in bus.entries("state")] == [
        ("other:1", 1),
        ("test:1", 1),
        ("test:1", 2),
    ]


async def test_what_redis_lost_is_spooled_first_where_the_process_stops_without_it(
    redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    link = RefusingLink(redis_url)
    async with running(publisher_on(link, tmp_path)) as publisher:
        publisher.event(state())
        await until(lambda: publisher.sender.sent_records == 1)
        bus.client.flushdb()
        link.refusing = True
        publisher.event(state())
        await until(lambda: publisher.sender._again)
        publisher.finish(0)
    successor = publisher_on(redis_url, tmp_path)
    assert [parcel.entry.n for parcel in successor.backlog.open()] == [1, 2]
    successor.backlog.spool.close()


async def test_the_keeper_of_the_spool_outlives_an_error(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def exhausted() -> list[int]:
        nonlocal asked
        asked += 1
        raise OSError(24, "Too many open files")

    async with running(publisher_on(redis_url, tmp_path)) as publisher:
        with monkeypatch.context() as patched:
            patched.setattr(publisher.backlog.spool, "take_unsynced", exhausted)
            await until(lambda: asked > 1)
        assert publisher.backlog.spool.failing == "Too many open files"


async def test_what_was_shed_is_found_by_the_next_process_where_this_one_dies_before_it_told(
    redis_url: str, tmp_path: Path
) -> None:
    """The promise stays before what was shed until the Gap that names it is on its way."""
    publisher = publisher_on(redis_url, tmp_path, buffer=10, megabytes=0)
    publisher.acquainted.set()
    publisher.open()
    publisher.publish(trades(1, 8), since=1)
    publisher.publish(trades(9, 12), since=1)
    assert publisher.shed.records == 4
    publisher.publish(trades(13, 14), since=1)
    promises = [parcel.sequences["AAA|trade"] for parcel in publisher.backlog._memory]
    assert promises == [8, 8]
    publisher.backlog.records = 0
    publisher.seal()
    *_, told = publisher.backlog._memory
    (gap,) = told.entry.records()
    assert (gap.first_sequence, gap.last_sequence) == (9, 12)
    publisher.publish(trades(15, 15), since=1)
    assert publisher.backlog._memory[-1].sequences["AAA|trade"] == 15
    publisher.backlog.spool.close()


async def test_nothing_overtakes_an_event_that_waits(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that passed it would leave a hole that nobody names."""
    publisher = publisher_on(redis_url, tmp_path)
    publisher.acquainted.set()
    publisher.open()
    inlet = publisher.inlet()
    with monkeypatch.context() as patched:
        patched.setattr(publisher.backlog, "add", lambda _: False)
        publisher.event(state())
    assert publisher.blocked
    inlet.buffers[Trade] += trades(1, 1)
    publisher.publish(trades(5, 5), since=1)
    assert not publisher.backlog
    publisher.seal()
    kinds = [parcel.entry.kind for parcel in publisher.backlog._memory]
    assert kinds == ["exchange_state", "trade", "gap"]
    publisher.finish(0)
    publisher.backlog.spool.close()


async def test_all_that_it_holds_is_told_with_its_bound(redis_url: str, tmp_path: Path) -> None:
    publisher = publisher_on(redis_url, tmp_path, buffer=100)
    publisher.open()
    publisher.publish(trades(1, 8), since=1)
    held = {one.name: one for one in publisher.holdings()}
    assert (held["backlog_records"].size, held["backlog_records"].bound) == (8, 100)
    assert {"unsealed_records", "stalled_events", "spool_bytes", "history_bytes", "sequence_fields"} <= set(
        held
    )
    publisher.backlog.spool.close()
