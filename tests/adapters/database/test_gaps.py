"""Rows of the ledger: what 0002 makes of those of 0001, pages, filters, and what cannot happen twice."""

from __future__ import annotations

from datetime import date

import psycopg

from tests.operations.spot import noted
from trade_platform.adapters.database import migrate
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.coverage_holes import broken_coverage
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.gap_proof import named_numbers
from trade_platform.adapters.database.gaps import (
    Filter,
    close_gap,
    credit,
    listed_gaps,
    note_attempt,
    open_counts,
    open_gaps,
    reopen_gaps,
    summary,
    try_to_lead,
)
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import Source, State, Verdict
from trade_platform.domain.model import Channel, Gap, GapReason

GIVEN_UP = Verdict(State.UNREPAIRABLE, "gone")


def test_a_database_with_gaps_of_the_first_revision_is_upgraded(empty_postgres_url: str) -> None:
    first = next(migrate.FOLDER.glob("0001_*.py"))
    made = first.read_text(encoding="utf-8").partition('UPGRADE = """')[2].partition('"""')[0]
    with psycopg.connect(empty_postgres_url, autocommit=True) as old:
        old.execute(made)
        old.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        old.execute("INSERT INTO alembic_version VALUES ('0001')")
        old.execute(
            """INSERT INTO gap
                   (exchange, symbol, channel, reason, first_sequence, last_sequence, since, found_at)
               VALUES ('deribit', 'X', 'trade', 'sequence', 3, 4, '2026-11-01', '2026-11-02'),
                      ('deribit', NULL, NULL, 'disconnect', NULL, NULL, '2026-11-01', '2026-11-02')"""
        )
    assert migrate.upgrade(empty_postgres_url) == "0001"
    with connect(empty_postgres_url, name="test") as connection:
        numbered, whole = open_gaps(connection)
        assert (numbered.first, numbered.last, numbered.channel, numbered.attempts) == (
            3,
            4,
            Channel.TRADE,
            0,
        )
        assert (whole.symbol, whole.channel, whole.state) == (None, None, State.OPEN)
        assert whole.until - whole.since == 24 * 3600 * 1_000_000, "until it was found, where no end is known"
        assert write_gaps(connection, "deribit", [noted(8, 9)]) == 1


def test_a_gap_that_is_told_twice_is_one_row_whatever_became_of_it(connection: Connection) -> None:
    write_gaps(connection, "deribit", [noted(3, 4)])
    (gap,) = open_gaps(connection)
    assert close_gap(connection, gap.gap_id, GIVEN_UP, Ranges.of([3]))
    assert write_gaps(connection, "deribit", [noted(3, 4)]) == 0
    assert not close_gap(connection, gap.gap_id, Verdict(State.REPAIRED, "twice"))
    (gap,) = listed_gaps(connection)
    assert (gap.state, gap.verdict, gap.remaining) == (State.UNREPAIRABLE, "gone", Ranges.of([3]))


def test_whoever_gave_something_of_it_closed_it(connection: Connection) -> None:
    write_gaps(connection, "deribit", [noted(3, 4), noted(7, 8)])
    one, two = open_gaps(connection)
    note_attempt(connection, one.gap_id)
    credit(connection, one.gap_id, Source.REST)
    for gap in (one, two):
        close_gap(connection, gap.gap_id, Verdict(State.REPAIRED, "held", Source.STREAMER))
    told = {gap.first: (gap.repaired_by, gap.attempts) for gap in listed_gaps(connection)}
    assert told == {3: ("rest", 1), 7: ("streamer", 0)}


def test_pages_and_filters(connection: Connection) -> None:
    write_gaps(connection, "deribit", [noted(n, n, "A") for n in range(1, 6)])
    lost = Gap(None, Channel.TRADE, GapReason.DISCONNECT, None, None, 5, 10, "closed")
    write_gaps(connection, "binance_spot", [noted(9, 9, "B"), lost])
    first = open_gaps(connection, limit=3)
    rest = open_gaps(connection, after=first[-1].gap_id, limit=100)
    assert [gap.first for gap in first + rest] == [1, 2, 3, 4, 5, 9, None]
    only = Filter(symbols=("B",))
    assert [gap.first for gap in open_gaps(connection, only=only)] == [9, None], "a break concerns all"
    assert len(open_gaps(connection, only=Filter(exchanges=("deribit",)))) == 5
    assert [gap.first for gap in open_gaps(connection, only=Filter(since=10))] == [1, 2, 3, 4, 5, 9]
    counts, oldest = open_counts(connection)
    assert counts == {
        ("deribit", "sequence"): 5,
        ("binance_spot", "sequence"): 1,
        ("binance_spot", "disconnect"): 1,
    }
    assert oldest >= 0


def test_what_was_given_up_by_number_can_be_taken_up_again(connection: Connection) -> None:
    lost = Gap(None, Channel.TICKER, GapReason.DISCONNECT, None, None, 5, 10, "closed")
    write_gaps(connection, "deribit", [noted(3, 4), lost])
    for gap in open_gaps(connection):
        close_gap(connection, gap.gap_id, GIVEN_UP)
    assert summary(connection).unrepairable == 2
    assert reopen_gaps(connection) == 1
    assert [gap.first for gap in open_gaps(connection)] == [3]


def test_numbers_that_the_ledger_stands_for(connection: Connection) -> None:
    write_gaps(connection, "deribit", [noted(3, 4), noted(7, 9), noted(20, 21)])
    _, given_up, repaired = open_gaps(connection)
    close_gap(connection, given_up.gap_id, GIVEN_UP, Ranges.of([8]))
    close_gap(connection, repaired.gap_id, Verdict(State.REPAIRED, "held"), Ranges())
    symbols = ["BTCUSDT", "ETHUSDT"]
    named = named_numbers(connection, "deribit", symbols, Channel.TRADE)
    assert named == {"BTCUSDT": Ranges.of([3, 4, 8])}
    assert not named_numbers(connection, "deribit", symbols, Channel.AGGREGATE_TRADE)


def test_coverage_without_a_hole_names_no_instrument(connection: Connection) -> None:
    connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('deribit', 'A'), ('deribit', 'B')")
    connection.execute(
        """INSERT INTO coverage (instrument_id, channel, day, held)
           SELECT instrument_id, 'trade', day::date, held::int8multirange
           FROM instrument JOIN (VALUES ('A', '2026-11-21', '{[1,5)}'), ('A', '2026-11-22', '{[5,9)}'),
                                        ('B', '2026-11-21', '{[1,5)}'), ('B', '2026-11-22', '{[6,9)}'))
                           AS v(symbol, day, held) USING (symbol)"""
    )
    (broken,) = broken_coverage(connection, date(2026, 11, 21))
    assert (broken.symbol, broken.held, broken.named) == ("B", Ranges(((1, 5), (6, 9))), Ranges())
    assert broken_coverage(connection, date(2026, 11, 22)) == []
    assert broken_coverage(connection, date(2026, 11, 21), ["binance_spot"]) == []


def test_instruments_whose_holes_are_known_leave_room_for_others(connection: Connection) -> None:
    """After a long outage hundreds have holes that were given up, as long as their days are searched."""
    connection.execute("INSERT INTO instrument (exchange, symbol) VALUES ('deribit', 'A'), ('deribit', 'B')")
    connection.execute(
        """INSERT INTO coverage (instrument_id, channel, day, held)
           SELECT instrument_id, 'trade', '2026-11-22', '{[1,5),[6,9)}' FROM instrument"""
    )
    write_gaps(connection, "deribit", [noted(5, 5, symbol="A")])
    day = date(2026, 11, 22)
    assert [one.symbol for one in broken_coverage(connection, day, limit=1)] == ["B"]
    assert broken_coverage(connection, day, symbols=["A"]) == []
    close_gap(connection, open_gaps(connection)[0].gap_id, GIVEN_UP, Ranges.of([5]))
    assert [one.symbol for one in broken_coverage(connection, day, limit=1)] == ["B"]


def test_one_leads(connection: Connection, postgres_url: str) -> None:
    assert try_to_lead(connection)
    with connect(postgres_url, name="other") as other:
        assert not try_to_lead(other)
        connection.close()
        while not try_to_lead(other):
            pass


def test_looking_for_open_gaps_reads_an_index(connection: Connection) -> None:
    connection.execute(
        """INSERT INTO gap (exchange, symbol, channel, reason, first_sequence, last_sequence, since,
                            state, closed_at)
           SELECT 'deribit', 'X', 'trade', 'sequence', n, n, now(), 'repaired', now()
           FROM generate_series(1, 20000) n"""
    )
    connection.execute("ANALYZE gap")
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN SELECT * FROM gap WHERE state = 'open'"))
    assert "gap_open_idx" in plan
