"""Equity above, profit below."""

from __future__ import annotations

import itertools
from decimal import Decimal

from tests.pictures.looking import decoded, dots, words
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.statement import Curve
from trade_platform.pictures.equity import equity, equity_figure
from trade_platform.pictures.lines import Line
from trade_platform.pictures.style import BLUE, SERIES, VERMILION

START = 1_790_000_000_000_000 // DAY * DAY
END = START + 10 * MINUTE
TIMES = [START + n * MINUTE for n in range(10)]


def curve(*values: int | None) -> Curve:
    known = [None if value is None else Decimal(value) for value in values]
    profit = [None if value is None else value - 1000 for value in known]
    return Curve(times=TIMES[: len(values)], equity=known, profit=profit)


def line(name: str, *values: float | None) -> Line:
    return Line(name=name, times=TIMES[: len(values)], values=values)


def test_the_sum_each_account_and_the_profit_are_drawn() -> None:
    one, other = curve(1000, 1020, 990), curve(1000, 1010, 1040)
    image = decoded(equity(curve(2000, 2030, 2030), {"a.one": one, "a.two": other}, START, END))
    assert min(dots(image, colour, 40) for colour in (BLUE, SERIES[2], SERIES[3], VERMILION)) > 30


def test_lines_are_named_where_they_end_and_the_picture_says_whose_it_is() -> None:
    figure = equity_figure(
        line("all", 3, 4),
        [line("a", 1, 2), line("b", 2, 2)],
        line("profit", 0, -1),
        START,
        END,
        source="a, b",
    )
    for part in ("Equity and profit", "USD", "a, b", "all  4", "a  2", "profit  -1"):
        assert part in words(figure)
    upper, lower = figure.axes
    assert len(upper.lines) == 3
    assert lower.get_ylim()[0] < -1 < 0 < lower.get_ylim()[1]


def test_names_do_not_cover_each_other_and_long_ones_are_cut() -> None:
    own = [line(f"operator.quite-a-long-name-{n}", 5.0) for n in range(3)]
    figure = equity_figure(line("all", 15.0), own, line("profit", 0), START, END, source="")
    names = [one for one in figure.axes[0].texts if one.get_text() != "UTC"]
    heights = sorted(one.xy[1] for one in names)
    assert len(heights) == 4
    assert min(b - a for a, b in itertools.pairwise(heights)) > 0.09
    assert max(len(one.get_text()) for one in names) < 24


def test_a_single_account_is_one_line() -> None:
    figure = equity_figure(line("equity", 3), [line("a", 3)], line("profit", 0), START, END, source="a")
    assert len(figure.axes[0].lines) == 1


def test_nothing_to_draw_is_said() -> None:
    figure = equity_figure(line("equity", None), [], line("profit", None), START, END, source="")
    assert "no balance is known" in words(figure)
    assert decoded(equity(curve(None), {}, START, END))
