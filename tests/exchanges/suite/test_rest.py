"""Requests that the exchange can answer, and answers that become the records that they are about."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.suite.facts import START, Fact, MinuteFact
from tests.exchanges.suite.registry import ALL, voice_of
from tests.exchanges.suite.voice import Voice
from trade_platform.domain.model import DAY, MINUTE, Trade
from trade_platform.exchanges.page import odd_rows
from trade_platform.exchanges.session import ProtocolViolation, RestError

NOW = START + 3 * 24 * 60 * MINUTE


def page(voice: Voice, first: int, last: int) -> list[Trade]:
    symbol = voice.symbols[0]
    body = voice.rest(voice.exchange.trades_request(symbol, voice.channel, first, last))
    return list(voice.exchange.parse_trades(body, symbol, voice.channel, NOW))


def test_a_trade_by_rest_is_the_one_of_the_socket(voice: Voice) -> None:
    """Equal in every field, so that a repair adds what the stream would have brought, and no second one."""
    voice.newest = 9
    symbol = voice.symbols[0]
    (plan,) = voice.exchange.plan(voice.wanted())
    session = voice.exchange.session(plan)
    session.opened(0.0)
    streamed = [one for number in range(1, 10) for one in session.receive(voice.trade(symbol, number), NOW)]
    assert page(voice, 1, 9) == streamed


def test_a_trade_says_what_happened(voice: Voice) -> None:
    voice.newest = 9
    for trade in page(voice, 1, 9):
        fact = Fact(trade.sequence)
        assert (trade.price, trade.quantity, trade.side) == (fact.price, fact.quantity, fact.side)
        assert (trade.event_time, trade.receive_time) == (fact.milliseconds * 1000, NOW)
        assert trade.symbol == voice.symbols[0]


def test_a_range_is_read_page_by_page(voice: Voice) -> None:
    """Asking again from the last number of the answer on comes to an end, with every one of them."""
    voice.newest = 5000
    got: list[int] = []
    first, last = 17, 2345
    for _ in range(100):
        numbers = [trade.sequence for trade in page(voice, first, last) if first <= trade.sequence <= last]
        assert numbers == sorted(numbers)
        got += numbers
        if not numbers or numbers[-1] == last:
            break
        first = numbers[-1] + 1
    assert got == list(range(17, 2346))


def test_the_newest_trade(voice: Voice) -> None:
    symbol = voice.symbols[0]
    request = voice.exchange.last_trade_request(symbol, voice.channel)

    def numbers() -> list[int]:
        trades = voice.exchange.parse_trades(voice.rest(request), symbol, voice.channel, NOW)
        return [trade.sequence for trade in trades]

    assert numbers() == []
    voice.newest = 777
    assert numbers() == [777]


def first_since(voice: Voice, since: int, until: int) -> int | None:
    """As a backfill asks: on from where an empty answer ends."""
    symbol, exchange = voice.symbols[0], voice.exchange
    while since < until:
        search = exchange.first_trade_search(symbol, voice.channel, since, until)
        assert since < search.until <= until
        if (number := exchange.parse_first_trade(voice.rest(search.request), voice.channel)) is not None:
            return number
        since = search.until
    return None


def test_the_first_trade_since_a_moment(voice: Voice) -> None:
    """Trade n was made n milliseconds after the start."""
    assert first_since(voice, START, START + DAY) is None
    voice.newest = 5000
    assert first_since(voice, START - 3 * DAY, START + DAY) == 1
    assert first_since(voice, START + 1_234_000, START + DAY) == 1234
    assert first_since(voice, START + 1_233_001, START + DAY) == 1234
    assert first_since(voice, START + 1_234_000, START + 1_234_001) == 1234
    assert first_since(voice, START - DAY, START + 1000) is None
    assert first_since(voice, START + 5_001_000, START + DAY) is None


def test_candles_of_a_range_of_minutes(voice: Voice) -> None:
    symbol, end = voice.symbols[0], START + 5 * MINUTE
    body = voice.rest(voice.exchange.candles_request(symbol, START, end))
    receive_time = end + MINUTE // 2  # in the middle of the last minute
    candles = voice.exchange.parse_candles(body, symbol, receive_time)
    assert [one.open_time for one in candles] == list(range(START, end + 1, MINUTE))
    assert [one.closed for one in candles] == [True] * 5 + [False]
    for candle in candles:
        fact = MinuteFact(candle.open_time)
        assert tuple(map(float, (candle.open, candle.high, candle.low, candle.close))) == tuple(
            map(float, fact.prices)
        )
        assert (float(candle.volume), float(candle.quote_volume)) == (float(fact.volume), float(fact.cost))
        assert candle.trades in (fact.trades, None)


def test_the_instruments(voice: Voice) -> None:
    listed = [
        one.symbol
        for request in voice.exchange.instruments_requests()
        for one in voice.exchange.parse_instruments(voice.rest(request))
    ]
    assert listed == list(voice.symbols)


def test_the_exchange_s_clock(voice: Voice) -> None:
    assert voice.exchange.parse_time(voice.rest(voice.exchange.time_request())) == 1_795_338_000_123_000


def test_the_exchange_s_state(voice: Voice) -> None:
    for body, status in voice.statuses():
        assert voice.exchange.parse_status(body, NOW).status is status


def test_errors(voice: Voice) -> None:
    for status, body, retry, maintenance in voice.errors:
        error = voice.exchange.error_of(status, body)
        assert error is not None, (status, body)
        assert (error.retry, error.maintenance) == (retry, maintenance), (status, body)
    voice.newest = 3
    request = voice.exchange.last_trade_request(voice.symbols[0], voice.channel)
    assert voice.exchange.error_of(200, voice.rest(request)) is None


def test_every_request_counts_against_a_limit_that_is_declared(voice: Voice) -> None:
    exchange, symbol = voice.exchange, voice.symbols[0]
    limits = {one.name: one for one in exchange.limits}
    assert {"weight", "connections"} <= limits.keys()
    assert all(one.capacity > 0 and one.per_seconds > 0 for one in exchange.limits)
    for request in (
        *exchange.instruments_requests(),
        exchange.trades_request(symbol, voice.channel, 1, 5000),
        exchange.last_trade_request(symbol, voice.channel),
        exchange.first_trade_search(symbol, voice.channel, START, START + 400 * DAY).request,
        exchange.candles_request(symbol, START, START + 10_000 * MINUTE),
        exchange.time_request(),
        exchange.status_request(),
    ):
        assert 0 < request.weight <= limits[request.limit].capacity
        assert request.path.startswith("/")


def parsers(voice: Voice) -> list[Callable[[bytes], Any]]:
    exchange, symbol = voice.exchange, voice.symbols[0]
    return [
        lambda body: exchange.parse_trades(body, symbol, voice.channel, NOW),
        lambda body: exchange.parse_candles(body, symbol, NOW),
        lambda body: exchange.parse_first_trade(body, voice.channel),
        exchange.parse_instruments,
        exchange.parse_time,
        lambda body: exchange.parse_status(body, NOW),
    ]


words = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
documents = st.recursive(
    words,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["result", "trades", "error", "code", "symbols", "ticks"]), inner)
    ),
    max_leaves=15,
)


@given(
    st.sampled_from(sorted(ALL)),
    st.binary(max_size=100) | documents.map(lambda one: json.dumps(one).encode()),
)
def test_any_answer_is_read_or_refused(key: str, body: bytes) -> None:
    voice = voice_of(key)
    for parse in parsers(voice):
        with suppress(ProtocolViolation, RestError):
            parse(body)
    for status in (200, 400, 500):
        voice.exchange.error_of(status, body)


def rows_of(document: Any) -> list[Any]:
    """The rows in an answer, to be changed in place."""
    if isinstance(document, list):
        return document
    inner = (rows_of(one) for one in document.values() if isinstance(one, dict | list))
    return next((rows for rows in inner if rows), [])


junk = st.sampled_from([None, {}, [], "text", 5, {"p": "NaN"}, [1, 2], {"price": "-1"}])


@given(st.sampled_from(sorted(ALL)), st.dictionaries(st.integers(0, 19), junk, max_size=19))
def test_an_odd_row_costs_only_itself(key: str, spoiled: dict[int, Any]) -> None:
    """The good ones are read, each odd one is told of; its number is a hole that the caller sees."""
    voice = voice_of(key)
    voice.newest = 20
    symbol = voice.symbols[0]
    body = json.loads(voice.rest(voice.exchange.trades_request(symbol, voice.channel, 1, 20)))
    rows = rows_of(body)
    assert len(rows) == 20
    for at, thing in spoiled.items():
        rows[at] = thing
    trades = voice.exchange.parse_trades(json.dumps(body).encode(), symbol, voice.channel, NOW)
    assert [one.sequence for one in trades] == [at + 1 for at in range(20) if at not in spoiled]
    odd = odd_rows(trades)
    assert len(odd) == min(len(spoiled), 11)
    assert bool(odd) is bool(spoiled)


def test_an_answer_of_odd_rows_alone_is_refused(voice: Voice) -> None:
    """Else it would look like an answer without any trades."""
    voice.newest = 1
    symbol = voice.symbols[0]
    body = json.loads(voice.rest(voice.exchange.last_trade_request(symbol, voice.channel)))
    rows_of(body)[:] = [{}]
    with pytest.raises(ProtocolViolation, match="not one of 1 rows"):
        voice.exchange.parse_trades(json.dumps(body).encode(), symbol, voice.channel, NOW)
