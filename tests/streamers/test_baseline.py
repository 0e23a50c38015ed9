from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamers import baseline as baseline_module
from streamers import supervisor as supervisor_module
from streamers.bus_link import BusLink, Parcel
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import streaming
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.domain.model import Channel


async def test_what_is_traded_while_we_are_away_is_found_for_a_symbol_that_never_told_anything(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    exchange = Fictional(server.url)
    await server.emit("AAA", 7, deliver=False)  # before the recording
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await until(lambda: streamer.publisher.sequences.seen.get("AAA|trade") == 7)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await until(lambda: bus.promised() == 7)
    await server.emit("AAA", 3, deliver=False)
    async with streaming(exchange, redis_url, tmp_path, producer="test:2"):
        await server.subscription("AAA.trade")
        await server.emit("AAA", 2)
        await until(lambda: set(bus.trades()) == set(range(8, 13)))


async def test_a_symbol_that_was_never_traded_counts_from_nothing(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await until(lambda: streamer.publisher.sequences.seen.get("AAA|trade") == 0)
        await server.cut()
        await server.emit("AAA", 3, deliver=False)
        await server.subscription("AAA.trade")
        await server.emit("AAA", 1)
        await until(lambda: bus.has(4))


async def test_a_symbol_that_stays_silent_after_a_restart_is_compared_with_rest(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_module, "SETTLE_SECONDS", 0.05)
    exchange = Fictional(server.url)
    async with streaming(exchange, redis_url, tmp_path):
        await server.subscription("AAA.trade")
        await server.emit("AAA", 2)
        await until(lambda: bus.has(2))
    await server.emit("AAA", 3, deliver=False)
    async with streaming(exchange, redis_url, tmp_path, producer="test:2"):
        await until(lambda: bus.has(5))  # without another trade
        await server.subscription("AAA.trade")
        await server.emit("AAA", 1)
        await until(lambda: bus.has(6))
    assert [(gap.first_sequence, gap.last_sequence) for gap in bus.gaps() if gap.symbol] == [(3, 5)]
    assert bus.promised() == 6


async def test_where_a_symbol_stands_is_in_redis_before_it_is_subscribed(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "BEGINNING_SECONDS", 40.0)
    await server.emit("AAA", 7, deliver=False)
    async with streaming(Fictional(server.url), redis_url, tmp_path):
        await server.subscription("AAA.trade")
        assert bus.promised() == 7
    await server.emit("AAA", 3, deliver=False)
    async with streaming(Fictional(server.url), redis_url, tmp_path, producer="test:2"):
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: set(bus.trades()) == {8, 9, 10, 11})
    assert contiguous(bus.entries())


@pytest.mark.parametrize("told_first", [True, False])
async def test_a_slow_answer_delays_no_subscription_and_what_lies_between_is_read(
    server: FictionalServer,
    redis_url: str,
    bus: Bus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    told_first: bool,
) -> None:
    monkeypatch.setattr(supervisor_module, "BEGINNING_SECONDS", 0.02)
    server.newest_told.clear()
    await server.emit("AAA", 3, deliver=False)
    async with streaming(Fictional(server.url), redis_url, tmp_path):
        await until(lambda: server.newest_asked)
        await server.emit("AAA", 2, deliver=False)
        await server.subscription("AAA.trade")
        if told_first:
            server.newest_told.set()
            await until(lambda: bus.promised() == 3)  # at once, and not only with the next trade
        await server.emit("AAA")
        await until(lambda: 6 in bus.trades())
        server.newest_told.set()
        await until(lambda: set(bus.trades()) == {4, 5, 6})
        await server.emit("AAA")
        await until(lambda: bus.promised() == 7)
    assert [(gap.first_sequence, gap.last_sequence) for gap in bus.gaps() if gap.symbol] == [(4, 5)]


async def test_a_symbol_that_was_traded_while_it_waited_for_its_turn_is_not_asked_about(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "BEGINNING_SECONDS", 0.02)
    server.newest_told.clear()
    symbols = ("AAA", "BBB", "CCC")
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=symbols) as streamer:
        await until(lambda: len(server.newest_asked) == 2)
        await server.subscription("CCC.trade")
        await server.emit("CCC")
        await until(lambda: bus.has(1, "CCC"))
        server.newest_told.set()
        await until(lambda: not streamer.supervisor.baselines._asked)
        assert sorted(server.newest_asked) == ["AAA", "BBB"]


async def test_nothing_is_asked_while_it_is_not_known_where_an_earlier_process_ended(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        streamer.publisher.acquainted.clear()
        await streamer.supervisor.baselines.begin({"BBB": Channel.TRADE})
        assert "BBB" not in server.newest_asked


async def test_a_beginning_is_done_when_redis_has_it(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await until(lambda: not streamer.publisher.backlog)
        go_on = asyncio.Event()
        send = BusLink.send

        async def send_late(link: BusLink, parcels: Sequence[Parcel]) -> list[str]:
            await go_on.wait()
            return await send(link, parcels)

        monkeypatch.setattr(BusLink, "send", send_late)
        await server.emit("BBB", 4, deliver=False)
        beginning = asyncio.create_task(streamer.supervisor.baselines.begin({"BBB": Channel.TRADE}))
        await until(lambda: streamer.publisher.backlog)
        await asyncio.sleep(3 * baseline_module.POLL_SECONDS)
        assert not beginning.done()
        go_on.set()
        await beginning
        assert bus.promised("BBB|trade") == 4
