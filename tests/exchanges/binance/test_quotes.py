"""At most one quote per symbol and interval, through a whole session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from trade_platform.domain.model import Channel, Metric, Number
from trade_platform.exchanges.binance.session import BinanceSession

SECOND = 1_000_000


def quote(update: int, symbol: str = "BTCUSDT") -> str:
    data = {"u": update, "s": symbol, "b": "1", "B": "1", "a": "2", "A": "1"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def updates(outputs: Iterable[object]) -> list[int]:
    return [one.update for one in outputs if isinstance(one, Number) and one.metric is Metric.BEST_BID]


def test_an_interval_of_zero_keeps_every_quote(subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_spot", ("BTCUSDT", Channel.QUOTE))
    assert [updates(session.receive(quote(number), 5)) for number in range(3)] == [[0], [1], [2]]


def test_the_next_interval_lets_go_the_last_of_the_one_before(
    subscribed: Callable[..., BinanceSession],
) -> None:
    session = subscribed("binance_spot", ("BTCUSDT", Channel.QUOTE), quote_interval=SECOND)
    times = [10.0, 10.5, 10.99, 11.0, 11.2, 14.0]
    outcome = [updates(session.receive(quote(number), round(at * SECOND))) for number, at in enumerate(times)]
    assert outcome == [[], [], [], [2], [], [4]]


def test_due_lets_go_what_any_message_shows_to_be_over(subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed(
        "binance_spot", ("BTCUSDT", Channel.QUOTE), ("ETHUSDT", Channel.QUOTE), quote_interval=SECOND
    )
    session.receive(quote(1), 10 * SECOND)
    assert updates(session.due(0.1)) == []
    session.receive(quote(7, "ETHUSDT"), 11 * SECOND)
    outputs = session.due(0.2)
    assert updates(outputs) == [1]
    assert {one.receive_time for one in outputs if isinstance(one, Number)} == {10 * SECOND}
    assert updates(session.due(0.3)) == [], "once only"


def test_due_lets_go_the_last_quote_of_a_market_that_falls_silent(
    subscribed: Callable[..., BinanceSession],
) -> None:
    session = subscribed("binance_spot", ("BTCUSDT", Channel.QUOTE), quote_interval=SECOND)
    session.receive(quote(1), 10 * SECOND)
    assert [updates(session.due(now)) for now in (5.0, 5.5, 5.99, 6.0, 7.0)] == [[], [], [], [1], []]
    assert updates(session.receive(quote(2), 10 * SECOND + 5)) == [], "its interval has had its quote"
    assert updates(session.receive(quote(3), 12 * SECOND)) == [2]


def test_tickers_are_conflated_like_quotes(captures: Path, subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_usdm", ("BTCUSDT", Channel.TICKER), quote_interval=SECOND)
    text = (captures / "messages/binance_usdm/ticker_stream.json").read_text()
    assert session.receive(text, 10 * SECOND) == ()
    assert len(session.receive(text, 11 * SECOND)) == 5
