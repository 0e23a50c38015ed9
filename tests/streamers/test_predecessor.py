"""What a new process begins too late for is asked of the old one before it is called missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streamers import predecessor as predecessor_module
from streamers.bus_link import BusLink, BusUnavailable
from streamers.catch_up import Hole
from streamers.predecessor import Succession, delivering
from streamers.publisher import Publisher
from streamers.spool import Spool
from tests.streamers.waiting import until
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.process import RunFile
from trade_platform.domain.model import Channel, GapReason
from trade_platform.exchanges.session import Missing

HOLE = Hole(Missing("AAA", Channel.TRADE, 11, 20), GapReason.RESTART, 1)


class Requests:
    """A catch-up that keeps what it is asked for."""

    def __init__(self) -> None:
        self.covered: Callable[[Hole], bool] = lambda _: False
        self.asked: list[Hole] = []

    def request(self, hole: Hole, *, asked: bool = False) -> None:
        if asked or not self.covered(hole):
            self.asked.append(hole)


class Old:
    """The other process: alive or not, and what the hash says of it."""

    def __init__(self) -> None:
        self.alive = True
        self.said: dict[str, int] | None = {"AAA|trade": 10}

    def delivers(self) -> bool:
        return self.alive

    async def ask(self) -> dict[str, int]:
        if self.said is None:
            raise BusUnavailable("away")
        return self.said


@pytest.fixture
def old() -> Old:
    return Old()


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
async def succession(
    old: Old, requests: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Succession]:
    monkeypatch.setattr(predecessor_module, "POLL_SECONDS", 0.005)
    link = BusLink("redis://127.0.0.1:9/0")
    publisher = Publisher(
        link, Spool(tmp_path, 1 << 20), exchange="fictional", producer="new:1", clock=WallClock()
    )
    publisher.sequences.learn({"AAA|trade": 10})
    one = Succession(old.delivers, old.ask, publisher, WallClock())
    one.stand_before(requests)  # type: ignore[arg-type]
    task = asyncio.create_task(one.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_the_old_one_hands_over_is_not_missing(
    succession: Succession, old: Old, requests: Requests
) -> None:
    requests.request(HOLE)
    assert succession.open == 1
    assert succession._publisher.sequences.holding == 1, "nothing is promised beyond it"
    old.said = None  # Redis may be away for a moment
    await asyncio.sleep(0.05)
    old.said = {"AAA|trade": 19}
    await asyncio.sleep(0.05)
    assert succession.open == 1
    old.said = {"AAA|trade": 20}
    await until(lambda: succession.open == 0)
    assert succession._publisher.sequences.holding == 0
    assert requests.asked == []


async def test_what_the_old_one_takes_with_it_is_missing(
    succession: Succession, old: Old, requests: Requests
) -> None:
    requests.request(HOLE)
    old.alive = False
    await until(lambda: requests.asked == [HOLE])
    assert succession.open == 0


async def test_what_it_handed_over_last_counts(succession: Succession, old: Old, requests: Requests) -> None:
    requests.request(HOLE)
    old.alive, old.said = False, {"AAA|trade": 25}
    await until(lambda: succession.open == 0)
    assert requests.asked == []


async def test_patience_ends(
    succession: Succession, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predecessor_module, "PATIENCE_SECONDS", 0.0)
    requests.request(HOLE)
    await until(lambda: requests.asked == [HOLE])


async def test_what_is_found_when_the_old_one_has_gone_may_still_have_been_handed_over(
    succession: Succession, old: Old, requests: Requests
) -> None:
    """A silent symbol is asked about only after some seconds."""
    old.alive, old.said = False, {"AAA|trade": 20}
    requests.request(HOLE)
    await until(lambda: succession.open == 0)
    assert requests.asked == []


async def test_without_an_old_one_and_without_redis_a_hole_is_a_hole(
    succession: Succession, old: Old, requests: Requests
) -> None:
    old.alive, old.said = False, None
    requests.request(HOLE)
    await until(lambda: requests.asked == [HOLE])


def test_a_process_delivers_as_long_as_its_run_file_and_itself_are_there(tmp_path: Path) -> None:
    delivers = delivering(tmp_path / "run" / "streamer.json")
    assert not delivers()
    with RunFile(tmp_path, "streamer"):
        assert delivers()
    assert not delivers()
