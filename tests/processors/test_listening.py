"""Time coverage: since when, without a break, a channel was listened to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.processors.feeding import NOON, Feeder, entry, kline, number
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import Channel, Metric
from trade_platform.processors.listening import Listening, listened


def test_an_unbroken_connection_extends_what_is_held() -> None:
    assert listened(100, 90, 120, 130) == (100, 131)
    assert listened(100, 100, 120, 130) == (100, 131)


def test_a_connection_that_began_later_begins_a_new_range() -> None:
    assert listened(100, 101, 120, 130) == (120, 131)


def test_the_first_records_ever_begin_at_themselves() -> None:
    assert listened(None, 0, 120, 130) == (120, 131)


def test_what_comes_late_adds_itself_alone() -> None:
    assert listened(200, 0, 120, 130) == (120, 131)


def test_the_last_of_a_connection_that_the_next_one_overtook_still_joins_what_it_had() -> None:
    listening = Listening({(1, "quote"): 100})
    listening.note((1, "quote"), 110, 110, 120)  # the successor begins
    listening.note((1, "quote"), 0, 105, 115)  # the predecessor had not been heard to the end
    assert list(Ranges.from_spans(listening.spans[1, "quote"])) == [(100, 121)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 10)), max_size=20))
def test_coverage_never_reaches_beyond_what_was_received(batches: list[tuple[int, int, int]]) -> None:
    """Nor does it claim a moment before the first record."""
    listening = Listening({})
    for since, first, length in batches:
        listening.note((1, "quote"), since, first, first + length)
    spans = listening.spans.get((1, "quote"), [])
    if spans:
        held = Ranges.from_spans(spans)
        assert held.lowest is not None
        assert held.lowest == min(first for _, first, _ in batches)
        assert held.highest == max(first + length for _, first, length in batches)
        for _, first, length in batches:
            assert not held.missing(first, first + length + 1)


def stored(connection: Connection, channel: Channel) -> list[tuple[int, int]]:
    statement = "SELECT held::text FROM time_coverage WHERE channel = %s ORDER BY day"
    return [
        (low - NOON, high - NOON)
        for (held,) in connection.execute(statement, (channel.value,))
        for low, high in Ranges.from_time_text(held)
    ]


def test_numbers_and_candles_are_covered_by_channel(feeder: Feeder, connection: Connection) -> None:
    ticker = number(NOON + 9, metric=Metric.MARK_PRICE, channel=Channel.TICKER)
    feeder.apply(
        entry([number(NOON), number(NOON + 5), ticker], since=NOON - 1),
        entry([number(NOON + 20)], 2, since=NOON - 1),
        entry([kline(receive_time=NOON + 7)], 3, since=NOON - 1),
    )
    assert stored(connection, Channel.QUOTE) == [(0, 21)]
    assert stored(connection, Channel.TICKER) == [(9, 10)]
    assert stored(connection, Channel.CANDLE) == [(7, 8)]


def test_a_reconnect_and_a_lost_batch_begin_new_ranges(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([number(NOON)], 1))
    feeder.apply(entry([number(NOON + 10)], 2, since=NOON + 8))
    feeder.apply(entry([number(NOON + 20)], 3, since=NOON + 8))
    feeder.apply(entry([number(NOON + 30)], 5, since=NOON + 8))
    feeder.load()
    feeder.apply(entry([number(NOON + 40)], 6, since=NOON + 8))
    assert stored(connection, Channel.QUOTE) == [(0, 1), (10, 21), (30, 41)]
