"""How the matrix is divided: a stage for each set of settings, a platform for each set of absent defences."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from benchmarks.campaign import by_defences, by_stage, final_rows, revived
from benchmarks.matrix import cases
from benchmarks.rows import Gaps, Row
from benchmarks.stage import RunFailed
from tests.benchmarks.test_rows import ROW
from trade_platform.domain.defences import Defence


def test_cases_of_one_stage_share_a_platform_in_their_order() -> None:
    everything = cases(count=2)
    found = by_stage(everything)
    assert [case for group in found.values() for case in group if case.stage == "plain"] == [
        case for case in everything if case.stage == "plain"
    ]
    assert sum(map(len, found.values())) == len(everything)


def test_only_faults_of_the_same_absent_defences_share_a_platform() -> None:
    found = by_defences(cases())
    assert {defences[0] for _, defences in found} == set(Defence)
    for (stage, defences), group in found.items():
        assert {(case.stage, case.defences) for case in group} == {(stage, defences)}
    assert not [case for group in found.values() for case in group if case.harmless]


def test_how_the_gaps_end_is_told_by_the_last_look() -> None:
    class Done:
        def rows(self) -> list[Row]:
            return [replace(ROW, gaps=Gaps(3)), replace(ROW, gaps=Gaps(2))]

        def gaps(self) -> list[Gaps | None]:
            return [Gaps(3, 3), None]

    assert [row.gaps for row in final_rows(Done())] == [Gaps(3, 3), Gaps(2)]  # type: ignore[arg-type]


@pytest.mark.parametrize("alive", [True, False])
def test_a_platform_that_does_not_come_back_to_life_is_given_up(alive: bool) -> None:
    class Platform:
        def revive(self) -> None:
            if not alive:
                raise RunFailed("nothing delivers")

    assert revived(Platform()) is alive  # type: ignore[arg-type]
