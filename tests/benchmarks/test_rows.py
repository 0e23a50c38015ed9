"""What is said of a fault's row: when it fails the run, and when it is worth a word."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from benchmarks.rows import Absence, Gaps, Row, absent_line, failures, harm_of, line, of_one_server, verdict

ROW = Row(
    fault="half_open", target="deribit", happened="kernel: packets dropped", noticed="reconnect",
    detect=15.0, resume=9.0, whole=9.5, waited=12.0, gaps=Gaps(3, 2, 1), lost=0, duplicated=0,
    detect_reach=20.0, resume_reach=10.0,
)  # fmt: skip


def test_a_row_within_its_reaches_is_good_and_names_them() -> None:
    assert verdict(ROW) == "good: noticed ≤ 20 s, resumed ≤ 10 s"
    assert verdict(ROW, times=False) == "good"
    assert failures(ROW) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"happened": ""}, "did not happen"),
        ({"lost": 1200}, "1,200 lost"),
        ({"duplicated": 3}, "3 twice"),
        ({"lost": None}, "could not be counted"),
        ({"gaps": Gaps(2, 0, 2, 2)}, "2 lost"),
        ({"excess": "9 connections in the first minute"}, "9 connections in the first minute"),
        ({"expects_gap": True, "gaps": Gaps()}, "no gap row"),
        ({"expects_none": True}, "3 gap rows, and none was to be"),
        ({"absence": Absence(("spool", "repair"), "")}, "no harm without spool and repair"),
    ],
)
def test_a_fault_that_did_not_happen_or_cost_something_fails_the_run(
    change: dict[str, object], said: str
) -> None:
    row = replace(ROW, **change)
    assert failures(row) == failures(row, times=False) == [said]
    assert verdict(row) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"detect": 20.1}, "noticed late (≤ 20 s)"),
        ({"resume": None}, "did not resume"),
        ({"resume": 10.1}, "resumed late (≤ 10 s)"),
        ({"gaps": Gaps(3, 1, 1)}, "1 gaps still open"),
    ],
)
def test_a_deadline_fails_the_run_where_times_are_judged(change: dict[str, object], said: str) -> None:
    row = replace(ROW, **change)
    assert failures(row) == [said]
    assert failures(row, times=False) == []


def test_an_exchange_that_fell_has_no_candle_of_that_minute_and_every_trade() -> None:
    fell = replace(ROW, outage=True, gaps=Gaps(3, 1, 2, 0, 1))
    assert failures(fell) == []
    assert failures(replace(fell, outage=False)) == ["1 lost"]
    assert failures(replace(fell, gaps=Gaps(3, 1, 2, 1, 1))) == ["1 lost"]


def test_what_lies_beyond_the_horizon_may_be_lost_when_the_ledger_says_so() -> None:
    gone = replace(ROW, beyond=True, lost=12, gaps=Gaps(1, 0, 1, 1))
    assert failures(gone) == []
    assert failures(replace(gone, gaps=Gaps(1, 1, 0, 0))) == ["12 lost"]
    assert failures(replace(gone, beyond=False)) == ["13 lost"]


def test_what_nobody_notices_fails_where_there_is_something_to_notice() -> None:
    quiet = replace(ROW, noticed="", detect=None, detect_reach=None)
    assert failures(quiet) == ["not noticed"]
    assert failures(replace(quiet, watched=False)) == []


@pytest.mark.parametrize(
    ("change", "harm"),
    [
        ({}, ""),
        ({"lost": 7}, "7 lost"),
        ({"lost": 7, "duplicated": 2}, "7 lost, 2 twice"),
        ({"resume": None, "lost": 900}, "stalled, 12 s and more"),
        ({"detect": None}, "never noticed"),
        ({"detect": None, "detect_reach": None}, ""),
        ({"expects_gap": True, "gaps": Gaps()}, "its gap was never stored"),
        ({"excess": "9 connections"}, "9 connections"),
    ],
)
def test_the_harm_of_an_absent_defence_is_a_loss_a_stall_or_ignorance(
    change: dict[str, object], harm: str
) -> None:
    assert harm_of(replace(ROW, **change)) == harm


def test_the_harm_that_a_case_found_itself_comes_first() -> None:
    assert harm_of(replace(ROW, resume=None), "reconnect: protocol") == "reconnect: protocol"


def test_each_row_has_a_line_while_it_runs() -> None:
    assert line(2, 9, [ROW]).startswith("[2/9] half_open: deribit 15.0/9.0 s, good")
    assert line(2, 9, [replace(ROW, gaps=Gaps(3))]).endswith("resumed ≤ 10 s")
    assert absent_line([ROW], ["7 lost"]) == "half_open without its defence: deribit: 7 lost"
    assert absent_line([ROW], [""]).endswith("deribit: no harm")


def test_of_a_server_that_all_share_one_exchange_may_notice_for_all_and_be_harmed_for_all() -> None:
    harmed = replace(ROW, absence=Absence(("spool",), "7 lost"))
    quiet = replace(ROW, target="deribit", noticed="", absence=Absence(("spool",), ""))
    assert [failures(row) for row in of_one_server([harmed, quiet], [ROW.fault])] == [[], []]
    apart = ["not noticed", "no harm without spool"]
    assert [failures(row) for row in of_one_server([harmed, quiet], [])] == [[], apart]
    assert [failures(row) for row in of_one_server([quiet, quiet], [ROW.fault])] == [apart, apart]
