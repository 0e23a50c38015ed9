"""The rows as tables and as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from benchmarks.report import (
    COLUMNS,
    WIDTH,
    Absent,
    Record,
    cells,
    load,
    markdown,
    save,
    show,
    style,
    without,
)
from benchmarks.rows import Absence, Gaps
from tests.benchmarks.test_rows import ROW


def test_a_row_has_a_cell_for_each_column() -> None:
    assert len(cells(ROW)) == len(COLUMNS)
    assert cells(replace(ROW, detect=None, lost=None))[4:10] == ("–", "9.0", "9.5", "3/2/1", "?", "0")


def test_the_colour_follows_the_judgement() -> None:
    late = replace(ROW, resume=11.0)
    assert (style(ROW), style(late), style(late, times=False)) == (None, "red", None)
    assert style(replace(ROW, noticed=""), times=False) == "red"


def test_what_was_seen_without_a_defence_has_its_column() -> None:
    assert without(ROW) == "not run"
    assert without(replace(ROW, harmless="nothing to switch off")) == "nothing to switch off"
    absent = replace(ROW, absence=Absence(("catch_up", "repair"), "7 lost"))
    assert without(absent) == "catch_up: 7 lost"
    assert without(replace(ROW, absence=Absence(("catch_up",), ""))) == "catch_up: no harm"


def test_the_table_fits_a_wide_page(capsys: pytest.CaptureFixture[str]) -> None:
    show([replace(ROW, fault="maintenance_unannounced")])
    printed = capsys.readouterr().out
    assert "maintenance_unannounced" in printed
    assert max(map(len, printed.splitlines())) <= WIDTH


def test_a_document_has_one_line_a_fault_from_smallest_to_largest() -> None:
    other = replace(ROW, target="binance_spot", detect=17.5, gaps=Gaps(5, 2, 3))
    lines = markdown([ROW, other]).splitlines()
    assert len(lines) == 3
    assert "| half_open | deribit, spot |" in lines[2]
    assert "| 15.0 – 17.5 | 9.0 | 9.5 | 3 – 5/2/1 – 3 | 0 | 0 |" in lines[2]
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")


def test_harm_of_one_defence_is_told_with_its_name_once_and_without_the_number_of_a_process() -> None:
    one, two = (Absence(("restart", "repair"), f"it ended, new pid {pid}") for pid in (17, 23))
    other = replace(ROW, target="binance_spot", absence=Absence(("restart", "repair"), "7 lost"))
    group = [replace(ROW, absence=one), replace(ROW, target="binance_usdm", absence=two), other]
    assert "| restart: it ended, new pid; 7 lost |" in markdown(group)
    assert "not run" in markdown([ROW, other])


def test_what_was_not_measured_everywhere_is_no_span() -> None:
    unknown = replace(ROW, target="binance_spot", detect=None, gaps=None)
    assert "| – | 9.0 | 9.5 | –/–/– |" in markdown([ROW, unknown])


def test_every_figure_is_there_for_a_script_and_can_be_read_again(tmp_path: Path) -> None:
    absent = Absent(fault="skip", target="deribit", absence=Absence(("catch_up",), "7 lost"))
    record = Record(seed=7, seconds=12.3, rows=[ROW], absences=[absent], broken=["it broke"])
    save(tmp_path / "rows.json", record)
    assert load(tmp_path / "rows.json") == record
    read = msgspec.json.decode((tmp_path / "rows.json").read_bytes())
    assert read["rows"][0]["gaps"] == {"opened": 3, "repaired": 2, "unrepairable": 1, "lost": 0, "candles": 0}
