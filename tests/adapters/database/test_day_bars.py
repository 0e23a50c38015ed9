"""One pass over a day gives the bars that the domain makes of its trades, and that ``bars`` makes of each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operations.day_sessions import MIDNIGHT, sessions
from tests.processors.feeding import Feeder, emptied, entry
from trade_platform.adapters.database.bars import compute_bars
from trade_platform.adapters.database.connection import connect
from trade_platform.adapters.database.day_bars import compute_day
from trade_platform.adapters.database.day_rows import has_trades_table, start_of
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import DAY, Channel, QuantityUnit, Trade
from trade_platform.domain.ohlc import bars_of


@given(sessions(), st.sampled_from(QuantityUnit))
@settings(max_examples=40)
def test_the_bars_of_a_day_are_those_of_the_domain(
    two_databases: tuple[str, str], trades: list[Trade], unit: QuantityUnit
) -> None:
    """Every field, of every day; also what opened and closed each minute, and when it came."""
    with connect(two_databases[0], name="property") as connection:
        Feeder(emptied(connection)).apply(entry(trades))
        for start in sorted({one.event_time // DAY * DAY for one in trades}):
            own = [one for one in trades if start <= one.event_time < start + DAY]
            with connection.transaction():
                found = compute_day(connection, 1, day_of(start), unit, Channel.TRADE)
                assert connection.execute("SHOW enable_sort").fetchone() == ("on",)
            expected = bars_of(own, unit)
            assert [computed.bar for computed in found.minutes] == expected
            assert found.rows == len(own)
            keys = [(1, bar.open_time) for bar in expected]
            each = compute_bars(connection, keys, {1: unit}, {1: Channel.TRADE})
            assert list(found.minutes) == [each[key] for key in keys]


def test_a_day_has_its_own_table_or_none(two_databases: tuple[str, str]) -> None:
    with connect(two_databases[0], name="test") as connection:
        assert not has_trades_table(connection, day_of(MIDNIGHT - 4_000 * DAY))
    assert start_of(day_of(MIDNIGHT)) == MIDNIGHT
