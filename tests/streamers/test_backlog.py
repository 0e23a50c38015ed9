from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamers.backlog import PORTION_PARCELS, Backlog, portion_of
from streamers.bus_link import Parcel
from streamers.spool import Spool
from trade_platform.adapters.bus import Entry

LIMIT = 20


def parcel(n: int, records: int = 1, kind: str = "trade") -> Parcel:
    return Parcel("market:x", Entry(kind, "p:1", n, 1, "x", b"[]"), {"AAA|trade": n}, records)


def backlog_in(folder: Path, limit_bytes: int = 1 << 20) -> Backlog:
    return Backlog(Spool(folder, limit_bytes, segment_bytes=400), LIMIT)


def test_memory_is_bounded_and_the_disk_takes_over(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path)
    assert list(backlog.open()) == []
    parcels = [parcel(n, 5) for n in range(1, 10)]
    assert all(backlog.add(one) for one in parcels)
    assert backlog.spooling
    assert (backlog.records, backlog.high_water) == (0, LIMIT)
    assert backlog.portion() == parcels
    backlog.confirm()
    assert not backlog
    assert not backlog.spooling
    backlog.spool.close()


def test_a_portion_under_way_that_moves_to_disk_is_confirmed_there(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path)
    backlog.open()
    for n in (1, 2):
        backlog.add(parcel(n))
    assert backlog.portion() == [parcel(1), parcel(2)]
    assert backlog.spill()
    backlog.add(parcel(3))
    backlog.confirm()
    assert backlog.portion() == [parcel(3)]
    backlog.spool.close()


def test_a_disk_without_room_leaves_everything_in_memory(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path, limit_bytes=200)
    backlog.open()
    for n in range(1, LIMIT + 1):
        assert backlog.add(parcel(n))
    assert not backlog.add(parcel(LIMIT + 1))
    assert not backlog.spooling
    assert [one.entry.n for one in backlog.portion()] == list(range(1, LIMIT + 1))
    assert backlog.spool.empty
    backlog.spool.close()


def test_events_find_room_where_numbers_do_not_and_always_at_the_end(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path, limit_bytes=3200)
    backlog.open()
    backlog.add(parcel(1))
    backlog.spill()
    while backlog.add(parcel(2)):
        pass
    assert not backlog.room_for(200)
    assert backlog.add(parcel(1, kind="gap"))
    while backlog.add(parcel(2, kind="gap")):
        pass
    backlog.closing = True
    assert backlog.add(parcel(3, kind="gap"))
    assert not backlog.add(parcel(3))
    backlog.spool.close()


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path)
    backlog.open()
    backlog.add(parcel(1))
    backlog.spill()
    backlog.spool.append(b"another version")
    backlog.add(parcel(2))
    assert backlog.portion() == [parcel(1), parcel(2)]
    backlog.confirm()
    assert not backlog
    backlog.spool.close()


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_portion_is_bounded(count: int) -> None:
    assert len(portion_of([parcel(n) for n in range(count)])) == min(count, PORTION_PARCELS)


class BacklogAgainstQueue(RuleBasedStateMachine):
    """Whatever happens between any two steps, Redis sees every parcel, in order, perhaps twice."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="backlog-"))
        self.waiting: deque[Parcel] = deque()
        self.arrived: list[int] = []
        self.under_way: list[Parcel] = []
        self.n = 0
        self.backlog = backlog_in(self.folder, limit_bytes=4000)
        self.backlog.open()

    @rule(records=st.integers(1, 8))
    def add(self, records: int) -> None:
        one = parcel(self.n + 1, records)
        if self.backlog.add(one):
            self.n += 1
            self.waiting.append(one)

    @rule()
    def take(self) -> None:
        self.under_way = self.backlog.portion()
        assert self.under_way == list(self.waiting)[: len(self.under_way)]
        assert bool(self.under_way) == bool(self.waiting)

    @rule(answered=st.booleans())
    @precondition(lambda self: self.under_way)
    def arrive(self, answered: bool) -> None:
        """Redis takes the portion; its answer may be lost."""
        self.arrived += [one.entry.n for one in self.under_way]
        if answered:
            self.backlog.confirm()
            for _ in self.under_way:
                self.waiting.popleft()
        else:
            self.backlog.spill()
        self.under_way = []

    @rule()
    def redis_goes_away(self) -> None:
        self.backlog.spill()
        self.under_way = []

    @rule()
    def stop_and_start_again(self) -> None:
        if self.backlog.spill():
            self.backlog.spool.close()
            self.backlog = backlog_in(self.folder, limit_bytes=4000)
            kept = deque(self.backlog.open())
            assert list(kept)[len(kept) - len(self.waiting) :] == list(self.waiting)
            self.waiting = kept
            self.under_way = []

    @invariant()
    def nothing_overtakes_and_memory_is_bounded(self) -> None:
        highest = 0
        for n in self.arrived:
            assert n <= highest + 1
            highest = max(highest, n)
        assert self.backlog.records <= LIMIT
        assert self.backlog.records == (0 if self.backlog.spooling else sum(o.records for o in self.waiting))

    def teardown(self) -> None:
        self.backlog.spool.close()
        shutil.rmtree(self.folder)


TestBacklogAgainstQueue = BacklogAgainstQueue.TestCase


def test_damage_between_a_portion_and_its_confirmation_is_passed_over(tmp_path: Path) -> None:
    backlog = backlog_in(tmp_path)
    backlog.open()
    backlog.add(parcel(1))
    backlog.spill()
    backlog.portion()
    for segment in tmp_path.glob("*.spool"):
        os.truncate(segment, 10)
    backlog.confirm()
    assert not backlog
    backlog.spool.close()


def test_a_segment_that_is_unreadable_between_a_portion_and_its_confirmation(tmp_path: Path) -> None:
    """What was sent is confirmed, and nothing of what was not."""
    backlog = backlog_in(tmp_path)
    backlog.open()
    backlog.add(parcel(1))
    backlog.spill()
    for n in range(2, 20):
        backlog.add(parcel(n))
    first, *_, _ = sorted(tmp_path.glob("*.spool"))
    sent = backlog.spool.peek(1)  # of the first segment alone
    backlog.portioned = len(sent)
    first.unlink()
    first.mkdir()
    backlog.confirm()
    remaining = []
    while portion := backlog.portion():
        remaining += [one.entry.n for one in portion]
        backlog.confirm()
    assert remaining == list(range(remaining[0], 20)), "the other segments are whole"
    backlog.spool.close()


def test_without_a_disk_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    backlog = Backlog(Spool(tmp_path, 1 << 20), LIMIT, disk=False)
    backlog.open()
    assert all(backlog.add(parcel(n)) for n in range(1, LIMIT + 1))
    assert not backlog.add(parcel(LIMIT + 1))
    assert not backlog.spill()
    assert not list(tmp_path.glob("*.spool"))
    assert len(backlog.portion()) == LIMIT
    backlog.confirm()
    assert backlog.add(parcel(LIMIT + 1))
    backlog.spool.close()
