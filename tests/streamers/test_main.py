"""The process itself: started as ``python -m streamers`` is, killed, stopped, and misconfigured."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests.streamers.fictional import FictionalServer
from tests.streamers.streamer import select
from tests.streamers.waiting import Bus, contiguous, until
from trade_platform.adapters.embedded.server import Server

AOF = {"appendonly": "yes", "appendfsync": "always"}
NAME = "streamer-fictional"


class Process:
    """One streamer process after another, in the same data folder."""

    def __init__(self, folder: Path, repository: Path, **settings: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.run_file = folder / "run" / f"{NAME}.json"
        self._command = [sys.executable, str(repository / "tests" / "streamers" / "fictional.py")]
        self._settings = {
            "DATA_FOLDER": str(folder),
            "INSTRUMENTS_FILE": str(folder / "instruments.toml"),
            "PYTHONPATH": str(repository),
            "PATH": os.environ.get("PATH", ""),
            "LOG_FORMAT": "text",
            **settings,
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, wait: bool = True, closed: bool = False, **settings: str) -> None:
        """``closed``: without any standard stream."""
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"] if closed else []
        self.run_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *shell,
                *self._command,
                "--exchange",
                "fictional",
                env={**self._settings, **settings},
                stderr=log,
            )
        if wait:
            await until(self.run_file.exists)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
async def process(
    tmp_path: Path, repository: Path, redis_url: str, server: FictionalServer
) -> AsyncIterator[Process]:
    select(tmp_path / "instruments.toml", "AAA")
    process = Process(tmp_path, repository, REDIS_URL=redis_url, FICTIONAL_URL=server.url)
    yield process
    if process.process is not None and process.process.returncode is None:
        await process.kill()


async def test_a_graceful_stop_leaves_nothing_behind(
    process: Process, server: FictionalServer, bus: Bus
) -> None:
    await process.start()
    run = msgspec.json.decode(process.run_file.read_bytes())
    assert run["name"] == NAME
    await server.subscription("AAA.trade")
    await server.emit("AAA", 200)
    await until(lambda: 1 in bus.trades())
    with await asyncio.to_thread(urllib.request.urlopen, f"{run['metrics']}/metrics") as answer:
        metrics = answer.read()
        assert b"streamer_messages_total" in metrics
        for structure in (
            b"backlog_records",
            b"outbox_texts",
            b"questions",
            b"holes_waiting",
            b"baselines_asked",
        ):
            assert b'structure_bound{structure="' + structure in metrics
    assert await process.stop() == 0
    assert bus.has(200)
    assert bus.promised() == 200
    assert contiguous(bus.entries())
    assert not process.run_file.exists()
    assert "Traceback" not in process.said


async def test_without_standard_streams_it_runs_and_stops_all_the_same(
    process: Process, server: FictionalServer, bus: Bus
) -> None:
    await process.start(closed=True)
    await server.subscription("AAA.trade")
    await server.emit("AAA", 20)
    await until(lambda: bus.has(20))
    assert await process.stop() == 0


async def test_kill_9_at_any_time_loses_no_trade(process: Process, server: FictionalServer, bus: Bus) -> None:
    count = 0
    for turn in range(3):
        await process.start()
        await server.subscription("AAA.trade")
        await server.emit("AAA", 100 + turn)
        count += 100 + turn
        if turn == 0:
            await until(bus.trades)
        await process.kill()
        server.sockets.clear()
        await server.emit("AAA", 50, deliver=False)
        count += 50
    await process.start()
    await server.subscription("AAA.trade")
    await server.emit("AAA", 1)
    await until(lambda: bus.has(count + 1))
    assert await process.stop() == 0
    assert "Traceback" not in process.said


async def test_kill_9_with_a_spool_on_disk_loses_nothing_of_it(
    process: Process, server: FictionalServer, redis_server: Callable[..., Server]
) -> None:
    redis = redis_server(parameters=AOF)
    await process.start(REDIS_URL=redis.url)
    await server.subscription("AAA.trade")
    await server.emit("AAA", 10)
    bus = Bus(redis.url)
    await until(lambda: bus.has(10))
    redis.kill()
    for _ in range(40):  # numbers that no exchange serves again
        await server.say({"c": "AAA.quote", "b": "1", "t": 1}, "AAA.quote")
        await server.emit("AAA", 1)
    spool = process.folder / "spool" / NAME
    await until(lambda: sum(path.stat().st_size for path in spool.glob("*.spool")) > 4000)
    await until(lambda: b"AAA" in b"".join(path.read_bytes() for path in spool.glob("*.spool")))
    await process.kill()
    kept = sum(path.stat().st_size for path in spool.glob("*.spool"))
    assert kept
    server.sockets.clear()

    await process.start(REDIS_URL=redis.url)  # Redis is still away
    await server.subscription("AAA.trade")
    await server.emit("AAA", 5)
    redis_server(parameters=AOF)
    await until(lambda: bus.has(55))
    await until(lambda: not list(spool.glob("*.spool")))
    assert await process.stop() == 0
    assert contiguous(bus.entries())
    assert sum(entry.kind == "number" for entry in bus.entries()) > 0
    assert len({entry.producer for entry in bus.entries()}) == 2
    assert "Traceback" not in process.said
    bus.close()


async def test_a_stop_without_redis_and_exchange_is_graceful_too(process: Process) -> None:
    await process.start(REDIS_URL="redis://127.0.0.1:9/0", FICTIONAL_URL="http://127.0.0.1:9")
    await until(lambda: "instruments cannot be read" in process.said)
    assert "Redis takes nothing" in process.said
    assert await process.stop() == 0
    assert "Traceback" not in process.said


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"REDIS_URL": "http://nowhere"}, "REDIS_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL is not set"),
        ({"SPOOL_MEGABYTES": "many"}, "SPOOL_MEGABYTES"),
        ({"TLS_CA_FILE": "/nowhere.pem"}, "TLS_CA_FILE names /nowhere.pem"),
        ({"DATA_FOLDER": "/proc/nowhere"}, "cannot be used"),
        ({"MARKET_CLOCK": "yesterday"}, "MARKET_CLOCK"),
    ],
)
async def test_a_wrong_setting_is_one_sentence(
    process: Process, settings: dict[str, str], sentence: str
) -> None:
    await process.start(wait=False, **settings)
    assert process.process is not None
    assert await process.process.wait() == 1
    assert sentence in process.said
    assert "Traceback" not in process.said


async def test_a_port_that_is_taken_is_one_sentence(process: Process, server: FictionalServer) -> None:
    await process.start(wait=False, METRICS_PORT=server.url.rpartition(":")[2])
    assert process.process is not None
    assert await process.process.wait() == 1
    assert "METRICS_PORT" in process.said
    assert "Traceback" not in process.said
