from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamers.oddities import ODD_FROM_THE_START, ODD_MESSAGES, PLACES, Oddities, Oddity, subscribed_as
from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.liveness import Subscription


class Told(list[Oddity]):
    def __call__(self, oddities: object) -> None:
        self.extend(oddities)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2 * PLACES)), max_size=200))
def test_each_is_inside_what_is_told_of_its_place_or_of_the_connection(
    history: list[tuple[float, int]],
) -> None:
    told, now = Told(), 0.0
    oddities = Oddities(told)
    for at, (pause, symbol) in enumerate(history):
        now += pause
        oddities.note("odd", at, now, (str(symbol), Channel.TRADE))
    oddities.report(now + 2)
    for at, (_, symbol) in enumerate(history):
        assert any(one.since <= at < one.until and one.symbol in (str(symbol), None) for one in told)
    assert oddities.count == len(history)


def test_too_many_are_another_protocol() -> None:
    oddities = Oddities(Told())
    for number in range(ODD_MESSAGES + 1):
        assert not oddities.too_many(1000)
        oddities.note("odd", 1, float(number))
    assert oddities.too_many(1000)
    seldom = Oddities(Told())
    for number in range(ODD_MESSAGES + 1):
        seldom.note("odd", 1, 10.0 * number)
    assert not seldom.too_many(1000)
    only = Oddities(Told())
    for _ in range(ODD_FROM_THE_START):
        only.note("odd", 1, 0.0)
    assert only.too_many(ODD_FROM_THE_START)


def test_a_message_that_cannot_be_read_still_names_its_channel() -> None:
    subscriptions = {
        name: Subscription(name=name, wanted=Wanted(symbol, Channel.TRADE))
        for name, symbol in (("btcusdt@trade", "BTCUSDT"), ("1btcusdt@trade", "1BTCUSDT"))
    }
    whose = subscribed_as(b'{"stream":"1btcusdt@trade","data":{"p":nul', subscriptions)
    assert whose == Wanted("1BTCUSDT", Channel.TRADE)
    whose = subscribed_as(b'{"stream":"btcusdt@trade","data":', subscriptions)
    assert whose == Wanted("BTCUSDT", Channel.TRADE)
    assert subscribed_as(b"x" * 5000 + b"btcusdt@trade", subscriptions) is None
