"""The whole platform on this machine, in the foreground: servers, exchanges, streamers, processors.

Started in the order in which each needs the other, watched, stopped in the order in which nothing is
lost: the simulated market first, then streamers (they drain), then processors (they store), then the
proof, then the servers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import psycopg
import redis

from trade_platform.adapters.bus import STATE_STREAM, market_stream
from trade_platform.adapters.children import Child
from trade_platform.adapters.loopback import LoopbackError, get_json, post_json
from trade_platform.adapters.process import Run
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.status import Status, read_status, read_streams
from trade_platform.operations.verify import Verification, verify

READY_SECONDS = 60.0
LIVE_SECONDS = 15.0
"""How long the countdown of ``--seconds`` waits for every real exchange to deliver."""
SETTLE_SECONDS = 15.0
DRAIN_SECONDS = 120.0
STOP_SECONDS = 15.0


class UpError(Exception):
    """The platform cannot run; the sentence says why and what to do."""


class KeptAlive(Protocol):
    """Something that starts itself again when it is found dead."""

    def keep_alive(self) -> str | None: ...


class Display(Protocol):
    """Where a person follows what happens."""

    def say(self, sentence: str) -> None: ...

    def show(self, status: Status, note: str = "") -> None: ...


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    exchanges: tuple[str, ...]
    simulated: bool
    captures: tuple[Path, ...] = ()
    seconds: float | None = None
    """Real seconds from the moment when everything is live, or some seconds later where something does
    not become live (an exchange that cannot be reached); None: until stopped."""
    seed: int = 1
    faults: Path | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where it runs: servers that are up already, and what every child process is told."""

    data_folder: Path
    database_url: str
    redis_url: str
    environment: Mapping[str, str]
    clock: MarketClock | None = None
    """The market's, where it is not the wall clock."""
    servers: Sequence[KeptAlive] = ()
    """Servers of ours that are to be started again when they die."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    verification: Verification
    drained: bool
    """Everything that was read from the exchanges is stored."""
    clean: bool
    """Every process ended by itself, with exit code 0."""

    @property
    def good(self) -> bool:
        return self.verification.good and self.drained and self.clean


def up(options: Options, surroundings: Surroundings, display: Display, stop: threading.Event) -> Outcome:
    """Run until ``seconds`` are over, the recorded session ends, or ``stop`` is set; then drain and prove.

    Raises UpError when a process does not come up.
    """
    with ExitStack() as stack:
        platform = _Platform(options, surroundings, display, stop)
        stack.callback(platform.stop_everything)
        platform.start()
        platform.watch()
        return platform.finish()


class _Platform:
    """The processes of one run."""

    def __init__(
        self, options: Options, surroundings: Surroundings, display: Display, stop: threading.Event
    ) -> None:
        self._options = options
        self._folder = surroundings.data_folder
        self._surroundings = surroundings
        self._display = display
        self._stop = stop
        self._environment = dict(surroundings.environment)
        self._simulator: Child | None = None
        self._control: list[str] = []
        self._streamers: list[Child] = []
        self._processors: list[Child] = []
        self._clean = True
        self._pause = threading.Event()

    def start(self) -> None:
        """Processors before streamers, the exchanges before both."""
        if self._options.simulated or self._options.captures:
            self._start_simulator()
        streams = [market_stream(exchange) for exchange in self._options.exchanges]
        for stream in [*streams, STATE_STREAM]:
            name = f"processor-{stream.replace(':', '-')}"
            arguments = ["-m", "trade_platform.processors", "--stream", stream]
            self._processors.append(self._child(name, arguments))
        for exchange in self._options.exchanges:
            arguments = ["-m", "streamers", "--exchange", exchange]
            self._streamers.append(self._child(f"streamer-{exchange}", arguments))
        for child in [*self._processors, *self._streamers]:
            self._await_ready(child)

    def _start_simulator(self) -> None:
        arguments = ["-m", "streamers.simulator", "--seed", str(self._options.seed)]
        for exchange in self._options.exchanges:
            arguments += ["--exchange", exchange]
        for capture in self._options.captures:
            arguments += ["--capture", str(capture)]
        if self._options.faults:
            arguments += ["--faults", str(self._options.faults)]
        self._simulator = self._child("simulator", arguments)
        record = self._await_ready(self._simulator)
        for exchange, urls in record.urls.items():
            self._environment[f"{exchange.upper()}_WEBSOCKET_URL"] = urls["websocket"]
            self._environment[f"{exchange.upper()}_REST_URL"] = urls["rest"]
            self._control.append(f"{urls['rest']}/simulator")
        self._display.say(f"simulated exchanges: {', '.join(sorted(record.urls))} on loopback")

    def _child(self, name: str, arguments: Sequence[str]) -> Child:
        child = Child(name, arguments, self._environment, self._folder)
        child.start()
        return child

    def _await_ready(self, child: Child) -> Run:
        deadline = time.monotonic() + READY_SECONDS
        while (record := child.ready()) is None:
            code = child.exited()
            if code is not None:
                raise UpError(f"{child.name} ended with exit code {code}: {child.last_words()}")
            if time.monotonic() > deadline:
                raise UpError(
                    f"{child.name} was not ready after {READY_SECONDS:.0f} s; its log is {child.log_path}."
                )
            if self._stop.wait(0.05):
                raise UpError("Stopped before everything was up.")
        return record

    def watch(self) -> None:
        """Show, and start again what dies, until it is time to end."""
        kept = [*self._surroundings.servers, *self._processors, *self._streamers]
        if self._simulator:
            kept.append(self._simulator)
        end: float | None = None
        live_by = time.monotonic() + (READY_SECONDS if self._options.simulated else LIVE_SECONDS)
        while not self._stop.wait(1.0):
            self._keep_alive(kept)
            self._show(self._moment(end))
            if self._options.captures and self._simulator_says("finished"):
                return
            if end is None and (self._all_live() or time.monotonic() > live_by):
                end = time.monotonic() + (self._options.seconds or float("inf"))
            if end is not None and time.monotonic() >= end:
                return

    def _keep_alive(self, kept: Sequence[KeptAlive]) -> None:
        for one in kept:
            if sentence := one.keep_alive():
                self._display.say(sentence)

    def _all_live(self) -> bool:
        healths = [self._health(child) for child in self._streamers]
        return all(health.get("ok", False) for health in healths)

    def _health(self, child: Child) -> dict[str, object]:
        record = child.ready()
        try:
            return get_json(f"{record.metrics}/healthz") if record else {}
        except LoopbackError:
            return {}

    def _simulator_says(self, word: str) -> bool:
        try:
            return all(get_json(f"{control}/state").get(word, False) for control in self._control)
        except LoopbackError:
            return False

    def _moment(self, end: float | None) -> str:
        """What time it is in the market, and how long there is to go."""
        now = time.monotonic()
        parts = []
        if clock := self._surroundings.clock:
            moment = datetime.fromtimestamp(clock.at(now) // MICROSECONDS, UTC)
            parts.append(f"market time {moment:%Y-%m-%d %H:%M:%S} UTC, ×{clock.speed:g}")
        if end is not None and end != float("inf"):
            parts.append(f"{max(end - now, 0):.0f} s to go")
        return ", ".join(parts)

    def _show(self, note: str = "") -> None:
        """A connection a screen: one that broke must not blind the next."""
        try:
            with self._connections() as (connection, bus):
                self._display.show(read_status(connection, bus, self._folder), note)
        except (psycopg.Error, redis.RedisError) as error:
            self._display.say(f"status is not to be had just now: {error}")

    def finish(self) -> Outcome:
        """Stop the market, drain each stage into the next, prove."""
        self._display.say("stopping: the market first, then what carries it")
        for control in self._control:
            try:
                post_json(f"{control}/pause")
            except LoopbackError as error:
                self._display.say(f"the simulated market could not be paused: {error}")
        self._settle()
        self._end(self._streamers)
        with self._connections() as (connection, bus):
            drained = self._drain(connection, bus)
            self._end(self._processors)
            self._show()
            self._display.say("verifying")
            verification = verify(connection, self._folder)
        if self._simulator:
            self._end([self._simulator])
        return Outcome(verification=verification, drained=drained, clean=self._clean)

    def _settle(self) -> None:
        """A market that stands still can be caught up with: whoever was just away asks what it missed.

        A real market goes on; what is unsettled then, the next run finds by the numbers that are kept.
        """
        deadline = time.monotonic() + (SETTLE_SECONDS if self._control else 0.0)
        while time.monotonic() < deadline and not all(map(self._settled, self._streamers)):
            self._keep_alive([*self._surroundings.servers, *self._processors, *self._streamers])
            self._pause.wait(0.1)

    def _settled(self, streamer: Child) -> bool:
        details = self._health(streamer).get("details")
        return (
            isinstance(details, dict) and not details.get("unsettled") and not details.get("connections_down")
        )

    def _drain(self, connection: psycopg.Connection, bus: redis.Redis) -> bool:
        deadline = time.monotonic() + DRAIN_SECONDS
        while not all(stream.stored for stream in read_streams(connection, bus)):
            self._keep_alive([*self._surroundings.servers, *self._processors])
            if time.monotonic() > deadline:
                self._display.say(
                    "not everything could be stored in time; it stays in Redis for the next run"
                )
                return False
            self._pause.wait(0.05)
        return True

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.terminate()
        for child in children:
            code = child.wait(STOP_SECONDS)
            if code != 0:
                self._clean = False
                how = f"with exit code {code}" if code is not None else f"not within {STOP_SECONDS:.0f} s"
                self._display.say(f"{child.name} ended {how}: {child.last_words()}")

    def stop_everything(self) -> None:
        """Whatever happened: leave no process behind."""
        children = [*self._streamers, *self._processors, *([self._simulator] if self._simulator else [])]
        for child in children:
            child.terminate()
        for child in children:
            child.wait(STOP_SECONDS)

    @contextmanager
    def _connections(self) -> Iterator[tuple[psycopg.Connection, redis.Redis]]:
        bus = redis.Redis.from_url(self._surroundings.redis_url, socket_timeout=5)
        with psycopg.connect(self._surroundings.database_url, autocommit=True) as connection:
            try:
                yield connection, bus
            finally:
                bus.close()


def simulated_clock(speed: float, now: int, monotonic: float, latest: int | None) -> MarketClock:
    """A market at ``speed`` that goes on from now, or from where an earlier, faster one had come to."""
    return MarketClock(origin=max(now, latest or 0), anchor=monotonic, speed=speed)


def replay_clock(start: int, speed: float, monotonic: float, *, lead_seconds: float) -> MarketClock:
    """A replay that begins ``lead_seconds`` of real time from now: what it takes until all are connected."""
    return MarketClock(
        origin=start - round(lead_seconds * speed * MICROSECONDS), anchor=monotonic, speed=speed
    )
