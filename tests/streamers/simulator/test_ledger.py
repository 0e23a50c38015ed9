"""The ledger: written before it is said, torn lines, and a market that goes on where it ended."""

from __future__ import annotations

import errno
import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamers.simulator.assembly import Plan, assemble
from streamers.simulator.ledger import Ledger
from streamers.simulator.tape import Print
from trade_platform.adapters.process import CannotStart

STREAMS = {
    "binance_spot": ["btcusdt@trade", "solusdt@aggTrade", "btcusdt@kline_1m"],
    "binance_usdm": ["btcusdt@aggTrade", "ethusdt@aggTrade"],
    "deribit": ["trades.BTC-PERPETUAL.100ms", "trades.ETH-PERPETUAL.100ms"],
}


class Hands:
    """A clock that is set by hand."""

    def __init__(self, market: int) -> None:
        self.time = market

    def market(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return 0.0


def _print(sequence: int) -> Print:
    return Print(sequence, "1.5", "2", True, 1_000, sequence, sequence)


def _lines(folder: Path, key: str) -> Any:
    return [json.loads(line) for line in (folder / "ledger" / f"{key}.jsonl").read_bytes().splitlines()]


def test_lines_are_in_the_file_before_they_are_said(tmp_path: Path, start: int) -> None:
    clock = Hands(start)
    remembered = assemble(Plan(), "binance_spot", tmp_path, clock)
    exchange = remembered.exchange
    conversation = exchange.converse("/stream?streams=btcusdt@trade", 0.0)
    conversation.opened(0.0)
    exchange.hub.join(conversation)
    said = 0
    for place in range(1, 300):
        for _, text in exchange.step(start + place * 100_000, 0.0):
            written = {entry["sequence"] for entry in _lines(tmp_path, "binance_spot")}
            assert json.loads(text)["data"]["t"] in written
            said += 1
    assert said > 20
    remembered.close()


def test_nothing_is_written_of_what_nobody_heard(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.trade("A", "trade", _print(1))
    ledger.begin("A", "trade", 0)
    ledger.trade("A", "trade", _print(2))
    ledger.trade("A", "trade", _print(2))
    assert [json.loads(line)["sequence"] for line in ledger.lines] == [2]


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    ledger = Ledger(path)
    ledger.open()
    ledger.begin("A", "trade", 0)
    ledger.trade("A", "trade", _print(1))
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind":"trade","sym')
    again = Ledger(path)
    assert [entry.sequence for entry in again.read()] == [1]
    again.open()
    again.close()
    assert path.read_bytes() == whole


def _live(tmp_path: Path, key: str, clock: Any, seconds: int, streams: Any) -> Any:
    """One life of the process: subscribe, run, and be killed (nothing is closed)."""
    remembered = assemble(Plan(seed=3), key, tmp_path, clock)
    exchange = remembered.exchange
    url = {"binance_spot": "/stream", "binance_usdm": "/market/stream", "deribit": "/ws/api/v2"}[key]
    conversation = exchange.converse(url, 0.0)
    conversation.streams.update(dict.fromkeys(streams, True))
    exchange.hub.join(conversation)
    heard = []
    for _ in range(seconds * 5):
        clock.time += 200_000
        heard += [text for _, text in exchange.step(clock.time, 0.0)]
        if clock.time % 3_000_000 == 0:
            remembered.save()
    return exchange, heard


@pytest.mark.parametrize("key", list(STREAMS))
def test_a_restart_continues_sequences_and_candles(tmp_path: Path, key: str, start: int, minute: int) -> None:
    clock = Hands(start + 7_000_000)
    _live(tmp_path, key, clock, 100, STREAMS[key])
    prices = {
        entry["symbol"]: float(entry["price"]) for entry in _lines(tmp_path, key) if entry["kind"] == "trade"
    }
    path = tmp_path / "ledger" / f"{key}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind":"tra')  # killed in mid-write
    clock.time += 3_000_000
    exchange, heard = _live(tmp_path, key, clock, 140, STREAMS[key])
    assert heard
    trades, candles = {}, {}
    for entry in _lines(tmp_path, key):
        kind = trades if entry["kind"] == "trade" else candles
        kind.setdefault(entry["symbol"], []).append(entry)
    for symbol, rows in trades.items():
        sequences = [row["sequence"] for row in rows]
        assert sequences == list(range(sequences[0], sequences[-1] + 1))
        assert [row["event_time"] for row in rows] == sorted(row["event_time"] for row in rows)
        assert abs(float(rows[-1]["price"]) / prices[symbol] - 1) < 0.05
        channel = rows[0]["channel"]
        log = exchange.source.tape.log(symbol, channel)
        assert [one.sequence for one in islice(log.ascending(sequences[0]), len(rows))] == sequences
    for symbol, rows in candles.items():
        opens = [row["open_time"] for row in rows]
        assert opens == [start + place * minute for place in range(1, 4)]
        for row in rows:
            inside = [
                t for t in trades[symbol] if row["open_time"] <= t["event_time"] < row["open_time"] + minute
            ]
            if row["trades"] is not None:
                assert row["trades"] == sum(t["last_id"] - t["first_id"] + 1 for t in inside)
            assert float(row["close"]) == float(inside[-1]["price"])
            assert float(row["open"]) == float(inside[0]["price"])


def test_a_silent_symbol_keeps_its_newest_trade_and_its_number(tmp_path: Path, start: int) -> None:
    clock = Hands(start)
    first = assemble(Plan(), "deribit", tmp_path, clock).exchange.source
    before = {key: log.last for key, log in first.tape.prints.items()}
    assert len(before) == 15
    clock.time += 1_000
    again = assemble(Plan(), "deribit", tmp_path, clock).exchange.source
    assert {key: log.last for key, log in again.tape.prints.items()} == before
    assert all(again.ids[key] == last.sequence for key, last in before.items())


def test_a_restart_without_the_state_file_goes_on_from_the_ledger_alone(tmp_path: Path, start: int) -> None:
    clock = Hands(start)
    _live(tmp_path, "deribit", clock, 30, STREAMS["deribit"])
    (tmp_path / "ledger" / "deribit.state.json").unlink()
    _live(tmp_path, "deribit", clock, 30, STREAMS["deribit"])
    rows = [e["sequence"] for e in _lines(tmp_path, "deribit") if e["symbol"] == "BTC-PERPETUAL"]
    assert rows == list(range(rows[0], rows[-1] + 1))


def test_a_clock_far_behind_the_ledger_is_refused_with_a_sentence(
    tmp_path: Path, start: int, minute: int
) -> None:
    clock = Hands(start + 10 * minute)
    _live(tmp_path, "deribit", clock, 30, STREAMS["deribit"])
    clock.time = start
    with pytest.raises(CannotStart, match="after the market clock"):
        assemble(Plan(), "deribit", tmp_path, clock)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, start: int) -> None:
    (tmp_path / "ledger").write_text("in the way")
    with pytest.raises(CannotStart, match="cannot be written"):
        assemble(Plan(), "deribit", tmp_path, Hands(start))


def test_an_altered_ledger_is_a_sentence(tmp_path: Path, start: int) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "deribit.jsonl").write_text('{"kind":"nonsense"}\n')
    with pytest.raises(CannotStart, match="altered"):
        assemble(Plan(), "deribit", tmp_path, Hands(start))


class FullDisk:
    """``os.write`` of a disk that takes a part of what it is given, and then nothing until there is room."""

    def __init__(self, patch: Any) -> None:
        self.full = False
        self.taken = 0
        self._write = os.write
        patch.setattr("streamers.simulator.ledger.os.write", self)

    def __call__(self, file: int, data: bytes) -> int:
        if not self.full:
            return self._write(file, data)
        if self.taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken = self._write(file, data[:-20])
        return self.taken


def test_a_full_disk_stops_the_market_until_there_is_room(
    tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    remembered = assemble(Plan(), "binance_spot", tmp_path, Hands(start))
    exchange = remembered.exchange
    conversation = exchange.converse("/stream?streams=btcusdt@trade", 0.0)
    conversation.opened(0.0)
    exchange.hub.join(conversation)
    heard = {"before": 0, "full": 0, "after": 0}
    with capture_logs() as logs:
        for place in range(1, 120):
            phase = "before" if place < 40 else "full" if place < 80 else "after"
            disk.full = phase == "full"
            said = list(exchange.step(start + place * 1_000_000, place * 0.5))
            heard[phase] += len(said)
            if phase == "full":
                assert exchange.stalled
                assert len(_lines(tmp_path, "binance_spot")) == heard["before"]  # of what is unsaid, nothing
                assert conversation.receive('{"method":"LIST_SUBSCRIPTIONS","id":1}', place * 0.5)
                assert exchange.answer("GET", "/api/v3/time", {}, place * 0.5).status == 200
                remembered.save()
                state = json.loads((tmp_path / "ledger" / "binance_spot.state.json").read_bytes())
                assert state["begun"] == []  # as it was at the start: it tells of nothing that is not written
    assert heard["before"]
    assert heard["after"]
    assert not heard["full"]
    assert disk.taken
    assert [one["event"] for one in logs] == [
        "the ledger cannot be written: the market stands still until it can",
        "the ledger can be written again: the market goes on",
    ]
    assert exchange.source.now == start + 119 * 1_000_000
    sequences = [e["sequence"] for e in _lines(tmp_path, "binance_spot") if e["kind"] == "trade"]
    assert sequences == list(range(sequences[0], sequences[0] + sum(heard.values())))
    remembered.close()


def test_a_state_that_cannot_be_written_is_said_once(tmp_path: Path, start: int) -> None:
    remembered = assemble(Plan(), "deribit", tmp_path, Hands(start))
    (tmp_path / "ledger" / "deribit.state.part").mkdir()
    with capture_logs() as logs:
        remembered.save()
        remembered.save()
        remembered.close()
    assert [one["event"] for one in logs] == [
        "the state beside the ledger cannot be written: it is tried again every second"
    ]


def test_an_end_on_a_full_disk_is_said_and_leaves_no_torn_state(
    tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    remembered = assemble(Plan(), "deribit", tmp_path, Hands(start))
    remembered.exchange.ledger.begin("A", "trade", 0)
    remembered.exchange.ledger.trade("A", "trade", _print(1))
    state = (tmp_path / "ledger" / "deribit.state.json").read_bytes()
    disk.full = True
    with capture_logs() as logs:
        remembered.close()
    assert [one["event"] for one in logs] == [
        "the ledger could not be written to its end: what it lacks was never said"
    ]
    assert _lines(tmp_path, "deribit") == []
    assert (tmp_path / "ledger" / "deribit.state.json").read_bytes() == state


GIVEN_UP = {
    "binance_spot": ("/stream", "BTCUSDT", "btcusdt@trade", "btcusdt@trade"),
    "binance_usdm": ("/market/stream", "BTCUSDT", "btcusdt@aggTrade", "btcusdt@aggTrade"),
    "deribit": (
        "/ws/api/v2",
        "BTC-PERPETUAL",
        "trades.BTC-PERPETUAL.100ms",
        "trades.BTC-PERPETUAL.100ms",
    ),
}


def _ask(key: str, word: str, *streams: str) -> str:
    if key == "deribit":
        request = {"id": 1, "method": f"public/{word}", "params": {"channels": streams}}
    else:
        request = {"id": 1, "method": word.upper(), "params": streams}
    return json.dumps(request)


class Market:
    """An exchange on disk with clients that say things; time moves in steps."""

    def __init__(self, folder: Path, key: str, clock: Hands) -> None:
        self.key = key
        self.folder = folder
        self.clock = clock
        self.remembered = assemble(Plan(seed=3, rate=3.0), key, folder, clock)
        self.exchange = self.remembered.exchange

    def join(self) -> Any:
        conversation = self.exchange.converse(GIVEN_UP[self.key][0], 0.0)
        conversation.opened(0.0)
        self.exchange.hub.join(conversation)
        return conversation

    def say(self, conversation: Any, word: str, *streams: str) -> None:
        conversation.receive(_ask(self.key, word, *streams), 0.0)
        self.exchange.hub.refresh(conversation)

    def run(self, seconds: int) -> int:
        """The ledger's lines of trades afterwards."""
        for _ in range(seconds * 2):
            self.clock.time += 500_000
            list(self.exchange.step(self.clock.time, 0.0))
        return len([entry for entry in self.lines() if entry["kind"] == "trade"])

    def lines(self) -> Any:
        return [e for e in _lines(self.folder, self.key) if e["symbol"] == GIVEN_UP[self.key][1]]


@pytest.mark.parametrize("key", list(GIVEN_UP))
def test_a_symbol_that_is_given_up_leaves_the_ledger_until_it_is_asked_for_again(
    tmp_path: Path, key: str, start: int, minute: int
) -> None:
    stream = GIVEN_UP[key][2]
    market = Market(tmp_path, key, Hands(start))
    one, other = market.join(), market.join()
    market.say(one, "subscribe", stream)
    market.say(other, "subscribe", stream)
    first = market.run(130)
    market.say(other, "unsubscribe", stream)
    both = market.run(10)
    assert both > first  # somebody still listens
    market.say(one, "unsubscribe", stream)
    assert market.run(100) == both
    market.say(one, "subscribe", stream)
    assert market.run(125) > both
    market.exchange.hub.leave(one)  # a disconnect is no farewell
    before = market.run(1)
    assert market.run(10) > before
    candles = [e["open_time"] for e in market.lines() if e["kind"] == "candle"]
    assert candles == [start + minute, start + 5 * minute]  # those wholly inside


@pytest.mark.parametrize("key", list(GIVEN_UP))
def test_a_restart_knows_what_was_given_up(tmp_path: Path, key: str, start: int) -> None:
    stream, clock = GIVEN_UP[key][2], Hands(start)
    market = Market(tmp_path, key, clock)
    one = market.join()
    market.say(one, "subscribe", stream)
    market.run(20)
    market.say(one, "unsubscribe", stream)
    held = market.run(20)
    assert market.exchange.ledger.turned  # the state is written at once
    market.remembered.save()
    numbers = dict(market.exchange.source.ids)
    again = Market(tmp_path, key, clock)
    assert again.run(20) == held
    channel = "aggregate_trade" if key == "binance_usdm" else "trade"
    number = GIVEN_UP[key][1], channel
    assert again.exchange.source.ids[number] > numbers[number] - 20  # numbers go on, not back
    again.say(again.join(), "subscribe", stream)
    assert again.run(20) > held


def test_unsubscribe_all_gives_up_every_symbol(tmp_path: Path, start: int) -> None:
    market = Market(tmp_path, "deribit", Hands(start))
    one = market.join()
    market.say(one, "subscribe", "trades.BTC-PERPETUAL.100ms", "trades.future.any.100ms")
    market.run(5)
    market.say(one, "unsubscribe", "trades.BTC-PERPETUAL.100ms")
    before = market.run(5)
    assert market.run(5) > before  # heard on the other channel still
    market.say(one, "unsubscribe_all")
    held = market.run(1)
    assert market.run(10) == held
    assert not market.exchange.ledger.begun
