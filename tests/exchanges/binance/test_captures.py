"""Every recorded frame is parsed or explicitly ignored: counted per file, against a count of the raw JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from trade_platform.domain.model import (
    Candle,
    Channel,
    InstrumentState,
    Liquidation,
    Metric,
    Number,
    Side,
    Trade,
)
from trade_platform.exchanges.binance import rest
from trade_platform.exchanges.binance.known import IGNORED
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import Missing, ProtocolViolation

CHANNELS = {
    "aggTrade": Channel.AGGREGATE_TRADE,
    "trade": Channel.TRADE,
    "kline_1m": Channel.CANDLE,
    "bookTicker": Channel.QUOTE,
    "ticker": Channel.TICKER,
    "markPrice": Channel.MARK,
    "markPrice@1s": Channel.MARK,
    "forceOrder": Channel.LIQUIDATION,
}

# file → trades, candles, quotes, ignored by type
SESSIONS = {
    "binance_spot/2021-04-05_ten_symbols_aggtrade_depth_bookticker": (1240, 0, 5408, {"depthUpdate": 4709}),
    "binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth": (24, 20, 570, {"depthUpdate": 614}),
    "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth": (28, 17, 412, {"depthUpdate": 546}),
    "binance_spot/2021-10-12_near_idle_aggtrade_kline_depth": (2, 2, 84, {"depthUpdate": 177}),
    "binance_spot/2024-08-09_ethusdt_trade_depth_bookticker": (14515, 0, 58758, {"depthUpdate": 6470}),
    "binance_usdm/2021-04-05_five_symbols_aggtrade_depth_bookticker": (574, 0, 3424, {"depthUpdate": 4423}),
    "binance_usdm/2021-04-17_four_symbols_aggtrade_kline_depth": (185, 99, 1959, {"depthUpdate": 1016}),
    "binance_usdm/2024-08-08_btcusdt_trade_depth_bookticker": (
        0,
        0,
        66089,
        {"depthUpdate": 6551, "trade": 21313},
    ),
}


def wanted_of(key: str, texts: list[str]) -> list[tuple[str, Channel]]:
    """What the recorder had subscribed, as far as the exchange's half of ours offers it."""
    names = {json.loads(text)["stream"] for text in texts}
    wanted = {
        (name.partition("@")[0].upper(), CHANNELS[name.partition("@")[2]])
        for name in names
        if name.partition("@")[2] in CHANNELS
    }
    return sorted(one for one in wanted if key == "binance_spot" or one[1] is not Channel.TRADE)


@pytest.mark.parametrize("name", SESSIONS)
def test_every_frame_of_a_session_is_parsed_or_explicitly_ignored(
    name: str, frames: Callable[[str], list[tuple[int, str]]], subscribed: Callable[..., BinanceSession]
) -> None:
    trades, candles, quotes, ignored = SESSIONS[name]
    recorded = frames(name)
    key = name.partition("/")[0]
    session = subscribed(key, *wanted_of(key, [text for _, text in recorded]))
    raw: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for receive_time, text in recorded:
        raw[json.loads(text)["stream"].partition("@")[2].partition("_")[0]] += 1
        for output in session.receive(text, receive_time):
            if isinstance(output, Number):
                counts["quote"] += output.metric is Metric.BEST_BID_QUANTITY
            counts[type(output).__name__] += 1
    assert session.ignored == ignored
    assert (counts["Trade"], counts["Candle"], counts["quote"]) == (trades, candles, quotes)
    assert counts["Missing"] == 0, "a recorded session is contiguous"
    # the figures above are those of the raw JSON
    assert trades == raw["aggTrade"] + (raw["trade"] if key == "binance_spot" else 0)
    assert (candles, quotes) == (raw["kline"], raw["bookTicker"])
    assert sum(ignored.values()) + trades + candles + quotes == len(recorded)
    assert session.live


@pytest.mark.parametrize("name", [name for name in SESSIONS if SESSIONS[name][0]])
def test_trades_say_what_the_frames_say_and_their_sequences_are_contiguous(
    name: str, frames: Callable[[str], list[tuple[int, str]]], subscribed: Callable[..., BinanceSession]
) -> None:
    key = name.partition("/")[0]
    recorded = frames(name)
    session = subscribed(key, *wanted_of(key, [text for _, text in recorded]))
    last: dict[str, int] = {}
    for receive_time, text in recorded:
        for trade in session.receive(text, receive_time):
            if not isinstance(trade, Trade):
                continue
            raw = json.loads(text)["data"]
            sequence = raw["a"] if raw["e"] == "aggTrade" else raw["t"]
            assert trade == Trade(
                symbol=raw["s"],
                sequence=sequence,
                price=Decimal(raw["p"]),
                quantity=Decimal(raw["q"]),
                side=Side.SELL if raw["m"] else Side.BUY,
                event_time=raw["T"] * 1000,
                receive_time=receive_time,
                first_id=raw.get("f", sequence),
                last_id=raw.get("l", sequence),
                flags=1 if raw["e"] == "aggTrade" else 0,
            )
            assert f"{trade.price:f}" == raw["p"], "not one digit is lost or added"
            assert sequence == last.get(trade.symbol, sequence - 1) + 1
            last[trade.symbol] = sequence
    assert last


def test_conflated_quotes_are_the_last_of_each_interval(
    frames: Callable[[str], list[tuple[int, str]]], subscribed: Callable[..., BinanceSession]
) -> None:
    name = "binance_spot/2024-08-09_ethusdt_trade_depth_bookticker"
    interval = 1_000_000
    session = subscribed("binance_spot", ("ETHUSDT", Channel.QUOTE), quote_interval=interval)
    expected: dict[int, int] = {}
    seen: dict[int, int] = {}
    for receive_time, text in frames(name):
        data = json.loads(text)["data"]
        if "e" not in data:
            expected[receive_time // interval] = data["u"]
        for output in session.receive(text, receive_time):
            if isinstance(output, Number) and output.metric is Metric.BEST_BID:
                assert output.receive_time // interval not in seen
                seen[output.receive_time // interval] = output.update
    for output in session.due(10.0), session.due(20.0):
        seen |= {one.receive_time // interval: one.update for one in output if isinstance(one, Number)}
    assert seen == expected
    assert len(seen) > 500


# Single messages: frames of many years, REST answers, documentation examples

REST_FILES = {
    "binance_spot/exchange_info_response.json": "instruments",
    "binance_spot/klines_response.json": "candles",
    "binance_spot/server_time_response.json": "time",
    "binance_spot/trades_response.json": "trades",
    "binance_spot/ping_response.json": "status",
    "binance_spot/book_ticker_response.json": "quote",
    "binance_spot/ticker_24hr_response.json": "ticker",
}
NO_PUBLIC_PARSER = {
    "binance_spot": {
        "account_response", "account_trades_response", "all_orders_response", "avg_price_response",
        "cancel_open_orders_response", "cancel_order_response", "depth_response", "new_order_full_response",
        "open_orders_response", "order_response", "ticker_price_response",
    },
    "binance_usdm": {
        "account_info_v2", "balance", "open_algo_orders", "order_response", "position_risk",
    },
}  # fmt: skip
"""REST answers of private endpoints, or of endpoints that nobody asks."""


def messages(folder: Path) -> list[tuple[str, str]]:
    """(file, text) of every frame of a folder; REST answers and what we would have sent are left out."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".jsonl":
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry.get("dir", "recv") == "recv":
                    found.append((path.name, entry["text"]))
        elif not path.stem.endswith("_response") and path.stem not in NO_PUBLIC_PARSER.get(folder.name, ()):
            found.append((path.name, path.read_text(encoding="utf-8")))
    return found


SPOT_WANTED = [
    ("BNBBTC", Channel.TRADE),
    ("BTCUSDT", Channel.QUOTE),
    ("DOGEBNB", Channel.TICKER),
]
SPOT_COUNTS = {
    "Trade": 2,
    "Number": 4 + 5,
}
SPOT_IGNORED = {
    "depthSnapshot": 2,
    "depthUpdate": 4,
    "executionReport": 8,
    "outboundAccountPosition": 4,
    "outboundAccountInfo": 1,
    "balanceUpdate": 2,
    "listStatus": 1,
    "answer to nothing asked": 1,
}
USDM_WANTED = [
    *(("BTCUSDT", channel) for channel in CHANNELS.values() if channel is not Channel.TRADE),
    ("BTCBUSD_210129", Channel.MARK),
    ("BNBUSDT", Channel.QUOTE),
]
USDM_COUNTS = {
    "Trade": 1,
    "Candle": 2,
    "Liquidation": 2,
    # quotes; tickers; marks with an index, without, dated without funding, with a settlement price
    "Number": 2 * 4 + 3 * 5 + 3 + 2 + 3 + 4,
}
USDM_IGNORED = {
    "depthUpdate": 3,
    "depthSnapshot": 1,
    "trade": 4,
    "openInterest": 1,  # a poll's answer that the recorder had wrapped like a frame
    "ACCOUNT_UPDATE": 7,
    "ALGO_UPDATE": 2,
    "ORDER_TRADE_UPDATE": 17,
    "TRADE_LITE": 1,
}


@pytest.mark.parametrize(
    ("key", "wanted", "parsed", "ignored", "refused"),
    [
        ("binance_spot", SPOT_WANTED, SPOT_COUNTS, SPOT_IGNORED, 0),
        # In 2019 an aggregate trade had no id yet: it cannot be placed, so it is refused.
        ("binance_usdm", USDM_WANTED, USDM_COUNTS, USDM_IGNORED, 1),
    ],
)
def test_every_single_message_is_parsed_or_explicitly_ignored(
    captures: Path,
    subscribed: Callable[..., BinanceSession],
    key: str,
    wanted: list[tuple[str, Channel]],
    parsed: dict[str, int],
    ignored: dict[str, int],
    refused: int,
) -> None:
    session = subscribed(key, *wanted)
    counts: Counter[str] = Counter()
    violations = 0
    for _file, text in messages(captures / "messages" / key):
        try:
            outputs = session.receive(text, 1_700_000_000_000_000)
        except ProtocolViolation:
            violations += 1
            continue
        counts.update(type(output).__name__ for output in outputs if not isinstance(output, Missing))
    assert session.ignored == ignored
    assert counts == parsed
    assert violations == refused


def test_frames_of_all_markets_are_parsed_where_they_are_ours(
    captures: Path, subscribed: Callable[..., BinanceSession]
) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "BTCUSDT_210625", "BTCUSDT_220624", "BALUSDT", "IOTXUSDT", "ETHBTC"]
    channels = [Channel.AGGREGATE_TRADE, Channel.CANDLE, Channel.QUOTE, Channel.TICKER, Channel.MARK]
    session = subscribed("binance_usdm", *((symbol, channel) for symbol in symbols for channel in channels))
    counts: Counter[str] = Counter()
    for _file, text in messages(captures / "messages" / "binance_all_markets"):
        if '"openInterest"' not in text:  # an answer, not a frame
            counts.update(type(output).__name__ for output in session.receive(text, 1))
    assert counts == {"Trade": 3, "Candle": 2, "Number": 3 * 4 + 3 * 4 + 6 * 5}
    assert session.ignored == {
        # coin-margined contracts
        "aggTrade (not subscribed)": 2,
        "markPriceUpdate (not subscribed)": 3,
        "bookTicker (not subscribed)": 2,
        "24hrTicker (not subscribed)": 4,
        "kline (not subscribed)": 2,
        "kline_1M": 1,
        # order books
        "depthUpdate": 10,
        "depthSnapshot": 6,
        # options
        "trade_all": 1,
        "ticker_all": 1,
    }
    assert {"depthUpdate", "depthSnapshot", "trade_all", "ticker_all"} <= IGNORED


def test_open_interest_answers_are_read_for_our_symbols(captures: Path) -> None:
    path = captures / "messages/binance_all_markets/public_2021-2023.jsonl"
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    bodies = [text.encode() for text in texts if '"openInterest"' in text]
    assert len(bodies) == 4
    answer = rest.open_interest(bodies[3], "BTCUSDT")
    assert (answer.value, answer.time) == (Decimal("84617.188"), 1654336844754)
    with pytest.raises(ProtocolViolation):
        rest.open_interest(bodies[3], "ETHUSDT")


# Records of each kind, field by field


def test_a_quote_of_spot_is_stamped_by_us_and_one_of_usdm_by_the_exchange(
    subscribed: Callable[..., BinanceSession],
) -> None:
    spot = (
        '{"stream":"bnbusdt@bookTicker","data":{"u":7,"s":"BNBUSDT","b":"25.3","B":"31","a":"25.4","A":"4"}}'
    )
    usdm = spot.replace('"u":7', '"e":"bookTicker","E":1568014460893,"T":1568014460891,"u":7')
    expected = {
        Metric.BEST_BID: "25.3",
        Metric.BEST_BID_QUANTITY: "31",
        Metric.BEST_ASK: "25.4",
        Metric.BEST_ASK_QUANTITY: "4",
    }
    for key, text, event_time in (
        ("binance_spot", spot, 5_000),
        ("binance_usdm", usdm, 1568014460891000),
    ):
        outputs = subscribed(key, ("BNBUSDT", Channel.QUOTE)).receive(text, 5_000)
        assert outputs == tuple(
            Number("BNBUSDT", metric, Decimal(value), event_time, 5_000, Channel.QUOTE, 7)
            for metric, value in expected.items()
        )


def test_the_price_of_an_empty_side_is_left_out(subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_spot", ("BNBUSDT", Channel.QUOTE))
    text = (
        '{"stream":"bnbusdt@bookTicker","data":{"u":7,"s":"BNBUSDT","b":"0.0","B":"0.0","a":"25.4","A":"4"}}'
    )
    metrics = {output.metric: output.value for output in session.receive(text, 1)}
    assert metrics == {
        Metric.BEST_BID_QUANTITY: 0,
        Metric.BEST_ASK: Decimal("25.4"),
        Metric.BEST_ASK_QUANTITY: 4,
    }


MARK = (
    '{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT",'
    '"p":"11794.15","ap":"11794.15","i":"11784.62","P":"11784.25","r":"-0.00038167","T":1562306400000}}'
)


@pytest.mark.parametrize(
    ("replaced", "by", "missing"),
    [
        ("", "", set()),
        ('"r":"-0.00038167"', '"r":""', {Metric.FUNDING_RATE}),
        ('"T":1562306400000', '"T":0', {Metric.FUNDING_RATE}),
        ('"i":"11784.62",', "", {Metric.INDEX_PRICE}),
        ('"P":"11784.25",', '"P":"",', {Metric.SETTLE_PRICE}),
    ],
)
def test_a_mark_price_brings_what_the_contract_has(
    subscribed: Callable[..., BinanceSession], replaced: str, by: str, missing: set[Metric]
) -> None:
    session = subscribed("binance_usdm", ("BTCUSDT", Channel.MARK))
    outputs = session.receive(MARK.replace(replaced, by) if replaced else MARK, 9)
    whole = {
        Metric.MARK_PRICE: Decimal("11794.15"),
        Metric.INDEX_PRICE: Decimal("11784.62"),
        Metric.SETTLE_PRICE: Decimal("11784.25"),
        Metric.FUNDING_RATE: Decimal("-0.00038167"),
    }
    assert outputs == tuple(
        Number("BTCUSDT", metric, value, 1562305380000000, 9, Channel.MARK)
        for metric, value in whole.items()
        if metric not in missing
    )


def test_a_ticker_brings_the_last_price_and_the_day(
    captures: Path, subscribed: Callable[..., BinanceSession]
) -> None:
    session = subscribed("binance_usdm", ("BTCUSDT", Channel.TICKER))
    outputs = session.receive((captures / "messages/binance_usdm/ticker_stream.json").read_text(), 9)
    assert [(one.metric, str(one.value), one.event_time) for one in outputs] == [
        (Metric.LAST_PRICE, "16584.60000000", 1672515782136000),
        (Metric.VOLUME_24H, "122474.816", 1672515782136000),
        (Metric.QUOTE_VOLUME_24H, "2036102085.69746400", 1672515782136000),
        (Metric.HIGH_24H, "16764.89000000", 1672515782136000),
        (Metric.LOW_24H, "16456.51000000", 1672515782136000),
    ]


def test_a_minute_without_trades_names_no_ids(subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_spot", ("QSPBTC", Channel.CANDLE))
    kline = (
        '{"stream":"qspbtc@kline_1m","data":{"e":"kline","E":1618677422001,"s":"QSPBTC","k":{"t":1618677360000,'
        '"T":1618677419999,"s":"QSPBTC","i":"1m","f":-1,"L":-1,"o":"2.5","c":"2.5","h":"2.5","l":"2.5","v":"0",'
        '"n":0,"x":true,"q":"0","V":"0","Q":"0","B":"0"}}}'
    )
    zero = Decimal(0)
    price = Decimal("2.5")
    assert session.receive(kline, 3) == (
        Candle(
            symbol="QSPBTC",
            interval="1m",
            open_time=1618677360000000,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=zero,
            quote_volume=zero,
            trades=0,
            taker_buy_volume=zero,
            taker_buy_quote_volume=zero,
            first_id=None,
            last_id=None,
            closed=True,
            event_time=1618677422001000,
            receive_time=3,
        ),
    )


def test_a_forced_order_keeps_its_own_side(captures: Path, subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_usdm", ("BTCUSDT", Channel.LIQUIDATION))
    text = (captures / "messages/binance_usdm/liquidation_stream.json").read_text()
    assert session.receive(text, 9) == (
        Liquidation(
            symbol="BTCUSDT",
            side=Side.SELL,
            price=Decimal("9910.00000000"),
            average_price=Decimal("9910.12345678"),
            quantity=Decimal("0.014"),
            filled=Decimal("0.014"),
            status="FILLED",
            event_time=1568014460893000,
            receive_time=9,
        ),
    )
    assert session.receive(text.replace('"SELL"', '"SIDEWAYS"'), 9) == ()
    assert session.ignored == {"forceOrder side SIDEWAYS": 1}


def test_contract_info_is_a_step_in_an_instruments_life(subscribed: Callable[..., BinanceSession]) -> None:
    session = subscribed("binance_usdm", ("", Channel.INSTRUMENT_STATE))
    text = (
        '{"stream":"!contractInfo","data":{"e":"contractInfo","E":1669356423908,"s":"IOTAUSDT","ps":"IOTAUSDT",'
        '"ct":"PERPETUAL","dt":4133404800000,"ot":1569398400000,"cs":"TRADING_ON_MARS","bks":[{"bs":1}]}}'
    )
    state = InstrumentState("IOTAUSDT", "TRADING_ON_MARS", 1669356423908000, 9)
    assert session.receive(text, 9) == (state,)
    assert session.receive(text.replace('"ps"', '"st":2,"ps"'), 9) == ()
    assert session.ignored == {"contractInfo (coin-margined)": 1}
