"""The ledger settled by what PostgreSQL holds; no source is asked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.operations.spot import SECOND, at, broken, ledger_of, noted, print_of
from tests.processors.feeding import NOON, Feeder, entry, kline, number
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.events import write_gaps
from trade_platform.domain.model import DAY, MINUTE, Channel, Gap, GapReason, Metric, TradeFlag
from trade_platform.operations.gaps import FIND_DAYS, find, settle

LATER = NOON + 60 * MINUTE


class Tables:
    """Filled as a processor fills them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._feeder = Feeder(connection)
        self._n = 0

    def trades(self, numbers: Sequence[int], symbol: str = "BTCUSDT", **changes: Any) -> None:
        self._put([print_of(n, symbol, **changes) for n in numbers])

    def candles(self, *openings: int, symbol: str = "BTCUSDT") -> None:
        self._put([kline(opening, symbol=symbol) for opening in openings])

    def numbers(self, channel: Channel, symbol: str = "BTCUSDT") -> None:
        self._put([number(NOON, symbol=symbol, channel=channel, metric=Metric.MARK_PRICE)])

    def gap(self, *gaps: Gap) -> None:
        write_gaps(self.connection, "binance_spot", gaps)

    def _put(self, records: Sequence[Any]) -> None:
        self._n += 1
        self._feeder.apply(entry(records, self._n))


@pytest.fixture
def tables(connection: Connection) -> Tables:
    return Tables(connection)


def states(connection: Connection) -> list[tuple[Any, ...]]:
    """(channel, first, state), sorted."""
    rows = ledger_of(connection)
    return sorted(((row[1], row[2], row[4]) for row in rows), key=str)


# --- holes in numbers ---


def test_a_hole_is_narrowed_by_what_is_held_and_closed_when_all_is(
    tables: Tables, connection: Connection
) -> None:
    tables.trades([1, 2, 5, 9, 10])
    tables.gap(noted(3, 8))
    assert settle(connection, LATER, find_days=0).closed == []
    assert connection.execute("SELECT remaining::text, state FROM gap").fetchone() == (
        "{[3,5),[6,9)}",
        "open",
    )
    tables.trades([3, 4, 6, 7, 8])
    (closed,) = settle(connection, LATER, find_days=0).closed
    assert (closed.state, closed.by, closed.gap.first) == ("repaired", "streamer", 3)
    assert connection.execute("SELECT remaining::text, closed_at IS NOT NULL FROM gap").fetchone() == (
        *("{}", True),
    )
    assert settle(connection, LATER, find_days=0).closed == []


def test_the_same_number_of_another_sequence_proves_nothing(tables: Tables, connection: Connection) -> None:
    tables.trades([2, 3], flags=int(TradeFlag.AGGREGATE))
    tables.trades([1, 4])
    tables.gap(noted(2, 3))
    settle(connection, LATER, find_days=0)
    assert states(connection) == [("trade", 2, "open")]


def test_a_hole_across_midnight_is_proven_by_both_days(tables: Tables, connection: Connection) -> None:
    midnight = (NOON // DAY + 1) * DAY
    last = (midnight - NOON) // SECOND
    tables.trades(range(last - 5, last + 5))
    tables.gap(noted(last - 3, last + 3))
    settle(connection, midnight + MINUTE, find_days=0)
    assert states(connection) == [("trade", last - 3, "repaired")]


# --- breaks in time ---


def test_a_break_is_closed_when_no_instrument_misses_a_number_around_it(
    tables: Tables, connection: Connection
) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        tables.trades([*range(1, 101), *range(111, 131)], symbol)
    tables.gap(broken(Channel.TRADE, 101, 110))
    settle(connection, LATER, find_days=0, grace_seconds=60)
    assert states(connection) == [("trade", None, "open")]
    assert ledger_of(connection)[0][6] == "20 numbers missing of 2 instruments"
    for symbol in ("BTCUSDT", "ETHUSDT"):
        tables.trades(range(101, 111), symbol)
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][4:] == (
        *("repaired", "streamer", "no number is missing of 2 instruments"),
    )


def test_a_break_is_open_until_every_instrument_has_traded_again(
    tables: Tables, connection: Connection
) -> None:
    tables.trades(range(1, 131))
    tables.trades(range(1, 50), "THIN")
    tables.gap(broken(Channel.TRADE, 101, 110))
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][6] == "waits for the next trade of THIN"
    asked_before = {("binance_spot", "THIN", Channel.TRADE): (at(105), 49)}
    settle(connection, LATER, asked=asked_before, find_days=0)
    assert states(connection) == [("trade", None, "open")]
    newer_is_there = {("binance_spot", "THIN", Channel.TRADE): (LATER, 50)}
    settle(connection, LATER, asked=newer_is_there, find_days=0)
    assert states(connection) == [("trade", None, "open")]
    asked_after = {("binance_spot", "THIN", Channel.TRADE): (LATER, 49)}
    settle(connection, LATER, asked=asked_after, find_days=0)
    assert states(connection) == [("trade", None, "repaired")]


@pytest.mark.parametrize("seconds", [30, -30])
def test_an_exchange_s_clock_that_is_wrong_proves_nothing(
    tables: Tables, connection: Connection, seconds: int
) -> None:
    """What was received before the break seems to be of after it, or the other way round."""

    def received(numbers: Sequence[int]) -> None:
        for n in numbers:
            tables.trades([n], receive_time=at(n) - seconds * SECOND)

    received(range(60, 101))
    since, until = at(100) - seconds * SECOND + 1, at(106) - seconds * SECOND
    tables.gap(Gap(None, Channel.TRADE, GapReason.DISCONNECT, None, None, since, until, "closed"))
    settle(connection, LATER, find_days=0, grace_seconds=60)
    assert states(connection) == [("trade", None, "open")]
    received(range(106, 170))
    settle(connection, LATER, find_days=0, grace_seconds=60)
    assert states(connection) == [("trade", None, "open")]
    received(range(101, 106))
    settle(connection, LATER, find_days=0)
    assert states(connection) == [("trade", None, "repaired")]


def test_the_holes_that_a_break_left_become_gaps_by_number(tables: Tables, connection: Connection) -> None:
    tables.trades([*range(1, 101), *range(111, 131)])
    tables.gap(broken(Channel.TRADE, 101, 110))
    settle(connection, LATER, find_days=0, grace_seconds=0)
    settle(connection, LATER, find_days=0, grace_seconds=0)
    assert states(connection) == [("trade", 101, "open"), ("trade", None, "open")]


def test_what_was_given_up_by_number_does_not_keep_a_break_open(
    tables: Tables, connection: Connection
) -> None:
    tables.trades([*range(1, 101), *range(111, 131)])
    tables.gap(broken(Channel.TRADE, 101, 110))
    settle(connection, LATER, find_days=0, grace_seconds=0)
    connection.execute(
        "UPDATE gap SET state = 'unrepairable', closed_at = now() WHERE first_sequence IS NOT NULL"
    )
    connection.execute("UPDATE gap SET remaining = '{[101,111)}' WHERE first_sequence IS NOT NULL")
    settle(connection, LATER, find_days=0, grace_seconds=0)
    assert states(connection) == [("trade", 101, "unrepairable"), ("trade", None, "repaired")]


def test_a_break_of_all_channels_becomes_one_gap_a_recorded_channel(
    tables: Tables, connection: Connection
) -> None:
    tables.trades(range(1, 200))
    tables.candles(*(NOON + n * MINUTE for n in range(-2, 4)))
    tables.numbers(Channel.MARK)
    tables.gap(broken(None, 70, 75))
    settle(connection, LATER, find_days=0)
    assert states(connection) == [
        ("candle", None, "repaired"),
        ("mark", None, "unrepairable"),
        ("trade", None, "repaired"),
    ]
    mark = next(row for row in ledger_of(connection) if row[1] == "mark")
    assert mark[6] == "no exchange serves it again"


def test_events_that_were_lost_are_told_by_nobody_again(tables: Tables, connection: Connection) -> None:
    write_gaps(connection, "", [broken(None, 70, 75)])
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][4:] == ("unrepairable", None, "no exchange serves it again")


def test_a_break_while_nothing_was_recorded_is_closed(tables: Tables, connection: Connection) -> None:
    tables.gap(broken(None, 70, 75))
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][4:] == ("repaired", "streamer", "nothing was recorded then")


def test_nothing_that_hangs_on_time_is_closed_while_its_stream_is_not_stored(
    tables: Tables, connection: Connection
) -> None:
    """What proves it open may still lie in Redis: here not even the instruments are known."""
    tables.gap(*(broken(channel, 70, 75) for channel in (None, Channel.TRADE, Channel.CANDLE)))
    assert settle(connection, LATER, behind=frozenset({"binance_spot"})).closed == []
    assert len(settle(connection, LATER, behind=frozenset({"deribit"})).closed) == 3


# --- candles ---


def candle_break(minute: float, minutes: float) -> Gap:
    since = NOON + round(minute * MINUTE)
    until = since + round(minutes * MINUTE)
    return Gap(None, Channel.CANDLE, GapReason.DISCONNECT, None, None, since, until, "closed")


def test_a_break_of_candles_is_closed_by_a_closed_candle_of_each_minute(
    tables: Tables, connection: Connection
) -> None:
    tables.candles(*(NOON + n * MINUTE for n in (0, 1, 5, 6)))
    tables.gap(candle_break(2.5, 3))
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][4:] == (*("open", None, "no closed candle of BTCUSDT at 14:15, for one"),)
    tables.candles(*(NOON + n * MINUTE for n in (2, 3, 4)))
    settle(connection, LATER, find_days=0)
    assert ledger_of(connection)[0][4] == "repaired"


def test_a_complete_minute_of_our_own_trades_proves_as_much(tables: Tables, connection: Connection) -> None:
    tables.candles(NOON, NOON + MINUTE, NOON + 3 * MINUTE)
    tables.gap(candle_break(2.5, 1))
    settle(connection, LATER, find_days=0)
    assert states(connection) == [("candle", None, "open")]
    tables.trades(range(1, 250))
    settle(connection, LATER, find_days=0)
    assert states(connection) == [("candle", None, "repaired")]


def test_a_minute_that_is_not_over_is_waited_for(tables: Tables, connection: Connection) -> None:
    tables.candles(NOON)
    tables.gap(candle_break(1.2, 0.1))
    assert settle(connection, NOON + MINUTE, find_days=0).closed == []
    tables.candles(NOON - MINUTE)
    settle(connection, NOON + 2 * MINUTE, find_days=0)
    assert states(connection) == [("candle", None, "repaired")]


# --- holes that nobody noted ---


def test_a_hole_in_coverage_that_nobody_noted_is_added_once(tables: Tables, connection: Connection) -> None:
    tables.trades([*range(1, 11), *range(21, 61)])
    assert find(connection, at(61)) == 1
    assert find(connection, at(61)) == 0
    row = connection.execute(
        "SELECT symbol, channel, reason, first_sequence, last_sequence, detail, "
        "(extract(epoch from since) * 1000000)::bigint, (extract(epoch from until) * 1000000)::bigint "
        "FROM gap"
    ).fetchone()
    assert row == ("BTCUSDT", "trade", "sequence", 11, 20, "found in coverage", at(10), at(21))


def test_a_hole_that_may_be_filled_in_flight_is_not_added_yet(tables: Tables, connection: Connection) -> None:
    tables.trades([*range(1, 11), *range(21, 25)])
    assert find(connection, at(25)) == 0
    assert find(connection, at(25) + 60 * SECOND) == 1


def test_holes_that_rows_name_are_not_added(tables: Tables, connection: Connection) -> None:
    tables.trades([*range(1, 11), *range(21, 31), *range(41, 100)])
    tables.gap(noted(11, 15), noted(31, 40))
    connection.execute(
        "UPDATE gap SET state = 'unrepairable', closed_at = now(), remaining = '{[31,41)}' "
        "WHERE first_sequence = 31"
    )
    assert find(connection, LATER) == 1
    assert states(connection) == [
        ("trade", 11, "open"),
        ("trade", 16, "open"),
        ("trade", 31, "unrepairable"),
    ]


def test_only_recent_days_are_searched(tables: Tables, connection: Connection) -> None:
    tables.trades([*range(1, 11), *range(21, 61)])
    assert find(connection, NOON + (FIND_DAYS + 1) * DAY) == 0
    assert find(connection, NOON + (FIND_DAYS + 1) * DAY, days=FIND_DAYS + 3) == 1


def test_a_hole_over_midnight_is_found(tables: Tables, connection: Connection) -> None:
    midnight = (NOON // DAY + 1) * DAY
    last = (midnight - NOON) // SECOND
    tables.trades([*range(last - 20, last - 3), *range(last + 4, last + 40)])
    assert find(connection, midnight + MINUTE) == 1
    assert states(connection) == [("trade", last - 3, "open")]
