"""Silence: REST is asked; a market that moves without us ends the connection, one that rests does not.

Deadlines are those of the subscriptions; the suite only knows that they end some time.
"""

from __future__ import annotations

from tests.exchanges.suite.talk import Talk
from trade_platform.exchanges.session import Reason

LONG = 1800.0


def deadline(talk: Talk) -> float:
    """The longest silence that a subscription allows without an explanation."""
    return max(one.deadline_seconds or 0.0 for one in talk.session.subscriptions.values())


def test_acknowledged_and_never_delivered(talk: Talk) -> None:
    """Not live; then REST is asked, which shows a market that moves; then the connection is given up."""
    talk.voice.newest, talk.voice.restless = 10, True
    talk.open()
    assert deadline(talk) > 0, "data is demanded of this channel"
    talk.run(LONG, until=lambda: bool(talk.asked))
    assert talk.asked[0][0] <= deadline(talk) + 1
    talk.run(LONG)
    ((at, ending),) = talk.endings
    assert ending.reason is Reason.NEVER_DELIVERED
    assert talk.asked[0][0] < at <= talk.asked[0][0] + deadline(talk) + 60
    assert not any(one.messages for one in talk.session.subscriptions.values())


def test_delivered_and_then_no_more(talk: Talk) -> None:
    talk.open(2)
    talk.trade(*range(1, 11))
    talk.run(1)
    asked = len(talk.asked)
    talk.voice.restless = True
    talk.run(LONG)
    ((_, ending),) = talk.endings
    assert ending.reason is Reason.CHANNEL_SILENT
    assert len(talk.asked) > asked


def test_a_market_that_rests_is_no_failure(talk: Talk) -> None:
    """Nothing newer by REST: the connection stays, and counts as live."""
    talk.voice.newest = 10
    talk.open(2)
    talk.run(LONG)
    assert talk.endings == []
    assert talk.asked
    assert talk.session.live


def test_a_market_without_a_single_trade_is_no_failure(talk: Talk) -> None:
    talk.open(2)
    talk.run(LONG)
    assert talk.endings == []


def test_a_look_that_fails_proves_nothing_while_others_deliver(talk: Talk) -> None:
    voice = talk.voice
    both = Talk(voice, voice.wanted(*voice.symbols[:2]))
    both.rest_answers = False
    both.open(5)
    for number in range(1, int(LONG) // 10):
        both.trade(number, symbol=voice.symbols[1])
        both.run(10)
    assert both.endings == []


def test_trades_in_time_need_no_question(talk: Talk) -> None:
    talk.open(1)
    for number in range(1, 200):
        talk.trade(number)
        talk.run(1)
    assert talk.endings == []
    assert talk.asked == []
