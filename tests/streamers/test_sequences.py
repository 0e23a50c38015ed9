from __future__ import annotations

from decimal import Decimal

from streamers.bus_link import GONE
from streamers.sequences import ABSENT_LISTS, Sequences
from trade_platform.domain.model import Channel, Side, Trade, TradeFlag
from trade_platform.exchanges.session import Missing

AAA = "AAA|trade"


def trade(sequence: int, symbol: str = "AAA", flags: int = 0) -> Trade:
    return Trade(symbol, sequence, Decimal(1), Decimal(1), Side.BUY, 1, 1, sequence, sequence, flags)


def hole(first: int, last: int) -> Missing:
    return Missing("AAA", Channel.TRADE, first, last)


def test_the_promise_is_the_highest_seen_per_symbol_and_channel() -> None:
    sequences = Sequences()
    batch = [trade(7), trade(8), trade(3, "BBB"), trade(100, flags=int(TradeFlag.AGGREGATE))]
    promises, missing = sequences.note(batch)
    assert promises == {AAA: 8, "BBB|trade": 3, "AAA|aggregate_trade": 100}
    assert missing == []
    assert sequences.note([trade(5)])[0] == {AAA: 8}


def test_a_hole_holds_the_promise_back_until_it_is_filled() -> None:
    sequences = Sequences()
    sequences.note([trade(10)])
    sequences.hold(hole(11, 14))
    sequences.hold(hole(20, 21))
    assert sequences.note([trade(15), trade(22)])[0] == {AAA: 10}
    sequences.release(hole(11, 14))
    assert sequences.owed() == {AAA: 19}
    assert sequences.note([trade(23)])[0] == {AAA: 19}
    sequences.release(hole(20, 21))
    assert sequences.owed() == {AAA: 23}
    assert sequences.owed() == {}


def test_a_promise_that_could_not_be_sent_is_owed_again() -> None:
    sequences = Sequences()
    sequences.begin_at("AAA", Channel.TRADE, 7)
    promises = sequences.owed()
    sequences.owe(promises)
    assert sequences.owed() == promises == {AAA: 7}


def test_a_beginning_counts_unless_a_trade_was_faster() -> None:
    sequences = Sequences()
    sequences.note([trade(8)])
    sequences.begin_at("AAA", Channel.TRADE, 7)
    assert sequences.seen == {AAA: 8}
    assert sequences.owed() == {}


def test_what_another_connection_delivered_is_not_missing() -> None:
    sequences = Sequences()
    sequences.note([trade(8)])
    assert sequences.narrow(hole(5, 8)) is None
    assert sequences.narrow(hole(5, 10)) == hole(9, 10)
    assert sequences.narrow(hole(9, 10)) == hole(9, 10)


def test_what_is_no_longer_recorded_begins_anew() -> None:
    sequences = Sequences()
    sequences.note([trade(8)])
    sequences.forget(AAA)
    assert sequences.expected({"AAA": Channel.TRADE}) == {}
    sequences.begin_at("AAA", Channel.TRADE, 20)
    assert sequences.note([trade(21)]) == ({AAA: 21}, [])


def test_a_hole_that_is_filled_after_its_symbol_left_owes_nothing() -> None:
    sequences = Sequences()
    sequences.note([trade(8)])
    sequences.hold(hole(5, 6))
    sequences.forget(AAA)
    sequences.release(hole(5, 6))
    assert sequences.owed() == {AAA: GONE}
    assert sequences.owed() == {}


def test_sessions_are_told_where_an_earlier_process_ended() -> None:
    sequences = Sequences()
    assert sequences.learn({AAA: 41}) == []
    channels = {"AAA": Channel.TRADE, "BBB": Channel.TRADE}
    assert sequences.expected(channels) == {"AAA": 41}
    assert sequences.note([trade(50)])[1] == []  # the session that was told says so itself


def test_a_session_that_was_not_told_is_checked_at_its_first_trade() -> None:
    sequences = Sequences()
    sequences.learn({AAA: 41})
    assert sequences.note([trade(51), trade(50)])[1] == [hole(42, 49)]


def test_what_redis_tells_late_is_compared_with_what_came_first() -> None:
    sequences = Sequences()
    sequences.note([trade(50), trade(51)])
    assert sequences.learn({AAA: 41, "BBB|trade": 1}) == [hole(42, 49)]
    assert sequences.learn({AAA: 49}) == []


def test_a_first_trade_beyond_the_beginning_shows_a_hole_and_promises_nothing_behind_it() -> None:
    sequences = Sequences()
    assert sequences.begin_at("AAA", Channel.TRADE, 7) is None
    assert sequences.note([trade(10)]) == ({AAA: 7}, [hole(8, 9)])


def test_a_first_trade_next_to_the_beginning_shows_none() -> None:
    for first in (6, 7, 8):
        sequences = Sequences()
        sequences.begin_at("AAA", Channel.TRADE, 7)
        assert sequences.note([trade(first)])[1] == []
        sequences = Sequences()
        sequences.note([trade(first)])
        assert sequences.begin_at("AAA", Channel.TRADE, 7) is None


def test_a_beginning_that_lies_before_the_first_trade_shows_a_hole() -> None:
    sequences = Sequences()
    sequences.note([trade(10), trade(11)])
    missing = sequences.begin_at("AAA", Channel.TRADE, 7)
    assert missing == hole(8, 9)
    sequences.hold(missing)
    assert sequences.owed() == {AAA: 7}
    sequences.release(missing)
    assert sequences.owed() == {AAA: 11}


def test_what_was_asked_for_is_not_missing_again() -> None:
    sequences = Sequences()
    sequences.begin_at("AAA", Channel.TRADE, 7)
    sequences.pass_over(AAA, 9)
    assert sequences.note([trade(10)])[1] == []


def test_what_lies_between_an_earlier_process_and_a_beginning_is_missing() -> None:
    sequences = Sequences()
    sequences.begin_at("AAA", Channel.TRADE, 150)
    assert sequences.learn({AAA: 100}) == [hole(101, 150)]
    assert sequences.note([trade(151)]) == ({AAA: 151}, [])


def test_number_zero_is_a_trade() -> None:
    sequences = Sequences()
    assert sequences.note([trade(0)])[0] == {AAA: 0}
    assert Sequences().narrow(hole(0, 3)) == hole(0, 3)


def test_a_hole_that_opens_takes_the_promise_back() -> None:
    sequences = Sequences()
    sequences.note([trade(10)])
    sequences.hold(hole(5, 6))
    assert sequences.owed() == {AAA: 4}


def test_holes_that_are_being_read_again_are_counted() -> None:
    sequences = Sequences()
    sequences.learn({"AAA|trade": 10})
    hole = Missing("AAA", Channel.TRADE, 5, 7)
    assert sequences.holding == 0
    sequences.hold(hole)
    assert sequences.holding == 1
    sequences.release(hole)
    assert sequences.holding == 0


def test_what_several_lists_left_out_has_ended() -> None:
    sequences = Sequences()
    sequences.learn({AAA: 5, "OLD|trade": 9})
    for _ in range(ABSENT_LISTS - 1):
        sequences.retire({"AAA"})
    sequences.retire({"AAA", "OLD"})  # it was back in between
    for _ in range(ABSENT_LISTS):
        assert sequences.seen["OLD|trade"] == 9
        sequences.retire({"AAA"})
    assert sequences.seen == {AAA: 5}
    promises = sequences.owed()
    assert promises == {"OLD|trade": GONE}
    sequences.owe(promises)
    assert sequences.owed() == promises


def test_what_a_spool_says_to_be_gone_is_not_known() -> None:
    sequences = Sequences()
    sequences.learn({AAA: 5})
    sequences.learn({AAA: GONE})
    assert sequences.seen == {}
