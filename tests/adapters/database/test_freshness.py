from __future__ import annotations

from tests.operations.spot import noted
from tests.processors.feeding import EXCHANGE, NOON, Feeder, entry, number, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.dead_letters import DeadLetter, write_dead_letters
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.freshness import (
    dead_letters,
    heard_numbers,
    lost_today,
    open_gap_counts,
    recorded_trades,
)
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE

SECOND = MICROSECONDS


def test_what_is_held_comes_from_coverage_and_the_newest_from_its_trade(connection: Connection) -> None:
    numbers = [1, 2, 3, 7, 8]
    Feeder(connection).apply(entry([trade(n, NOON + n * SECOND) for n in numbers]))
    (one,) = recorded_trades(connection, NOON + 30 * SECOND)
    assert (one.exchange, one.symbol, one.channel) == (EXCHANGE, "BTCUSDT", "trade")
    assert (one.held, one.missing, one.ranges, one.span_seconds) == (5, 3, 2, 7.0)
    assert one.newest == NOON + 8 * SECOND + 1500
    assert one.minute == 5
    assert one.told == one.newest


def test_trades_of_yesterday_count_and_older_ones_do_not(connection: Connection) -> None:
    Feeder(connection).apply(entry([trade(1, NOON), trade(2, NOON + SECOND)]))
    assert [one.held for one in recorded_trades(connection, NOON + DAY)] == [2]
    assert recorded_trades(connection, NOON + 2 * DAY) == []


def test_the_last_minute_s_trades_are_counted(connection: Connection) -> None:
    Feeder(connection).apply(entry([trade(n, NOON + n * 10 * SECOND) for n in range(1, 11)]))
    (one,) = recorded_trades(connection, NOON + 100 * SECOND)
    assert one.minute == 7  # at 40 s, a minute before, and later
    (one,) = recorded_trades(connection, NOON + 10 * MINUTE)
    assert one.minute == 0


def test_a_quote_shows_that_an_instrument_is_not_silent(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([trade(1)]))
    feeder.apply(entry([number(NOON + n * SECOND) for n in range(3)], 2))
    (one,) = recorded_trades(connection, NOON + 30 * SECOND)
    assert one.heard is not None
    assert one.newest is not None
    assert one.told == one.heard > one.newest
    (heard,) = heard_numbers(connection, NOON + 30 * SECOND)
    assert (heard.exchange, heard.channel, heard.until, heard.instruments) == (
        *(EXCHANGE, "quote", one.heard, 1),
    )


def test_open_gaps_are_counted_by_exchange_and_lost_ones_apart(connection: Connection) -> None:
    write_gaps(connection, EXCHANGE, [noted(2, 3), noted(8, 9), noted(20, 21)])
    write_gaps(connection, "deribit", [noted(2, 3)])
    connection.execute("UPDATE gap SET state = 'unrepairable', closed_at = now() WHERE first_sequence = 20")
    counts = {one.exchange: one.open for one in open_gap_counts(connection)}
    assert counts == {EXCHANGE: 2, "deribit": 1}
    assert lost_today(connection) == 1


def test_dead_letters_are_counted_by_error(connection: Connection) -> None:
    letters = [DeadLetter(f"1-{n}", 0, "trade", EXCHANGE, b"[]", "too big") for n in range(3)]
    write_dead_letters(connection, "market:deribit", [*letters, DeadLetter("2-0", -1, "", "", b"", "what")])
    assert [(one.error, one.count) for one in dead_letters(connection)] == [("too big", 3), ("what", 1)]
