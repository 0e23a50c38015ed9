from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from benchmarks.candle_day import TODAY, fill, size_of_day
from benchmarks.candle_makers import MAKERS, RULES, Made
from benchmarks.candles import differing


def made(*rows: tuple[float, ...]) -> Made:
    return Made(1, 0, 1, {"1m": rows})


def test_a_difference_beyond_that_of_floats_is_counted() -> None:
    assert differing(made((0, 0.1 + 0.2)), made((0, 0.3)), "1m") == 0
    assert differing(made((0, 0.3001), (60, 1)), made((0, 0.3), (60, 1)), "1m") == 1
    assert differing(made((0, 1), (60, 1)), made((0, 1)), "1m") == 1
    assert differing(made((0, float("nan"))), made((0, 1)), "1m") == 1


@pytest.fixture
def of_a_day(postgres_url: str) -> tuple[str, int]:
    return postgres_url, fill(postgres_url, 6_000)


def test_the_day_is_whole_and_in_one_partition(of_a_day: tuple[str, int]) -> None:
    url, instrument_id = of_a_day
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(DISTINCT sequence), min(event_time) >= %s, max(event_time) < %s, "
            "(SELECT sum(upper(r) - lower(r)) FROM coverage, unnest(held) AS r)::int FROM trade "
            "WHERE instrument_id = %s",
            (TODAY, TODAY + timedelta(days=1), instrument_id),
        ).fetchone()
    assert row == (6_000, True, True, 6_000)
    assert size_of_day(url) >= 1


def test_pandas_and_the_platform_make_the_same_candles(of_a_day: tuple[str, int]) -> None:
    pytest.importorskip("pandas")
    found = {who: maker(*of_a_day) for who, maker in MAKERS.items()}
    assert len(found["ours"].candles["1d"]) == 1
    wide = [interval for interval in RULES if interval != "1m"]
    for interval in wide:  # some of the minutes have no trades, and pandas no price for them
        assert differing(found["ours"], found["naive"], interval) == 0
        assert differing(found["fair"], found["naive"], interval) == 0
    assert found["ours"].again_seconds > 0
