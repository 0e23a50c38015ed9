"""The order of an upgrade's steps, and the ways in which it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from trade_platform.adapters.children import LEADER
from trade_platform.adapters.process import RunFile
from trade_platform.adapters.upgrade_desk import LaneState, Progress, Request, UpgradeDesk
from trade_platform.operations import upgrade as upgrade_module
from trade_platform.operations.upgrade import (
    STOP_SECONDS,
    TAKE_OVER_SECONDS,
    Fitness,
    Upgrade,
    UpgradeImpossible,
    ask_for_upgrade,
)

DEADLINE = 60.0


class Place:
    """A lane that notes what is done to it."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name = name
        self.process, self.idle = name, f"{name}-b"
        self.successor = (Fitness.STARTING, "")
        self.stopped = False
        self.complaint = ""
        self._done = done

    def start_successor(self) -> None:
        self._done.append(f"start {self.idle}")

    def fitness(self) -> tuple[Fitness, str]:
        return self.successor

    def ask_old_to_stop(self) -> None:
        self._done.append(f"stop {self.process}")

    def old_has_stopped(self) -> bool:
        return self.stopped

    def kill_old(self) -> None:
        self._done.append(f"kill {self.process}")
        self.stopped = True

    def promote(self) -> str:
        self._done.append(f"promote {self.idle}")
        self.process, self.idle = self.idle, self.process
        return self.complaint

    def dismiss_successor(self) -> None:
        self._done.append(f"dismiss {self.idle}")


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_module, "OVERLAP_SECONDS", 0.0)


def test_both_deliver_for_some_seconds(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_module, "OVERLAP_SECONDS", 3.0)
    upgrade, (place,) = begun(done, "lane")
    place.successor = (Fitness.WORKING, "")
    for moment in (1.0, 2.0, 3.9):
        upgrade.step(moment)
    assert done == ["start lane-b"]
    upgrade.step(4.0)
    assert done == ["start lane-b", "stop lane"]


def test_the_seconds_beside_the_old_one_are_without_a_break(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade_module, "OVERLAP_SECONDS", 3.0)
    upgrade, (place,) = begun(done, "lane")
    for moment, fitness in ((1.0, Fitness.WORKING), (2.0, Fitness.STARTING), (9.0, Fitness.WORKING)):
        place.successor = (fitness, "")
        upgrade.step(moment)
    upgrade.step(11.9)
    assert done == ["start lane-b"]
    upgrade.step(12.0)
    assert done == ["start lane-b", "stop lane"]


def begun(done: list[str], *names: str) -> tuple[Upgrade, list[Place]]:
    places = [Place(name, done) for name in names]
    upgrade = Upgrade("one", places, DEADLINE)
    upgrade.step(0.0)
    return upgrade, places


def states(upgrade: Upgrade) -> list[LaneState]:
    return [one.state for one in upgrade.progress.lanes]


def test_the_old_one_is_asked_to_stop_only_when_the_new_one_works_and_lanes_take_turns(
    done: list[str],
) -> None:
    upgrade, (first, second) = begun(done, "first", "second")
    first.successor = (Fitness.STARTING, "BTCUSDT trade")
    upgrade.step(1.0)
    assert done == ["start first-b"]
    assert upgrade.progress.lanes[0].detail == "BTCUSDT trade"
    first.successor = (Fitness.WORKING, "")
    for moment in (2.0, 2.5, 3.0):
        upgrade.step(moment)
    assert done == ["start first-b", "stop first"]
    assert states(upgrade) == [LaneState.LIVE, LaneState.WAITING]
    first.stopped = True
    upgrade.step(4.0)
    assert done[2:] == ["promote first-b"]
    assert states(upgrade) == [LaneState.REPLACED, LaneState.WAITING]
    second.successor, second.stopped = (Fitness.WORKING, ""), True
    for moment in (5.0, 5.5, 6.0, 7.0):
        upgrade.step(moment)
    assert done[3:] == ["start second-b", "stop second", "promote second-b"]
    assert upgrade.progress.verdict == "2 processes were replaced without a break."
    assert upgrade.progress.good


def test_one_that_stood_by_must_take_over(done: list[str]) -> None:
    upgrade, (place,) = begun(done, "processor")
    place.successor = (Fitness.LIVE, "")
    upgrade.step(1.0)
    place.stopped = True
    upgrade.step(2.0)
    assert not upgrade.finished
    place.successor = (Fitness.WORKING, "")
    upgrade.step(3.0)
    assert upgrade.progress.good


def test_one_that_stood_by_and_does_not_take_over_is_told(done: list[str]) -> None:
    upgrade, (place,) = begun(done, "processor")
    place.successor, place.stopped = (Fitness.LIVE, ""), True
    upgrade.step(1.0)
    upgrade.step(1.0 + STOP_SECONDS + TAKE_OVER_SECONDS)
    assert not upgrade.finished
    upgrade.step(1.1 + STOP_SECONDS + TAKE_OVER_SECONDS)
    assert not upgrade.progress.good
    assert "processor-b did not take over" in upgrade.progress.verdict


def test_a_new_process_that_dies_is_dismissed_and_no_other_lane_is_tried(done: list[str]) -> None:
    upgrade, (first, _) = begun(done, "first", "second")
    first.successor = (Fitness.DEAD, "ended with exit code 1: no such module")
    upgrade.step(1.0)
    assert done == ["start first-b", "dismiss first-b"]
    assert states(upgrade) == [LaneState.FAILED, LaneState.WAITING]
    assert upgrade.progress.verdict == (
        "first-b ended with exit code 1: no such module: it was stopped again, and first works on."
    )
    assert not upgrade.progress.good
    upgrade.step(2.0)
    assert done == ["start first-b", "dismiss first-b"]


def test_a_new_process_that_is_late_is_dismissed_and_it_is_said_what_it_waited_for(done: list[str]) -> None:
    upgrade, (place,) = begun(done, "lane")
    place.successor = (Fitness.STARTING, "ETHUSDT quote")
    upgrade.step(DEADLINE)
    assert not upgrade.finished
    upgrade.step(DEADLINE + 0.1)
    assert done == ["start lane-b", "dismiss lane-b"]
    assert "was not live after 60 s (ETHUSDT quote)" in upgrade.progress.verdict


def test_an_old_process_that_overstays_is_killed_and_that_is_told(done: list[str]) -> None:
    upgrade, (place,) = begun(done, "lane")
    place.successor, place.complaint = (Fitness.WORKING, ""), "lane ended with exit code -9"
    upgrade.step(0.5)
    upgrade.step(1.0)
    upgrade.step(1.0 + STOP_SECONDS)
    assert "kill lane" not in done
    upgrade.step(1.1 + STOP_SECONDS)
    upgrade.step(1.2 + STOP_SECONDS)
    assert done[2:] == ["kill lane", "promote lane-b"]
    assert states(upgrade) == [LaneState.REPLACED]
    assert not upgrade.progress.good
    assert "exit code -9" in upgrade.progress.verdict


def test_an_upgrade_is_given_up_when_the_platform_ends(done: list[str]) -> None:
    upgrade, _ = begun(done, "lane")
    upgrade.abandon("the platform is being stopped")
    assert upgrade.progress.verdict == "The upgrade was given up at lane: the platform is being stopped."
    assert done == ["start lane-b"], "both are ended with all the others"


# --- the verb's side ---

REQUEST = Request(identity="one", deadline_seconds=DEADLINE)


def never(_: float) -> bool:
    return False


def test_where_nothing_runs_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UpgradeImpossible, match="Nothing is running here"):
        ask_for_upgrade(tmp_path, REQUEST, print, never)
    assert UpgradeDesk(tmp_path).asked() is None


def test_a_second_upgrade_is_refused(tmp_path: Path) -> None:
    with RunFile(tmp_path, LEADER):
        UpgradeDesk(tmp_path).ask(REQUEST)
        with pytest.raises(UpgradeImpossible, match="under way"):
            ask_for_upgrade(tmp_path, REQUEST, print, never)


def test_the_verb_follows_until_the_verdict(tmp_path: Path) -> None:
    """Somebody else's progress is none of ours, and each of ours is shown once."""
    desk = UpgradeDesk(tmp_path)
    told = [
        Progress(identity="another", verdict="done", good=True),
        Progress(identity="one"),
        Progress(identity="one"),
        Progress(identity="one", verdict="done", good=True),
    ]
    shown: list[Progress] = []

    def wait(_: float) -> bool:
        assert desk.asked() == REQUEST
        desk.tell(told.pop(0))
        return False

    with RunFile(tmp_path, LEADER):
        assert ask_for_upgrade(tmp_path, REQUEST, shown.append, wait).good
    assert shown == [Progress(identity="one"), Progress(identity="one", verdict="done", good=True)]


def test_the_end_of_up_ends_the_waiting(tmp_path: Path) -> None:
    leader = RunFile(tmp_path, LEADER)

    def wait(_: float) -> bool:
        leader.path.unlink()
        return False

    with leader:
        progress = ask_for_upgrade(tmp_path, REQUEST, print, wait)
    assert not progress.good
    assert "`up` ended meanwhile" in progress.verdict
    assert UpgradeDesk(tmp_path).asked() is None, "the next run must not find it"


def test_who_stops_looking_is_told_that_it_goes_on(tmp_path: Path) -> None:
    with RunFile(tmp_path, LEADER):
        progress = ask_for_upgrade(tmp_path, REQUEST, print, lambda _: True)
    assert "goes on with it" in progress.verdict
    assert UpgradeDesk(tmp_path).asked() == REQUEST
