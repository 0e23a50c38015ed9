"""REST: requests with their weights, answers to records, errors to what to do about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import (
    Candle,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Instrument,
    InstrumentKind,
    Side,
    Trade,
)
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.exchange import Binance
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import ProtocolViolation, Request

SPOT = BinanceSpot()
USDM = BinanceUsdm()
RAW, AGGREGATE = Channel.TRADE, Channel.AGGREGATE_TRADE
MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("exchange", "channel", "first", "last", "path", "limit", "weight"),
    [
        (SPOT, RAW, 10, 12, "/api/v3/historicalTrades", 3, 25),
        (SPOT, AGGREGATE, 10, 10, "/api/v3/aggTrades", 1, 4),
        (SPOT, AGGREGATE, 10, 5000, "/api/v3/aggTrades", 1000, 4),
        (USDM, AGGREGATE, 10, 1009, "/fapi/v1/aggTrades", 1000, 20),
    ],
)
def test_a_page_of_trades_begins_at_an_id(
    exchange: Binance, channel: Channel, first: int, last: int, path: str, limit: int, weight: int
) -> None:
    assert exchange.trades_request("BTCUSDT", channel, first, last) == Request(
        path=path, query={"symbol": "BTCUSDT", "fromId": first, "limit": limit}, weight=weight
    )


HOUR = 60 * MINUTE
MIDNIGHT = 1_499_040_000_000_000


@pytest.mark.parametrize(
    ("exchange", "channel", "path", "weight", "span"),
    [
        (SPOT, RAW, "/api/v3/aggTrades", 4, 48 * HOUR),
        (SPOT, AGGREGATE, "/api/v3/aggTrades", 4, 48 * HOUR),
        (USDM, AGGREGATE, "/fapi/v1/aggTrades", 20, HOUR),
    ],
)
def test_the_first_trade_since_a_moment_is_asked_of_the_aggregates(
    exchange: Binance, channel: Channel, path: str, weight: int, span: int
) -> None:
    """Both ends are included; on USD-M less than an hour may lie between."""
    search = exchange.first_trade_search("BTCUSDT", channel, MIDNIGHT - 1, MIDNIGHT + 48 * HOUR)
    query = search.request.query
    assert (search.request.path, search.request.weight, search.until) == (path, weight, MIDNIGHT + span)
    assert query == {
        "symbol": "BTCUSDT",
        "startTime": MIDNIGHT // 1000,
        "endTime": (MIDNIGHT + span) // 1000 - 1,
        "limit": 1,
    }


@pytest.mark.parametrize(("exchange", "channel", "number"), [(SPOT, RAW, 27_781), (SPOT, AGGREGATE, 26_129)])
def test_an_aggregate_names_the_first_raw_trade_in_it(
    exchange: Binance, channel: Channel, number: int
) -> None:
    told = b'[{"a":26129,"p":"0.01","q":"4.7","f":27781,"l":27789,"T":1498793709153,"m":true,"M":true}]'
    assert exchange.parse_first_trade(told, channel) == number
    assert exchange.parse_first_trade(b"[]", channel) is None
    unnumbered = told.replace(b"27781", b"-1")
    assert exchange.parse_first_trade(unnumbered, channel) == (None if channel is RAW else 26_129)


@pytest.mark.parametrize(
    ("exchange", "minutes", "limit", "weight"),
    [
        (SPOT, 1, 1, 2),
        (SPOT, 5000, 1000, 2),
        (USDM, 99, 99, 1),
        (USDM, 100, 100, 2),
        (USDM, 499, 499, 2),
        (USDM, 500, 500, 5),
        (USDM, 1000, 1000, 5),
        (USDM, 5000, 1000, 5),
    ],
)
def test_a_page_of_candles_is_asked_by_open_time_both_ends_included(
    exchange: Binance, minutes: int, limit: int, weight: int
) -> None:
    start = 1_499_040_000_000_000
    request = exchange.candles_request("ETHUSDT", start, start + (minutes - 1) * MINUTE)
    assert request.path == exchange.prefix + "/klines"
    assert request.query == {
        "symbol": "ETHUSDT",
        "interval": "1m",
        "startTime": 1_499_040_000_000,
        "endTime": 1_499_040_000_000 + (minutes - 1) * 60_000,
        "limit": limit,
    }
    assert request.weight == weight


def test_the_other_requests() -> None:
    assert SPOT.instruments_requests() == [Request(path="/api/v3/exchangeInfo", weight=20)]
    assert USDM.instruments_requests() == [Request(path="/fapi/v1/exchangeInfo")]
    assert SPOT.time_request() == Request(path="/api/v3/time")
    assert USDM.time_request() == Request(path="/fapi/v1/time")
    assert SPOT.status_request() == Request(path="/sapi/v1/system/status")
    assert USDM.status_request() == Request(path="/fapi/v1/ping")
    assert [(one.name, one.capacity, one.per_seconds) for one in (SPOT.limits[0], USDM.limits[0])] == [
        ("weight", 6000, 60),
        ("weight", 2400, 60),
    ]
    assert SPOT.maximum_age_seconds == USDM.maximum_age_seconds == 23 * 3600


@pytest.mark.parametrize(
    ("exchange", "channels", "chosen"),
    [
        (SPOT, [RAW, AGGREGATE], RAW),
        (SPOT, [AGGREGATE, Channel.CANDLE], AGGREGATE),
        (SPOT, [Channel.CANDLE], None),
        (USDM, [RAW, AGGREGATE], AGGREGATE),
        (USDM, [RAW], None),
    ],
)
def test_the_channel_that_proves_completeness(
    exchange: Binance, channels: list[Channel], chosen: Channel | None
) -> None:
    assert exchange.trade_channel(channels) is chosen
    assert exchange.trade_channel(reversed(channels)) is chosen


def test_raw_trades_of_rest(captures: Path) -> None:
    body = (captures / "messages/binance_spot/trades_response.json").read_bytes()
    assert SPOT.parse_trades(body, "BNBBTC", RAW, 7) == [
        Trade(
            symbol="BNBBTC",
            sequence=28457,
            price=Decimal("4.00000100"),
            quantity=Decimal("12.00000000"),
            side=Side.SELL,
            event_time=1499865549590000,
            receive_time=7,
            first_id=28457,
            last_id=28457,
        )
    ]


@pytest.mark.parametrize("exchange", [SPOT, USDM])
def test_a_trade_of_rest_is_the_trade_of_the_stream(
    exchange: Binance, subscribed: Callable[..., BinanceSession]
) -> None:
    row = {
        "a": 26129,
        "p": "0.01633102",
        "q": "4.70443515",
        "f": 27781,
        "l": 27790,
        "T": 1498793709153,
        "m": False,
    }
    session = subscribed(exchange.key, ("BTCUSDT", AGGREGATE))
    frame = {"stream": "btcusdt@aggTrade", "data": row | {"e": "aggTrade", "E": 1, "s": "BTCUSDT"}}
    (streamed,) = session.receive(json.dumps(frame), 7)
    (repaired,) = exchange.parse_trades(
        json.dumps([row | {"nq": "1", "M": True}]).encode(), "BTCUSDT", AGGREGATE, 7
    )
    assert repaired == streamed


def test_an_aggregate_that_the_exchange_withdrew_is_still_a_row() -> None:
    row = b'[{"a":5,"p":"0","q":"0","f":-1,"l":-1,"T":1500000000000,"m":false,"M":true}]'
    (trade,) = SPOT.parse_trades(row, "BTCUSDT", AGGREGATE, 7)
    assert (trade.sequence, trade.first_id, trade.quantity) == (5, -1, 0)


def test_candles_of_rest(captures: Path) -> None:
    body = (captures / "messages/binance_spot/klines_response.json").read_bytes()
    expected = Candle(
        symbol="ETHBTC",
        interval="1m",
        open_time=1499040000000000,
        open=Decimal("0.01634790"),
        high=Decimal("0.80000000"),
        low=Decimal("0.01575800"),
        close=Decimal("0.01577100"),
        volume=Decimal("148976.11427815"),
        quote_volume=Decimal("2434.19055334"),
        trades=308,
        taker_buy_volume=Decimal("1756.87402397"),
        taker_buy_quote_volume=Decimal("28.46694368"),
        first_id=None,
        last_id=None,
        closed=True,
        event_time=1499644800000000,
        receive_time=1499644800000001,
    )
    assert SPOT.parse_candles(body, "ETHBTC", 1499644800000001) == [expected]


@pytest.mark.parametrize(("past_the_end", "closed"), [(-1, False), (0, False), (1, True)])
def test_the_last_candle_is_closed_when_its_end_is_past(past_the_end: int, closed: bool) -> None:
    body = b'[[60000,"1","1","1","1","0",119999,"0",0,"0","0","0"]]'
    (candle,) = USDM.parse_candles(body, "BTCUSDT", 120_000_000 + past_the_end)
    assert candle.closed is closed
    assert candle.event_time <= candle.receive_time


def test_the_clock_of_the_exchange(captures: Path) -> None:
    body = (captures / "messages/binance_spot/server_time_response.json").read_bytes()
    assert SPOT.parse_time(body) == USDM.parse_time(body) == 1499827319559000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"status":0,"msg":"normal"}', ExchangeStatus.OPEN),
        (b'{"status":1,"msg":"system_maintenance"}', ExchangeStatus.MAINTENANCE),
        (b'{"status":7,"msg":"on fire"}', ExchangeStatus.MAINTENANCE),
    ],
)
def test_the_state_of_spot(body: bytes, status: ExchangeStatus) -> None:
    state = SPOT.parse_status(body, 7)
    assert (state.status, state.scope, state.event_time, state.receive_time) == (status, "", 7, 7)


def test_an_answered_ping_is_the_state_of_usdm(captures: Path) -> None:
    body = (captures / "messages/binance_spot/ping_response.json").read_bytes()
    assert USDM.parse_status(body, 7) == ExchangeState(ExchangeStatus.OPEN, "", "ping", 7, 7)


# Instruments


def test_instruments_of_spot(answers: Callable[[str, str], list[bytes]]) -> None:
    (body,) = answers("binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth", "exchangeInfo")
    instruments = SPOT.parse_instruments(body)
    raw = json.loads(body)["symbols"]
    assert len(instruments) == len(raw) == 1405
    assert {one.status for one in instruments} == {"TRADING", "BREAK"}
    assert instruments[0] == Instrument(
        symbol="ETHBTC",
        kind=InstrumentKind.SPOT,
        status="TRADING",
        base="ETH",
        quote="BTC",
        tick_size=Decimal("0.00000100"),
        quantity_step=Decimal("0.00100000"),
    )
    for ours, theirs in zip(instruments, raw, strict=True):
        filters = {one["filterType"]: one for one in theirs["filters"]}
        assert ours.tick_size == Decimal(filters["PRICE_FILTER"]["tickSize"])
        assert ours.quantity_step == Decimal(filters["LOT_SIZE"]["stepSize"])


def test_instruments_of_usdm(answers: Callable[[str, str], list[bytes]]) -> None:
    (body,) = answers("binance_usdm/2021-04-17_four_symbols_aggtrade_kline_depth", "exchangeInfo")
    instruments = {one.symbol: one for one in USDM.parse_instruments(body)}
    assert Counter(one.kind for one in instruments.values()) == {
        InstrumentKind.PERPETUAL: 110,
        InstrumentKind.FUTURE: 2,
        InstrumentKind.UNKNOWN: 1,
    }
    assert instruments["BTCUSDT"] == Instrument(
        symbol="BTCUSDT",
        kind=InstrumentKind.PERPETUAL,
        status="TRADING",
        base="BTC",
        quote="USDT",
        settlement="USDT",
        tick_size=Decimal("0.01"),
        quantity_step=Decimal("0.001"),
    )
    assert instruments["BTCUSDT_210625"].expiry == 1624608000000000


@pytest.mark.parametrize(
    ("contract_type", "kind"),
    [
        ("PERPETUAL", InstrumentKind.PERPETUAL),
        ("TRADIFI_PERPETUAL", InstrumentKind.PERPETUAL),
        ("PERPETUAL_DELIVERING", InstrumentKind.PERPETUAL),
        ("CURRENT_QUARTER_DELIVERING", InstrumentKind.FUTURE),
        ("NEXT_MONTH", InstrumentKind.FUTURE),
        ("", InstrumentKind.UNKNOWN),
        ("MARS", InstrumentKind.UNKNOWN),
    ],
)
def test_kinds_by_contract_type(contract_type: str, kind: InstrumentKind) -> None:
    body = json.dumps(
        {"symbols": [{"symbol": "X", "contractType": contract_type, "deliveryDate": 4133404800000}]}
    )
    (instrument,) = USDM.parse_instruments(body.encode())
    assert (instrument.kind, instrument.expiry, instrument.tick_size) == (kind, None, None)


def test_a_filter_of_zero_is_switched_off(captures: Path) -> None:
    body = b'{"symbols":[{"symbol":"X","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.0"}]}]}'
    assert SPOT.parse_instruments(body)[0].tick_size is None
    sample = (captures / "messages/binance_spot/exchange_info_response.json").read_bytes()
    assert [one.symbol for one in SPOT.parse_instruments(sample)] == ["ETHBTC"]


# Errors


@pytest.mark.parametrize(
    ("status", "body", "code", "retry", "maintenance"),
    [
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', -1121, False, False),
        (400, b'{"code":-1021,"msg":"Timestamp outside."}', -1021, True, False),
        (400, b'{"code":-2015,"msg":"Invalid API-key"}', -2015, False, False),
        (401, b"", 401, False, False),
        (403, b"<html>WAF</html>", 403, False, False),
        (404, b"not found", 404, False, False),
        (408, b'{"code":-1007,"msg":"Timeout"}', -1007, True, False),
        (418, b'{"code":-1003,"msg":"IP banned until 1659146400000."}', -1003, True, False),
        (418, b"", 418, True, False),
        (429, b'{"code":-1003,"msg":"Too many requests."}', -1003, True, False),
        (429, b'{"code":-1015,"msg":"Too many new orders."}', -1015, True, False),
        (500, b"oops", 500, True, False),
        (502, b"<html>Bad gateway</html>", 502, True, False),
        (503, b'{"code":-1008,"msg":"Server is currently overloaded"}', -1008, True, False),
        (503, b'{"code":-1016,"msg":"This service is no longer available."}', -1016, True, True),
        (503, b"<html>maintenance</html>", 503, True, True),
        (503, b"", 503, True, True),
        (504, b"", 504, True, False),
        (400, b'{"code":-1016,"msg":"Shutting down"}', -1016, True, True),
        (400, b'{"code":-2010,"msg":"Market is closed."}', -2010, True, True),
        (400, b'{"code":"x"}', 400, False, False),
        (400, b"\xff\xff", 400, False, False),
    ],
)
@pytest.mark.parametrize("exchange", [SPOT, USDM])
def test_an_error_says_whether_to_ask_again(
    exchange: Binance, status: int, body: bytes, code: int, retry: bool, maintenance: bool
) -> None:
    error = exchange.error_of(status, body)
    assert (error.code, error.retry, error.maintenance) == (code, retry, maintenance)
    assert error.message


@pytest.mark.parametrize(
    "text",
    [
        "Unknown error, please check your request or try again later.",
        "Service Unavailable.",
        "Internal error; unable to process your request. Please try again.",
    ],
)
def test_usdm_has_variants_of_503_that_pass_by_themselves(text: str) -> None:
    for body in (text.encode(), json.dumps({"code": 0, "msg": text}).encode()):
        assert (USDM.error_of(503, body).maintenance, USDM.error_of(503, body).retry) == (False, True)
        assert SPOT.error_of(503, body).maintenance


def test_numbers_beyond_the_common_block_belong_to_one_product() -> None:
    body = b'{"code":-5028,"msg":"Timestamp for this request is outside of the ME recvWindow."}'
    assert USDM.error_of(400, body).retry
    assert not SPOT.error_of(400, body).retry


def test_a_good_answer_is_no_error() -> None:
    assert SPOT.error_of(200, b'{"code":200,"msg":"success"}') is None


# Whatever a proxy may send instead

PARSERS = [
    SPOT.parse_instruments,
    USDM.parse_instruments,
    lambda body: SPOT.parse_trades(body, "X", RAW, 1),
    lambda body: USDM.parse_trades(body, "X", AGGREGATE, 1),
    lambda body: SPOT.parse_candles(body, "X", 1),
    SPOT.parse_time,
    lambda body: SPOT.parse_status(body, 1),
    lambda body: USDM.parse_status(body, 1),
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("NaN"),
    lambda inner: (
        st.lists(inner, max_size=13)
        | st.dictionaries(st.sampled_from(["a", "p", "q", "f", "l", "T", "m", "id", "symbols"]), inner)
    ),
    max_leaves=20,
)


@given(body=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_an_answer_is_read_or_is_a_violation(body: bytes) -> None:
    for parse in PARSERS:
        with suppress(ProtocolViolation):
            parse(body)
    for status in (200, 400, 503):
        SPOT.error_of(status, body)
