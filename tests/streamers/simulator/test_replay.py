"""Recorded sessions played again: every frame at its moment, and REST from what was already said."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.capture import UnusableCapture, describe, exchange_of, read_session
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.replay import Replay

CROSSING = "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth.jsonl.gz"
THIN = "binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth.jsonl.gz"
USDM = "binance_usdm/2021-04-17_four_symbols_aggtrade_kline_depth.jsonl.gz"
USDM_QUOTES = "binance_usdm/2021-04-05_five_symbols_aggtrade_depth_bookticker.jsonl.gz"
TICKERS = "deribit/2021-07-22_ten_options_ticker_book.jsonl.gz"
UNLISTED = "deribit/2021-04-05_ten_options_ticker_book.jsonl.gz"
RAW = "binance_spot/2024-08-09_ethusdt_trade_depth_bookticker.jsonl.gz"


class Client:
    """Hears a replay without a socket."""

    def __init__(self, exchange: Any, url: str) -> None:
        self.exchange = exchange
        self.conversation = exchange.converse(url, 0.0)
        self.conversation.opened(0.0)
        exchange.hub.join(self.conversation)
        self.heard = []

    def subscribe(self, streams: Any) -> None:
        request = (
            {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": streams}}
            if self.exchange.key == "deribit"
            else {"method": "SUBSCRIBE", "params": streams, "id": 1}
        )
        self.conversation.receive(json.dumps(request), 0.0)
        self.exchange.hub.refresh(self.conversation)

    def step(self, market: int) -> None:
        for conversation, text in self.exchange.step(market, 0.0):
            if conversation is self.conversation:
                self.heard.append(json.loads(text))


def play(path: Path, **options: Any) -> Any:
    session = read_session(path)
    hub, ledger = Hub(), Ledger()
    replay = Replay(session.exchange, [session], hub, ledger, **options)
    return session, SimulatedExchange(replay, hub, ledger)


def recorded(path: Path, *kinds: str) -> Any:
    """Texts of the file itself, by stream, read by nothing of ours."""
    texts = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            if row["dir"] != "in":
                continue
            message = json.loads(row["text"])
            if "stream" in message and message["stream"].partition("@")[2] in kinds:
                texts[message["stream"]].append((row["t"] // 1000, message["data"]))
    return texts


@pytest.mark.parametrize(
    ("name", "url"), [(CROSSING, "/stream"), (THIN, "/stream"), (USDM, "/market/stream")]
)
def test_every_frame_that_was_asked_for_is_said_at_its_moment(captures: Path, name: str, url: str) -> None:
    path = captures / name
    expected = recorded(path, "aggTrade", "kline_1m")
    session, exchange = play(path)
    client = Client(exchange, url)
    client.subscribe(list(expected))
    moment = session.frames[0].time - 1_000_000
    while not exchange.source.finished:
        moment += 100_000
        client.step(moment)
        due = sum(time <= moment for rows in expected.values() for time, _ in rows)
        assert len(client.heard) == due
    heard = defaultdict(list)
    for message in client.heard:
        heard[message["stream"]].append(message["data"])
    assert heard == {stream: [data for _, data in rows] for stream, rows in expected.items()}


@pytest.mark.parametrize(
    ("name", "url", "trades"), [(CROSSING, "/stream", 28), (USDM, "/market/stream", 185)]
)
def test_the_ledger_is_the_session(captures: Path, name: str, url: str, trades: Any) -> None:
    path = captures / name
    expected = recorded(path, "aggTrade", "kline_1m")
    session, exchange = play(path)
    client = Client(exchange, url)
    client.subscribe(list(expected))
    client.step(session.frames[-1].time)
    client.step(session.frames[-1].time)
    entries = [json.loads(line) for line in exchange.ledger.lines]
    written = {(e["symbol"], e["sequence"]): e for e in entries if e["kind"] == "trade"}
    assert len(written) == trades
    for rows in expected.values():
        for _, data in rows:
            if data["e"] != "aggTrade":
                continue
            entry = written[data["s"], data["a"]]
            assert (entry["price"], entry["quantity"], entry["side"]) == (
                data["p"],
                data["q"],
                "sell" if data["m"] else "buy",
            )
    closed = [
        data["k"] for rows in expected.values() for _, data in rows if data["e"] == "kline" and data["k"]["x"]
    ]
    assert [e["open_time"] // 1000 for e in entries if e["kind"] == "candle"] == [k["t"] for k in closed]


def test_rest_answers_from_what_was_said(captures: Path) -> None:
    path = captures / CROSSING
    session, exchange = play(path)
    client = Client(exchange, "/stream")
    expected = recorded(path, "aggTrade", "kline_1m")
    client.subscribe(list(expected))

    def ask(endpoint: Any, **query: Any) -> Any:
        return json.loads(exchange.answer("GET", endpoint, query, 0.0).body)

    first = next(data for data in (d for _, d in expected["ftmusdt@aggTrade"]))
    client.step(session.frames[0].time)
    assert ask("/api/v3/aggTrades", symbol="FTMUSDT", fromId=str(first["a"])) == []
    client.step(session.frames[-1].time)
    rows = ask("/api/v3/aggTrades", symbol="FTMUSDT", fromId=str(first["a"]))
    names = ("a", "p", "q", "f", "l", "T", "m", "M")
    assert rows == [{name: data[name] for name in names} for _, data in expected["ftmusdt@aggTrade"]]
    symbols = [row["symbol"] for row in ask("/api/v3/exchangeInfo")["symbols"]]
    assert symbols == ["BADGERBTC", "FTMUSDT", "SXPBTC", "XMRBTC"]
    closed = {
        (data["s"], data["k"]["t"]): data["k"]
        for rows in expected.values()
        for _, data in rows
        if data["e"] == "kline" and data["k"]["x"]
    }
    for (symbol, open_time), k in closed.items():
        row = ask("/api/v3/klines", symbol=symbol, interval="1m", startTime=str(open_time), limit="1")[0]
        assert row[:6] == [open_time, k["o"], k["h"], k["l"], k["c"], k["v"]]
        assert row[7:11] == [k["q"], k["n"], k["V"], k["Q"]]


def test_the_gate_opens_when_all_trades_are_asked_for(captures: Path) -> None:
    path = captures / USDM
    session, exchange = play(path)
    streams = list(recorded(path, "aggTrade"))
    client = Client(exchange, "/market/stream")
    end = session.frames[-1].time
    client.step(end)
    client.subscribe(streams[:3])
    client.step(end)
    assert not client.heard
    client.subscribe(streams[3:])
    client.step(end)
    assert len(client.heard) == 185
    assert exchange.source.finished
    times = [message["data"]["E"] for message in client.heard]
    assert len(times) == 185


def test_patience_ends(captures: Path) -> None:
    path = captures / USDM
    session, exchange = play(path, speed=2.0)
    client = Client(exchange, "/market/stream")
    client.subscribe(["yfiusdt@aggTrade"])
    start = session.frames[0].time
    client.step(start)
    client.step(start + 20_000_000)
    assert not client.heard
    client.step(start + 20_000_001)
    assert client.heard


def test_a_whole_raw_session_is_in_the_ledger(captures: Path) -> None:
    path = captures / RAW
    session, exchange = play(path)
    client = Client(exchange, "/stream")
    client.subscribe(["ethusdt@trade"])
    while not exchange.source.finished:
        client.step(session.frames[-1].time)
    ids = [data["t"] for _, data in recorded(path, "trade")["ethusdt@trade"]]
    assert [message["data"]["t"] for message in client.heard] == ids
    assert [json.loads(line)["sequence"] for line in exchange.ledger.lines] == ids
    minutes = json.loads(
        exchange.answer("GET", "/api/v3/klines", {"symbol": "ETHUSDT", "interval": "1m"}, 0.0).body
    )
    trades = [data for _, data in recorded(path, "trade")["ethusdt@trade"]]
    for row in minutes:
        inside = [t for t in trades if row[0] <= t["T"] <= row[6]]
        assert row[8] == len(inside)
        assert Decimal(row[5]) == sum(Decimal(t["q"]) for t in inside)
        assert (row[1], row[4]) == (inside[0]["p"], inside[-1]["p"])
    assert len(minutes) == 10


def test_instruments_are_derived_where_the_session_has_none(captures: Path) -> None:
    _, exchange = play(captures / USDM_QUOTES)
    body = json.loads(exchange.answer("GET", "/fapi/v1/exchangeInfo", {}, 0.0).body)
    found = {row["symbol"]: row for row in body["symbols"]}
    assert (found["SANDUSDT"]["baseAsset"], found["SANDUSDT"]["marginAsset"]) == ("SAND", "USDT")
    filters = {row["filterType"]: row for row in found["NEOUSDT"]["filters"]}
    assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.001", "0.01")
    _, exchange = play(captures / UNLISTED)
    option = exchange.source.instruments()["ETH-24SEP21-320-P"]
    assert (option["kind"], option["option_type"], option["strike"]) == ("option", "put", 320.0)
    assert option["expiration_timestamp"] == 1_632_470_400_000


def test_deribit_tickers_recorded_raw_answer_the_100ms_channel(captures: Path) -> None:
    session, exchange = play(captures / TICKERS)
    symbols = list(exchange.source.instruments())
    client = Client(exchange, "/ws/api/v2")
    client.subscribe([f"ticker.{symbol}.100ms" for symbol in symbols])
    client.step(session.frames[-1].time)
    raw = [f for f in session.frames if f.stream.startswith("ticker.")]
    assert len(client.heard) == len(raw) == 89
    assert {m["params"]["channel"].rpartition(".")[2] for m in client.heard} == {"100ms"}
    assert [m["params"]["data"] for m in client.heard] == [json.loads(f.data) for f in raw]
    answer = exchange.answer("GET", "/api/v2/public/ticker", {"instrument_name": symbols[0]}, 0.0)
    assert json.loads(answer.body)["result"]["instrument_name"] == symbols[0]


def test_a_second_run_writes_nothing_twice(captures: Path) -> None:
    path = captures / USDM
    session, exchange = play(path)
    client = Client(exchange, "/market/stream")
    client.subscribe(list(recorded(path, "aggTrade")))
    client.step(session.frames[-1].time)
    before = len(exchange.ledger.lines)
    hub = Hub()
    again = SimulatedExchange(Replay("binance_usdm", [session], hub, exchange.ledger), hub, exchange.ledger)
    client = Client(again, "/market/stream")
    client.subscribe(list(recorded(path, "aggTrade")))
    client.step(session.frames[-1].time)
    assert len(client.heard) == 185
    assert len(exchange.ledger.lines) == before


@pytest.mark.parametrize(
    ("name", "channels", "trades"),
    [
        (RAW, ["quote", "trade"], 14_515),
        (CROSSING, ["aggregate_trade", "candle", "quote"], 28),
        (USDM, ["aggregate_trade", "candle", "quote"], 185),
        (TICKERS, ["ticker"], 0),
    ],
)
def test_describe(captures: Path, name: str, channels: list[str], trades: Any) -> None:
    found = describe(captures / name)
    assert (found.exchange, found.channels, found.trades) == (name.partition("/")[0], channels, trades)
    assert 0 < found.start < found.end


def test_a_file_without_an_address_shows_itself_by_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(
        json.dumps({"t": 1, "dir": "in", "text": '{"stream":"a@trade","data":{"e":"trade"}}'}) + "\n"
    )
    assert exchange_of(path) == "binance_spot"


@pytest.mark.parametrize("text", ["nonsense\n", '{"t":1,"dir":"in","text":"{}"}\n', ""])
def test_what_is_no_session_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(UnusableCapture):
        read_session(path)
    with pytest.raises(UnusableCapture, match="cannot be read"):
        read_session(tmp_path / "absent.jsonl.gz")
