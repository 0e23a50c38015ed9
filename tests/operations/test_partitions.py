from __future__ import annotations

from trade_platform.adapters.database.connection import Connection
from trade_platform.operations.partitions import instruments_in, recorded_instruments, recorded_partitions

LISTED = [
    ("binance_spot", "BTCUSDT", "spot", "BTC"),
    ("binance_spot", "ETHUSDT", "spot", "ETH"),
    ("deribit", "BTC-1-C", "option", "BTC"),
    ("deribit", "BTC-2-C", "option", "BTC"),
    ("deribit", "BTC-PERPETUAL", "perpetual", "BTC"),
]


def listed(connection: Connection) -> dict[str, int]:
    """Symbol → identity; of none anything is stored."""
    for row in LISTED:
        connection.execute(
            "INSERT INTO instrument (exchange, symbol, kind, base) VALUES (%s, %s, %s, %s)", row
        )
    return dict(connection.execute("SELECT symbol, instrument_id FROM instrument").fetchall())


def cover(connection: Connection, instrument_id: int, channel: str = "trade") -> None:
    connection.execute(
        "INSERT INTO coverage (instrument_id, channel, day, held) VALUES (%s, %s, '2026-11-01', '{[1,9)}')",
        (instrument_id, channel),
    )


def minute(connection: Connection, instrument_id: int, interval: str = "1m") -> None:
    connection.execute(
        """INSERT INTO candle (instrument_id, interval, open_time, source, volume, quote_volume, complete,
                               receive_time)
           VALUES (%s, %s, '2026-11-01', 'exchange', 1, 1, true, '2026-11-01')""",
        (instrument_id, interval),
    )


def test_what_is_listed_alone_has_no_partition(connection: Connection) -> None:
    listed(connection)
    assert recorded_partitions(connection) == []


def test_trades_and_the_exchange_s_minutes_make_a_partition(connection: Connection) -> None:
    ids = listed(connection)
    cover(connection, ids["BTCUSDT"])
    cover(connection, ids["BTC-1-C"])
    cover(connection, ids["BTC-2-C"], "aggregate_trade")
    minute(connection, ids["BTC-PERPETUAL"])
    minute(connection, ids["ETHUSDT"], "1d")
    assert recorded_partitions(connection) == [
        "binance_spot/BTCUSDT",
        "deribit/BTC-PERPETUAL",
        "deribit/BTC-options",
    ]
    assert [one.symbol for one in recorded_instruments(connection, "deribit")] == [
        *("BTC-1-C", "BTC-2-C", "BTC-PERPETUAL"),
    ]


def test_a_family_s_instruments_are_found_by_its_partition(connection: Connection) -> None:
    ids = listed(connection)
    cover(connection, ids["BTC-1-C"])
    cover(connection, ids["BTC-PERPETUAL"])
    (option,) = instruments_in(connection, "deribit/BTC-options")
    assert (option.instrument_id, option.exchange, option.symbol, option.kind.value) == (
        *(ids["BTC-1-C"], "deribit", "BTC-1-C", "option"),
    )
    assert instruments_in(connection, "deribit/ETH-options") == []
