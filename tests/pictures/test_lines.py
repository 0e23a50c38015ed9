"""Lines over time."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.pictures.looking import decoded, dots, words
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.pictures.lines import Line, lines, lines_figure
from trade_platform.pictures.style import SERIES

START = 1_790_000_000_000_000 // DAY * DAY
END = START + 10 * MINUTE
TIMES = [START + n * MINUTE for n in range(10)]
SAID = {"title": "Lag", "source": "median of trades", "unit": "milliseconds"}


def line(name: str, *values: float | None) -> Line:
    return Line(name=name, times=TIMES[: len(values)], values=values)


def test_each_series_is_a_line_through_its_values_named_where_it_ends() -> None:
    figure = lines_figure([line("deribit", 1, 2, 40.5), line("binance_spot", 3, 3, 3)], START, END, **SAID)
    drawn = {one.get_label(): list(one.get_ydata()) for one in figure.axes[0].lines}
    assert drawn == {"deribit": [1, 2, 40.5], "binance_spot": [3, 3, 3]}
    for part in ("Lag", "median of trades", "milliseconds", "deribit  40.5", "binance_spot  3", "UTC"):
        assert part in words(figure)


def test_a_time_without_a_value_breaks_the_line() -> None:
    (drawn,) = lines_figure([line("a", 1, None, 3)], START, END, **SAID).axes[0].lines
    assert [math.isnan(value) for value in drawn.get_ydata()] == [False, True, False]


def test_a_single_value_is_a_dot() -> None:
    image = decoded(lines([line("a", None, 5)], START, END, **SAID))
    assert dots(image, SERIES[0], 40) > 10


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    figure = lines_figure([line(name, 5, 5) for name in "abcde"], START, END, **SAID)
    heights = sorted(one.xy[1] for one in figure.axes[0].texts if one.get_text()[0] in "abcde")
    assert min(b - a for a, b in itertools.pairwise(heights)) > 0.08


def test_the_scale_begins_at_zero_unless_something_is_below_it() -> None:
    assert lines_figure([line("a", 5, 6)], START, END, **SAID).axes[0].get_ylim()[0] == 0
    assert lines_figure([line("a", -5, 6)], START, END, **SAID).axes[0].get_ylim()[0] < -5


def test_nothing_to_draw_is_said() -> None:
    assert "nothing was received" in words(lines_figure([], START, END, **SAID))
    assert decoded(lines([line("a", None)], START, END, **SAID))


def test_more_lines_than_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="not 9"):
        lines([line(str(n), 1) for n in range(9)], START, END, **SAID)
