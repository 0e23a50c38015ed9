from __future__ import annotations

from tests.operations.test_partitions import cover, listed
from tests.processors.feeding import NOON
from trade_platform.adapters.database.connection import Connection
from trade_platform.operations.catalogue import count_instruments


def test_listed_recorded_and_expired_are_counted_by_exchange_kind_and_state(connection: Connection) -> None:
    ids = listed(connection)
    cover(connection, ids["BTCUSDT"])
    cover(connection, ids["BTC-1-C"])
    connection.execute("UPDATE instrument SET expiry = '2026-01-01', status = 'closed' WHERE kind = 'option'")
    counted = {(one.exchange, one.kind, one.status): one for one in count_instruments(connection, NOON)}
    assert list(counted) == [
        ("binance_spot", "spot", ""),
        ("deribit", "option", "closed"),
        ("deribit", "perpetual", ""),
    ]
    spot, options = counted["binance_spot", "spot", ""], counted["deribit", "option", "closed"]
    assert (spot.listed, spot.recorded, spot.expired) == (2, 1, 0)
    assert (options.listed, options.recorded, options.expired) == (2, 1, 1)
