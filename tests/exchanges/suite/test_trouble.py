"""What an exchange may say that is no data: it goes, it changes, it talks nonsense."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.suite.registry import ALL, voice_of
from tests.exchanges.suite.talk import Talk
from trade_platform.domain.model import ExchangeState
from trade_platform.exchanges.session import ProtocolViolation


@pytest.mark.parametrize(
    ("key", "number"), [(key, n) for key in ALL for n in range(len(voice_of(key).farewells))]
)
def test_an_exchange_that_says_that_it_goes(key: str, number: int) -> None:
    """The state is a record, and the connection ends for the reason that was said."""
    talk = Talk(voice_of(key))
    farewell = talk.voice.farewells[number]
    talk.open(2)
    talk.hear(farewell.text)
    assert farewell.status in [one.status for one in talk.records if isinstance(one, ExchangeState)]
    assert [ending.reason for _, ending in talk.endings] == [farewell.reason]


def test_a_type_that_nobody_knows_is_counted_and_does_no_harm(talk: Talk) -> None:
    talk.open(2)
    for _ in range(3):
        talk.hear(talk.voice.stranger())
    assert sum(talk.session.ignored.values()) >= 3
    talk.trade(1)
    assert talk.trades == [1]
    assert talk.endings == []


def test_what_is_not_of_the_protocol_is_a_violation(talk: Talk) -> None:
    talk.open(2)
    for text in ("", "{", "<html>", b"\xff\xfe", "[[", '"'):
        with pytest.raises(ProtocolViolation):
            talk.session.receive(text, talk.market)


@pytest.mark.parametrize("price", ['"text"', "null", "{}", '"NaN"', '"Infinity"'])
def test_a_trade_that_is_damaged_is_a_violation_and_the_next_one_shows_the_hole(
    talk: Talk, price: str
) -> None:
    talk.open(2)
    talk.trade(1)
    good = talk.voice.trade(talk.voice.symbols[0], 2)
    damaged = good.replace(_price(good), price, 1)
    with pytest.raises(ProtocolViolation):
        talk.session.receive(damaged, talk.market)
    talk.trade(3)
    assert [(one.first, one.last) for one in talk.missing] == [(2, 2)]


def _price(text: str) -> str:
    """The first price in a frame, as it stands there."""
    _, _, rest = text.partition('"p": ')
    if not rest:
        _, _, rest = text.partition('"price": ')
    return rest.partition(",")[0]


keys = st.sampled_from(sorted(ALL))


@st.composite
def nonsense(draw: st.DrawFn, key: str) -> object:
    """JSON of the exchange's own words in the wrong places."""
    words = st.sampled_from([*voice_of(key).vocabulary, "NaN", "1E+999999", "-1", "", *voice_of(key).symbols])
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=8)
    return draw(
        st.recursive(
            leaves,
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
            max_leaves=20,
        )
    )


@given(keys, st.data())
def test_nonsense_is_a_violation_or_tolerated(key: str, data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(st.binary(max_size=200) | st.text(max_size=200) | nonsense(key).map(json.dumps), max_size=6)
    )
    talk = Talk(voice_of(key))
    talk.open(2)
    for text in texts:
        with suppress(ProtocolViolation):
            talk.perform(talk.session.receive(text, talk.market))
    talk.perform(talk.session.due(talk.now + 1))
    assert len(talk.session.ignored) <= 200


@given(keys, st.data())
def test_a_real_frame_with_bytes_changed_is_a_violation_or_tolerated(key: str, data: st.DataObject) -> None:
    talk = Talk(voice_of(key))
    talk.open(2)
    text = bytearray(talk.voice.trade(talk.voice.symbols[0], 5).encode())
    for at in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        text[at] = data.draw(st.integers(0, 255))
    with suppress(ProtocolViolation):
        talk.perform(talk.session.receive(bytes(text), talk.market))
