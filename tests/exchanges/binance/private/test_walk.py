"""Every row of a history once it is asked for, however rows and pages fall; never a part for the whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchanges.binance.private.serving import all_of, serving
from trade_platform.domain.accounts import Movement, MovementKind
from trade_platform.exchanges.account import Ask
from trade_platform.exchanges.binance.private import walk
from trade_platform.exchanges.binance.private.walk import (
    History,
    Row,
    Span,
    by_halves,
    by_number,
    by_time,
    by_window,
    span_of,
)
from trade_platform.exchanges.session import ProtocolViolation

PAGE = 4


def read(body: bytes, receive_time: int) -> Sequence[Row]:
    rows = []
    for row in json.loads(body):
        name = str(row["id"])
        record = Movement(name, MovementKind.OTHER, "", "X", Decimal(1), row["time"], receive_time)
        rows.append(Row(row["id"], row["time"], record, name))
    return rows


HISTORY = History(what="rows", path="/", weight=1, read=read, longest=10, cursor="fromId")
WAYS = {
    "by_window": lambda span: by_window(HISTORY, span),
    "by_number": lambda span: by_number(HISTORY, 0, span),
    "by_time": lambda span: by_time(HISTORY, span),
    "by_halves": lambda span: by_halves(HISTORY, [span]),
}


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "PAGE", PAGE)
        yield


def ids(asks: list[Ask], rows: list[dict[str, int]]) -> list[int]:
    records = all_of(asks, serving(rows, number="id", cursor="fromId", longest=10))
    return [int(one.movement_id) for one in records if isinstance(one, Movement)]


times = st.lists(st.integers(0, 60), max_size=40).map(sorted)


@settings(max_examples=200)
@given(times=times, since=st.integers(0, 60), length=st.integers(1, 60), way=st.sampled_from(sorted(WAYS)))
def test_all_of_a_span_and_nothing_else(times: list[int], since: int, length: int, way: str) -> None:
    rows = [{"id": number + 1, "time": time} for number, time in enumerate(times)]
    span = Span(since, since + length)
    expected = [row["id"] for row in rows if span.since <= row["time"] < span.until]
    busiest = max((times.count(time) for time in times), default=0)
    try:
        found = ids([WAYS[way](span)], rows)
    except ProtocolViolation:
        assert way in ("by_time", "by_halves")
        assert busiest >= PAGE, "only more than a page of one moment cannot be told apart"
        return
    assert sorted(set(found)) == expected
    assert len(found) == len(set(found)), "nothing twice"


def test_rows_that_change_count_though_they_were_made_before() -> None:
    rows = [{"id": 1, "time": 3}, {"id": 2, "time": 30}, {"id": 3, "time": 70}]
    history = History(what="", path="/", weight=1, read=read, longest=10, cursor="fromId", changes=True)
    assert ids([by_number(history, 0, Span(10, 60))], rows) == [1, 2]


def test_a_history_that_goes_in_circles_ends() -> None:
    ask = by_number(HISTORY, 10, Span(0, 100))
    with pytest.raises(ProtocolViolation, match="asked from 10 on"):
        ask.read(b'[{"id":3,"time":1}]', 0)


@pytest.mark.parametrize(
    ("since", "until", "span"),
    [(0, 1_000, (0, 1)), (1, 1_000, (1, 1)), (999, 1_001, (1, 2)), (1_000, 2_001, (1, 3))],
)
def test_milliseconds_that_lie_in_a_span(since: int, until: int, span: tuple[int, int]) -> None:
    assert span_of(since, until) == Span(*span)
