"""What counts as missing: through the status and the proof, which ask for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.overview import held_trades
from trade_platform.adapters.database.partitions import ensure_partitions
from trade_platform.adapters.database.proof import prove_from_coverage
from trade_platform.adapters.database.times import EPOCH

FIRST = EPOCH.date() + timedelta(days=20_727)


class Held:
    """Coverage of one instrument, with the trades that the question hangs on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('binance_spot', 'BTCUSDT')")

    def day(self, offset: int, held: str, *trades: int, late: bool = True) -> None:
        day = FIRST + timedelta(days=offset)
        ensure_partitions(self._connection, "trade", [day])
        self._connection.execute(
            "INSERT INTO coverage SELECT instrument_id, 'trade', %s, %s FROM instrument", (day, held)
        )
        for n, sequence in enumerate(trades):
            self._connection.execute(
                "INSERT INTO trade (instrument_id, event_time, sequence, price, quantity, side, first_id, "
                "last_id, flags, receive_time) SELECT instrument_id, %(day)s::timestamptz + %(n)s * interval "
                "'1 s', %(sequence)s, 1, 1, 'buy', 1, 1, 0, %(day)s::timestamptz + %(late)s::interval "
                "FROM instrument",
                {"day": day, "n": n, "sequence": sequence, "late": "2 days" if late else "1 minute"},
            )

    def missing(self) -> tuple[int, int]:
        """(missing, holes), the same by the status and by the proof."""
        (status,), (proof,) = held_trades(self._connection), prove_from_coverage(self._connection)
        assert proof.missing == status.missing == proof.expected - status.held
        return status.missing, status.holes


@pytest.fixture
def held(connection: Connection) -> Held:
    return Held(connection)


def test_days_between_a_backfill_and_what_is_recorded_are_not_missing(held: Held) -> None:
    """The backfilled day with its neighbours, and days later a streamer."""
    held.day(0, "{[99,100)}", 99)
    held.day(1, "{[100,200)}")
    held.day(2, "{[200,201)}", 200)
    held.day(9, "{[900,950)}", 900, late=False)
    assert held.missing() == (0, 0)


def test_nor_is_what_precedes_the_first_trade_that_a_streamer_recorded_of_the_next_day(held: Held) -> None:
    held.day(1, "{[100,200)}")
    held.day(2, "{[200,201),[260,300)}", 200)
    assert held.missing() == (0, 0)


def test_nor_what_lies_before_a_backfilled_day(held: Held) -> None:
    held.day(0, "{[10,20),[99,100)}", 10, 99)
    held.day(1, "{[100,200)}")
    assert held.missing() == (0, 0)


def test_a_break_after_the_first_trade_of_a_day_is_missing(held: Held) -> None:
    """It looks the same, but the trade was recorded as it was made."""
    held.day(1, "{[100,200)}")
    held.day(2, "{[200,201),[260,300)}", 200, late=False)
    assert held.missing() == (59, 1)


def test_holes_inside_a_day_and_across_midnight_are_missing(held: Held) -> None:
    held.day(1, "{[100,150),[160,200)}")
    held.day(2, "{[205,300)}", 205)
    assert held.missing() == (15, 2)
