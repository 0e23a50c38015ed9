"""Rates and lags are sampled, a few trades a step."""

from __future__ import annotations

from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database import pace
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.pace import trade_lags, trade_rates
from trade_platform.domain.model import MINUTE


def test_only_what_is_asked_for_is_counted(connection: Connection) -> None:
    record(connection, every(1, HOUR_ONE, HOUR_ONE + 2 * MINUTE))
    record(connection, every(2, HOUR_ONE, HOUR_ONE + 2 * MINUTE, symbol="ETHUSDT"))
    end = HOUR_ONE + 2 * MINUTE
    assert trade_rates(connection, [1], HOUR_ONE, end, 2 * MINUTE) == {"binance_spot": {HOUR_ONE: 1.0}}
    assert trade_rates(connection, [1, 2], HOUR_ONE, end, 2 * MINUTE) == {"binance_spot": {HOUR_ONE: 1.5}}
    assert trade_rates(connection, [], HOUR_ONE, end, MINUTE) == {}


def test_the_busiest_instruments_speak_for_their_exchange(connection: Connection) -> None:
    """Of these the first trades of each step: whatever comes later costs nothing."""
    late = [
        *every(1, HOUR_ONE, HOUR_ONE + MINUTE),
        *every(30, HOUR_ONE, HOUR_ONE + MINUTE, symbol="ETHUSDT"),
    ]
    record(connection, late)
    connection.execute("UPDATE trade SET receive_time = event_time + interval '9 s' WHERE instrument_id = 2")
    connection.execute("UPDATE trade SET receive_time = event_time + interval '8 s' WHERE sequence > 40")
    end = HOUR_ONE + MINUTE
    assert trade_lags(connection, [1, 2], HOUR_ONE, end, MINUTE) == {"binance_spot": {HOUR_ONE: 1.5}}
    assert trade_lags(connection, [2], HOUR_ONE, end, MINUTE) == {"binance_spot": {HOUR_ONE: 9000.0}}
    assert pace.TRADES < 40
