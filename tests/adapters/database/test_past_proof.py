"""What is older than a ledger, counted: of each kind of numbers apart, and only up to the ledger's first."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.past_proof import prove_past

AGGREGATE = 1
"""domain.model.TradeFlag"""


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "create table trade_20231114 partition of trade for values from ('2023-11-14') to ('2023-11-15')"
        )
        for exchange in ("binance_spot", "deribit"):
            connection.execute(
                "insert into instrument (exchange, symbol, kind) values (%s, 'BTCUSDT', 'spot')", (exchange,)
            )
        yield connection


def hold(connection: Connection, numbers: range, flags: int = 0, exchange: str = "binance_spot") -> None:
    """Rows and their coverage."""
    connection.execute(
        """insert into trade (instrument_id, event_time, sequence, price, quantity, side, first_id, last_id,
                              flags, receive_time)
           select instrument_id, '2023-11-14 10:00+00', number, 1, 1, 'buy', number, number, %(flags)s, now()
           from instrument, generate_series(%(first)s::bigint, %(last)s::bigint) as number
           where exchange = %(exchange)s""",
        {"first": numbers[0], "last": numbers[-1], "flags": flags, "exchange": exchange},
    )
    connection.execute(
        """insert into coverage (instrument_id, channel, day, held)
           select instrument_id, %(channel)s, '2023-11-14', int8multirange(int8range(%(first)s, %(end)s))
           from instrument where exchange = %(exchange)s
           on conflict (instrument_id, channel, day) do update set held = coverage.held + excluded.held""",
        {
            "channel": "aggregate_trade" if flags & AGGREGATE else "trade",
            "first": numbers[0],
            "end": numbers[-1] + 1,
            "exchange": exchange,
        },
    )


def found(connection: Connection, firsts: dict[tuple[str, str], int]) -> list[tuple[str, int, int]]:
    return [(one.channel, one.covered, one.rows) for one in prove_past(connection, "binance_spot", firsts)]


def test_numbers_are_counted_up_to_the_first_of_the_ledger(connection: Connection) -> None:
    hold(connection, range(10, 20))
    hold(connection, range(30, 40))
    assert found(connection, {("BTCUSDT", "trade"): 33}) == [("trade", 13, 13)]
    assert found(connection, {("BTCUSDT", "trade"): 10}) == []
    assert found(connection, {}) == [("trade", 20, 20)]


def test_raw_and_aggregate_numbers_are_two_sequences(connection: Connection) -> None:
    hold(connection, range(10, 20))
    hold(connection, range(105, 150), AGGREGATE)
    firsts = {("BTCUSDT", "trade"): 12, ("BTCUSDT", "aggregate_trade"): 106}
    assert found(connection, firsts) == [("aggregate_trade", 1, 1), ("trade", 2, 2)]


def test_another_exchange_s_rows_do_not_count(connection: Connection) -> None:
    hold(connection, range(10, 20), exchange="deribit")
    assert found(connection, {("BTCUSDT", "trade"): 15}) == []


def test_coverage_without_rows_and_rows_without_coverage_are_seen(connection: Connection) -> None:
    hold(connection, range(10, 20))
    connection.execute("delete from trade where sequence = 12")
    assert found(connection, {}) == [("trade", 10, 9)]
    connection.execute("update coverage set held = '{}'")
    assert found(connection, {}) == [("trade", 0, 9)]
