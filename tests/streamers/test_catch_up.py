from __future__ import annotations

from pathlib import Path

import pytest

from streamers import catch_up as catch_up_module
from streamers.catch_up import Hole
from tests.streamers.fictional import PAGE, Fictional, FictionalServer
from tests.streamers.streamer import Streamer, streaming
from tests.streamers.waiting import Bus, until
from trade_platform.domain.model import Channel, GapReason
from trade_platform.exchanges.session import Missing, Request


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up_module, "RETRY_CAP_SECONDS", 0.01)


def hole(first: int, last: int) -> Hole:
    return Hole(Missing("AAA", Channel.TRADE, first, last), GapReason.SEQUENCE, 5, "test")


async def ready(server: FictionalServer, streamer: Streamer, bus: Bus) -> None:
    await server.subscription("AAA.trade")
    await server.emit("AAA", 1)
    await until(lambda: bus.has(1))
    await until(streamer.publisher.acquainted.is_set)


async def test_pages_are_read_until_the_last_number_and_the_gap_is_told_first(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        await server.emit("AAA", 2 * PAGE + 5, deliver=False)
        streamer.supervisor.catch_up.request(hole(2, 2 * PAGE + 6))
        await until(lambda: bus.has(2 * PAGE + 6))
        assert len(server.rest_requests) == 3
    (gap,) = bus.gaps()
    assert (gap.symbol, gap.channel, gap.reason) == ("AAA", Channel.TRADE, GapReason.SEQUENCE)
    assert (gap.first_sequence, gap.last_sequence, gap.since) == (2, 2 * PAGE + 6, 5)


async def test_rest_that_fails_or_lags_is_asked_again(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        server.rest_errors = 3
        streamer.supervisor.catch_up.request(hole(2, 4))
        await until(lambda: len(server.rest_requests) >= 5)  # three errors, then empty answers
        await server.emit("AAA", 3, deliver=False)
        await until(lambda: bus.has(4))
        assert streamer.supervisor.catch_up.given_up == 0


async def test_what_rest_never_tells_is_left_to_repair_and_the_promise_goes_on(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        server.trades["AAA"] += [{"q": 10, "p": "1", "n": "1", "t": 5}]
        await server.say({"c": "AAA.trade", **server.trades["AAA"][-1]})
        await until(lambda: 10 in bus.trades())
        assert bus.promised() == 1  # the hole holds it back
        await until(lambda: streamer.supervisor.catch_up.given_up == 1)
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await until(lambda: bus.promised() == 10)
    assert len(bus.gaps()) == 1


async def test_a_refusal_for_good_is_not_repeated(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        monkeypatch.setattr(Fictional, "trades_request", lambda *_: Request(path="/no"))
        streamer.supervisor.catch_up.request(hole(2, 4))
        await until(lambda: streamer.supervisor.catch_up.given_up == 1)
        assert streamer.rest.failures == 1


async def test_a_hole_too_long_is_a_gap_and_nothing_else(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        streamer.supervisor.catch_up.request(hole(2, 50_002))
        await until(bus.gaps)
        assert streamer.supervisor.catch_up.given_up == 1
        assert streamer.supervisor.catch_up.waiting == 0
    assert "left to repair" in bus.gaps()[0].detail
    assert server.rest_requests == []


async def test_what_a_page_leaves_out_is_a_gap_and_the_rest_is_read(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        await server.emit("AAA", 8, deliver=False)
        left_out = {4, 5}
        server.trades["AAA"] = [row for row in server.trades["AAA"] if row["q"] not in left_out]
        streamer.supervisor.catch_up.request(hole(2, 9))
        await until(lambda: set(bus.trades()) == set(range(1, 10)) - left_out)
        assert streamer.supervisor.catch_up.given_up == 1
    assert [(gap.first_sequence, gap.last_sequence) for gap in bus.gaps()] == [(2, 9), (4, 5)]
    assert "REST leaves it out" in bus.gaps()[1].detail


async def test_an_odd_row_of_a_page_is_a_gap_and_the_rest_is_read(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    """In the middle, and as the last one, where the Gap of the whole hole stands for it."""
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        await server.emit("AAA", 8, deliver=False)
        server.trades["AAA"][3]["p"] = server.trades["AAA"][8]["p"] = "text"
        streamer.supervisor.catch_up.request(hole(2, 9))
        await until(lambda: set(bus.trades()) == set(range(1, 9)) - {4})
        await until(lambda: streamer.supervisor.catch_up.given_up == 2)
    assert [(gap.first_sequence, gap.last_sequence) for gap in bus.gaps()] == [(2, 9), (4, 4)]


async def test_what_a_page_leaves_out_for_now_is_asked_again(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        await server.emit("AAA", 8, deliver=False)
        late = server.trades["AAA"].pop(3)
        streamer.supervisor.catch_up.request(hole(2, 9))
        await until(lambda: len(server.rest_requests) >= 3)
        server.trades["AAA"].insert(3, late)
        await until(lambda: bus.has(9))
        assert streamer.supervisor.catch_up.given_up == 0


async def test_a_quiet_that_the_exchange_asked_for_is_waited_out(
    server: FictionalServer, redis_url: str, bus: Bus, tmp_path: Path
) -> None:
    async with streaming(Fictional(server.url), redis_url, tmp_path) as streamer:
        await ready(server, streamer, bus)
        await server.emit("AAA", 3, deliver=False)
        await streamer.rest.budget.be_quiet(3600)
        catch_up, waits = streamer.supervisor.catch_up, []
        catch_up._retry_seconds = lambda tries: waits.append(tries) or 0.0
        catch_up.request(hole(2, 4))
        await until(lambda: len(waits) > 2 * catch_up_module.TRIES)
        streamer.rest.budget._accounts["weight"].quiet_until = 0.0
        await until(lambda: bus.has(4))
        assert catch_up.given_up == 0
