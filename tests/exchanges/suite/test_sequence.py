"""A jump of the sequence is Missing, exactly and once; what repeats or comes late is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.suite.registry import ALL, voice_of
from tests.exchanges.suite.talk import Talk
from tests.exchanges.suite.voice import Voice
from trade_platform.exchanges.session import Missing


def expected(voice: Voice, first: int, last: int) -> Missing:
    return Missing(voice.symbols[0], voice.channel, first, last)


def test_the_first_trade_shows_what_was_missed_while_nobody_listened(talk: Talk) -> None:
    talk.session.expect({talk.voice.symbols[0]: 10})
    talk.open(2)
    talk.trade(15)
    assert talk.missing == [expected(talk.voice, 11, 14)]


def test_the_first_trade_that_follows_shows_that_nothing_was_missed(talk: Talk) -> None:
    talk.session.expect({talk.voice.symbols[0]: 10})
    talk.open(2)
    talk.trade(11)
    assert talk.missing == []


def test_an_older_expectation_takes_nothing_back(talk: Talk) -> None:
    talk.session.expect({talk.voice.symbols[0]: 10})
    talk.session.expect({talk.voice.symbols[0]: 5})
    talk.open(2)
    talk.trade(11)
    assert talk.missing == []


def test_a_skip_in_the_middle(talk: Talk) -> None:
    talk.open(2)
    talk.trade(1, 2, 3, 7, 8)
    assert talk.missing == [expected(talk.voice, 4, 6)]
    assert talk.trades == [1, 2, 3, 7, 8]


def test_symbols_count_for_themselves(voice: Voice) -> None:
    talk = Talk(voice, voice.wanted(*voice.symbols[:2]))
    talk.open(5)
    talk.trade(1, 2)
    talk.trade(7, 8, symbol=voice.symbols[1])
    talk.trade(3, 4)
    assert talk.missing == []


@given(st.sampled_from(sorted(ALL)), st.lists(st.integers(1, 30), min_size=1, max_size=25))
def test_in_any_order_what_was_skipped_is_missing_once(key: str, numbers: list[int]) -> None:
    """All that was passed over was told as Missing when it was, and never again."""
    talk = Talk(voice_of(key))
    talk.open(2)
    talk.trade(*numbers)
    told = [number for one in talk.missing for number in range(one.first, one.last + 1)]
    assert len(told) == len(set(told))
    highest = numbers[0]
    passed_over: set[int] = set()
    for number in numbers:
        passed_over |= set(range(highest + 1, number))
        highest = max(highest, number)
    assert set(told) == passed_over
    assert talk.trades == numbers, "every frame is a record: repeats fall out by identity later"
