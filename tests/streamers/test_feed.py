from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamers import connection as connection_module
from streamers import feed as feed_module
from streamers.connection import ODD_FROM_THE_START, ODD_MESSAGES
from streamers.socket import Socket
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import streaming
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus, GapReason
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import ProtocolViolation, Reason


async def test_a_cut_connection_comes_back_and_reads_again_what_it_missed(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 5)
        await until(lambda: bus.has(5))
        before = bus.entries()[-1].since
        await server.cut()
        await server.emit("AAA", 30, deliver=False)
        await server.subscription("AAA.trade")
        await server.emit("AAA", 5)
        await until(lambda: bus.has(40))
        assert streamer.endings == {Reason.CLOSED: 1}
    gaps = {gap.symbol: gap for gap in bus.gaps()}
    assert (gaps["AAA"].first_sequence, gaps["AAA"].last_sequence) == (6, 35)
    assert {gap.reason for gap in bus.gaps()} == {GapReason.DISCONNECT}
    assert before <= gaps[None].since < gaps[None].until
    assert bus.promised() == 40


async def test_a_sequence_jump_on_a_living_connection_is_read_again(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        await server.emit("AAA", 250, deliver=False)
        await server.emit("AAA", 3)
        await until(lambda: bus.has(256))
        assert streamer.endings == {}
        assert streamer.supervisor.catch_up.trades == 250
    (gap,) = bus.gaps()
    assert (gap.reason, gap.first_sequence, gap.last_sequence) == (GapReason.SEQUENCE, 4, 253)
    assert len(server.rest_requests) == 3  # pages


async def test_silence_is_a_reason_to_connect_anew(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    exchange = Fictional(server.url, silence_seconds=0.2)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: streamer.endings.keys() & {Reason.CHANNEL_SILENT, Reason.NEVER_DELIVERED})
        await until(lambda: server.accepted >= 2)


async def test_an_acknowledgement_without_data_is_not_enough(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    exchange = Fictional(server.url, silence_seconds=0.2)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await until(lambda: streamer.endings.get(Reason.NEVER_DELIVERED))
        assert not streamer.telemetry.health().ok


async def test_what_is_not_of_the_protocol_ends_the_connection(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        for _ in range(ODD_MESSAGES + 1):
            await server.say("{nonsense")
        await until(lambda: streamer.endings.get(Reason.PROTOCOL))
        await server.subscription("AAA.trade")


async def test_an_error_of_ours_ends_the_connection_and_nothing_else(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.streamers.fictional import FictionalSession

    with monkeypatch.context() as broken:
        broken.setattr(FictionalSession, "opened", lambda *_: 1 / 0)
        async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
            await until(lambda: streamer.endings.get(Reason.PROTOCOL))
            broken.undo()
            await server.subscription("AAA.trade")
            await server.emit("AAA")
            await until(lambda: bus.has(1))


@pytest.mark.parametrize("wish", ["server", "age", "supervisor"])
async def test_a_replacement_is_made_before_the_break_and_loses_nothing(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, wish: str
) -> None:
    exchange = Fictional(server.url, maximum_age_seconds=0.5 if wish == "age" else None, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await server.emit("AAA", 3)
        if wish == "server":
            await server.say({"say": "shutdown"})
        elif wish == "supervisor":
            streamer.supervisor.feeds["market-0"].rotate()
        await server.subscription("AAA.trade", connections=2)
        assert not streamer.endings  # the old one delivers until the new one does
        await server.emit("AAA", 3)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await until(lambda: streamer.endings.get(Reason.ROTATION))
        await server.emit("AAA", 3)
        await until(lambda: bus.has(9))
        assert set(streamer.endings) == {Reason.ROTATION}
    assert bus.gaps() == []
    assert contiguous(bus.entries())


async def test_a_successor_that_never_delivers_leaves_the_old_one_alone(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "SUCCESSION_SECONDS", 0.2)
    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        feed = streamer.supervisor.feeds["market-0"]
        await until(lambda: feed.current is not None and feed.current.delivered)
        old = feed.current
        feed.rotate()
        await until(lambda: streamer.endings.get(Reason.NEVER_DELIVERED))
        assert feed.current is old
        await server.emit("AAA", 3)
        await until(lambda: bus.has(6))


async def test_a_server_that_accepts_and_closes_sees_growing_pauses(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    server.close_at_once = True
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        feed = None

        def ended_twice() -> bool:
            nonlocal feed
            feed = streamer.supervisor.feeds.get("market-0")
            return feed is not None and feed.endings.get(Reason.CLOSED, 0) >= 2

        await until(ended_twice)
        assert feed is not None
        assert feed._backoff.failures >= 2
        assert server.accepted == feed.attempts
        server.close_at_once = False
        await server.subscription("AAA.trade")


async def test_maintenance_is_said_and_left_as_soon_as_the_exchange_is_open(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        streamer.supervisor.probe._every_seconds = 0.05
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: bus.has(1))
        server.refuse, server.status = 503, "maintenance"
        await server.cut()
        await until(lambda: streamer.endings.get(Reason.MAINTENANCE))
        await until(lambda: bus.records("state"))
        server.refuse, server.status = 0, "open"
        await server.subscription("AAA.trade")  # at once, not after a minute
        await server.emit("AAA")
        await until(lambda: bus.has(2))
    states = [one.status for one in bus.records("state") if isinstance(one, ExchangeState)]
    assert states == [ExchangeStatus.MAINTENANCE, ExchangeStatus.OPEN]


async def test_numbers_name_the_time_since_when_their_connection_delivers(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path):
        for turn in range(2):
            await server.subscription("AAA.quote")
            for _ in range(2):
                await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
                count = len(bus.entries())
                await until(lambda count=count: len(bus.entries()) > count)
            if not turn:
                await server.cut()
    quotes = [entry for entry in bus.entries() if entry.kind == "number"]
    assert len({entry.since for entry in quotes}) == 2
    assert {one.channel for entry in quotes for one in entry.records()} == {Channel.QUOTE}


async def test_one_odd_message_is_a_gap_and_the_connection_stays(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        for _ in range(3):
            await server.say("{nonsense")
        await server.emit("AAA", 3)
        await until(lambda: bus.has(6) and bus.gaps())
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        assert current.violations == 3
        assert streamer.endings == {}
    gaps = bus.gaps()
    assert {gap.reason for gap in gaps} == {GapReason.DECODE}
    assert len(gaps) <= 2  # the second one when the first is a second old, or at the end
    assert "market-0: not of this protocol" in gaps[0].detail


async def test_a_connection_that_says_nothing_else_is_ended_sooner(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ProtocolViolation("another protocol")

    monkeypatch.setattr("tests.streamers.fictional.FictionalSession.receive", refuse)
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        for _ in range(ODD_FROM_THE_START):
            await server.say("{nonsense")
        await until(lambda: streamer.endings.get(Reason.PROTOCOL))


async def test_a_change_while_a_successor_is_awaited_reaches_it(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.quote")
        feed = streamer.supervisor.feeds["market-0"]
        feed.rotate()
        await server.subscription("AAA.quote", connections=2)
        feed.change(msgspec.structs.replace(feed.plan, wanted=(Wanted("BBB", Channel.TRADE),)))
        await server.subscription("BBB.trade")
        await server.emit("AAA", 1)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        for _, names in server.sockets:
            names.update({"AAA.trade", "AAA.quote"})
        await server.emit("AAA", 1)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await until(lambda: streamer.endings.get(Reason.ROTATION))
        assert feed.current is not None
        await until(lambda: set(feed.current.session.subscriptions) == {"BBB.trade"})


async def test_a_channel_that_comes_back_does_not_join_what_it_was_before(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    quote = {"c": "AAA.quote", "b": "1", "t": 1}
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.quote")
        await server.say(quote, "AAA.quote")
        await until(lambda: any(entry.kind == "number" for entry in bus.entries()))
        feed = streamer.supervisor.feeds["market-0"]
        before = feed.plan
        feed.change(msgspec.structs.replace(before, wanted=(Wanted("BBB", Channel.TRADE),)))
        feed.change(before)
        await server.say(quote)
        await until(lambda: sum(entry.kind == "number" for entry in bus.entries()) == 2)
    first, second = (entry for entry in bus.entries() if entry.kind == "number")
    assert first.since <= first.records()[0].receive_time < second.since


async def test_a_change_while_the_connection_is_opened_is_not_lost(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, really_open = asyncio.Event(), connection_module.open_socket

    async def slowly(*arguments: Any, **options: Any) -> Socket:
        await gate.wait()
        return await really_open(*arguments, **options)

    monkeypatch.setattr(connection_module, "open_socket", slowly)
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        feeds = streamer.supervisor.feeds
        await until(lambda: feeds and feeds["market-0"].current)
        feed = feeds["market-0"]
        assert feed.current is not None
        assert not feed.current.open
        asyncio.get_running_loop().call_later(0.01, gate.set)
        feed.change(msgspec.structs.replace(feed.plan, wanted=(Wanted("BBB", Channel.TRADE),)))
        await server.subscription("BBB.trade")
