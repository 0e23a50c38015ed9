from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamers import connection as connection_module
from streamers import feed as feed_module
from streamers.oddities import ODD_FROM_THE_START, ODD_MESSAGES
from streamers.socket import Socket
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import streaming
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus, GapReason, Number
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT
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
    breaks = [gap for gap in bus.gaps() if gap.symbol is None]
    assert [gap.channel for gap in breaks] == [Channel.QUOTE, Channel.TRADE]  # one each, and one alone
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
        assert feed._approach._backoff.failures >= 2
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
    assert len(gaps) <= 4  # of two channels; the second time when the first is a second old, or at the end
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


async def test_three_feeds_try_an_exchange_that_accepts_and_closes_as_often_as_one(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    server.close_at_once = True
    exchange = Fictional(server.url, symbols_per_connection=1)
    async with streaming(exchange, redis_url, tmp_path, symbols=("AAA", "BBB", "CCC")) as streamer:
        await until(lambda: server.accepted)
        began = time.monotonic()
        await until(lambda: server.accepted >= 3)
        assert time.monotonic() - began >= 1.9  # 0.5 and 1.5 after each other, whichever feed it is
        assert sum(feed.attempts for feed in streamer.supervisor.feeds.values()) == server.accepted
        server.close_at_once = False
        streamer.supervisor._hurry()
        for symbol in ("AAA", "BBB", "CCC"):
            await server.subscription(f"{symbol}.trade")


async def test_a_handshake_that_is_refused_with_429_keeps_all_connections_quiet(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    server.refuse = 429
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await until(lambda: streamer.endings.get(Reason.RATE_LIMITED))
        budget = streamer.rest.budget
        await until(lambda: budget.quiet_seconds(CONNECTIONS) > 9)
        assert not budget.quiet_seconds(WEIGHT)
        assert server.accepted == 1
        server.refuse = 0
        budget._accounts[CONNECTIONS].quiet_until = 0.0
        streamer.supervisor._hurry()
        await server.subscription("AAA.trade")


async def test_rotations_in_full_flow_lose_nothing_of_any_kind(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    count = 0

    async def flow() -> None:
        nonlocal count
        while True:
            count += 1
            await server.emit("AAA")
            await server.say({"c": "AAA.quote", "b": str(count), "t": count}, "AAA.quote")
            await asyncio.sleep(0.001)

    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        flowing = asyncio.create_task(flow())
        await until(lambda: streamer.supervisor.feeds["market-0"].down_reason == "")
        for turn in range(3):
            streamer.supervisor.feeds["market-0"].rotate()
            await until(lambda turn=turn: streamer.endings.get(Reason.ROTATION, 0) > turn)
        flowing.cancel()
        await until(lambda: bus.has(count - 1) or bus.has(count))
    quotes = {int(one.value) for one in bus.records() if isinstance(one, Number)}
    assert quotes >= set(range(1, count))
    assert bus.gaps() == []
    assert streamer.endings == {Reason.ROTATION: 3, Reason.STOPPED: 1}


async def test_a_connection_that_breaks_before_its_successor_is_there_leaves_a_gap_a_channel(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    quote = {"c": "AAA.quote", "b": "1", "t": 1}
    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.quote")
        await server.say(quote, "AAA.quote")
        await server.emit("AAA")
        await until(lambda: bus.has(1))
        streamer.supervisor.feeds["market-0"].rotate()
        await server.subscription("AAA.quote", connections=2)
        old = server.sockets.pop(0)[0]
        assert old._writer is not None
        old._writer.transport.abort()
        await server.say(quote, "AAA.quote")
        await server.emit("AAA")
        await until(lambda: len(bus.gaps()) == 2)
        await until(lambda: bus.has(2))
    assert [gap.channel for gap in bus.gaps()] == [Channel.QUOTE, Channel.TRADE]
    assert {gap.reason for gap in bus.gaps()} == {GapReason.DISCONNECT}
    assert set(streamer.endings) == {Reason.CLOSED, Reason.STOPPED}


async def test_a_successor_that_fails_is_tried_again_soon(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "SUCCESSION_SECONDS", 0.1)
    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        await until(lambda: bus.has(3))
        streamer.supervisor.feeds["market-0"].rotate()
        await until(lambda: streamer.endings.get(Reason.NEVER_DELIVERED))
        monkeypatch.setattr(feed_module, "SUCCESSION_SECONDS", 30.0)
        await server.subscription("AAA.trade", connections=2)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await server.emit("AAA", 3)
        await until(lambda: streamer.endings.get(Reason.ROTATION))
        await until(lambda: bus.has(6))
    assert bus.gaps() == []


async def test_a_successor_answers_for_symbols_that_came_while_it_was_awaited(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Fictional(server.url, silence_seconds=60)
    async with streaming(exchange, redis_url, tmp_path) as streamer:
        await server.subscription("AAA.quote")
        feed = streamer.supervisor.feeds["market-0"]
        feed.rotate()
        await server.subscription("AAA.quote", connections=2)
        monkeypatch.setattr(streamer.supervisor.baselines, "look", lambda _: None)
        feed.change(msgspec.structs.replace(feed.plan, wanted=(Wanted("BBB", Channel.TRADE),)))
        await server.emit("AAA", 1)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        for _, names in server.sockets:
            names.update({"AAA.trade", "AAA.quote"})
        await server.emit("AAA", 1)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await until(lambda: streamer.endings.get(Reason.ROTATION))
        assert feed.current is not None
        assert feed.current.unverified == {"BBB": Channel.TRADE}


@pytest.mark.parametrize(
    ("defence", "reason"),
    [(Defence.CHANNEL_LIVENESS, Reason.NEVER_DELIVERED), (Defence.ROTATION, Reason.ROTATION)],
)
async def test_a_defence_that_is_left_out_does_nothing(
    server: FictionalServer, redis_url: str, tmp_path: Path, defence: Defence, reason: Reason
) -> None:
    exchange = Fictional(server.url, silence_seconds=0.2)
    without = frozenset({defence, Defence.CHANNEL_LIVENESS})
    async with streaming(exchange, redis_url, tmp_path, without=without) as streamer:
        await server.subscription("AAA.trade")
        feed = streamer.supervisor.feeds["market-0"]
        if defence is Defence.ROTATION:
            feed.rotate()
        await until(lambda: feed.current is not None and feed.current.open)
        current = feed.current
        assert current is not None
        silent = current.session.subscriptions["AAA.trade"]
        await until(lambda: (silent.age(time.monotonic()) or 0) > 1.0)
        assert reason not in streamer.endings
        assert server.accepted == 1


async def test_without_tolerance_one_odd_message_ends_the_connection(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    without = frozenset({Defence.TOLERANCE})
    async with streaming(Fictional(server.url), redis_url, tmp_path, without=without) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await server.say("{nonsense")
        await until(lambda: streamer.endings.get(Reason.PROTOCOL))


async def test_without_backoff_nothing_is_waited_for(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    server.close_at_once = True
    without = frozenset({Defence.BACKOFF})
    async with streaming(Fictional(server.url), redis_url, tmp_path, without=without):
        began = time.monotonic()
        await until(lambda: server.accepted > 20)
        assert time.monotonic() - began < 60  # with it the twentieth would come after five minutes


async def test_without_catching_up_a_hole_is_told_and_left(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    without = frozenset({Defence.CATCH_UP})
    async with streaming(Fictional(server.url), redis_url, tmp_path, without=without) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        await server.emit("AAA", 3, deliver=False)
        await server.emit("AAA", 3)
        await until(bus.gaps)
        assert streamer.supervisor.catch_up.given_up == 1
    assert not server.rest_requests


async def test_what_cannot_be_read_is_a_gap_of_its_own_channel(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path):
        await server.subscription("AAA.trade")
        await server.say({"c": "AAA.quote", "b": None, "t": 1}, "AAA.quote")
        await until(bus.gaps)
    (gap,) = bus.gaps()
    assert (gap.symbol, gap.channel, gap.reason) == ("AAA", Channel.QUOTE, GapReason.DECODE)


async def test_an_exchange_whose_rest_side_is_gone_is_found_open_by_its_data(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        streamer.supervisor.probe._every_seconds = 0.05
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: bus.has(1))
        server.refuse, server.status = 503, "maintenance"
        await server.cut()
        await until(lambda: bus.records("state"))
        server.refuse = 0  # and REST goes on to say that it is closed
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: bus.has(2))
        assert streamer.supervisor.probe.status is ExchangeStatus.OPEN
    states = [one for one in bus.records("state") if isinstance(one, ExchangeState)]
    assert [(one.status, one.reason) for one in states][-1] == (ExchangeStatus.OPEN, "data")


async def test_what_a_feed_missed_since_an_earlier_process_is_told_by_a_later_one(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    symbols = ("AAA", "BBB", "CCC")
    exchange = Fictional(server.url)
    async with streaming(exchange, redis_url, tmp_path, symbols=symbols):
        await server.subscription("CCC.trade")
        await server.emit("CCC")
        await server.emit("AAA")
        await until(lambda: bus.has(1) and bus.has(1, "CCC"))
    async with streaming(exchange, redis_url, tmp_path, producer="test:2", symbols=symbols):
        await server.subscription("CCC.trade")
        began = time.time() * 1e6  # the feed of CCC delivers nothing until this process ends
        await server.emit("AAA", 3)
        await until(lambda: bus.has(4))
    async with streaming(exchange, redis_url, tmp_path, producer="test:3", symbols=symbols):
        await server.subscription("CCC.trade")
        await server.emit("CCC")
        await until(lambda: any("market-1" in gap.detail for gap in bus.gaps()))
    gaps = [gap for gap in bus.gaps() if "market-1" in gap.detail]
    assert {gap.channel for gap in gaps} == {Channel.TRADE, Channel.QUOTE}
    assert all(gap.since < began for gap in gaps)
