"""One fault from its beginning to its end, on a platform that only answers."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from msgspec.structs import replace

from benchmarks.loopback import Reading
from benchmarks.matrix.case import Bound, Case
from benchmarks.ordeal import Ordeal
from benchmarks.recorded import Mark, Stored
from benchmarks.rows import Gaps, failures
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.domain.defences import Defence


class Tables:
    def __init__(self) -> None:
        self.answer: Stored | Exception = Stored(0, 0, 5)
        self.newest = 10

    def last_gap(self, _exchange: str) -> int:
        return self.newest

    def ledger_of(self, _exchange: str, low: int, high: int) -> Gaps:
        return Gaps(high - low, high - low, 0)

    def stored(self, _exchange: str, low: Mark, high: Mark) -> Stored:
        assert low.market < high.market
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Platform:
    """Its market goes on by one whenever it is looked at."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.counters: dict[str, float] = {}
        self.market = 0

    def mark(self, _exchange: str) -> Mark:
        self.market += 1
        return Mark(self.market, {"X": self.market})


def counter(name: str) -> Callable[[Platform, str], Reading]:
    return lambda platform, _target: {name: platform.counters.get(name, 0.0)}


def grow(*names: str) -> Callable[[Platform, object], None]:
    return lambda platform, _targets: platform.counters.update(dict.fromkeys(names, 1.0))


CASE = Case(
    name="abort", targets=("deribit",), inflict=grow("fault", "sign"), proof=counter("fault"),  # type: ignore[arg-type]
    sign=counter("sign"), hold=0.0, patience=0.0, patience_without=0.0, defences=(Defence.CATCH_UP,),  # type: ignore[arg-type]
)  # fmt: skip


def tried(case: Case, platform: Platform, *, looks: int = 4, bare: bool = False) -> Ordeal:
    ordeal = Ordeal(platform, case, bare=bare)  # type: ignore[arg-type]
    ordeal.begin()
    for _ in range(looks):
        ordeal.look()
    ordeal.end()
    return ordeal


def test_a_fault_that_is_noticed_and_costs_nothing_is_good() -> None:
    ordeal = tried(CASE, Platform())
    assert ordeal.look()
    (row,) = ordeal.rows()
    assert (row.happened, row.noticed, row.lost, row.duplicated) == ("fault", "sign", 0, 0)
    assert row.resume is not None
    assert row.whole is not None
    assert failures(row) == []


def test_a_fault_that_left_no_trace_has_not_happened() -> None:
    (row,) = tried(replace(CASE, inflict=lambda *_: None), Platform()).rows()
    assert failures(row) == ["did not happen"]


def test_a_fault_that_could_not_be_ordered_has_not_happened() -> None:
    def refuse(_platform: object, _targets: object) -> None:
        raise LoopbackError("it does not answer")

    (row,) = tried(replace(CASE, inflict=refuse), Platform()).rows()
    assert failures(row) == ["did not happen"]


def test_what_is_missing_in_the_end_is_lost_and_what_comes_again_is_twice() -> None:
    platform = Platform()
    platform.tables.answer = Stored(missing=3, duplicated=2, newer=1)
    (row,) = tried(CASE, platform).rows()
    assert failures(row) == ["3 lost", "2 twice"]
    assert row.whole is None


def test_a_server_that_is_away_is_asked_again() -> None:
    platform = Platform()
    platform.tables.answer = psycopg.OperationalError("away")
    ordeal = tried(CASE, platform)
    assert failures(ordeal.rows()[0]) == ["could not be counted", "did not resume"]
    platform.tables.answer = Stored(0, 0, 5)
    ordeal.look()
    assert failures(ordeal.rows()[0]) == []


def test_a_reading_that_cannot_be_had_has_not_grown() -> None:
    def away(_platform: object, _target: str) -> Reading:
        raise LoopbackError("away")

    (row,) = tried(replace(CASE, proof=away), Platform()).rows()
    assert failures(row) == ["did not happen"]


def test_it_is_healed_before_it_is_judged() -> None:
    healed: list[str] = []
    case = replace(CASE, heal=lambda *_: healed.append("healed"), clean_up=lambda *_: healed.append("clean"))
    tried(case, Platform())
    assert healed == ["healed", "clean"]


def test_gaps_are_those_since_the_fault_began() -> None:
    def inflict(platform: Platform, targets: object) -> None:
        grow("fault", "sign")(platform, targets)
        platform.tables.newest = 14

    ordeal = tried(replace(CASE, inflict=inflict), Platform())
    assert ordeal.gaps() == [Gaps(4, 4, 0)]


def test_more_than_is_allowed_is_counted_from_the_beginning() -> None:
    bound = Bound(counter("connections"), 6, "connections in the first minute")  # type: ignore[arg-type]
    platform = Platform()
    platform.counters["connections"] = 100.0

    def connect(more: float) -> Callable[[Platform, object], None]:
        return lambda one, _: one.counters.update(fault=1.0, sign=1.0, connections=100 + more)

    within = tried(replace(CASE, bound=bound, inflict=connect(6)), platform)
    assert failures(within.rows()[0]) == []
    platform.counters = {"connections": 100.0}
    beyond = tried(replace(CASE, bound=bound, inflict=connect(7)), platform)
    assert failures(beyond.rows()[0]) == ["7 connections in the first minute"]
    assert beyond.harms() == ["7 connections in the first minute"]


def test_without_its_defence_a_fault_that_stalls_or_loses_has_done_harm() -> None:
    platform = Platform()
    platform.tables.answer = Stored(missing=3, duplicated=0, newer=1)
    assert tried(CASE, platform, bare=True).harms() == ["3 lost"]
    platform.tables.answer = Stored(missing=3, duplicated=0, newer=0)
    platform.counters.clear()
    assert tried(CASE, platform, bare=True).harms() == ["stalled, 0 s and more"]


def test_without_its_defence_a_fault_that_costs_nothing_has_done_none() -> None:
    assert tried(CASE, Platform(), bare=True).harms() == [""]


def test_harm_of_another_kind_counts_too_and_only_without_the_defence() -> None:
    case = replace(CASE, inflict=grow("fault", "sign", "ended"), harm=counter("ended"))
    assert tried(case, Platform(), bare=True).harms() == ["ended"]
    assert tried(case, Platform()).harms() == [""]


def test_a_fault_that_did_not_happen_proves_nothing_about_its_defence() -> None:
    platform = Platform()
    platform.tables.answer = Stored(missing=3, duplicated=0, newer=1)
    assert tried(replace(CASE, inflict=lambda *_: None), platform, bare=True).harms() == [""]


def test_harm_that_was_seen_elsewhere_first_does_not_end_it_before_the_fault_itself() -> None:
    platform = Platform()
    platform.tables.answer = Stored(0, 0, 0)
    case = replace(CASE, inflict=grow("sign", "ended"), harm=counter("ended"), patience_without=600.0)
    ordeal = tried(case, platform, bare=True)
    assert not ordeal.look()
    platform.counters["fault"] = 1.0
    assert ordeal.look()
    assert ordeal.harms() == ["ended"]
