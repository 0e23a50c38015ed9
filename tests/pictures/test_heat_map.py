"""The map of instruments and hours."""

from __future__ import annotations

import pytest

from tests.pictures.looking import decoded, dots, labelled, words
from trade_platform.domain.model import DAY
from trade_platform.pictures.heat_map import (
    ALL,
    MOST,
    NOTHING,
    RAMP,
    UNKNOWN,
    Row,
    colour_of,
    heat_figure,
    heat_map,
    percent,
)
from trade_platform.pictures.ticks import HOUR

START = 1_790_000_000_000_000 // DAY * DAY


def test_each_hour_of_each_row_has_a_cell_of_its_colour() -> None:
    rows = [
        Row(name="a/X", shares=[1.0, 0.97, 0.5, 0.1], total=0.64),
        Row(name="b/Y", shares=[None, 0.0, 1.0, 1.0], total=0.66),
    ]
    figure = heat_figure(rows, START)
    (axes,) = figure.axes
    counted = {colour: len(labelled(axes, colour)[0].get_paths()) for colour in (ALL, NOTHING, UNKNOWN)}
    assert counted == {ALL: 3, NOTHING: 1, UNKNOWN: 1}
    assert [len(labelled(axes, colour)[0].get_paths()) for _, colour in RAMP] == [1, 1, 1]
    (lost,) = labelled(axes, NOTHING)[0].get_paths()
    box = lost.get_extents()
    assert (box.x0, box.x1) == (3600, 7200)
    assert 0.5 < box.y0 < box.y1 < 1.5
    written = words(figure)
    assert "a/X" in written
    assert "64.0 %" in written
    assert "97" in written.split("\n")


def test_a_whole_map_is_calm_and_only_what_is_seen_is_explained() -> None:
    rows = [Row(name=f"binance_spot/COIN{n}USDT", shares=[1.0] * 24, total=1.0) for n in range(MOST)]
    written = words(heat_figure(rows, START))
    assert "all proven" in written
    assert "nothing" not in written
    image = decoded(heat_map(rows, START))
    assert dots(image, ALL) > 200_000
    assert dots(image, NOTHING) == 0


def test_a_lost_hour_is_seen_among_a_week_of_many() -> None:
    rows = [Row(name=f"deribit/{n}", shares=[1.0] * 168, total=1.0) for n in range(20)]
    rows[7] = Row(name="deribit/7", shares=[1.0] * 100 + [0.0] + [1.0] * 67, total=0.994)
    assert dots(decoded(heat_map(rows, START)), NOTHING, 40) > 50


def test_now_is_marked_in_a_running_hour() -> None:
    rows = [Row(name="a", shares=[1.0, None])]
    assert "now" in words(heat_figure(rows, START, now=START + HOUR + 5)).split("\n")
    assert "now" not in words(heat_figure(rows, START, now=START + 5 * HOUR)).split("\n")


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %"), (0.0004, "<0.1 %"), (0.0, "0 %"), (None, "–")],
)
def test_only_all_is_a_hundred_percent(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_the_smallest_loss_has_another_colour_than_none() -> None:
    assert colour_of(1.0) == ALL
    assert colour_of(0.9999) == RAMP[0][1]
    assert colour_of(1e-9) == RAMP[-1][1]
    assert colour_of(0.0) == NOTHING


def test_rows_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        heat_map([Row(name="a", shares=[1.0]), Row(name="b", shares=[])], START)
    with pytest.raises(ValueError, match="1 to 60"):
        heat_map([], START)


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = [Row(name="a", shares=[1.0, 0.5, None], total=0.75)]
    assert heat_map(rows, START, now=START + HOUR) == heat_map(rows, START, now=START + HOUR)
