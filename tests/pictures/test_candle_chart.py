"""Candles as they are drawn: every body, every hole, every doubt."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest

from tests.pictures.looking import decoded, dots, labelled, words
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.pictures.candle_chart import (
    MOST,
    Candlestick,
    Heading,
    candle_chart,
    candle_figure,
    price_label,
)
from trade_platform.pictures.style import AMBER, BLUE, VERMILION

START = 1_790_000_000_000_000 // DAY * DAY
HEADING = Heading(
    exchange="binance_spot",
    symbol="BTCUSDT",
    interval="1m",
    width=MINUTE,
    source="made of trades",
    unit="BTC",
)


def stick(at: int, opened: str = "100", closed: str = "101", **changes: Any) -> Candlestick:
    low, high = sorted((Decimal(opened), Decimal(closed)))
    fields: dict[str, Any] = {
        "open_time": START + at * MINUTE,
        "open": Decimal(opened),
        "high": high + 1,
        "low": low - 1,
        "close": Decimal(closed),
        "volume": Decimal(2),
        "complete": True,
    }
    return Candlestick(**(fields | changes))


def bodies(figure: Any, which: str) -> list[Any]:
    prices = figure.axes[0]
    return [path for one in labelled(prices, which) for path in one.get_paths()]


def test_every_candle_has_its_body_at_its_minute_and_its_prices() -> None:
    figure = candle_figure([stick(0), stick(1, "101", "98"), stick(2, "98", "99")], HEADING)
    rising, falling = bodies(figure, "rising"), bodies(figure, "falling")
    assert (len(rising), len(falling)) == (2, 1)
    box = falling[0].get_extents()
    assert (box.y0, box.y1) == (98, 101)
    assert 60 < box.x0 < box.x1 < 120


def test_the_heading_says_instrument_interval_range_and_source() -> None:
    written = words(candle_figure([stick(0), stick(1)], HEADING))
    for part in ("BTCUSDT  1m", "binance_spot", "00:00 – 00:02 UTC", "made of trades", "volume, BTC", "UTC"):
        assert part in written


def test_what_is_not_proven_and_what_is_not_there_is_seen() -> None:
    candles = [stick(0), stick(1, complete=False), stick(2, complete=False), stick(6)]
    figure = candle_figure(candles, HEADING)
    for panel in figure.axes:
        (doubt,), (hole,) = labelled(panel, "not proven complete"), labelled(panel, "no candle")
        assert [path.get_extents().bounds[::2] for path in doubt.get_paths()] == [(60, 120)]
        assert [path.get_extents().bounds[::2] for path in hole.get_paths()] == [(180, 180)]
    assert "2 not proven complete" in words(figure)
    assert dots(decoded(candle_chart(candles, HEADING)), AMBER) > 1000


def test_nothing_is_explained_that_is_not_seen() -> None:
    figure = candle_figure([stick(0), stick(1)], HEADING)
    assert "proven" not in words(figure)
    assert dots(decoded(candle_chart([stick(0), stick(1)], HEADING)), AMBER) == 0


def test_a_fixed_range_shows_what_lies_outside_of_the_candles_as_absent() -> None:
    figure = candle_figure([stick(5)], HEADING, start=START, end=START + 10 * MINUTE)
    (hole,) = labelled(figure.axes[0], "no candle")
    assert [path.get_extents().bounds[::2] for path in hole.get_paths()] == [(0, 300), (360, 240)]


def test_a_whole_day_of_minutes_is_one_small_picture() -> None:
    day = [stick(at, str(100 + at % 7), str(100 + at % 5)) for at in range(1440)]
    image = decoded(candle_chart(day, HEADING))
    assert image.size == (1019, 529)
    assert dots(image, BLUE, 60) > 500
    assert dots(image, VERMILION, 60) > 500


def test_the_same_candles_give_the_same_bytes() -> None:
    candles = [stick(0), stick(1, "101", "98")]
    assert candle_chart(candles, HEADING) == candle_chart(candles, HEADING)
    drawn = candle_chart(candles, HEADING, kind="svg")
    assert drawn == candle_chart(candles, HEADING, kind="svg")
    assert drawn.startswith(b"<?xml")
    assert b"<svg" in drawn


def test_minutes_without_a_price_have_a_place_and_no_body() -> None:
    nothing = dict.fromkeys(("open", "high", "low", "close"))
    figure = candle_figure([stick(0), stick(1, **nothing), stick(2)], HEADING)
    assert len(bodies(figure, "rising")) == 2
    assert "no price" in words(candle_figure([stick(0, **nothing)], HEADING))
    assert decoded(candle_chart([stick(0, **nothing)], HEADING))


@pytest.mark.parametrize("price", ["0.00000123", "1234567890123", "-12.5", "0"])
def test_any_price_can_be_drawn(price: str) -> None:
    same = Decimal(price)
    candles = [stick(at, price, price, high=same, low=same, volume=Decimal(0)) for at in range(3)]
    assert decoded(candle_chart(candles, HEADING))
    assert f"{same:,f}" in words(candle_figure(candles, HEADING))


@pytest.mark.parametrize(
    ("price", "decimals", "words"),
    [
        ("43374.100000000000000000", 0, "43,374.1"),
        ("100.000000000000000000", 2, "100"),
        ("1200", 0, "1,200"),
        ("0.123456789", 2, "0.1235"),
        ("0.00000123", 8, "0.00000123"),
    ],
)
def test_the_last_price_is_said_as_exactly_as_the_scale_has_room_for(
    price: str, decimals: int, words: str
) -> None:
    assert price_label(Decimal(price), decimals) == words


def test_none_and_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        candle_chart([], HEADING)
    with pytest.raises(ValueError, match="not 2,001"):
        candle_chart([stick(at) for at in range(MOST + 1)], HEADING)


def test_no_figure_is_left_behind() -> None:
    candle_chart([stick(0)], HEADING)
    assert "matplotlib.pyplot" not in sys.modules, "what keeps figures alive was never loaded"
