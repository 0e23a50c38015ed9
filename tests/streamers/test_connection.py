from __future__ import annotations

import asyncio
import socket as sockets
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from streamers import connection as connection_module
from streamers import socket as socket_module
from streamers.connection import Connection
from streamers.publisher import Publisher
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import Streamer, streaming
from tests.streamers.waiting import Bus, until
from trade_platform.domain.model import Trade
from trade_platform.exchanges.session import ConnectionPlan, Reason, Request, Rest


def plan() -> ConnectionPlan:
    return ConnectionPlan(name="extra", path="/feed", wanted=())


def connection(streamer: Streamer, url: str) -> Connection:
    session = Fictional().session(plan())
    return Connection(url, session, streamer.supervisor.feeds["market-0"], streamer.supervisor._around)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (503, Reason.MAINTENANCE),
        (429, Reason.RATE_LIMITED),
        (418, Reason.RATE_LIMITED),
        (404, Reason.UNREACHABLE),
    ],
)
async def test_a_refused_handshake_is_a_reason(
    server: FictionalServer, redis_url: str, tmp_path: Path, status: int, reason: Reason
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        server.refuse = status
        ending = await connection(streamer, server.url.replace("http", "ws") + "/feed").run()
        assert ending.reason is reason
        assert str(status) in ending.detail
        assert not ending.delivered


async def test_a_host_that_is_not_there_is_a_sentence(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        ending = await connection(streamer, "ws://127.0.0.1:9/feed").run()
        assert ending.reason is Reason.UNREACHABLE
        assert ending.detail == "127.0.0.1:9 cannot be reached: Connection refused"


async def test_a_host_that_accepts_and_says_nothing_is_given_up(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "OPEN_SECONDS", 0.1)
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        with sockets.create_server(("127.0.0.1", 0)) as mute:
            ending = await connection(streamer, f"ws://127.0.0.1:{mute.getsockname()[1]}/feed").run()
        assert ending.reason is Reason.UNREACHABLE
        assert "did not answer in time" in ending.detail
        assert ending.waited_seconds > 0


async def test_a_transport_that_answers_no_ping_is_ended_as_silent(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "PING_SECONDS", 0.05)
    monkeypatch.setattr(socket_module, "CLOSE_SECONDS", 0.05)
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        (deaf, _), *_ = server.sockets
        assert deaf._writer is not None
        deaf._writer.transport.pause_reading()
        await until(lambda: streamer.endings.get(Reason.TRANSPORT_SILENT))
        await server.cut()


async def test_events_without_room_stop_the_reading(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        streamer.publisher._stalled.append(("trade", (), 0))
        assert not current._chunk_ended()
        streamer.publisher._stalled.clear()
        assert current._chunk_ended()


async def test_metrics_and_health_tell_what_is_there(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)
        await until(lambda: bus.has(3))
        text = generate_latest(streamer.registry).decode()
        assert 'streamer_records_total{exchange="fictional",kind="trade"} 3.0' in text
        assert 'streamer_connection_up{connection="market-0",exchange="fictional"} 1.0' in text
        assert 'streamer_channels_live{channel="trade",exchange="fictional"} 1.0' in text
        await server.cut()
        await until(lambda: streamer.endings.get(Reason.CLOSED))
        text = generate_latest(streamer.registry).decode()
        assert (
            'streamer_reconnects_total{connection="market-0",exchange="fictional",reason="closed"} 1.0'
            in text
        )
        assert "no connection: market-0: closed" in streamer.telemetry.health().reason


async def test_a_stop_publishes_what_was_in_flight(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        await asyncio.gather(*(server.emit("AAA", 1) for _ in range(200)))
        await until(lambda: current.messages > 150)
    held = current._buffers[Trade]
    assert held == []
    assert len(bus.trades()) >= 149


async def test_data_that_is_held_until_its_interval_is_over_is_heard_when_it_comes(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 1)
        await until(lambda: bus.has(1))
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        monkeypatch.setattr(current.session, "receive", lambda *_: ())  # nothing is let go
        current._inlet.since, before = 0, current.since
        await server.emit("AAA", 1)
        await until(lambda: current.since > before)


async def test_while_we_do_not_read_nobody_is_silent(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "PING_SECONDS", 0.05)
    async with streaming(Fictional(server.url, silence_seconds=0.4), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        with monkeypatch.context() as blocked:
            blocked.setattr(Publisher, "blocked", property(lambda _: True))
            await until(lambda: current._listening.deaf_seconds > 1.0)
            assert streamer.endings == {}
            await server.emit("AAA", 5)
        await until(lambda: bus.has(5))
        assert not streamer.endings.keys() & {Reason.TRANSPORT_SILENT}


async def test_a_clock_that_is_off_breaks_nothing_and_is_shown(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 3)  # of the year 2023
        await until(lambda: bus.has(3))
        assert streamer.supervisor.skew.notable
        assert "exchange_clock_skew_seconds{" in generate_latest(streamer.registry).decode()
        assert 'exchange_status{exchange="fictional",status="open"} 1.0' in (
            generate_latest(streamer.registry).decode()
        )
        assert streamer.endings == {}


async def test_ten_megabytes_that_mean_nothing_are_one_gap_and_no_ending(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await server.say("x" * 10_000_000)
        await server.emit("AAA")
        await until(lambda: bus.has(2))
        assert streamer.endings == {}


async def test_a_session_that_asks_faster_than_it_is_answered_is_told_so(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MOST_QUESTIONS", 2)
    failed: list[str] = []

    def fail(sentence: str) -> tuple[()]:
        failed.append(sentence)
        return ()

    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        current = streamer.supervisor.feeds["market-0"].current
        assert current is not None
        monkeypatch.setattr(streamer.rest, "fetch", lambda _request: asyncio.sleep(60))
        current.perform([Rest(Request(path="/"), lambda _body: (), fail)] * 5)
        assert failed == ["too many questions wait"] * 3
        held = {one.name: one for one in streamer.supervisor.holdings()}
        assert held["questions"].size == 2
        assert all(one.size <= one.bound for one in held.values() if one.name != "questions")
