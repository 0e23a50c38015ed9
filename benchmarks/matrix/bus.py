"""Faults of Redis: gone, full, slow, forgetful, and an answer of it that is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from redis import Redis, RedisError

from benchmarks.aof import Log
from benchmarks.loopback import Reading
from benchmarks.matrix.case import ALL, Case, signalled
from benchmarks.platform import Platform
from benchmarks.signs import begun_anew, dead_letters, of_streamer, redis_away, repeated, server_gone
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.domain.defences import Defence

DISK: Final = (Defence.SPOOL, Defence.REPAIR)
AGAIN: Final = (Defence.RESEND, Defence.REPAIR)
SAME: Final = (Defence.REPEATS, Defence.COVERAGE)
"""A parcel that comes again is ignored as a whole, and its trades one by one."""
TWICE: Final = (Defence.COVERAGE, Defence.REPEATS)
"""The same two, on a platform of its own: processors have to be level with their streams."""
SLOW_SECONDS: Final = 0.4
REPLAY_DELAY: Final = 0.7
"""So slow that a replay takes seconds, and can be cut."""
REPLAY_SECONDS: Final = 25.0
CONSUMED_SECONDS: Final = 10.0
case: Final = partial(Case, kind="redis", stage="bus", shared=True, sign=redis_away, patience=60.0)


def cases() -> list[Case]:
    """In the order in which they are run."""
    replay = ReplayCut()
    consumed, unread = LastSecond(consumed=True), LastSecond(consumed=False)
    return [
        case(
            name="redis_kill", inflict=kill, heal=start, hold=1.0, proof=server_gone("redis"),
            defences=(Defence.RECONNECTION,), harm=begun_anew("streamer-{}"),
        ),
        case(
            name="redis_stop", covers=("Redis stop for 60 s",), inflict=stop, heal=start, hold=60.0,
            proof=server_gone("redis"), defences=DISK, patience_without=8.0, combines=False,
        ),
        case(
            name="redis_oom", covers=("Redis out of memory",), inflict=fill, heal=empty, hold=15.0,
            proof=refusals, defences=DISK, patience_without=8.0,
        ),
        case(
            name="redis_slow", inflict=slow, heal=quick, hold=15.0, proof=delays, sign=None,
            harmless="the buffer in memory waits for it",
        ),
        case(
            name="redis_lost_unconsumed", covers=("Redis losing its last second, not yet consumed",),
            prepare=unread.begin, inflict=unread.lose, heal=unread.go_on, proof=unread.lost, hold=0.5,
            defences=AGAIN, combines=False,
        ),
        case(
            name="answer_lost", covers=("an XADD whose answer is lost",), inflict=swallow, hold=3.0,
            proof=swallowed, sign=repeated, defences=SAME, harm=dead_letters,
        ),
        case(
            name="replay_cut", covers=("a spool replay cut off half-way",), inflict=stop, heal=replay.cut,
            hold=20.0, proof=replay.happened, defences=SAME, harm=dead_letters, patience_without=45.0,
            combines=False,
        ),
        case(
            name="redis_lost_consumed", covers=("Redis losing its last second, consumed",),
            prepare=consumed.begin, inflict=consumed.lose, heal=consumed.go_on, proof=consumed.lost,
            hold=2.0, sign=repeated, defences=TWICE, harm=dead_letters, combines=False,
        ),
        case(
            name="spool_disk_full", stage="small_disk", covers=("disk of the spool full",), inflict=stop,
            heal=start, hold=30.0, proof=shed, sign=shed, expects_gap=True, patience=120.0, combines=False,
            harmless="what is shed is a hole like any other: for its repair see skip_while_closed",
        ),
    ]  # fmt: skip


def kill(platform: Platform, _targets: Sequence[str]) -> None:
    platform.redis.kill()


def stop(platform: Platform, _targets: Sequence[str]) -> None:
    platform.redis.stop()


def start(platform: Platform, _targets: Sequence[str]) -> None:
    platform.start_redis()


def fill(platform: Platform, _targets: Sequence[str]) -> None:
    """There is less memory than it holds already."""
    with Redis.from_url(platform.redis.url) as redis:
        redis.config_set("maxmemory", "1mb")


def empty(platform: Platform, _targets: Sequence[str]) -> None:
    with Redis.from_url(platform.redis.url) as redis:
        redis.config_set("maxmemory", "1gb")


def refusals(platform: Platform, _exchange: str) -> Reading:
    """The server's own count of answers that began with OOM."""
    try:
        with Redis.from_url(platform.redis.url) as redis:
            told = redis.info("errorstats").get("errorstat_OOM", {})
    except RedisError as error:
        raise LoopbackError(f"Redis does not answer: {error}") from error
    return {"Redis: OOM answered": float(told.get("count", 0))}


def slow(platform: Platform, _targets: Sequence[str]) -> None:
    assert platform.relay is not None
    platform.relay.delay = SLOW_SECONDS


def quick(platform: Platform, _targets: Sequence[str]) -> None:
    assert platform.relay is not None
    platform.relay.delay = 0.0


def delays(platform: Platform, _exchange: str) -> Reading:
    assert platform.relay is not None
    return {f"relay: {SLOW_SECONDS:g} s late": float(platform.relay.delayed)}


def swallow(platform: Platform, _targets: Sequence[str]) -> None:
    """One answer for each streamer, as they come."""
    assert platform.relay is not None
    platform.relay.swallow = 2 * len(ALL)


def swallowed(platform: Platform, _exchange: str) -> Reading:
    assert platform.relay is not None
    return {"relay: answers lost": float(platform.relay.swallowed)}


shed: Final = of_streamer("streamer_shed_records_total", "streamer: spool full, numbers shed")


class LastSecond:
    """Redis comes back without what it confirmed last; ``consumed``: processors have stored all of that.

    Then their positions lie behind the end of the stream, which they read from its beginning: everything in
    it comes again. Streamers stand still until then, or what they send would hide the end.
    """

    def __init__(self, *, consumed: bool) -> None:
        self._consumed = consumed
        self._who = "streamer-{}" if consumed else "processor-market-{}"
        self._bytes = 0

    def begin(self, _platform: Platform, _targets: Sequence[str]) -> None:
        self._bytes = 0

    def lose(self, platform: Platform, targets: Sequence[str]) -> None:
        """Remember how long the log is, let a second pass, and cut it there."""
        log = Log(platform.redis_folder)
        halt = signalled(self._who, signal.SIGSTOP)
        if not self._consumed:
            halt(platform, targets)
        length = log.length
        time.sleep(1.0)
        if self._consumed:
            halt(platform, targets)
            platform.until(lambda: all_stored(platform, targets), "All of the streams", CONSUMED_SECONDS)
        platform.redis.kill()
        self._bytes += log.cut(length)
        platform.start_redis()

    def go_on(self, platform: Platform, targets: Sequence[str]) -> None:
        signalled(self._who, signal.SIGCONT)(platform, targets)

    def lost(self, _platform: Platform, _target: str) -> Reading:
        return {"Redis: bytes of its log lost": float(self._bytes)}


def all_stored(platform: Platform, targets: Sequence[str]) -> bool:
    """Processors stand at the ends of their streams."""
    with Redis.from_url(platform.redis.url, decode_responses=True) as redis:
        ends = {target: redis.xinfo_stream(market_stream(target))["last-generated-id"] for target in targets}
    positions = {
        target: platform.health(f"processor-market-{target}")["details"]["position"] for target in targets
    }
    return ends == positions


class ReplayCut:
    """Streamers are killed while they send what is in their spools."""

    def __init__(self) -> None:
        self._left: dict[str, float] = {}

    def cut(self, platform: Platform, targets: Sequence[str]) -> None:
        """Redis comes back slowly, so that there is a half-way."""
        assert platform.relay is not None
        platform.relay.delay = REPLAY_DELAY
        platform.start_redis()
        waiting = set(targets)
        deadline = time.monotonic() + REPLAY_SECONDS
        while waiting and time.monotonic() < deadline:
            for target in sorted(waiting):
                with suppress(LoopbackError, KeyError):
                    self._cut_one(platform, target, waiting)
            time.sleep(0.02)
        platform.relay.delay = 0.0

    def _cut_one(self, platform: Platform, target: str, waiting: set[str]) -> None:
        details = platform.health(f"streamer-{target}")["details"]
        if details["redis"] == "ok" and details["spool_bytes"]:
            os.kill(platform.pid_of(f"streamer-{target}"), signal.SIGKILL)
            self._left[target] = details["spool_bytes"]
            waiting.discard(target)

    def happened(self, _platform: Platform, target: str) -> Reading:
        return {"killed with bytes left in the spool": self._left.get(target, 0.0)}
