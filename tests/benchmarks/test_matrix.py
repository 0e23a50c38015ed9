"""The faults themselves: which there are, where they are done, and which two meet."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import psycopg
import pytest
from msgspec.structs import replace

from benchmarks.loopback import Reading
from benchmarks.matrix import ALL, GROUPS, QUICK, STAGES, Case, cases, groups
from benchmarks.matrix.pairs import Together, pairs, together
from benchmarks.ordeal import rounds
from streamers.simulator.faults import Fault, Name, objection
from trade_platform.adapters.loopback import LoopbackError


def of(name: str) -> Case:
    return next(case for case in cases() if case.name == name)


def test_each_fault_stands_once_for_each_place_on_a_stage_that_there_is() -> None:
    found = [(case.name, target) for case in cases(count=4) for target in case.targets]
    assert len(found) == len(set(found))
    assert {case.stage for case in cases(count=4)} == set(STAGES)
    assert set(groups(1, 2)) == set(GROUPS)


def test_each_fault_has_a_defence_to_switch_off_or_the_reason_why_not() -> None:
    assert [case.name for case in cases(count=4) if bool(case.defences) == bool(case.harmless)] == []


def test_the_short_cut_is_a_part_of_the_whole_on_one_stage() -> None:
    assert {of(name).stage for name in QUICK} == {"plain"}


class Recorder:
    """A platform that only notes which faults its simulator is to do."""

    class seclusion:  # noqa: N801
        network = False

    def __init__(self) -> None:
        self.told: dict[str, set[str]] = {}
        self.refused: list[str] = []

    def inflict(self, exchange: str, fault: str, **fields: object) -> None:
        self.told.setdefault(exchange, set()).add(fault)
        if said := objection(Fault(fault=fault, exchange=exchange, **fields), exchange):  # type: ignore[arg-type]
            self.refused.append(said)

    def pid_of(self, _name: str) -> int:
        raise LoopbackError("nothing runs here")


def test_every_fault_that_the_simulator_can_do_is_done_as_it_can_do_it() -> None:
    recorder = Recorder()
    for name in ("connections", "silences", "messages", "limits"):
        for case in groups(1, 0)[name]:
            with suppress(LoopbackError, AttributeError):  # it asks more than a simulator
                case.inflict(recorder, case.targets)  # type: ignore[arg-type]
    assert recorder.refused == []
    assert set().union(*recorder.told.values()) == set(get_args(Name))
    assert set(recorder.told) == set(ALL)


def test_faults_of_different_exchanges_are_done_at_once_and_shared_ones_alone() -> None:
    usdm, deribit, everywhere, redis = map(of, ("wrong_route", "short_ack", "abort", "redis_kill"))
    assert rounds([usdm, deribit, everywhere, redis]) == [[usdm, deribit], [everywhere], [redis]]
    assert rounds([usdm, redis, deribit]) == [[usdm, deribit], [redis]]


def test_pairs_are_drawn_by_the_seed() -> None:
    def drawn(seed: int) -> list[str]:
        return [case.name for case in pairs(cases(), 8, seed)]

    assert drawn(1) == drawn(1)
    assert len(set(drawn(1))) == 8
    assert drawn(1) != drawn(2)


def test_a_pair_is_of_two_kinds_that_meet_at_an_exchange() -> None:
    known = {case.name: case for case in cases()}
    for pair in pairs(cases(), 20, seed=3):
        first, second = (known[name] for name in pair.name.split(" + "))
        assert first.kind != second.kind
        assert set(pair.targets) == set(first.targets) & set(second.targets) != set()
        assert pair.hold == max(first.hold, second.hold)
        assert pair.shared == (first.shared or second.shared)


def test_both_faults_of_a_pair_are_done_and_both_are_healed() -> None:
    done: list[str] = []
    first = replace(of("abort"), inflict=lambda *_: done.append("first"), heal=lambda *_: done.append("one"))
    second = replace(of("skip"), inflict=lambda *_: done.append("second"), heal=lambda *_: done.append("two"))
    pair = together(first, second)
    pair.inflict(None, ALL)  # type: ignore[arg-type]
    pair.heal(None, ALL)  # type: ignore[arg-type]
    assert done == ["first", "second", "one", "two"]


@pytest.mark.parametrize("error", [LoopbackError("away"), psycopg.OperationalError("away")])
def test_a_pair_has_happened_when_both_have_though_one_hides_the_other(error: Exception) -> None:
    readings: list[Reading | Exception] = [{"a": 0.0}, {"b": 4.0}]

    def look(place: int) -> Reading:
        found = readings[place]
        if isinstance(found, Exception):
            raise found
        return found

    both = Together(lambda *_: look(0), lambda *_: look(1))
    assert both(None, "deribit") == {}  # type: ignore[arg-type]
    readings[:] = [{"a": 1.0}, error]
    assert both(None, "deribit") == {}  # type: ignore[arg-type]
    readings[:] = [error, {"b": 5.0}]
    assert both(None, "deribit") == {"a and b": 1.0}  # type: ignore[arg-type]
