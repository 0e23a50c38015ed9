"""Socket → Redis stream: CPU and wall time of the real streamer under bursts, and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median
from typing import Final

import msgspec

from benchmarks.bare_client import Cost
from benchmarks.figures import Count, Figure, Findings, at_most, void_unless
from benchmarks.procfs import cpu_seconds, memory_of
from benchmarks.stage import KEY, START_SECONDS, Exchange, Part, RunFailed, Stage, wait_until
from benchmarks.tally import contiguous, handed_over, trades_on
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.children import Child

BURST_SECONDS: Final = 120.0
STREAM: Final = market_stream(KEY)


class Burst(msgspec.Struct, frozen=True):
    """What one burst cost the streamer."""

    cpu_seconds: float
    wall_seconds: float
    megabytes: float
    arrived: int


def measure(stage: Stage, *, frames: int, bursts: int) -> Findings:
    """The streamer first, then the two limits, all in one run."""
    with stage.part() as part:
        exchange = part.exchange()
        streamer = part.streamer(exchange)
        pid = streamer.pid or 0
        _await_all(part, exchange, streamer)
        part.redis.xtrim(STREAM, maxlen=0)
        rest = memory_of(pid).now
        taken = [_burst(part, exchange, streamer, frames) for _ in range(bursts)]
        memory = memory_of(pid)
        part.stop(streamer)
        counting, decoding = (_bare(stage, exchange, frames, what) for what in ("count", "decode"))
        unknown = exchange.state()["unknown"]
    counts = [
        *(Count(f"Trades in Redis after burst {n}", frames, one.arrived) for n, one in enumerate(taken, 1)),
        Count(f"Requests that the loopback exchange does not know ({' '.join(unknown)})", 0, len(unknown)),
        *(Count("Frames that a bare client took", frames, one.messages) for one in (counting, decoding)),
    ]
    return void_unless(counts, _figures(taken, rest, memory.peak, counting, decoding))


def _burst(part: Part, exchange: Exchange, streamer: Child, frames: int) -> Burst:
    pid = streamer.pid or 0
    first = {symbol: number + 1 for symbol, number in exchange.state()["last"].items()}
    exchange.prepare(frames)
    before = cpu_seconds(pid)
    began = exchange.burst()["began"]
    ended = _await_all(part, exchange, streamer)
    cost = cpu_seconds(pid) - before
    arrived = contiguous(trades_on(part.redis, STREAM), exchange.state()["last"], first)
    part.redis.xtrim(STREAM, maxlen=0)
    return Burst(cost, ended - began, memory_of(pid).now, arrived)


def _await_all(part: Part, exchange: Exchange, streamer: Child) -> float:
    """Until everything that the exchange sent is on the stream."""
    last = exchange.state()["last"]
    return wait_until(
        lambda: handed_over(part.redis, KEY) == last, "All trades in Redis", BURST_SECONDS, streamer
    )


def _bare(stage: Stage, exchange: Exchange, frames: int, what: str) -> Cost:
    """One burst to a client that does next to nothing, on the streamer's core."""
    command = [sys.executable, "-m", "benchmarks.bare_client", exchange.websocket_url, str(frames), what]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ})
    try:
        stage.cores.pin(client.pid)
        wait_until(
            lambda: exchange.state()["subscribers"] == 1, "A bare client", START_SECONDS, exchange.child
        )
        exchange.prepare(frames)
        exchange.burst()
        answer, _ = client.communicate(timeout=BURST_SECONDS)
        return msgspec.json.decode(answer, type=Cost)
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise RunFailed(f"A bare client did not take its {frames:,} frames ({error}).") from error
    finally:
        client.kill()
        client.wait()


def _figures(taken: list[Burst], rest: float, peak: float, counting: Cost, decoding: Cost) -> list[Figure]:
    frames = counting.messages
    micro = 1e6 / frames
    busy = median(one.cpu_seconds / one.wall_seconds for one in taken)
    first, last = taken[0].megabytes, taken[-1].megabytes
    cpu = median(one.cpu_seconds for one in taken) * micro
    size = f"{len(taken)} × {frames:,} aggregate trades of about 190 bytes, median"
    return [
        Figure(
            work="streamer: CPU, socket → Redis stream", value=cpu, unit="µs/message",
            limit=counting.cpu_seconds * micro, limit_is="websockets + uvloop, count only",
            reach=at_most(12), gate=at_most(4),
            how=f"{size}; user + system time of the process, from before the burst until Redis has all",
        ),
        Figure(
            work="the same, beside a client that also decodes", value=cpu, unit="µs/message",
            limit=decoding.cpu_seconds * micro, limit_is="websockets + uvloop + msgspec, typed with Decimal",
            how="the same bursts",
        ),
        Figure(
            work="streamer: sustained, socket → Redis stream",
            value=frames / median(one.wall_seconds for one in taken), unit="messages/s",
            how=f"{size}; wall time from the first write to the last trade in Redis; "
            f"the streamer was busy {busy:.0%} of it",
        ),
        Figure(
            work="streamer: peak memory", value=peak, unit="MB",
            limit=counting.peak_megabytes, limit_is="the client that only counts", reach=at_most(80),
            how=f"VmHWM after all bursts; VmRSS before the first was {rest:.1f} MB",
        ),
        Figure(
            work="streamer: memory after the last burst", value=last, unit="MB", limit=first,
            limit_is="after the first burst", reach=at_most(first * 1.1), how="VmRSS; flat if within a tenth",
        ),
    ]  # fmt: skip
