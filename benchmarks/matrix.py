"""The faults: to whom each is done, and how."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import msgspec

from benchmarks.platform import Platform
from benchmarks.signs import (
    Look,
    Stillness,
    ended,
    endings,
    gap_rows,
    goodbye,
    heard,
    held_already,
    postgres_away,
    processes,
    read_again,
    redis_away,
    server_gone,
    stopped,
)
from benchmarks.standby import Standby
from trade_platform.adapters.bus import market_stream
from trade_platform.exchanges.registry import EXCHANGES

ALL: Final = tuple(sorted(EXCHANGES))
HALF_OPEN_REACH: Final = 20.0
SILENT_REACH: Final = 15.0
RESUME_REACH: Final = 10.0

Deed: TypeAlias = Callable[[Platform, Sequence[str]], None]


def nothing(_platform: Platform, _targets: Sequence[str]) -> None:
    """Heals by itself."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, done to some exchanges at once; a row for each."""

    name: str
    targets: tuple[str, ...] = ALL
    inflict: Deed
    heal: Deed = nothing
    prepare: Deed = nothing
    clean_up: Deed = nothing
    hold: float = 0.1
    """Seconds until it is over, by itself or by ``heal``."""
    proof: Look
    """Grows when the fault really happened."""
    sign: Look
    """Grows when the platform noticed."""
    detect_reach: float | None = None
    resume_reach: float | None = None
    expects_gap: bool = False
    patience: float = 40.0
    """Seconds after its end."""


# --- what is done ---


def told(fault: str, *more: str, **fields: float) -> Deed:
    """By the simulator's own hand; ``more`` without fields."""

    def inflict(platform: Platform, targets: Sequence[str]) -> None:
        for exchange in targets:
            platform.inflict(exchange, fault, **fields)
            for one in more:
                platform.inflict(exchange, one)

    return inflict


def signalled(name: str, number: signal.Signals) -> Deed:
    def inflict(platform: Platform, targets: Sequence[str]) -> None:
        for target in targets:
            os.kill(platform.pid_of(name.format(target)), number)

    return inflict


def to_simulator(number: signal.Signals) -> Deed:
    return lambda platform, _targets: os.kill(platform.pid_of("simulator"), number)


# --- the rows ---


def cases() -> list[Case]:
    """In the order in which they are run."""
    return [*_of_exchanges(), *_of_processes(), *_of_servers()]


def _of_exchanges() -> list[Case]:
    case = partial(Case, sign=endings, resume_reach=RESUME_REACH)
    closes = [
        case(name=f"close_{code}", inflict=told("close", code=code), proof=heard(f"close code {code}"))
        for code in (1000, 1001, 1006, 1008)
    ]
    return [
        *closes,
        case(name="abort", inflict=told("abort"), proof=heard("close code 1006")),
        case(name="duplicate", inflict=told("duplicate", count=50), proof=held_already, sign=held_already),
        case(
            name="skip", inflict=told("skip", count=50), proof=gap_rows, sign=read_again, expects_gap=True
        ),
        case(name="refuse", inflict=told("refuse", "abort", seconds=10), hold=10.0, proof=heard("HTTP 503")),
        case(
            name="server_shutdown", inflict=told("server_shutdown", grace_seconds=1), hold=1.1,
            proof=goodbye,
        ),
        case(
            name="maintenance", inflict=told("maintenance", seconds=10, grace_seconds=1), hold=10.0,
            proof=heard("HTTP 503"),
        ),
        case(
            name="silence", inflict=told("silence", seconds=45), hold=45.0, proof=Stillness(),
            detect_reach=SILENT_REACH,
        ),
        case(
            name="half_open", inflict=to_simulator(signal.SIGSTOP), heal=to_simulator(signal.SIGCONT),
            hold=20.0, proof=stopped, detect_reach=HALF_OPEN_REACH,
        ),
    ]  # fmt: skip


def _of_processes() -> list[Case]:
    def killed(name: str, process: str, targets: Sequence[str]) -> list[Case]:
        kill = signalled(process, signal.SIGKILL)
        return [
            Case(name=name, targets=(target,), inflict=kill, proof=processes(process), sign=ended(process))
            for target in targets
        ]

    def state_processor(platform: Platform, targets: Sequence[str]) -> None:
        """An event must come by to show that it stores again."""
        signalled("processor-state", signal.SIGKILL)(platform, targets[:1])
        told("abort")(platform, targets)

    standby = Standby(market_stream(ALL[0]))
    return [
        *killed("streamer_kill", "streamer-{}", ALL),
        *killed("processor_kill", "processor-market-{}", ALL),
        Case(
            name="state_processor_kill", targets=ALL[-1:], inflict=state_processor, expects_gap=True,
            proof=processes("processor-state"), sign=ended("processor-state"),
        ),
        Case(
            name="two_processors", targets=ALL[:1], prepare=standby.begin, clean_up=standby.end,
            inflict=signalled("processor-market-{}", signal.SIGKILL),
            proof=standby.waited, sign=standby.owns,
        ),
    ]  # fmt: skip


def _of_servers() -> list[Case]:
    def case(name: str, hold: float) -> Case:
        server, how = name.split("_")
        end = {
            "redis_kill": lambda platform, _: platform.redis.kill(),
            "redis_stop": lambda platform, _: platform.redis.stop(),
            "postgres_kill": lambda platform, _: platform.postgres.kill(),
            "postgres_stop": lambda platform, _: platform.postgres.stop(),
        }[name]
        start = {
            "redis": lambda platform, _: platform.start_redis(),
            "postgres": lambda platform, _: platform.start_postgres(),
        }[server]
        return Case(
            name=name, inflict=end, heal=start, hold=hold, proof=server_gone(server),
            sign=redis_away if server == "redis" else postgres_away,
            patience=60.0 if how == "stop" else 40.0,
        )  # fmt: skip

    return [
        case("redis_kill", 1.0),
        case("redis_stop", 10.0),
        case("postgres_kill", 1.0),
        case("postgres_stop", 10.0),
    ]
