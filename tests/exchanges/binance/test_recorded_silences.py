"""Recorded sessions: not one is given up, and each busy channel is, when it is cut at any moment."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exchanges.binance.conftest import EXCHANGES, acknowledge, lines
from tests.exchanges.replay import Frame, Replay, Shown
from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import ConnectionPlan, Reconnect, Request

CHANNELS = {
    "aggTrade": Channel.AGGREGATE_TRADE,
    "trade": Channel.TRADE,
    "kline_1m": Channel.CANDLE,
    "bookTicker": Channel.QUOTE,
}
SESSIONS = [
    "binance_spot/2021-04-05_ten_symbols_aggtrade_depth_bookticker",
    "binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth",
    "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth",
    "binance_spot/2021-10-12_near_idle_aggtrade_kline_depth",
    "binance_spot/2024-08-09_ethusdt_trade_depth_bookticker",
    "binance_usdm/2021-04-05_five_symbols_aggtrade_depth_bookticker",
    "binance_usdm/2021-04-17_four_symbols_aggtrade_kline_depth",
    "binance_usdm/2024-08-08_btcusdt_trade_depth_bookticker",
]
LONGEST = 200.0
"""Seconds of a recording that are played."""


def aggregate(data: dict[str, Any]) -> list[dict[str, Any]]:
    last = {"a": data["t"], "f": data["t"], "l": data["t"]} if "t" in data else {}
    return [{"M": True, **{name: data[name] for name in "apqflTm" if name in data}, **last}]


def row(data: dict[str, Any]) -> list[list[Any]]:
    kline = data["k"]
    return [[*(kline[name] for name in "tohlcvTqnVQ"), "0"]]


def book(data: dict[str, Any]) -> dict[str, Any]:
    return {"bidPrice": data["b"], "bidQty": data["B"], "askPrice": data["a"], "askQty": data["A"]}


PATHS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], bytes]] = {
    # Before the first message REST shows what was before it, which is never newer.
    "aggTrade": ("aggTrades", aggregate, b'[{"a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true,"M":true}]'),
    "trade": ("aggTrades", aggregate, b'[{"a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true,"M":true}]'),
    "kline_1m": ("klines", row, b'[[60000,"1","1","1","1","5",119999,"5",1,"1","1","0"]]'),
    "bookTicker": ("bookTicker", book, b'{"bidPrice":"1","bidQty":"1","askPrice":"2","askQty":"1"}'),
}


class Recorded:
    """One session of the captures, and what REST would have said meanwhile."""

    def __init__(self, path: Path, key: str) -> None:
        self.key = key
        self.frames: list[Frame] = []
        self._shown: dict[tuple[str, str], Shown] = defaultdict(lambda: Shown([], []))
        self._before: dict[tuple[str, str], bytes] = {}
        recorded = [(line["t"], line["text"]) for line in lines(path) if line["dir"] == "in"]
        start = recorded[0][0]
        for time, text in recorded:
            at = (time - start) / 1e9
            stream = text[text.index('"stream":"') + 10 :].split('"', 1)[0]
            symbol, _, suffix = stream.partition("@")
            if at > LONGEST or suffix not in CHANNELS or (suffix == "trade" and key == "binance_usdm"):
                continue
            self.frames.append((at, time // 1000, stream, text))
            word, body, before = PATHS[suffix]
            shown = self._shown[word, symbol.upper()]
            shown.times.append(at)
            shown.bodies.append(json.dumps(body(json.loads(text)["data"])).encode())
            self._before[word, symbol.upper()] = before
        self.streams = list(dict.fromkeys(stream for _, _, stream, _ in self.frames))
        self.seconds = self.frames[-1][0]

    def answer(self, request: Request, now: float) -> bytes:
        """The newest by then."""
        word, symbol = request.path.rpartition("/")[2], str(request.query["symbol"])
        return self._shown[word, symbol].at(now) or self._before[word, symbol]

    def replay(self, since: float = 0.0, **options: Any) -> Replay:
        """From a moment on, with a session that was subscribed and acknowledged then."""
        session = self._session(since)
        return Replay(session, self.frames, self.answer, since=since, say=acknowledge, **options)

    def _session(self, since: float) -> BinanceSession:
        wanted = tuple(
            Wanted(stream.partition("@")[0].upper(), CHANNELS[stream.partition("@")[2]])
            for stream in self.streams
        )
        plan = ConnectionPlan(name="all-0", path="/", wanted=wanted)
        session = EXCHANGES[self.key].session(plan, quote_interval=1_000_000)
        acknowledge(session, session.opened(since))
        return session

    def busy(self, stream: str, since: float, until: float, *, pause: float = 5.0) -> bool:
        """Whether it spoke once a second, as the published deadline wants it, and never paused for long.

        REST shows values of quotes, nothing that counts: one that only goes to and fro between the same two
        may stand where it stood whenever REST is asked, and is no example.
        """
        spoken = [(at, text) for at, _, one, text in self.frames if one == stream and since <= at < until]
        pairs = pairwise([since, *(at for at, _ in spoken), until])
        if len(spoken) < until - since or max(later - earlier for earlier, later in pairs) > pause:
            return False
        values = {json.dumps(book(json.loads(text)["data"])) for _, text in spoken if "bookTicker" in stream}
        return "bookTicker" not in stream or len(values) > len(spoken) * 0.9


@cache
def _recorded(path: Path, key: str) -> Recorded:
    return Recorded(path, key)


@pytest.fixture
def recorded(captures: Path) -> Callable[[str], Recorded]:
    return lambda name: _recorded(captures / name, name.partition("/")[0])


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("answer_seconds", [0.0, 2.0])
def test_no_recorded_session_is_given_up(
    name: str, answer_seconds: float, recorded: Callable[[str], Recorded]
) -> None:
    one = recorded(name)
    replay = one.replay(answer_seconds=answer_seconds)
    assert replay.run(one.seconds) is None


def test_the_market_that_is_nearly_idle_is_asked_about_and_stays(
    recorded: Callable[[str], Recorded],
) -> None:
    """Not only while it was recorded: for ten minutes in which nothing more happens."""
    one = recorded("binance_spot/2021-10-12_near_idle_aggtrade_kline_depth")
    replay = one.replay()
    assert replay.run(600.0) is None
    assert len(replay.looks) > 10
    assert replay.session.live
    for minute in range(10):
        asked = [request.weight for at, request in replay.looks if minute * 60 <= at < minute * 60 + 60]
        assert sum(asked) <= 5 * 60 + 60


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("alone", [True, False])
def test_a_busy_channel_that_is_cut_at_any_moment_is_found_in_time(
    recorded: Callable[[str], Recorded], data: st.DataObject, *, alone: bool
) -> None:
    """Alone, or with everything else on its connection."""
    name = data.draw(st.sampled_from([one for one in SESSIONS if "near_idle" not in one]))
    one = recorded(name)
    cut_at = data.draw(st.floats(10.0, one.seconds - 17.0))
    busy = [stream for stream in one.streams if one.busy(stream, cut_at - 10.0, cut_at + 15.0)]
    if not busy:
        return
    hung = data.draw(st.sampled_from(busy))
    answer_seconds = data.draw(st.floats(0.0, 2.0))
    cut = frozenset((hung,)) if alone else None
    replay = one.replay(max(0.0, cut_at - 20.0), cut=cut, cut_at=cut_at, answer_seconds=answer_seconds)
    end = replay.run(cut_at + 17.0)
    assert isinstance(end, Reconnect)
    assert cut_at < replay.now <= cut_at + 15.0
    assert not alone or end.detail.startswith(f"{hung}: nothing for ")


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_busy_channel_that_is_acknowledged_and_never_delivers_is_found_in_time(
    recorded: Callable[[str], Recorded], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([one for one in SESSIONS if "near_idle" not in one]))
    one = recorded(name)
    busy = [stream for stream in one.streams if one.busy(stream, 0.0, 15.0, pause=3.5)]
    if not busy:
        return
    answer_seconds = data.draw(st.floats(0.0, 2.0))
    replay = one.replay(cut_at=-1.0, answer_seconds=answer_seconds)
    assert isinstance(replay.run(one.seconds), Reconnect)
    assert replay.now <= 15.0
