"""The processes of one run: what is started, what is kept alive, what is ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
import redis

from trade_platform.adapters.bus import STATE_STREAM, account_stream, market_stream
from trade_platform.adapters.children import Child
from trade_platform.adapters.loopback import LoopbackError, get_json, post_json
from trade_platform.adapters.process import Run
from trade_platform.domain.defences import Defence
from trade_platform.operations.status import read_status
from trade_platform.operations.up.dagster import Dagster
from trade_platform.operations.up.lane import Lane, health_of
from trade_platform.operations.up.plan import Display, KeptAlive, Options, Surroundings, UpError

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
RECONCILE_SECONDS = 20.0
"""Between two comparisons of an account; after a break it is compared at once."""
ARCHIVED = "binance_usdm"
"""Its REST side tells the last day alone: a past of more is read from its files."""


class Processes:
    """Children of ours, by what they do."""

    def __init__(self, options: Options, surroundings: Surroundings, display: Display) -> None:
        self.options = options
        self.surroundings = surroundings
        self.display = display
        self.folder = surroundings.data_folder
        self.streamers: list[Lane] = []
        self.processors: list[Lane] = []
        self.simulator: Child | None = None
        self.vault: Child | None = None
        """It signs for accounts, where any are heard."""
        self.repair: list[Lane] = []
        """One, once it is started: beside Dagster, which has gaps repaired itself, only at the end."""
        self.reconciling: list[Lane] = []
        """One, where accounts are heard."""
        self.dagster: Dagster | None = None
        self.clean = True
        """Every child that carries data and was ended so far, ended by itself, with exit code 0."""
        self._passing: list[Child] = []
        """Those that end by themselves."""
        self._open: tuple[psycopg.Connection, redis.Redis] | None = None
        self._control: list[str] = []
        self._environment = dict(surroundings.environment)
        self._restarts = Defence.RESTART not in surroundings.without

    # --- beginning ---

    def start(self, stop: threading.Event) -> None:
        """Processors before streamers, the exchanges before both. Raises UpError."""
        if self.options.simulated or self.options.captures:
            self._start_simulator(stop)
        if self.options.accounts:
            self.vault = self._child("vault", ["-m", "trade_platform.vault"])
            self._await_ready(self.vault, stop)
        streams = [market_stream(exchange) for exchange in self.options.exchanges]
        private = [account_stream(*one) for one in self.options.accounts]
        for stream in [*streams, STATE_STREAM, *private]:
            arguments = ["-m", "trade_platform.processors", "--stream", stream]
            self.processors.append(self._lane(f"processor-{stream.replace(':', '-')}", arguments))
        for exchange in self.options.exchanges:
            arguments = ["-m", "streamers", "--exchange", exchange]
            self.streamers.append(self._lane(f"streamer-{exchange}", arguments))
        for _, account in self.options.accounts:
            arguments = ["-m", "streamers.account", "--account", account]
            self.streamers.append(self._lane(f"account-{account}", arguments))
        if self.options.accounts:
            arguments = ["-m", "trade_platform", "reconcile", "--watch", f"{RECONCILE_SECONDS:g}"]
            self.reconciling.append(self._lane("reconcile", arguments))
        if not self.surroundings.dagster:
            self.start_repair()
        for lane in self.lanes:
            self._await_ready(lane.child, stop)

    @property
    def lanes(self) -> list[Lane]:
        """In the order in which they are replaced: what writes a new form comes after what reads it."""
        return [*self.processors, *self.streamers, *self.repair, *self.reconciling]

    @property
    def simulated(self) -> bool:
        """The market obeys us."""
        return bool(self._control)

    def start_repair(self) -> None:
        """The lane that works on the ledger of gaps, where it does not run yet."""
        if not self.repair:
            self.repair.append(self._lane("repair", [*self._repair_arguments, "--watch"]))

    def start_last_repair(self) -> Child:
        """Of all that is open or was not noticed: once, and to its end."""
        child = Child("repair-last", self._repair_arguments, self._environment, self.folder, restarts=False)
        child.start()
        self._passing.append(child)
        return child

    @property
    def _repair_arguments(self) -> list[str]:
        arguments = ["-m", "trade_platform", "gaps", "repair"]
        for exchange in self.options.exchanges:  # others may be no simulated ones
            arguments += ["--exchange", exchange]
        return arguments

    def _start_simulator(self, stop: threading.Event) -> None:
        arguments = ["-m", "streamers.simulator", "--seed", str(self.options.seed)]
        for exchange in self.options.exchanges:
            arguments += ["--exchange", exchange]
        for capture in self.options.captures:
            arguments += ["--capture", str(capture)]
        if self.options.faults:
            arguments += ["--faults", str(self.options.faults)]
        if self.options.history is not None:
            arguments += ["--history", f"{self.options.history:g}"]
        if self.options.accounts_file is not None:
            arguments += ["--accounts", str(self.options.accounts_file)]
        self.simulator = self._child("simulator", arguments)
        record = self._await_ready(self.simulator, stop)
        for exchange, urls in record.urls.items():
            self._environment[f"{exchange.upper()}_WEBSOCKET_URL"] = urls["websocket"]
            self._environment[f"{exchange.upper()}_REST_URL"] = urls["rest"]
            self._control.append(f"{urls['rest']}/simulator")
        if self.options.history is not None and ARCHIVED in record.urls:
            archive = f"{record.urls[ARCHIVED]['rest']}/archive"
            self._environment["ARCHIVE"] = self._environment.get("ARCHIVE") or archive
        self.display.say(f"simulated exchanges: {', '.join(sorted(record.urls))} on loopback")

    def _child(self, name: str, arguments: Sequence[str]) -> Child:
        child = Child(name, arguments, self._environment, self.folder, restarts=self._restarts)
        child.start()
        return child

    def _lane(self, name: str, arguments: Sequence[str]) -> Lane:
        lane = Lane(name, arguments, self._environment, self.folder, restarts=self._restarts)
        lane.child.start()
        return lane

    def _await_ready(self, child: Child, stop: threading.Event) -> Run:
        deadline = time.monotonic() + READY_SECONDS
        while (record := child.ready()) is None:
            code = child.exited()
            if code is not None:
                raise UpError(f"{child.name} ended with exit code {code}: {child.last_words()}")
            if time.monotonic() > deadline:
                raise UpError(
                    f"{child.name} was not ready after {READY_SECONDS:.0f} s; its log is {child.log_path}."
                )
            if stop.wait(0.05):
                raise UpError("Stopped before everything was up.")
        return record

    # --- while they run ---

    def keep_alive(self, *others: KeptAlive | None) -> None:
        """Start again what died of our servers and of these."""
        for one in [*self.surroundings.servers, *others]:
            if one is not None and (sentence := one.keep_alive()):
                self.display.say(sentence)

    def look_after_dagster(self) -> None:
        """Where it is in this run: begun once all else works, kept alive, never waited for."""
        if not self.surroundings.dagster:
            return
        if self.dagster is None:
            told = {**self._environment, **self.surroundings.dagster}
            self.dagster = Dagster(told, self.folder, self.display)
        self.dagster.look()

    def streamers_say(self) -> list[Mapping[str, object]]:
        """Their health, one after the other."""
        return [health_of(lane.child) for lane in self.streamers]

    def simulator_says(self, word: str) -> bool:
        try:
            return all(get_json(f"{control}/state").get(word, False) for control in self._control)
        except LoopbackError:
            return False

    def pause_market(self) -> None:
        """A simulated market prints nothing any more."""
        for control in self._control:
            try:
                post_json(f"{control}/pause")
            except LoopbackError as error:
                self.display.say(f"the simulated market could not be paused: {error}")

    def show(self, note: str = "") -> None:
        """What cannot be read now is read at the next look."""
        try:
            with self.connections() as (connection, bus):
                self.display.show(read_status(connection, bus, self.folder), note)
        except (psycopg.Error, redis.RedisError) as error:
            self.display.say(f"status is not to be had just now: {error}")

    @contextmanager
    def connections(self) -> Iterator[tuple[psycopg.Connection, redis.Redis]]:
        """The same ones each time: a new one every second costs memory. One that broke is given up."""
        if self._open is None:
            database = psycopg.connect(self.surroundings.database_url, autocommit=True, connect_timeout=5)
            self._open = (database, redis.Redis.from_url(self.surroundings.redis_url, socket_timeout=5))
        try:
            yield self._open
        except (psycopg.Error, redis.RedisError):
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """From both servers; ``connections`` comes back to them."""
        if self._open is not None:
            (database, bus), self._open = self._open, None
            database.close()
            bus.close()

    # --- ending ---

    def end_dagster(self) -> None:
        """Before all others: what it has under way asks them."""
        if self.dagster is not None:
            self.dagster.end()
            self.dagster = None

    def end_reconciling(self) -> None:
        """A comparison that is cut off is made again: it is not waited for."""
        for child in children_of(self.reconciling):
            child.terminate()
            child.wait(STOP_SECONDS)

    def end(self, children: Sequence[Child]) -> None:
        """Ask all of them to stop, and note who does not do so well."""
        begun = {child.name for child in children if child.ready()}
        for child in children:
            child.terminate()
        for child in children:
            code = child.wait(STOP_SECONDS)
            if code == -signal.SIGTERM and child.name not in begun:
                continue  # it was only about to start, and held nothing
            if code != 0:
                self.clean = False
                how = f"with exit code {code}" if code is not None else f"not within {STOP_SECONDS:.0f} s"
                self.display.say(f"{child.name} ended {how}: {child.last_words()}")

    def stop_everything(self) -> None:
        """Whatever happened: leave no process and no connection behind."""
        self.disconnect()
        self.end_dagster()
        children = [*self._passing, *children_of(self.lanes)]
        children += [one for one in (self.vault, self.simulator) if one is not None]
        for child in children:
            child.terminate()
        for child in children:
            child.wait(STOP_SECONDS)


def children_of(lanes: Sequence[Lane]) -> list[Child]:
    """All their processes."""
    return [child for lane in lanes for child in lane.children]
