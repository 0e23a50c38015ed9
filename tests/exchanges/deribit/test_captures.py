"""Every recorded frame is parsed or explicitly ignored; the oracle reads the files with json alone."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trade_platform.domain.model import Candle, InstrumentKind, Number, QuantityUnit, Side, Trade, TradeFlag
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.session import ConnectionPlan, Reason, Reconnect, Send

FRAMES = {  # kind of message → how many, by file; taken from the files themselves
    "deribit/2021-04-05_ten_options_ticker_book.jsonl.gz": {"result": 1, "ticker": 273, "book": 187},
    "deribit/2021-07-22_ten_options_ticker_book.jsonl.gz": {"result": 1, "ticker": 89, "book": 46},
    "deribit/2022-05_instruments_rest.jsonl.gz": {},
    "messages/deribit/public_2019-2024.jsonl": {"trades": 3, "quote": 1, "book": 4, "ticker": 10},
    "messages/deribit/public_2021-2023.jsonl": {
        "trades": 3,
        "book": 8,
        "quote": 2,
        "chart.trades": 3,
        "ticker": 3,
        "result": 7,
    },
    "messages/deribit/order_frames_2021-2022.jsonl": {"result": 2, "user.orders": 1},
    "messages/deribit/ws_book_delta.json": {"book": 1},
    "messages/deribit/ws_book_grouped_snapshot.json": {"book": 1},
    "messages/deribit/ws_book_snapshot.json": {"book": 1},
    "messages/deribit/ws_chart.json": {"chart.trades": 1},
    "messages/deribit/ws_error.json": {"error": 1},
    "messages/deribit/ws_order_buy_response.json": {"result": 1},
    "messages/deribit/ws_order_cancel_response.json": {"result": 1},
    "messages/deribit/ws_order_edit_response.json": {"result": 1},
    "messages/deribit/ws_order_sell_response.json": {"result": 1},
    "messages/deribit/ws_order_stop_market_no_filled_amount.json": {"result": 1},
    "messages/deribit/ws_order_stop_market_response.json": {"result": 1},
    "messages/deribit/ws_portfolio.json": {"user.portfolio": 1},
    "messages/deribit/ws_quote.json": {"quote": 1},
    "messages/deribit/ws_subscribe_response.json": {"result": 1},
    "messages/deribit/ws_test_request.json": {"heartbeat": 1},
    "messages/deribit/ws_ticker.json": {"ticker": 1},
    "messages/deribit/ws_trades.json": {"trades": 1},
    "messages/deribit/ws_trades_option_combo.json": {"trades": 1},
    "messages/deribit/ws_volatility_index.json": {"deribit_volatility_index": 1},
}
IGNORED = {"book", "result", "user.orders", "user.portfolio"}
METRICS = {  # path in the message → metric
    "best_bid_price": "best_bid",
    "best_bid_amount": "best_bid_quantity",
    "best_ask_price": "best_ask",
    "best_ask_amount": "best_ask_quantity",
    "last_price": "last_price",
    "mark_price": "mark_price",
    "index_price": "index_price",
    "settlement_price": "settle_price",
    "underlying_price": "underlying_price",
    "open_interest": "open_interest",
    "current_funding": "funding_rate",
    "funding_8h": "funding_8h",
    "interest_rate": "interest_rate",
    "mark_iv": "mark_iv",
    "bid_iv": "bid_iv",
    "ask_iv": "ask_iv",
    "stats.volume": "volume_24h",
    "stats.volume_notional": "quote_volume_24h",
    "stats.high": "high_24h",
    "stats.low": "low_24h",
    "greeks.delta": "delta",
    "greeks.gamma": "gamma",
    "greeks.rho": "rho",
    "greeks.theta": "theta",
    "greeks.vega": "vega",
    "volatility": "volatility_index",
}


def texts_of(path: Path) -> Iterator[tuple[str, str, str]]:
    """(direction, url, text) of each line; single messages come in."""
    if path.name.endswith(".gz"):
        with gzip.open(path, "rt") as lines:
            for line in map(json.loads, lines):
                if line["text"] is not None:
                    yield line["dir"], line["url"], line["text"]
    elif path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            yield "in", "", json.loads(line)["text"]
    else:
        yield "in", "", path.read_text()


def frames_of(path: Path) -> list[str]:
    return [text for direction, _, text in texts_of(path) if direction == "in"]


def kind_of(frame: dict[str, Any]) -> str:
    if "channel" not in frame.get("params", {}):
        return str(frame.get("method", "error" if "error" in frame else "result"))
    words = frame["params"]["channel"].split(".")
    return ".".join(words[:2]) if words[0] in ("user", "chart") else str(words[0])


def expected_numbers(frame: dict[str, Any]) -> dict[str, Decimal]:
    """What a ticker, quote or index message measures, by the table above; numbers are still text."""
    data = frame["params"]["data"]
    flat = {name: value for name, value in data.items() if not isinstance(value, dict)}
    for part in ("stats", "greeks"):
        flat |= {f"{part}.{name}": value for name, value in data.get(part, {}).items()}
    return {
        METRICS[name]: Decimal(value) for name, value in flat.items() if name in METRICS and value is not None
    }


def exact(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str)


def everything(captures: Path) -> list[str]:
    """Every file that holds frames or sessions of this exchange."""
    found = [*(captures / "deribit").iterdir(), *(captures / "messages/deribit").iterdir()]
    names = sorted(str(path.relative_to(captures)) for path in found)
    return [name for name in names if "/http_" not in name]


def a_session() -> Any:
    plan = ConnectionPlan(name="market-0", path="/", wanted=())
    return Deribit(testnet=None).session(plan)


def test_no_file_is_left_out(captures: Path) -> None:
    assert everything(captures) == sorted(FRAMES)


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_is_parsed_or_explicitly_ignored(captures: Path, name: str) -> None:
    session = a_session()
    ignored: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for text in frames_of(captures / name):
        frame = exact(text)
        kind = kind_of(frame)
        frames[kind] += 1
        outputs = session.receive(text, 1)
        if kind in IGNORED:
            ignored[kind] += 1
            assert not outputs
        elif kind in ("ticker", "quote", "deribit_volatility_index"):
            assert_numbers(outputs, frame)
        elif kind == "trades":
            assert [one.sequence for one in outputs if isinstance(one, Trade)] == [
                int(one["trade_seq"]) for one in frame["params"]["data"]
            ]
        elif kind == "chart.trades":
            assert [type(one) for one in outputs] == [Candle]
        elif kind == "heartbeat":
            assert [type(one) for one in outputs] == [Send]
        else:
            assert kind == "error"
            assert [type(one) for one in outputs] == [Reconnect]
    assert dict(frames) == FRAMES[name]
    assert session.ignored == dict(ignored)


def assert_numbers(outputs: Any, frame: dict[str, Any]) -> None:
    assert all(type(one) is Number for one in outputs)
    found = {str(one.metric): one.value for one in outputs}
    expected = expected_numbers(frame)
    volume_usd = frame["params"]["data"].get("stats", {}).get("volume_usd")
    if volume_usd is not None and "quote_volume_24h" not in expected:
        expected["quote_volume_24h"] = Decimal(volume_usd)
    assert found == expected
    assert len(found) == len(outputs)
    data = frame["params"]["data"]
    symbol = data.get("instrument_name") or data["index_name"]
    assert {(one.symbol, one.event_time) for one in outputs} == {(symbol, int(data["timestamp"]) * 1000)}


def test_numbers_are_exactly_the_text(captures: Path) -> None:
    outputs = a_session().receive((captures / "messages/deribit/ws_ticker.json").read_text(), 1)
    by_metric = {one.metric: str(one.value) for one in outputs}
    assert by_metric["funding_8h"] == "0.00001742"
    assert by_metric["volume_24h"] == "11897.27640428"
    assert by_metric["quote_volume_24h"] == "1092371540.0"


def test_a_liquidation_names_whose_order_it_was(captures: Path) -> None:
    trades = [
        one
        for text in frames_of(captures / "messages/deribit/public_2019-2024.jsonl")
        for one in a_session().receive(text, 1)
        if isinstance(one, Trade)
    ]
    assert [(one.sequence, one.flags, one.side) for one in trades] == [
        (20944815, 0, Side.SELL),
        (20944816, 0, Side.SELL),
        (40781986, TradeFlag.TAKER_LIQUIDATED, Side.SELL),
        (40782080, TradeFlag.MAKER_LIQUIDATED, Side.BUY),
    ]


def test_a_trade_in_full(captures: Path) -> None:
    first, second = a_session().receive((captures / "messages/deribit/ws_trades.json").read_text(), 7)
    assert second == Trade(
        symbol="BTC-PERPETUAL",
        sequence=271252855,
        price=Decimal("92288.5"),
        quantity=Decimal("750.0"),
        side=Side.SELL,
        event_time=1765531356452000,
        receive_time=7,
        first_id=271252855,
        last_id=271252855,
        trade_id="403691825",
        mark_price=Decimal("92287.11"),
        index_price=Decimal("92276.75"),
    )
    assert first.flags == TradeFlag.COMBO


@pytest.mark.parametrize("day", ["2021-04-05", "2021-07-22"])
def test_the_recorded_acknowledgement_lists_what_was_asked_in_another_order(captures: Path, day: str) -> None:
    from trade_platform.exchanges.deribit.subscribing import Calls

    lines = list(texts_of(captures / f"deribit/{day}_ten_options_ticker_book.jsonl.gz"))
    asked = next(json.loads(text) for direction, _, text in lines if direction == "out")["params"]["channels"]
    answer = next(json.loads(text) for direction, _, text in lines if direction == "in")["result"]
    assert answer != asked
    calls = Calls()
    calls.subscribe(asked)
    _, text = calls.due(0.0) or pytest.fail("no call")
    assert calls.answered(json.loads(text)["id"], answer) == set(asked)
    assert not calls.refused
    assert calls.due(1e9) is None


def rest_bodies(captures: Path, method: str) -> list[bytes]:
    return [
        text.encode()
        for path in sorted((captures / "deribit").iterdir())
        for direction, url, text in texts_of(path)
        if direction == "http" and f"/{method}?" in url
    ]


def test_recorded_instrument_lists_are_read_whole(captures: Path) -> None:
    bodies = rest_bodies(captures, "get_instruments")
    bodies += [
        path.read_bytes()
        for path in sorted((captures / "messages/deribit").glob("http_get_instruments*.json"))
    ]
    assert len(bodies) == 9
    for body in bodies:
        listed = {one["instrument_name"]: one for one in exact(body.decode())["result"]}
        parsed = {one.symbol: one for one in Deribit().parse_instruments(body)}
        indices = {one.get("price_index") for one in listed.values()} - {None}
        assert parsed.keys() == listed.keys() | indices
        for symbol, one in listed.items():
            assert_instrument(parsed[symbol], one)
        assert {one.symbol for one in parsed.values() if one.kind is InstrumentKind.INDEX} == indices


def assert_instrument(found: Any, one: dict[str, Any]) -> None:
    kinds = {"option": "option", "spot": "spot", "future_combo": "combo", "option_combo": "combo"}
    perpetual = one.get("settlement_period") == "perpetual"
    assert found.kind == kinds.get(one["kind"], "perpetual" if perpetual else "future")
    expires = not perpetual and "expiration_timestamp" in one
    assert found.expiry == (int(one["expiration_timestamp"]) * 1000 if expires else None)
    dollars = one["kind"].startswith("future") and one["quote_currency"] == "USD"
    assert found.quantity_unit == (QuantityUnit.QUOTE if dollars else QuantityUnit.BASE)
    assert found.tick_size == Decimal(one["tick_size"])
    assert found.quantity_step == Decimal(one["min_trade_amount"])
    assert found.option_type == one.get("option_type")
    assert found.strike == (Decimal(one["strike"]) if "strike" in one else None)
    assert (found.base, found.quote) == (one["base_currency"], one["quote_currency"])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("http_get_last_trades", 10),
        ("http_get_last_trades_future_combo", 3),
        ("http_get_last_trades_historical_combo", 1),
        ("http_get_last_trades_option_combo", 1),
        ("http_get_last_trades_perpetual_with_combo_tags", 7),
    ],
)
def test_recorded_trades_come_ascending_whatever_the_answers_order(
    captures: Path, name: str, count: int
) -> None:
    body = (captures / f"messages/deribit/{name}.json").read_bytes()
    listed = sorted(exact(body.decode())["result"]["trades"], key=lambda one: int(one["trade_seq"]))
    trades = Deribit().parse_trades(body, "any", "trade", 5)  # type: ignore[arg-type]
    assert len(trades) == count
    assert [(one.sequence, one.trade_id, one.price, one.quantity, one.side) for one in trades] == [
        (
            int(one["trade_seq"]),
            one["trade_id"],
            Decimal(one["price"]),
            Decimal(one["amount"]),
            one["direction"],
        )
        for one in listed
    ]
    assert [one.flags for one in trades] == [TradeFlag.COMBO if "combo_id" in one else 0 for one in listed]


def test_recorded_candles(captures: Path) -> None:
    body = (captures / "messages/deribit/http_get_tradingview_chart_data.json").read_bytes()
    chart = exact(body.decode())["result"]
    running = int(chart["ticks"][-1]) * 1000
    candles = Deribit().parse_candles(body, "BTC-PERPETUAL", receive_time=running + 59_999_999)
    assert [one.open_time // 1000 for one in candles] == [int(tick) for tick in chart["ticks"]]
    for place, name in enumerate(["open", "high", "low", "close", "volume", "cost"]):
        found = [
            (one.open, one.high, one.low, one.close, one.volume, one.quote_volume)[place] for one in candles
        ]
        assert found == [Decimal(value) for value in chart[name]]
    assert [one.closed for one in candles] == [True, True, True, True, False]
    assert Deribit().parse_candles(body, "X", receive_time=running + 60_000_000)[-1].closed


def test_recorded_time_and_test(captures: Path) -> None:
    body = (captures / "messages/deribit/http_get_time.json").read_bytes()
    assert Deribit().parse_time(body) == 1733338800000000
    body = (captures / "messages/deribit/http_test.json").read_bytes()
    assert Deribit().error_of(200, body) is None


def test_the_recorded_rate_limit_ends_the_session(captures: Path) -> None:
    (end,) = a_session().receive((captures / "messages/deribit/ws_error.json").read_text(), 1)
    assert end.reason is Reason.RATE_LIMITED
    assert end.after_seconds > 0
