from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from streamers import listing as listing_module
from streamers import selection_report as report_module
from streamers import supervisor as supervisor_module
from streamers.supervisor import trade_channels
from tests.streamers.fictional import Fictional, FictionalServer
from tests.streamers.streamer import select, streaming
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.domain.model import Channel, GapReason, Instrument
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import RestError


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(listing_module, "INSTRUMENT_RETRY_SECONDS", (0.02,))


async def test_from_socket_to_stream_instruments_first(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        await server.emit("AAA", 50)
        await server.say({"c": "AAA.quote", "b": "1.4", "t": 1}, "AAA.quote")
        await until(lambda: bus.has(50))
        await until(lambda: streamer.supervisor.last_data)
        assert streamer.telemetry.health().ok
    entries = bus.entries()
    assert contiguous(entries)
    assert entries[0].kind == "instrument"
    assert [one.symbol for one in entries[0].records() if isinstance(one, Instrument)] == server.symbols
    assert bus.promised() == 50
    assert bus.gaps() == []


async def test_an_exchange_that_is_not_there_is_waited_for(redis_url: str, bus: Bus, tmp_path: Path) -> None:
    server = FictionalServer()
    await server.open()
    port = int(server.url.rpartition(":")[2])
    await server.close()
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await until(lambda: streamer.supervisor.complaint)
        assert "gave no answer" in streamer.telemetry.health().reason
        await server.open(port)
        await server.subscription("AAA.trade")
        await server.emit("AAA")
        await until(lambda: bus.has(1))
    await server.close()


async def test_a_selection_saved_anew_changes_what_runs(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(
        Fictional(server.url, symbols_per_connection=1), redis_url, tmp_path, symbols=("AAA", "BBB")
    ) as streamer:
        feeds = streamer.supervisor.feeds
        await server.subscription("AAA.trade")
        await server.subscription("BBB.trade")
        await server.emit("AAA", 2)
        kept = feeds["market-0"].current
        select(streamer.file, "AAA", "CCC")
        await server.subscription("CCC.trade")
        await until(lambda: not any("BBB.trade" in names for _, names in server.sockets))
        assert feeds["market-0"].current is kept
        assert len(server.sockets) == 2
        select(streamer.file)  # no symbol at all: a mistake that is told, not obeyed
        await until(lambda: not streamer.supervisor._choice.file.changed())
        await server.emit("AAA", 2)
        await server.emit("CCC", 2)
        await until(lambda: bus.has(4) and bus.has(2, "CCC"))
        assert feeds["market-0"].current is kept


async def test_a_connection_that_stays_subscribes_and_unsubscribes(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=("AAA",)) as streamer:
        await server.subscription("AAA.trade")
        select(streamer.file, "AAA", "BBB")
        await server.subscription("BBB.trade")
        assert server.accepted == 1
        select(streamer.file, "BBB")
        await until(lambda: not any("AAA.trade" in names for _, names in server.sockets))
        await server.emit("BBB")
        await until(lambda: bus.has(1, "BBB"))
        assert server.accepted == 1


async def test_a_broken_selection_at_the_start_is_waited_for(
    server: FictionalServer, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "instruments.toml").write_text("[[record]\n")
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=()) as streamer:
        await until(lambda: streamer.supervisor._choice.selection is not None)
        assert not streamer.supervisor.feeds
        select(streamer.file, "AAA")
        await server.subscription("AAA.trade")


async def test_news_of_an_instrument_reads_the_list_again(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "NEWS_SECONDS", 0.0)
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=("AAA", "NEW")):
        await server.subscription("AAA.trade")
        server.symbols.append("NEW")
        await server.say({"say": "listed", "symbol": "NEW"})
        await server.subscription("NEW.trade")
        await until(lambda: len(bus.entries("state")) == 1)


async def test_a_restart_reads_again_what_was_missed_meanwhile(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    exchange = Fictional(server.url)
    async with streaming(exchange, redis_url, tmp_path):
        await server.subscription("AAA.trade")
        await server.emit("AAA", 5)
        await until(lambda: bus.has(5))
    await server.emit("AAA", 250, deliver=False)
    async with streaming(exchange, redis_url, tmp_path, producer="test:2"):
        await server.subscription("AAA.trade")
        await server.emit("AAA", 1)
        await until(lambda: bus.has(256))
    gaps = {gap.symbol: gap for gap in bus.gaps()}
    assert (gaps["AAA"].first_sequence, gaps["AAA"].last_sequence) == (6, 255)
    assert {gap.reason for gap in bus.gaps()} == {GapReason.RESTART}
    assert gaps[None].since < gaps[None].until  # what no exchange serves again: quotes
    assert contiguous(bus.entries())


async def test_the_channel_that_proves_completeness_is_chosen_per_symbol() -> None:
    wanted = [Wanted("AAA", Channel.QUOTE), Wanted("AAA", Channel.TRADE), Wanted("BBB", Channel.QUOTE)]
    assert trade_channels(Fictional(), wanted) == {"AAA": Channel.TRADE}


async def test_a_reading_is_reported_once(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = CapturingLogger()
    monkeypatch.setattr(report_module, "log", logger)
    monkeypatch.setattr(listing_module, "INSTRUMENTS_SECONDS", 0.0)  # applied again with every look
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=("AAA", "TYPO")) as streamer:
        await server.subscription("AAA.trade")
        select(streamer.file, "AAA", "BBB")
        await server.subscription("BBB.trade")
    warning, again = logger.calls
    assert warning.kwargs == {"exchange": "fictional", "pattern": "TYPO"}
    assert again.kwargs == {"exchange": "fictional", "added": "2: BBB quote, BBB trade", "removed": "none"}


async def test_a_list_that_lost_its_half_is_no_list_and_one_absence_is_no_farewell(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path, symbols=("AAA", "BBB")) as streamer:
        supervisor = streamer.supervisor
        await server.subscription("BBB.trade")
        await server.emit("BBB", 3)
        await until(lambda: bus.has(3, "BBB"))
        for symbols in ([], ["CCC"]):
            monkeypatch.setattr(server, "symbols", symbols)
            assert not await supervisor.listing.read()
        assert "3 were before" in supervisor.complaint
        monkeypatch.setattr(server, "symbols", ["AAA", "CCC"])
        for kept in (True, True, False):
            assert await supervisor.listing.read()
            assert ("BBB" in {one.symbol for one in supervisor.listing.instruments}) is kept
        monkeypatch.setattr(listing_module, "INSTRUMENTS_SECONDS", 0.0)
        await until(lambda: not any("BBB.trade" in names for _, names in server.sockets))
        assert streamer.publisher.sequences.seen["BBB|trade"] == 3
        monkeypatch.setattr(listing_module, "INSTRUMENTS_SECONDS", 3600.0)


async def test_a_list_that_is_refused_for_a_while_is_asked_for_again_within_seconds(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_request: object) -> bytes:
        raise RestError(10041, "settlement_in_progress", retry=True)

    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        listing = streamer.supervisor.listing
        await until(lambda: listing.instruments)
        with monkeypatch.context() as settlement:
            settlement.setattr(streamer.rest, "fetch", refuse)
            assert not await listing.read()
            assert "10041" in streamer.telemetry.health().reason
        await until(lambda: not listing.complaint)


async def test_a_selection_is_obeyed_while_the_list_is_waited_for(
    server: FictionalServer, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never() -> bool:
        asked.set()
        return await asyncio.Event().wait()

    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await server.subscription("AAA.trade")
        monkeypatch.setattr(streamer.supervisor.listing, "read", never)
        monkeypatch.setattr(listing_module, "INSTRUMENTS_SECONDS", 0.0)
        await asked.wait()
        select(streamer.file, "AAA", "BBB")
        await server.subscription("BBB.trade")
