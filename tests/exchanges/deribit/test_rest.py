from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trade_platform.domain.model import Channel, ExchangeStatus, Instrument, InstrumentKind, QuantityUnit
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.session import ProtocolViolation, RestError

MINUTE = 60_000_000
deribit = Deribit()


def body(result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "result": result, "usIn": 1, "testnet": False}).encode()


def error(code: int, message: str = "said") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": None}}).encode()


@pytest.mark.parametrize(("last", "count"), [(101, 1), (110, 10), (1100, 1000), (50_000, 1000)])
def test_trades_are_asked_for_by_sequence_a_page_at_a_time(last: int, count: int) -> None:
    request = deribit.trades_request("X", Channel.TRADE, 101, last)
    assert request.path == "/api/v2/public/get_last_trades_by_instrument"
    assert request.query == {
        "instrument_name": "X",
        "start_seq": 101,
        "end_seq": last,
        "count": count,
        "sorting": "asc",
    }


def test_the_first_trade_since_a_moment_is_asked_for_in_milliseconds_both_ends_included() -> None:
    search = deribit.first_trade_search("X", Channel.TRADE, 1_999, 5 * MINUTE)
    assert search.request.path == "/api/v2/public/get_last_trades_by_instrument_and_time"
    assert search.request.query == {
        "instrument_name": "X",
        "start_timestamp": 2,
        "end_timestamp": 299_999,
        "count": 1,
        "sorting": "asc",
    }
    assert search.until == 5 * MINUTE
    assert deribit.parse_first_trade(body({"trades": [], "has_more": False}), Channel.TRADE) is None


def test_candles_are_asked_for_by_opening_in_milliseconds_a_page_at_a_time() -> None:
    request = deribit.candles_request("X", 0, 2 * MINUTE)
    assert request.path == "/api/v2/public/get_tradingview_chart_data"
    assert request.query == {
        "instrument_name": "X",
        "start_timestamp": 0,
        "end_timestamp": 120_000,
        "resolution": "1",
    }
    assert deribit.candles_request("X", 0, 10**6 * MINUTE).query["end_timestamp"] == 999 * 60_000


def test_instruments_are_asked_for_by_kind_at_their_higher_price() -> None:
    requests = deribit.instruments_requests()
    assert [one.query["kind"] for one in requests] == [
        "future",
        "option",
        "spot",
        "future_combo",
        "option_combo",
    ]
    assert {one.query["currency"] for one in requests} == {"any"}
    assert {one.limit for one in requests} == {"instruments"}
    assert deribit.time_request().weight == 500
    (limit,) = [one for one in deribit.limits if one.name == requests[0].limit]
    assert sum(one.weight for one in requests) < limit.burst


def test_an_index_is_listed_with_the_instruments_that_settle_against_it() -> None:
    listed = [
        {
            "instrument_name": f"{base}_USDC",
            "kind": "spot",
            "price_index": "btc_usdc",
            "base_currency": base,
            "quote_currency": "USDC",
        }
        for base in ("BTC", "BTC")
    ]
    parsed = deribit.parse_instruments(body(listed))
    assert [one.kind for one in parsed] == [InstrumentKind.SPOT, InstrumentKind.SPOT, InstrumentKind.INDEX]
    assert parsed[-1] == Instrument(symbol="btc_usdc", kind=InstrumentKind.INDEX, base="BTC", quote="USDC")


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"kind": "future", "instrument_type": "reversed", "quote_currency": "USD"}, QuantityUnit.QUOTE),
        ({"kind": "future", "future_type": "reversed", "quote_currency": "USD"}, QuantityUnit.QUOTE),
        ({"kind": "future", "quote_currency": "USD"}, QuantityUnit.QUOTE),  # lists before 2022
        ({"kind": "future_combo", "instrument_type": "reversed"}, QuantityUnit.QUOTE),
        ({"kind": "future", "instrument_type": "linear", "quote_currency": "USDC"}, QuantityUnit.BASE),
        ({"kind": "future", "future_type": "linear", "quote_currency": "USDC"}, QuantityUnit.BASE),
        ({"kind": "option", "instrument_type": "reversed", "quote_currency": "BTC"}, QuantityUnit.BASE),
        ({"kind": "option_combo", "instrument_type": "reversed"}, QuantityUnit.BASE),
        ({"kind": "spot", "instrument_type": "linear"}, QuantityUnit.BASE),
    ],
)
def test_only_inverse_futures_count_quote_currency(fields: dict[str, str], unit: QuantityUnit) -> None:
    (found,) = deribit.parse_instruments(body([{"instrument_name": "X", **fields}]))
    assert found.quantity_unit is unit


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"state": "locked"}, "locked"), ({"is_active": True}, "open"), ({"is_active": False}, "inactive")],
)
def test_status_is_the_exchanges_own_word(fields: dict[str, Any], status: str) -> None:
    (found,) = deribit.parse_instruments(body([{"instrument_name": "X", "kind": "warrant", **fields}]))
    assert (found.status, found.kind) == (status, InstrumentKind.UNKNOWN)


@pytest.mark.parametrize(
    ("result", "status", "scope"),
    [
        ({"locked": "false", "locked_indices": []}, ExchangeStatus.OPEN, ""),
        ({"locked": False}, ExchangeStatus.OPEN, ""),
        ({"locked": "true"}, ExchangeStatus.LOCKED, ""),
        ({"locked": True, "locked_currencies": ["BTC", "ETH"]}, ExchangeStatus.LOCKED, ""),
        ({"locked": "partial", "locked_indices": ["sol_usdc"]}, ExchangeStatus.PARTIAL, "sol_usdc"),
        ({"locked": "partial", "locked_currencies": ["BTC", "ETH"]}, ExchangeStatus.PARTIAL, "BTC,ETH"),
    ],
)
def test_status_in_every_form_that_is_documented(
    result: dict[str, Any], status: ExchangeStatus, scope: str
) -> None:
    state = deribit.parse_status(body(result), 77)
    assert (state.status, state.scope, state.event_time, state.receive_time) == (status, scope, 77, 77)


def test_maintenance_is_a_state_and_another_error_is_an_error() -> None:
    assert deribit.parse_status(error(11051), 1).status is ExchangeStatus.MAINTENANCE
    with pytest.raises(RestError):
        deribit.parse_status(error(10040), 1)


@pytest.mark.parametrize(
    ("status", "answer", "code", "retry", "maintenance"),
    [
        (400, error(11051), 11051, True, True),
        (400, error(10028), 10028, True, False),
        (400, error(10041), 10041, True, False),
        (200, error(10020), 10020, False, False),
        (400, error(-32602), -32602, False, False),
        (429, b"<html>", 429, True, False),
        (503, b"", 503, True, True),
        (502, b"bad gateway", 502, True, False),
        (404, b"not found", 404, False, False),
        (500, b'{"result":1}', 500, True, False),
    ],
)
def test_errors(status: int, answer: bytes, code: int, retry: bool, maintenance: bool) -> None:
    found = deribit.error_of(status, answer)
    assert found is not None
    assert (found.code, found.retry, found.maintenance) == (code, retry, maintenance)


def test_an_answer_without_an_error_is_none() -> None:
    assert deribit.error_of(200, body([])) is None
    assert deribit.error_of(200, b"whatever") is None  # its parser will say so


def test_no_candles_is_an_empty_list() -> None:
    assert deribit.parse_candles(body({"status": "no_data", "ticks": []}), "X", 1) == []


def test_an_empty_page_of_trades_is_an_empty_list() -> None:
    assert deribit.parse_trades(body({"trades": [], "has_more": False}), "X", Channel.TRADE, 1) == []


PARSERS: list[Callable[[bytes], Any]] = [
    deribit.parse_instruments,
    lambda answer: deribit.parse_trades(answer, "X", Channel.TRADE, 1),
    lambda answer: deribit.parse_candles(answer, "X", 1),
    deribit.parse_time,
    lambda answer: deribit.parse_status(answer, 1),
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"null",
        b"<html>",
        b'{"result":null}',
        b'{"result":"x"}',
        b'{"result":{"ticks":[1]}}',
        b"\xff",
    ],
)
def test_what_is_no_answer_is_a_violation(parse: Callable[[bytes], Any], answer: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse(answer)


@pytest.mark.parametrize("parse", PARSERS[:-1])
def test_a_parser_given_an_error_raises_it(parse: Callable[[bytes], Any]) -> None:
    with pytest.raises(RestError, match="10041"):
        parse(error(10041))
