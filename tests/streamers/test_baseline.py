from __future__ import annotations

from pathlib import Path

import pytest

from streamers import baseline as baseline_module
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import streaming
from tests.streamers.waiting import Bus, until


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
