"""What a person sees of the ledger, on terminals of several widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from trade_platform.adapters.database.gaps import LedgerGap, Summary
from trade_platform.commands.gap_table import CELLS, draw_gaps, in_rows, in_words
from trade_platform.commands.repair_once import Outcome
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import State
from trade_platform.domain.model import MICROSECONDS, Channel

NOON = 1_795_262_400 * MICROSECONDS
LEFT_OUT = "REST leaves out numbers 5,000,000,000 to 5,000,000,009, and there is no archive"
NOTHING = Summary(gaps=0, repaired=0, unrepairable=0, open=0)


def gap(
    exchange: str, symbol: str | None, channel: Channel | None, state: State, first: int | None, verdict: str
) -> LedgerGap:
    return LedgerGap(
        gap_id=1,
        exchange=exchange,
        symbol=symbol,
        channel=channel,
        reason="sequence" if first else "disconnect",
        first=first,
        last=first and first + 1999,
        since=NOON,
        until=NOON + 2_500_000,
        detail="market-0: closed (close code 1006)",
        state=state,
        attempts=2,
        detected_seconds_ago=60.0,
        attempted_seconds_ago=None,
        closed_seconds_ago=None,
        repaired_by="rest" if state is State.REPAIRED else None,
        verdict=verdict,
        remaining=Ranges.between(first, first + 10) if first and state is State.OPEN else None,
        detected_at=NOON + 1,
        attempted_at=None if state is State.UNREPAIRABLE else NOON + 2 * MICROSECONDS,
        closed_at=None if state is State.OPEN else NOON + 3 * MICROSECONDS,
    )


GAPS = [
    gap("binance_spot", "BTCUSDT", Channel.TRADE, State.OPEN, 5_000_000_000, LEFT_OUT),
    gap("deribit", "BTC-27JUN25-100000-C", Channel.TRADE, State.OPEN, None, ""),
    gap("binance_usdm", None, Channel.TICKER, State.UNREPAIRABLE, None, "no exchange serves it again"),
    gap("binance_usdm", "ETHUSDT", Channel.AGGREGATE_TRADE, State.REPAIRED, 7_000, "numbers 7 to 9 held"),
]


def drawn(width: int, gaps: list[LedgerGap] | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(draw_gaps(GAPS if gaps is None else gaps, NOTHING, most=500, width=width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 160, 200])
def test_nothing_that_matters_is_cut_or_broken_within_a_word(width: int) -> None:
    lines = drawn(width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in text
    for whole in ("binance_spot", "BTCUSDT", "ticker", "unrepairable", "11-21 12:00:00", "10 of 2,000"):
        assert whole in text


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_says_that_there_are_more() -> None:
    wide = drawn(200)
    assert [name in wide[2] for name in CELLS] == [True] * len(CELLS)
    assert "A wider terminal" not in "\n".join(wide)
    for width, missing in ((160, {"tries", "reason"}), (140, {"tries", "reason", "what"})):
        narrower = drawn(width)
        assert {name for name in CELLS if name not in narrower[2]} == missing
        assert "A wider terminal shows more columns, and --json everything." in narrower


def test_a_terminal_of_eighty_columns_has_two_lines_a_gap() -> None:
    lines = drawn(80, GAPS[:1])
    first = next(place for place, line in enumerate(lines) if "binance_spot" in line)
    assert lines[first].split() == ["binance_spot", "11-21", "12:00:00", "open", *LEFT_OUT.split()[:6]]
    assert lines[first + 1].split()[:5] == ["BTCUSDT", "trade", "10", "of", "2,000"]


def test_what_is_short_stays_on_its_line_where_what_is_long_would_not() -> None:
    assert "instrument" in drawn(110, GAPS[2:3])[2]
    assert "instrument" not in "".join(drawn(110))


def test_moments_for_a_script_are_iso_and_of_what_happened() -> None:
    rows = in_rows(GAPS)
    assert [row.detected_at for row in rows] == ["2026-11-21T12:00:00.000001+00:00"] * 4
    assert [row.attempted_at for row in rows[1:3]] == ["2026-11-21T12:00:02+00:00", None]
    assert [row.closed_at for row in rows] == [None, None, *["2026-11-21T12:00:03+00:00"] * 2]
    assert [row.repaired_at for row in rows] == [None, None, None, "2026-11-21T12:00:03+00:00"]


@pytest.mark.parametrize(("count", "words"), [(0, "0 gaps"), (1, "1 gap"), (2000, "2,000 gaps")])
def test_one_gap_is_not_gaps(count: int, words: str) -> None:
    counts = Summary(gaps=count, repaired=count, unrepairable=0, open=0)
    assert in_words(counts).plain == f"In 24 hours: {words}, {count:,} repaired, 0 open"
    done = Outcome(repaired=count, unrepairable=0, open=0, records=5)
    assert done.words == f"{words}, {count:,} repaired, 0 open; 5 trades and candles read again."


@pytest.mark.parametrize(("unrepairable", "left_open"), [(0, 1), (1, 0), (1, 1)])
def test_a_repair_that_leaves_something_says_where_the_reason_is(unrepairable: int, left_open: int) -> None:
    outcome = Outcome(repaired=0, unrepairable=unrepairable, open=left_open, records=5)
    assert outcome.words.endswith("; 5 trades and candles read again; `trade-platform gaps` says why.")
