"""An exchange that was added by one file and one line: recorded by real processes, killed in mid-flow."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.streamers.fictional import FictionalServer
from tests.streamers.waiting import until

SCRIPT = Path("tests", "exchanges", "fictional", "streamer.py")
STREAMER = ("streamer", str(SCRIPT), "--exchange", "fictional")
MARKET = ("market", "-m", "trade_platform.processors", "--stream", "market:fictional")
STATE = ("state", "-m", "trade_platform.processors", "--stream", "state")
SELECTION = '[[record]]\nexchange = "fictional"\nsymbols = ["AAA", "BBB"]\nchannels = ["trade", "quote"]\n'

HELD = """
    select symbol, count(*), count(distinct sequence), min(sequence), max(sequence)
    from trade join instrument using (instrument_id) where exchange = 'fictional' group by symbol
"""
FRAGMENTS = """
    select (select count(*) from unnest(held)) from coverage join instrument using (instrument_id)
    where exchange = 'fictional'
"""


class Lane:
    """The processes of one exchange, by name."""

    def __init__(self, repository: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._repository = repository
        self._environment = environment
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=self._repository, env=self._environment, stderr=log
            )

    async def end(self, name: str, by: signal.Signals) -> int:
        process = self._running.pop(name)
        process.send_signal(by)
        try:
            return await asyncio.wait_for(process.wait(), 40)
        except TimeoutError:
            process.kill()
            raise AssertionError(f"{name} did not end: {self.said(name)[-3000:]}") from None

    async def end_all(self) -> None:
        for name in list(self._running):
            if self._running[name].returncode is None:
                await self.end(name, signal.SIGKILL)

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")


@pytest.fixture
async def server() -> AsyncIterator[FictionalServer]:
    async with FictionalServer() as server:
        yield server


@pytest.fixture
async def lane(
    tmp_path: Path, repository: Path, postgres_url: str, redis_url: str, server: FictionalServer
) -> AsyncIterator[Lane]:
    selection = tmp_path / "instruments.toml"
    selection.write_text(SELECTION, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "DATA_FOLDER": str(tmp_path),
        "INSTRUMENTS_FILE": str(selection),
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "FICTIONAL_WEBSOCKET_URL": server.url.replace("http", "ws", 1),
        "FICTIONAL_REST_URL": server.url,
        "LOG_FORMAT": "text",
    }
    lane = Lane(repository, environment, tmp_path)
    yield lane
    await lane.end_all()


async def test_an_exchange_more_is_recorded_without_loss(
    lane: Lane, server: FictionalServer, postgres_url: str
) -> None:
    """The streamer and the processor are killed while trades flow; every number is held once in the end."""
    for process in (STATE, MARKET, STREAMER):
        await lane.start(*process)
    sent = 0
    with psycopg.connect(postgres_url, autocommit=True) as database:

        def held() -> dict[str, tuple[Any, ...]]:
            return {row[0]: row[1:] for row in database.execute(HELD)}

        def all_held() -> bool:
            whole = (sent, sent, 1, sent)
            return held() == {"AAA": whole, "BBB": whole}

        async def trade(count: int, *, deliver: bool = True) -> None:
            nonlocal sent
            sent += count
            for _ in range(count):
                for symbol in ("AAA", "BBB"):
                    await server.emit(symbol, deliver=deliver)

        await server.subscription("AAA.trade")
        await server.subscription("BBB.trade")
        await trade(100)
        await until(held, "something is stored")
        await trade(50)
        await lane.end("streamer", signal.SIGKILL)
        server.sockets.clear()
        await trade(40, deliver=False)  # while nobody listens
        await lane.start(*STREAMER)
        await server.subscription("AAA.trade")
        await trade(30)
        await lane.end("market", signal.SIGKILL)
        await trade(30)
        await lane.start(*MARKET)
        await trade(1)
        await until(all_held, "every number is held once")
        fragments = [row[0] for row in database.execute(FRAGMENTS)]
        restarts = database.execute("select count(*) from gap where reason = 'restart'").fetchone()
    assert fragments == [1, 1], "the coverage has no inner hole"
    assert restarts is not None
    assert restarts[0] > 0, "the time without quotes is told"
    assert await lane.end("streamer", signal.SIGTERM) == 0
    assert await lane.end("market", signal.SIGTERM) == 0
    assert "Traceback" not in lane.said("streamer") + lane.said("market")
