"""What counts as wrong in a month that was backfilled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.month import RECORDED, Done, _judge_days, _record
from trade_platform.adapters.selection_file import read_selection
from trade_platform.exchanges.registry import EXCHANGES


def day(state: str, trades: int = 5) -> dict[str, Any]:
    names = {"exchange": "binance_spot", "symbol": "BTCUSDT", "day": "2026-11-01", "words": "a hole"}
    return {**names, "state": state, "trades": trades}


def judged(days: list[dict[str, Any]], asked: int) -> Done:
    done = Done({}, Counter(), [])
    _judge_days({"days": days}, done, asked)
    return done


def test_whole_days_are_right_and_their_trades_are_counted() -> None:
    done = judged([day("whole"), day("whole")], 2)
    assert (done.wrong, done.counts["trades read"], done.counts["days"]) == ([], 10, 2)


def test_a_day_that_is_not_whole_and_one_that_was_not_looked_at_are_wrong() -> None:
    assert judged([day("lacking")], 1).wrong == ["binance_spot BTCUSDT 2026-11-01 is lacking: a hole"]
    assert judged([day("whole")], 2).wrong == ["1 days were looked at, and 2 asked for"]


def test_what_is_recorded_is_two_exchanges_and_six_instruments(tmp_path: Path) -> None:
    file = tmp_path / "instruments.toml"
    file.write_text("".join(map(_record, RECORDED)))
    selection = read_selection(file, exchanges=EXCHANGES)
    assert sum(len(one.symbols) for one in selection.record) == 6
    assert len(RECORDED) == 2
