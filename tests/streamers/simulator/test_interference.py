"""Frames withheld, damaged, doubled, swapped: each took effect, ended, and the ledger holds everything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamers.simulator.faults import Fault
from tests.streamers.simulator.conftest import URLS, Wire, ledger_entries

STREAMS = {
    "binance_spot": ("btcusdt@trade", "ethusdt@trade", "btcusdt@bookTicker"),
    "binance_usdm": ("btcusdt@aggTrade", "ethusdt@aggTrade", "btcusdt@markPrice@1s"),
    "deribit": ("trades.BTC-PERPETUAL.100ms", "trades.ETH-PERPETUAL.100ms", "ticker.BTC-PERPETUAL.100ms"),
}
CHANNEL = {"binance_spot": "trade", "binance_usdm": "aggregate_trade", "deribit": "trade"}
SYMBOL = {"binance_spot": "BTCUSDT", "binance_usdm": "BTCUSDT", "deribit": "BTC-PERPETUAL"}
EVERY = sorted(STREAMS)


def subscribed(wire: Any, key: str) -> Wire:
    one: Wire = wire(key)
    one.subscribe(*STREAMS[key])
    return one


def strike(one: Wire, **fields: Any) -> None:
    one.exchange.faults.add(Fault(**fields))


def live(one: Wire, seconds: int, first: int = 0) -> int:
    """So many seconds of market and real time; the next one comes back."""
    start = one.exchange.source.now or 0
    for place in range(seconds):
        one.run(start + (place + 1) * 1_000_000, now=float(first + place))
    return first + seconds


def effect(one: Wire, name: str) -> int:
    return int(one.exchange.state()["faults"][name])


def heard(one: Wire, stream: str) -> list[int]:
    """Sequences heard on a stream of trades."""
    found = []
    for data in one.data(stream):
        if isinstance(data, list):
            found += [row["trade_seq"] for row in data if isinstance(row, dict) and row.get("trade_seq")]
        elif isinstance(data, dict):
            found.append(data["t"] if data.get("e") == "trade" else data.get("a"))
    return found


def written(one: Wire, symbol: str) -> list[int]:
    return [row["sequence"] for row in ledger_entries(one.exchange, "trade") if row["symbol"] == symbol]


@pytest.mark.parametrize("key", EVERY)
def test_silence_of_one_channel_of_one_symbol(wire: Any, key: str) -> None:
    one, (trades, other, third) = subscribed(wire, key), STREAMS[key]
    now = live(one, 5)
    strike(one, fault="silence", seconds=10, symbol=SYMBOL[key], channel=CHANNEL[key])
    live(one, 1, now)
    before = len(heard(one, trades)), len(heard(one, other)), len(one.data(third))
    later = Wire(one.exchange, URLS[key])
    later.subscribe(trades, other)
    for place in range(8):
        one.run(one.exchange.source.now + 1_000_000, now=now + 1.0 + place)
    assert len(heard(one, trades)) == before[0]
    assert len(heard(one, other)) > before[1]
    assert len(one.data(third)) > before[2]
    assert effect(one, "silence") > 0
    live(one, 10, now + 12)
    sequences = heard(one, trades)
    assert len(sequences) > before[0]
    everything = written(one, SYMBOL[key])
    assert everything == list(range(everything[0], everything[0] + len(everything)))
    assert set(sequences) < set(everything)


@pytest.mark.parametrize("key", EVERY)
def test_new_connections_are_mute_for_good(wire: Any, key: str) -> None:
    one, (trades, *_) = subscribed(wire, key), STREAMS[key]
    strike(one, fault="mute_new", seconds=5)
    now = live(one, 1)
    later = Wire(one.exchange, URLS[key])
    assert later.subscribe(trades)["id"] == 1, "acknowledged"
    texts = []
    for place in range(20):
        for conversation, text in one.exchange.step(one.exchange.source.now + 1_000_000, now + place * 1.0):
            texts += [text] if conversation is later.conversation else []
    assert not texts
    assert effect(one, "mute_new") > 0
    last = Wire(one.exchange, URLS[key])
    last.subscribe(trades)
    last.run(one.exchange.source.now + 5_000_000, now=60.0)
    assert heard(last, trades), "after its end new connections hear everything"


@pytest.mark.parametrize("key", EVERY)
def test_the_deaf_answer_nothing_and_say_nothing(wire: Any, key: str) -> None:
    one, (trades, *_) = subscribed(wire, key), STREAMS[key]
    strike(one, fault="deaf", seconds=5)
    now = live(one, 1)
    before = len(one.heard)
    assert one.subscribe("btcusdt@aggTrade") is None
    now = live(one, 4, now)
    assert len(one.heard) == before
    assert effect(one, "deaf") > 1
    live(one, 5, now + 1)
    assert heard(one, trades)
    assert one.subscribe(*STREAMS[key])["id"] == 1


@pytest.mark.parametrize("key", EVERY)
def test_skipped_doubled_and_swapped(wire: Any, key: str) -> None:
    one, (trades, *_) = subscribed(wire, key), STREAMS[key]
    now = live(one, 3)
    for name in ("skip", "duplicate", "reorder"):
        strike(one, fault=name, count=2, symbol=SYMBOL[key])
    live(one, 30, now)
    sequences, everything = heard(one, trades), written(one, SYMBOL[key])
    assert [effect(one, name) for name in ("skip", "duplicate", "reorder")] == [2, 2, 2]
    assert set(sequences) < set(everything), "skipped"
    assert len(sequences) > len(set(sequences)), "doubled"
    first_heard = list(dict.fromkeys(sequences))
    assert first_heard != sorted(first_heard), "swapped"
    assert everything == list(range(everything[0], everything[0] + len(everything)))


def test_what_nothing_overtakes_is_said_late(wire: Any) -> None:
    one = wire("binance_spot")
    one.subscribe("btcusdt@trade")
    one.exchange.hub.say("btcusdt@trade", '{"t":1}', prints=True)
    strike(one, fault="reorder")
    list(one.exchange.step(one.exchange.source.now, 0.0))
    one.exchange.hub.say("btcusdt@trade", '{"t":1}', prints=True)
    assert not list(one.exchange.step(one.exchange.source.now, 0.5))
    assert [json.loads(text)["data"] for _, text in one.exchange.step(one.exchange.source.now, 1.5)] == [
        {"t": 1}
    ]


@pytest.mark.parametrize("key", EVERY)
@pytest.mark.parametrize("name", ["malformed", "unknown_type", "null_fields", "missing_fields"])
def test_damaged_frames_beside_the_true_ones_and_instead_of_them(wire: Any, key: str, name: str) -> None:
    one = subscribed(wire, key)
    aim = {"symbol": SYMBOL[key], "channel": CHANNEL[key]}
    strike(one, fault=name, count=3, **aim)
    now = live(one, 12)
    assert effect(one, name) == 3
    assert set(whole_trades(one, STREAMS[key][0])) == set(written(one, SYMBOL[key]))
    strike(one, fault=name, count=2, instead=True, **aim)
    live(one, 12, now)
    assert effect(one, name) == 5
    assert set(whole_trades(one, STREAMS[key][0])) < set(written(one, SYMBOL[key]))
    assert sum(map(is_damaged, one.texts)) == 5


def whole_trades(one: Wire, stream: str) -> list[int]:
    """Sequences of trades that lack nothing."""
    needed = {"p", "q", "T", "m"}, {"price", "amount", "timestamp", "direction", "trade_seq"}
    found = []
    for data in one.data(stream):
        for row in data if isinstance(data, list) else [data]:
            full = {name for name, value in row.items() if value is not None}
            if needed[0] <= full or needed[1] <= full:
                number = row.get("trade_seq") or row.get("t" if row.get("e") == "trade" else "a")
                found += [number] if number else []
    return found


def is_damaged(text: str) -> bool:
    try:
        message = json.loads(text)
    except ValueError:
        return True
    if "novelty" in text:
        return True
    data = message.get("data") or message.get("params", {}).get("data")
    rows = data if isinstance(data, list) else [data]
    kinds = {"trade": {"t", "p", "q", "T", "m"}, "aggTrade": {"a", "p", "q", "T", "m"}}
    for row in rows:
        if not isinstance(row, dict):
            continue
        needed = kinds.get(row.get("e"), set())
        if "tick_direction" in row:
            needed = {"price", "amount", "trade_seq", "timestamp", "direction", "mark_price"}
        if any(row.get(name) is None for name in needed):
            return True
    return False


def test_without_an_aim_only_what_has_such_fields_is_damaged(wire: Any) -> None:
    one = wire("deribit")
    one.subscribe("platform_state", "trades.BTC-PERPETUAL.100ms")
    one.exchange.hub.say("platform_state", '{"maintenance":false}')
    strike(one, fault="null_fields", instead=True)
    live(one, 1)
    one.exchange.hub.say("platform_state", '{"maintenance":false}')
    live(one, 5, 1)
    assert one.data("platform_state") == [{"maintenance": False}] * 2
    assert effect(one, "null_fields") == 1


@pytest.mark.parametrize("key", EVERY)
def test_fragments_and_the_huge(wire: Any, key: str) -> None:
    one = subscribed(wire, key)
    now = live(one, 2)
    strike(one, fault="split", count=4)
    strike(one, fault="huge", count=1)
    live(one, 10, now)
    assert (effect(one, "split"), effect(one, "huge")) == (4, 1)
    assert len(one.fragmented) == 4
    (long,) = [text for text in one.texts if len(text) > 9_000_000]
    assert json.loads(long)
    assert set(heard(one, STREAMS[key][0])) == set(written(one, SYMBOL[key])), "nothing true is lost"


def test_counters_are_there_before_anything_happened(wire: Any) -> None:
    effects = wire("deribit").exchange.state()["faults"]
    assert set(effects.values()) == {0}
    assert "settlement" in effects
    assert "wrong_route" not in effects
