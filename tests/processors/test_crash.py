"""A transaction that dies at any of its statements leaves nothing; done again, it leaves everything once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.processors.feeding import EXCHANGE, NOON, Feeder, emptied, entry, kline, number, tables, trade
from trade_platform.adapters.bus import Entry
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.domain.model import MINUTE, Gap, GapReason, Instrument

BATCHES: list[list[Entry]] = [
    [entry([trade(1, NOON), trade(2, NOON + MINUTE)]), entry([number()], 2)],
    [
        entry([trade(4, NOON + 3 * MINUTE), trade(2, NOON + MINUTE)], 3),
        entry([Instrument(symbol="BTCUSDT", tick_size=Decimal(1))], 5),
        entry([number(NOON + 5), number(NOON + 5)], 6),
        entry([kline(NOON)], 7),
    ],
    [
        entry([trade(3, NOON + 2 * MINUTE)], 8),
        entry([Gap("BTCUSDT", None, GapReason.SHED, None, None, NOON, NOON + 1)], 9),
        entry([trade(9, NOON, symbol="ETHUSDT")], 10),
    ],
]


class Fuse:
    """Burns down by one a statement; at the end the connection dies."""

    def __init__(self, length: int) -> None:
        self.left = length

    def burn(self, connection: psycopg.Connection[Any]) -> None:
        self.left -= 1
        if self.left == 0:
            connection.pgconn.finish()
            raise psycopg.OperationalError("the server closed the connection unexpectedly")


def dying(fuse: Fuse) -> type[psycopg.Cursor[Any]]:
    class DyingCursor(psycopg.Cursor[Any]):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            fuse.burn(self.connection)
            return super().execute(*arguments, **options)

        def executemany(self, *arguments: Any, **options: Any) -> None:
            fuse.burn(self.connection)
            super().executemany(*arguments, **options)

        def copy(self, *arguments: Any, **options: Any) -> Any:
            fuse.burn(self.connection)
            return super().copy(*arguments, **options)

    return DyingCursor


def prepared(connection: Connection) -> Connection:
    """Identities are not rolled back: the instruments have theirs before anything dies."""
    emptied(connection).execute(
        "INSERT INTO instrument (exchange, symbol) VALUES (%s, 'BTCUSDT'), (%s, 'ETHUSDT')", (EXCHANGE,) * 2
    )
    return connection


@pytest.fixture(scope="module")
def expected(two_databases: tuple[str, str]) -> dict[str, list[Any]]:
    with connect(two_databases[0], name="whole") as connection:
        feeder = Feeder(prepared(connection))
        for batch in BATCHES:
            feeder.apply(*batch)
        return tables(connection)


def test_whichever_statement_was_the_last(
    two_databases: tuple[str, str], expected: dict[str, list[Any]]
) -> None:
    for length in range(1, 400):
        fuse = Fuse(length)
        connection = connect(two_databases[1], name="dying")
        prepared(connection)
        connection.cursor_factory = dying(fuse)
        survived = False
        try:
            feeder = Feeder(connection)
            for batch in BATCHES:
                feeder.apply(*batch)
            survived = True
        except psycopg.OperationalError:
            pass
        finally:
            connection.close()
        with connect(two_databases[1], name="successor") as successor:
            if not survived:
                again = Feeder(successor, first_id=100)
                for batch in BATCHES:
                    again.apply(*batch)
            assert tables(successor) == expected, f"died at statement {length}"
        if survived:
            assert length > 60, "every statement of the three batches had its turn"
            return
    pytest.fail("the batches take more statements than were tried")
