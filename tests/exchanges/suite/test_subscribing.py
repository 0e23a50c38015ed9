"""What a session says: within the limits, all that is wanted, once; and what it makes of the answers."""

from __future__ import annotations

from itertools import chain

from tests.exchanges.suite.registry import ALL, VOICES
from tests.exchanges.suite.talk import Talk
from tests.exchanges.suite.voice import Voice
from trade_platform.domain.selection import Wanted

PATIENT = 120.0


def test_every_registered_exchange_has_a_voice() -> None:
    assert VOICES.keys() == ALL.keys()
    assert all(exchange.key == key for key, exchange in ALL.items())


def within_the_limits(talk: Talk) -> bool:
    """Neither too many names in a message nor too many messages in any second."""
    times = [at for at, _ in talk.said]
    most = max(sum(at <= other < at + 1 for other in times) for at in times)
    longest = max(map(len, talk.voice.messages))
    return longest <= talk.voice.names_a_message and most <= talk.voice.messages_a_second


def test_all_that_is_wanted_is_said_once_and_within_the_limits(voice: Voice) -> None:
    channels = sorted(voice.exchange.channels)
    stems = [f"{symbol}{n}" for symbol in voice.symbols for n in range(150)]
    talk = Talk(voice, [Wanted(stem, channel) for stem in stems for channel in channels])
    talk.rest_answers = False
    streamed = [name for name, one in talk.session.subscriptions.items() if not one.acknowledged]
    assert len(streamed) > 50
    talk.open(30)
    assert not talk.endings
    assert sorted(chain(*voice.messages)) == sorted(streamed)
    assert within_the_limits(talk)


def test_a_selection_that_changes_often_is_told_within_the_limits(voice: Voice) -> None:
    first, second, third = (voice.wanted(symbol) for symbol in voice.symbols)
    talk = Talk(voice, first)
    talk.open(5)
    for wanted in [second, third, first] * 6:
        talk.perform(talk.session.change(wanted, talk.now))
    talk.run(30)
    assert voice.subscribed == set(talk.session.subscriptions)
    assert {one.wanted.symbol for one in talk.session.subscriptions.values()} == {voice.symbols[0]}
    assert within_the_limits(talk)


def test_every_channel_is_subscribed_and_acknowledged(voice: Voice) -> None:
    exchange = voice.exchange
    wanted = [Wanted(voice.symbols[0], channel) for channel in sorted(exchange.channels)]
    wanted += [Wanted("", channel) for channel in sorted(exchange.exchange_channels)]
    for plan in exchange.plan(wanted):
        talk = Talk(type(voice)(exchange), plan.wanted)
        talk.rest_answers = False
        talk.open(10)
        unacknowledged = [one.name for one in talk.session.subscriptions.values() if not one.acknowledged]
        assert unacknowledged == []
        assert not talk.endings


def test_an_acknowledgement_is_no_data(talk: Talk) -> None:
    talk.open(2)
    (subscription,) = talk.session.subscriptions.values()
    assert subscription.acknowledged
    assert subscription.messages == 0
    assert not talk.session.live


def test_the_first_data_makes_it_live(talk: Talk) -> None:
    talk.open(2)
    talk.trade(5)
    assert talk.session.live
    assert talk.trades == [5]
    assert talk.missing == [], "nobody knows what was before"


def test_heartbeats_are_no_data(talk: Talk) -> None:
    talk.voice.newest = 3
    talk.open(2)
    for _ in range(20):
        talk.hear(*talk.voice.heartbeat())
    (subscription,) = talk.session.subscriptions.values()
    assert subscription.messages == 0
    assert not talk.session.live
    assert talk.records == []


def test_nothing_is_said_before_the_connection_is_open(talk: Talk) -> None:
    assert talk.session.change(talk.wanted, 0.0) == [] or not talk.said
    assert all(one.requested_at is None for one in talk.session.subscriptions.values())


def test_a_selection_that_changes_is_told_to_the_exchange(voice: Voice) -> None:
    first, second, third = voice.symbols
    talk = Talk(voice, voice.wanted(first, second))
    talk.open(10)
    talk.perform(talk.session.change(voice.wanted(second, third), talk.now))
    talk.run(10)
    assert {one.wanted.symbol for one in talk.session.subscriptions.values()} == {second, third}
    assert voice.subscribed == set(talk.session.subscriptions)
    assert not talk.endings
    for symbol in (second, third):
        talk.trade(1, symbol=symbol)
    assert talk.session.live


def test_what_passes_while_a_symbol_is_not_wanted_is_not_missing(voice: Voice) -> None:
    first, second, _ = voice.symbols
    talk = Talk(voice, voice.wanted(first, second))
    talk.open(10)
    talk.trade(1)
    talk.perform(talk.session.change(voice.wanted(second), talk.now))
    talk.run(10)
    voice.newest = 49
    talk.perform(talk.session.change(voice.wanted(first, second), talk.now))
    talk.run(10)
    talk.trade(50)
    assert talk.missing == []
    assert talk.trades == [1, 50]


def test_a_request_without_an_answer_ends_the_connection(talk: Talk) -> None:
    talk.deaf = True
    talk.open()
    talk.run(PATIENT)
    assert len(talk.endings) == 1
