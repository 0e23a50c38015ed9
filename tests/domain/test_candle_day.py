"""Rows of a day: pure rules, without a table."""

from __future__ import annotations

from decimal import Decimal

from trade_platform.domain.candle_day import Around, Judged, Row, rows_of_day
from trade_platform.domain.completeness import ClosedKline
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import Bar

START = 20_000 * DAY
LATER = START + 2 * DAY


def judged(minute: int, price: int | None = 5, *, follows: bool = True) -> Judged:
    """``price`` None: block trades alone."""
    open_time = START + minute * MINUTE
    prices = {} if price is None else dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    moment = None if price is None else (open_time, minute)
    bar = Bar(open_time=open_time, trades=1, opened=moment, closed=moment, **prices)
    return Judged(
        bar=bar, complete=True, follows=follows, event_time=open_time, receive_time=7, first_received=8
    )


def around(close: int | None = 3, after: Judged | None = None, **beside: object) -> Around:
    known: dict[str, object] = {"empty": {}, "fillers": {}, **beside}
    return Around(close=None if close is None else Decimal(close), after=after, **known)  # type: ignore[arg-type]


def said(rows: list[Row]) -> list[tuple[int, int | None, int]]:
    """(minute, close, trades)."""
    return [
        (
            (row.bar.open_time - START) // MINUTE,
            None if row.bar.close is None else int(row.bar.close),
            row.bar.trades,
        )
        for row in rows
    ]


def test_silence_before_a_minute_that_follows_is_filled_from_the_day_before() -> None:
    rows = list(rows_of_day(START, [judged(2), judged(4, 6)], around(), now=LATER))
    assert said(rows) == [(0, 3, 0), (1, 3, 0), (2, 5, 1), (3, 5, 0), (4, 6, 1)]
    assert [row.receive_time for row in rows] == [8, 8, 7, 8, 7], "when the silence was proven"


def test_nothing_is_filled_over_a_hole_or_before_the_first_price() -> None:
    assert said(list(rows_of_day(START, [judged(2, follows=False)], around(), now=LATER))) == [(2, 5, 1)]
    assert said(list(rows_of_day(START, [judged(2)], around(close=None), now=LATER))) == [(2, 5, 1)]


def test_the_next_day_s_first_trade_fills_the_rest_of_this_one() -> None:
    rows = said(list(rows_of_day(START, [judged(1437)], around(after=judged(1500)), now=LATER)))
    assert rows[-3:] == [(1437, 5, 1), (1438, 5, 0), (1439, 5, 0)]


def test_block_trades_alone_have_the_price_before_them_and_hand_it_on() -> None:
    rows = list(rows_of_day(START, [judged(0, None), judged(1, None), judged(3)], around(), now=LATER))
    assert said(rows) == [(0, 3, 1), (1, 3, 1), (2, 3, 0), (3, 5, 1)]
    assert [row.blocks_only for row in rows] == [True, True, False, False]
    unknown = list(rows_of_day(START, [judged(0, None), judged(2, None)], around(close=None), now=LATER))
    assert said(unknown) == [(0, None, 1), (2, None, 1)]


def test_what_runs_gets_no_row_and_proves_what_was_before_it() -> None:
    now = START + 3 * MINUTE + 1
    assert said(list(rows_of_day(START, [judged(0), judged(3)], around(), now=now))) == [
        (0, 5, 1), (1, 5, 0), (2, 5, 0),
    ]  # fmt: skip
    assert said(list(rows_of_day(START, [judged(0), judged(9)], around(), now=now)))[-1] == (2, 5, 0)


def test_the_exchange_s_word_fills_a_minute_where_its_price_is_ours() -> None:
    empty = {
        START + MINUTE: (ClosedKline(0, None, None, Decimal(5)), 11),
        START + 2 * MINUTE: (ClosedKline(0, None, None, Decimal(4)), 12),
    }
    rows = list(rows_of_day(START, [judged(0)], around(empty=empty), now=LATER))
    assert said(rows) == [(0, 5, 1), (1, 5, 0)]
    assert rows[1].receive_time == 11
    stored = around(empty=empty, fillers={START + MINUTE: Decimal(5)})
    assert said(list(rows_of_day(START, [judged(0)], stored, now=LATER))) == [(0, 5, 1)], "it stays"
