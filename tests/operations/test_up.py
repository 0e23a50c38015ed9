from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest

from trade_platform.adapters.children import Child
from trade_platform.adapters.database.gaps import LedgerGap
from trade_platform.adapters.upgrade_desk import Request, UpgradeDesk
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import ASKED_AGAIN, State
from trade_platform.domain.model import MICROSECONDS, MINUTE, Channel
from trade_platform.operations.up import Options, Surroundings, finishing, replay_clock, simulated_clock
from trade_platform.operations.up.dagster import Dagster
from trade_platform.operations.up.lane import Lane, fitness_of
from trade_platform.operations.up.processes import Processes
from trade_platform.operations.up.upgrading import Upgrading
from trade_platform.operations.upgrade import Fitness
from trade_platform.operations.verify import Verification

NOW = 1_700_000_000 * MICROSECONDS


def test_a_simulated_market_begins_now_and_runs_at_its_speed() -> None:
    clock = simulated_clock(5.0, NOW, 100.0, None)
    assert clock.at(100.0) == NOW
    assert clock.at(112.0) == NOW + 60 * MICROSECONDS


def test_a_simulated_market_never_goes_back_before_what_it_has_already_printed() -> None:
    printed = NOW + 3600 * MICROSECONDS
    assert simulated_clock(1.0, NOW, 100.0, printed).at(100.0) == printed
    assert simulated_clock(1.0, NOW, 100.0, NOW - 1).at(100.0) == NOW


def test_a_replay_reaches_its_first_frame_after_the_lead() -> None:
    clock = replay_clock(NOW, 20.0, 50.0, lead_seconds=8.0)
    assert clock.at(58.0) == NOW
    assert clock.at(59.0) == NOW + 20 * MICROSECONDS


@pytest.mark.parametrize(
    ("details", "fitness"),
    [
        ({"role": "starting"}, Fitness.STARTING),
        ({"role": "standby"}, Fitness.LIVE),
        ({"role": "owner"}, Fitness.WORKING),
        ({"role": "leader"}, Fitness.WORKING),
        ({"live": False, "waiting_for": "BTCUSDT trade"}, Fitness.STARTING),
        ({"live": True}, Fitness.WORKING),
    ],
)
def test_how_fit_a_successor_is_stands_in_its_health(details: dict[str, object], fitness: Fitness) -> None:
    found, detail = fitness_of({"ok": True, "details": details})
    assert found is fitness
    assert detail == details.get("waiting_for", "")


def test_a_process_that_does_not_answer_is_not_fit() -> None:
    assert fitness_of({}) == (Fitness.STARTING, "")


PROGRAM = """
import os, signal
from pathlib import Path
from trade_platform.adapters.process import RunFile
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
with RunFile(Path(os.environ["DATA_FOLDER"]), os.environ["PROCESS_NAME"]):
    Path(os.environ["DATA_FOLDER"], os.environ["PROCESS_NAME"]).write_text(os.environ.get("PREDECESSOR", ""))
    signal.sigwait({signal.SIGTERM})
"""


STUBBORN = """
import os, signal
from pathlib import Path
from trade_platform.adapters.process import RunFile
with RunFile(Path(os.environ["DATA_FOLDER"]), os.environ["PROCESS_NAME"]):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pause()
"""


class Quiet:
    """Nobody looks."""

    def say(self, sentence: str) -> None: ...

    def show(self, status: object, note: str = "") -> None: ...


def around(folder: Path) -> Surroundings:
    return Surroundings(data_folder=folder, database_url="", redis_url="", environment={})


def test_the_slots_of_a_lane_take_turns_and_what_was_stopped_stays_so(tmp_path: Path) -> None:
    lane = Lane("worker", ["-c", PROGRAM], {"DATA_FOLDER": str(tmp_path)}, tmp_path)
    lane.child.start()
    for old, new in (("worker", "worker-b"), ("worker-b", "worker")):
        assert (lane.process, lane.idle) == (old, new)
        lane.start_successor()
        while not all(child.ready() for child in lane.children):
            assert lane.child.exited() is None, lane.child.last_words()
        lane.ask_old_to_stop()
        while not lane.old_has_stopped():
            assert lane.keep_alive() is None
        assert lane.promote() == ""
        assert (tmp_path / new).read_text() == old, "it knows whom it follows"
    lane.start_successor()
    lane.dismiss_successor()
    assert [child.name for child in lane.children] == ["worker"]
    lane.ask_old_to_stop()
    lane.child.wait(30)


def test_a_successor_that_dies_later_does_not_count_on_the_one_before(tmp_path: Path) -> None:
    """Its predecessor's name may be its own successor's by then: each would think that the other delivers."""
    lane = Lane("worker", ["-c", PROGRAM], {"DATA_FOLDER": str(tmp_path)}, tmp_path)
    lane.child.start()
    lane.start_successor()
    while not all(child.ready() for child in lane.children):
        assert lane.child.exited() is None, lane.child.last_words()
    lane.ask_old_to_stop()
    lane.child.wait(30)
    lane.promote()
    assert lane.child.pid is not None
    assert (tmp_path / "worker-b").read_text() == "worker"
    os.kill(lane.child.pid, signal.SIGKILL)
    while not lane.keep_alive():
        pass
    while not lane.child.ready():
        assert lane.child.exited() is None, lane.child.last_words()
    lane.ask_old_to_stop()
    assert lane.child.wait(30) == 0
    assert (tmp_path / "worker-b").read_text() == ""


OPEN = LedgerGap(
    gap_id=1,
    exchange="deribit",
    symbol="BTC-PERPETUAL",
    channel=Channel.TRADE,
    reason="restart",
    first=1,
    last=9,
    since=NOW,
    until=NOW,
    detail="",
    state=State.OPEN,
    attempts=0,
    detected_seconds_ago=60.0,
    attempted_seconds_ago=None,
    closed_seconds_ago=None,
    repaired_by=None,
    verdict="",
    remaining=None,
)
TRIED = {"attempts": 2, "attempted_seconds_ago": 10.0}
LEFT_OUT = f"REST leaves out numbers 1 to 9{ASKED_AGAIN}"


@pytest.mark.parametrize(
    ("changes", "prospects"),
    [
        ({}, True),
        ({"attempts": 1, "attempted_seconds_ago": 1.0, "verdict": LEFT_OUT}, True),
        ({**TRIED, "verdict": "deribit gave no answer"}, True),  # asked again in 20 seconds
        ({**TRIED, "verdict": LEFT_OUT}, False),
        ({"attempts": 4, "attempted_seconds_ago": 10.0, "verdict": "deribit gave no answer"}, False),
        ({"channel": Channel.CANDLE, "first": None, "until": NOW + 1}, True),
        ({"channel": Channel.CANDLE, "first": None, "until": NOW + 3 * MINUTE}, False),  # not over by then
    ],
)
def test_the_end_of_a_run_waits_only_for_what_may_come(changes: dict[str, object], prospects: bool) -> None:
    gap = msgspec.structs.replace(OPEN, **changes)
    assert finishing.has_prospects(gap, NOW + MINUTE, 25.0) is prospects


class Closing:
    """Processes at the end of a run, on servers that are away for the first questions."""

    streamers = processors = ()
    repair = ("the process that was there all along",)
    simulator = vault = None
    simulated = clean = True

    def __init__(self, folder: Path, away: int) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.kept_alive = 0
        self.display = self
        self.surroundings = self.options = self
        self.without: frozenset[Defence] = frozenset()
        self.exchanges = ("deribit",)
        self.clock = None
        self._away = away

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def show(self) -> None: ...

    def pause_market(self) -> None: ...

    def end_dagster(self) -> None: ...

    def end_reconciling(self) -> None: ...

    def start_repair(self) -> None: ...

    def streamers_say(self) -> list[object]:
        return []

    def end(self, children: object) -> None: ...

    def keep_alive(self, *_: object) -> None:
        self.kept_alive += 1

    @contextmanager
    def connections(self) -> Iterator[tuple[None, None]]:
        self._away -= 1
        if self._away % 2:
            raise psycopg.OperationalError("the server closed the connection")
        yield None, None


@pytest.mark.parametrize(("program", "clean"), [("import time; time.sleep(60)", True), (STUBBORN, False)])
def test_a_process_that_is_stopped_before_it_was_ready_has_not_ended_badly(
    program: str, clean: bool, tmp_path: Path
) -> None:
    """Held nothing, lost nothing; one that was at work and lets a signal kill it did not drain."""
    processes = Processes(Options(exchanges=(), simulated=False), around(tmp_path), Quiet())
    child = Child("worker", ["-c", program], {"DATA_FOLDER": str(tmp_path)}, tmp_path)
    child.start()
    while program is STUBBORN and not child.ready():
        assert child.exited() is None, child.last_words()
    processes.end([child])
    assert processes.clean is clean


def test_connections_are_kept_until_one_breaks(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    given = Surroundings(data_folder=tmp_path, database_url=postgres_url, redis_url=redis_url, environment={})
    processes = Processes(Options(exchanges=(), simulated=False), given, Quiet())
    with processes.connections() as first, processes.connections() as second:
        assert first is second
    first[0].close()
    with pytest.raises(psycopg.Error), processes.connections() as (connection, _):
        connection.execute("select 1")
    with processes.connections() as (connection, bus):
        assert connection.execute("select 1").fetchone() == (1,)
        assert bus.ping()
    processes.stop_everything()
    assert connection.closed


def test_a_database_that_goes_away_at_the_end_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second question finds it gone: draining, repairing and proving all go on, and it is said once."""
    monkeypatch.setattr(finishing, "children_of", list)
    monkeypatch.setattr(finishing, "read_streams", lambda *_: [])
    monkeypatch.setattr(finishing, "open_gaps", lambda *_, **__: [])
    proof = Verification(instruments=[], findings=[], against="ledger")
    monkeypatch.setattr(finishing, "verify", lambda *_: proof)
    closing = Closing(tmp_path, away=100)
    outcome = finishing.finish(closing)  # type: ignore[arg-type]
    assert outcome.drained
    assert outcome.verification is proof
    assert closing.kept_alive >= 3
    assert sum("is away, and waited for" in sentence for sentence in closing.said) == 1


def test_dagster_s_processes_begin_one_after_the_other_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what ``up`` tells them they end at once: the next look starts them again, and says why."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    said: list[str] = []
    display = Quiet()
    monkeypatch.setattr(display, "say", said.append)
    dagster = Dagster({"DATA_FOLDER": str(tmp_path)}, tmp_path, display)
    dagster.look()
    assert [child.name for child in dagster.children] == ["dagster-code"], "the others ask it"
    while not said:
        dagster.look()
    assert "dagster-code ended with exit code 2 and was started again" in said[0]
    assert "DAGSTER_HOME" in said[0]
    dagster.end()
    assert [child.exited() is None for child in dagster.children] == [False]
    dagster.look()
    assert dagster.children[0].exited() is not None, "what was asked to stop stays so"


def test_beside_dagster_the_lane_of_repair_is_only_for_the_end(tmp_path: Path) -> None:
    given = msgspec.structs.replace(around(tmp_path), dagster={"DAGSTER_HOME": str(tmp_path)})
    processes = Processes(Options(exchanges=("deribit",), simulated=False), given, Quiet())
    assert processes.repair == []
    last = processes.start_last_repair()
    assert last.wait(60) == 2, "there is no server here, and it says so"
    assert "up" in last.last_words()
    processes.start_repair()
    processes.start_repair()
    assert [lane.name for lane in processes.repair] == ["repair"]
    processes.stop_everything()


class Swift:
    """A lane whose successor takes over at once."""

    def __init__(self, name: str) -> None:
        self.name = self.process = name
        self.idle = f"{name}-b"

    def start_successor(self) -> None: ...

    def fitness(self) -> tuple[Fitness, str]:
        return Fitness.WORKING, ""

    def ask_old_to_stop(self) -> None: ...

    def old_has_stopped(self) -> bool:
        return True

    def promote(self) -> str:
        return ""


class Upgraded(Quiet):
    """A platform with Dagster beside two lanes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lanes = [Swift("one"), Swift("two")]
        self.display = self.dagster = self
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1


@pytest.mark.parametrize(("lanes", "restarts"), [((), 1), (("one",), 0)])
def test_an_upgrade_of_everything_starts_dagster_again_and_one_of_a_lane_does_not(
    tmp_path: Path, lanes: tuple[str, ...], restarts: int
) -> None:
    platform = Upgraded(tmp_path)
    upgrading = Upgrading(platform)  # type: ignore[arg-type]
    desk = UpgradeDesk(tmp_path)
    desk.ask(Request(identity="first", lanes=lanes, deadline_seconds=60.0))
    while upgrading.step():
        pass
    told = desk.told("first")
    assert told is not None
    assert told.good, told.verdict
    assert platform.restarts == restarts
