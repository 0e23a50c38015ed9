"""What a session says, when, and what it makes of the answers: tables of explicit times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from trade_platform.domain.model import (
    Channel,
    ExchangeState,
    ExchangeStatus,
    Metric,
    Number,
    Trade,
)
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import (
    Missing,
    ProtocolViolation,
    Reason,
    Reconnect,
    Rest,
    Send,
)

BTC_TRADE = ("BTCUSDT", Channel.TRADE)
BTC_AGGREGATE = ("BTCUSDT", Channel.AGGREGATE_TRADE)
BTC_CANDLE = ("BTCUSDT", Channel.CANDLE)


def aggregate(sequence: int, symbol: str = "BTCUSDT", **more: object) -> str:
    data = {
        "e": "aggTrade", "E": 1672515782136, "s": symbol, "a": sequence, "p": "0.001", "q": "100",
        "f": sequence * 10, "l": sequence * 10 + 5, "T": 1672515782136, "m": True, "M": True, **more,
    }  # fmt: skip
    return json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": data})


def requests(outputs: Iterable[object]) -> list[dict]:
    return [json.loads(output.text) for output in outputs if isinstance(output, Send)]


# Subscribing


def test_the_first_words_are_one_numbered_subscription_of_everything(
    session: Callable[..., BinanceSession],
) -> None:
    ours = session("binance_spot", BTC_TRADE, BTC_CANDLE, ("ETHUSDT", Channel.TICKER))
    assert requests(ours.opened(5.0)) == [
        {"method": "SUBSCRIBE", "id": 1, "params": ["btcusdt@trade", "btcusdt@kline_1m", "ethusdt@ticker"]}
    ]
    assert [one.requested_at for one in ours.subscriptions.values()] == [5.0, 5.0, 5.0]
    assert not any(one.acknowledged for one in ours.subscriptions.values())


def test_streams_have_the_names_of_the_exchange(session: Callable[..., BinanceSession]) -> None:
    channels = [
        Channel.AGGREGATE_TRADE, Channel.CANDLE, Channel.QUOTE, Channel.TICKER, Channel.MARK,
        Channel.LIQUIDATION, Channel.OPEN_INTEREST,
    ]  # fmt: skip
    ours = session(
        "binance_usdm", *(("币安人生USDT", one) for one in channels), ("", Channel.INSTRUMENT_STATE)
    )
    assert set(ours.subscriptions) == {
        "币安人生usdt@aggTrade", "币安人生usdt@kline_1m", "币安人生usdt@bookTicker", "币安人生usdt@ticker",
        "币安人生usdt@markPrice@1s", "币安人生usdt@forceOrder", "币安人生usdt@openInterest", "!contractInfo",
    }  # fmt: skip
    (request,) = requests(ours.opened(0.0))
    assert set(request["params"]) == set(ours.subscriptions) - {"币安人生usdt@openInterest"}


@pytest.mark.parametrize(("key", "limit"), [("binance_spot", 5), ("binance_usdm", 10)])
def test_many_streams_are_asked_for_in_batches_below_the_message_rate(
    session: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]], key: str, limit: int
) -> None:
    ours = session(key, *((f"A{number}USDT", Channel.CANDLE) for number in range(950)))
    now, sent = 0.0, []
    outputs = ours.opened(now)
    while now < 10.0:
        sent += [(now, request) for request in acknowledging(ours, outputs)]
        now += 0.05  # far more often than the supervisor asks
        outputs = [output for output in ours.due(now) if isinstance(output, Send)]
    assert [len(request.get("params", ())) for _, request in sent] == [100] * 9 + [50, 0]
    assert [request["id"] for _, request in sent] == list(range(1, 12))
    assert sent[-1][1] == {"method": "LIST_SUBSCRIPTIONS", "id": 11}
    times = [at for at, _ in sent]
    worst = max(sum(start <= at < start + 1.0 for at in times) for start in times)
    assert worst <= limit - 2, "pings and pongs count too"


def test_an_acknowledgement_is_no_data(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE)
    assert ours.subscriptions["btcusdt@aggTrade"].acknowledged
    assert not ours.live
    ours.receive(aggregate(1), 1)
    assert ours.live


def test_what_demands_no_data_is_live_once_acknowledged(
    session: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    ours = session("binance_usdm", ("BTCUSDT", Channel.LIQUIDATION), ("", Channel.INSTRUMENT_STATE))
    outputs = ours.opened(0.0)
    assert not ours.live
    acknowledging(ours, outputs)
    assert ours.live


@pytest.mark.parametrize(
    "error",
    [
        '{"code":2,"msg":"Invalid request: unknown variant"}',
        '{"code":2,"msg":"Invalid request: too many parameters","id":1}',
        '{"error":{"code":2,"msg":"Invalid request: too many parameters"},"id":1}',
        '{"result":["something"],"id":1}',
        '{"id":1}',
    ],
)
def test_a_refused_subscription_ends_the_connection(
    session: Callable[..., BinanceSession], error: str
) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    ours.opened(0.0)
    (output,) = ours.receive(error, 1)
    assert isinstance(output, Reconnect)
    assert output.reason is Reason.SUBSCRIBE_REFUSED
    assert "btcusdt@aggTrade" in output.detail


def test_an_answer_that_never_comes_ends_the_connection(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    ours.opened(100.0)
    assert ours.due(110.0) == []
    assert ours.due(110.1) == [Reconnect(Reason.NEVER_DELIVERED, "no answer to SUBSCRIBE")]


def test_the_servers_list_must_name_what_it_acknowledged(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_spot", BTC_AGGREGATE, BTC_CANDLE)
    ours.opened(0.0)
    ours.receive('{"result":null,"id":1}', 1)
    assert ours.due(0.2) == [], "too early for the next message"
    assert requests(ours.due(0.5)) == [{"method": "LIST_SUBSCRIPTIONS", "id": 2}]
    (output,) = ours.receive('{"result":["btcusdt@aggTrade","other@trade"],"id":2}', 1)
    assert output.reason is Reason.SUBSCRIBE_REFUSED
    assert "btcusdt@kline_1m" in output.detail
    assert "aggTrade" not in output.detail


def test_a_complete_list_is_content_and_asked_for_once(
    session: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    acknowledging(ours, ours.opened(0.0))
    assert len(acknowledging(ours, ours.due(1.0))) == 1
    assert ours.due(2.0) == []


def test_what_is_polled_is_not_sought_in_the_servers_list(
    session: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    ours = session("binance_usdm", ("BTCUSDT", Channel.OPEN_INTEREST), ("BTCUSDT", Channel.LIQUIDATION))
    acknowledging(ours, ours.opened(0.0))
    assert [request["method"] for request in acknowledging(ours, ours.due(1.0))] == ["LIST_SUBSCRIPTIONS"]
    assert ours.live


def test_a_server_without_a_list_is_judged_by_its_data(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    ours.opened(0.0)
    ours.receive('{"result":null,"id":1}', 1)
    ours.due(1.0)
    assert ours.receive('{"code":2,"msg":"unknown variant `LIST_SUBSCRIPTIONS`","id":2}', 1) == ()
    assert ours.ignored == {"error 2": 1}


def test_errors_and_answers_that_nobody_asked_for_are_counted(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    for text in ('{"result":null,"id":77}', '{"id":null,"result":null}', '{"code":3,"msg":"Invalid JSON"}'):
        assert ours.receive(text, 1) == ()
    assert ours.ignored == {"answer to nothing asked": 2, "error 3": 1}


# Changing


def test_a_change_subscribes_the_new_and_leaves_the_old(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE, BTC_CANDLE)
    acknowledging(ours, ours.due(1.0))
    ours.receive(aggregate(5), 1)
    wanted = [Wanted("BTCUSDT", Channel.CANDLE), Wanted("ETHUSDT", Channel.TRADE)]
    assert requests(ours.change(wanted, 2.0)) == [
        {"method": "UNSUBSCRIBE", "id": 3, "params": ["btcusdt@aggTrade"]}
    ]
    ours.receive('{"result":null,"id":3}', 1)
    assert requests(ours.due(2.5)) == [{"method": "SUBSCRIBE", "id": 4, "params": ["ethusdt@trade"]}]
    assert ours.receive(aggregate(6), 1) == (), "a late frame of what was left"
    assert ours.ignored == {"aggTrade (not subscribed)": 1}
    assert list(ours.subscriptions) == ["btcusdt@kline_1m", "ethusdt@trade"]
    ours.receive('{"result":null,"id":4}', 1)
    assert requests(ours.due(3.0)) == [{"method": "LIST_SUBSCRIPTIONS", "id": 5}]
    assert ours.receive('{"result":["btcusdt@kline_1m","ethusdt@trade"],"id":5}', 1) == ()


def test_what_is_left_and_wanted_again_is_asked_for_anew(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE, BTC_CANDLE)
    ours.receive(aggregate(5), 1)
    assert ours.change([Wanted("BTCUSDT", Channel.CANDLE)], 0.1) == ()
    assert ours.change([Wanted(*BTC_AGGREGATE), Wanted(*BTC_CANDLE)], 0.2) == ()
    assert requests(ours.due(1.0)) == [{"method": "SUBSCRIBE", "id": 2, "params": ["btcusdt@aggTrade"]}]
    assert ours.receive(aggregate(9), 1)[0].sequence == 9, (
        "what passed while it was not wanted is not missing"
    )


def test_a_change_before_the_socket_is_open_only_changes_the_plan(
    session: Callable[..., BinanceSession],
) -> None:
    ours = session("binance_spot", BTC_AGGREGATE)
    assert ours.change([Wanted(*BTC_CANDLE)], 0.0) == ()
    assert requests(ours.opened(1.0)) == [{"method": "SUBSCRIBE", "id": 1, "params": ["btcusdt@kline_1m"]}]


def test_raw_trades_win_over_aggregates_of_the_same_symbol(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_spot", BTC_AGGREGATE, BTC_TRADE, ("ETHUSDT", Channel.AGGREGATE_TRADE))
    assert list(ours.subscriptions) == ["btcusdt@trade", "ethusdt@aggTrade"]


# Sequences


def shape(outputs: Iterable[object]) -> list[tuple]:
    return [
        ("missing", one.first, one.last) if isinstance(one, Missing) else ("trade", one.sequence)
        for one in outputs
    ]


@pytest.mark.parametrize(
    ("expected", "sequences", "outcome"),
    [
        (None, [7, 8, 9], [[("trade", 7)], [("trade", 8)], [("trade", 9)]]),
        (6, [7], [[("trade", 7)]]),
        (5, [7], [[("missing", 6, 6), ("trade", 7)]]),
        (None, [7, 10, 11], [[("trade", 7)], [("missing", 8, 9), ("trade", 10)], [("trade", 11)]]),
        (None, [7, 7, 8], [[("trade", 7)], [("trade", 7)], [("trade", 8)]]),
        (7, [9, 8, 10], [[("missing", 8, 8), ("trade", 9)], [("trade", 8)], [("trade", 10)]]),
        (20, [7, 20, 21], [[("trade", 7)], [("trade", 20)], [("trade", 21)]]),
    ],
)  # fmt: skip
def test_a_jump_in_the_sequence_is_missing_before_the_trade(
    subscribed: Callable[..., BinanceSession],
    expected: int | None,
    sequences: list[int],
    outcome: list[list[tuple]],
) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE)
    if expected is not None:
        ours.expect({"BTCUSDT": expected})
    assert [shape(ours.receive(aggregate(sequence), 1)) for sequence in sequences] == outcome


def test_what_is_missing_names_symbol_and_channel(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE, ("ETHUSDT", Channel.AGGREGATE_TRADE))
    ours.expect({"BTCUSDT": 5, "ETHUSDT": 1, "XRPUSDT": 1})
    missing, trade = ours.receive(aggregate(8), 1)
    assert missing == Missing("BTCUSDT", Channel.AGGREGATE_TRADE, 6, 7)
    assert isinstance(trade, Trade)
    assert shape(ours.receive(aggregate(2, "ETHUSDT"), 1)) == [("trade", 2)]


def test_a_lower_expectation_does_not_undo_a_higher_one(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE)
    ours.expect({"BTCUSDT": 8})
    ours.expect({"BTCUSDT": 3})
    assert shape(ours.receive(aggregate(9), 1)) == [("trade", 9)]


# What is not data


@pytest.mark.parametrize(
    "text",
    [
        '{"e":"serverShutdown","E":1770123456789}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        '{"event":{"e":"serverShutdown","E":1770123456789}}',
    ],
)
@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
def test_a_shutdown_notice_is_a_state_and_a_reconnect(
    subscribed: Callable[..., BinanceSession], key: str, text: str
) -> None:
    assert subscribed(key, BTC_AGGREGATE).receive(text, 9) == (
        ExchangeState(ExchangeStatus.SHUTDOWN, "", "serverShutdown", 1770123456789000, 9),
        Reconnect(Reason.SHUTDOWN, "serverShutdown"),
    )


def test_unknown_types_and_fields_are_counted_and_tolerated(
    subscribed: Callable[..., BinanceSession],
) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE)
    assert len(ours.receive(aggregate(1, zz="new"), 1)) == 1
    assert ours.receive('{"stream":"x@y","data":{"e":"marsQuake","E":1}}', 1) == ()
    assert ours.receive('{"e":"marsQuake","s":{"nested":1}}', 1) == ()
    assert ours.receive('{"hello":1}', 1) == ()
    assert ours.ignored == {"aggTrade.zz": 1, "marsQuake (unknown)": 2, "unnamed (unknown)": 1}


def test_unknown_fields_are_looked_for_in_the_first_and_every_thousandth_message(
    subscribed: Callable[..., BinanceSession],
) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE)
    for sequence in range(2001):
        ours.receive(aggregate(sequence, zz=1), 1)
    assert ours.ignored == {"aggTrade.zz": 3}


def test_fields_inside_a_candle_are_looked_at_too(
    frames: Callable[[str], list[tuple[int, str]]], subscribed: Callable[..., BinanceSession]
) -> None:
    name = "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth"
    text = next(text for _, text in frames(name) if "ftmusdt@kline" in text)
    ours = subscribed("binance_spot", ("FTMUSDT", Channel.CANDLE))
    ours.receive(text.replace('"B":"0"', '"B":"0","Z":1'), 1)
    assert ours.ignored == {"kline.k.Z": 1}


def test_the_count_of_the_ignored_is_bounded(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE)
    for number in range(1000):
        ours.receive(json.dumps({"e": f"type{number}" + "x" * 5000}), 1)
    assert len(ours.ignored) == 200
    assert ours.ignored["other"] == 1000 - 199
    assert max(map(len, ours.ignored)) <= 64


def test_rows_of_coin_margined_contracts_are_dropped_and_counted(
    subscribed: Callable[..., BinanceSession],
) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE)
    assert ours.receive(aggregate(4, st=2), 1) == ()
    assert ours.receive(aggregate(1, st=1), 1) != ()
    assert ours.ignored == {"aggTrade (coin-margined)": 1}


def test_an_event_without_its_envelope_reaches_its_stream(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE, ("BTCUSDT", Channel.LIQUIDATION))
    assert shape(ours.receive(json.dumps(json.loads(aggregate(1))["data"]), 1)) == [("trade", 1)]


def test_raw_trades_of_usdm_are_not_the_tape(
    captures: Path, subscribed: Callable[..., BinanceSession]
) -> None:
    ours = subscribed("binance_usdm", BTC_AGGREGATE)
    assert ours.receive((captures / "messages/binance_usdm/trade_stream.json").read_text(), 1) == ()
    assert ours.ignored == {"trade": 1}


def test_block_trades_of_spot_have_ids_of_their_own_and_are_ignored(
    subscribed: Callable[..., BinanceSession],
) -> None:
    ours = subscribed("binance_spot", BTC_TRADE)
    data = {"e": "blockTrade", "E": 1, "s": "BTCUSDT", "t": 582, "p": "1", "q": "2", "T": 1, "m": True}
    block = json.dumps({"stream": "btcusdt@blockTrade", "data": data})
    assert ours.receive(block, 1) == ()
    assert ours.ignored == {"blockTrade": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"p": "0.001"', '"p": "NaN"'),
        ('"p": "0.001"', '"p": "sNaN"'),
        ('"p": "0.001"', '"p": "-Infinity"'),
        ('"p": "0.001"', '"p": "1E+999999"'),
        ('"p": "0.001"', '"p": "1E-999999"'),
        ('"p": "0.001"', '"p": "0E-999999"'),
        ('"p": "0.001"', '"p": "-0.001"'),
        ('"p": "0.001"', '"p": "' + "1" * 5000 + '"'),
        ('"p": "0.001"', '"p": "0.' + "1" * 20000 + '"'),
        ('"p": "0.001"', '"p": "cheap"'),
        ('"p": "0.001"', '"p": null'),
        ('"p": "0.001", ', ""),
        ('"a": 1', '"a": -1'),
        ('"a": 1', '"a": 9223372036854775808'),
        ('"a": 1', '"a": 1.5'),
        ('"T": 1672515782136', '"T": 999999999999999999'),
        ('"T": 1672515782136', '"T": "1672515782136"'),
        ('"m": true', '"m": 1'),
        ('"s": "BTCUSDT"', '"s": "ETHUSDT"'),
        ('"s": "BTCUSDT"', '"s": null'),
        ('"data": {', '"data": ['),
        ('"stream": "btcusdt@aggTrade"', '"stream": 5'),
        ("}}", "}"),
    ],
)
def test_malformed_text_is_a_violation_and_leaves_no_trace(
    subscribed: Callable[..., BinanceSession], old: str, new: str
) -> None:
    ours = subscribed("binance_spot", BTC_AGGREGATE)
    assert old in aggregate(1)
    with pytest.raises(ProtocolViolation):
        ours.receive(aggregate(1).replace(old, new), 1)
    assert not ours.subscriptions["btcusdt@aggTrade"].messages
    assert shape(ours.receive(aggregate(1), 1)) == [("trade", 1)]


@pytest.mark.parametrize(
    "text", ["", b"", "null", "[]", "7", b"\xff\xfe", '"\ud800"', "[" * 100_000, "x" * 9_000_000]
)
def test_what_is_no_message_at_all_is_a_violation(
    subscribed: Callable[..., BinanceSession], text: str | bytes
) -> None:
    with pytest.raises(ProtocolViolation):
        subscribed("binance_spot", BTC_AGGREGATE).receive(text, 1)


def test_a_price_of_nothing_is_a_price(subscribed: Callable[..., BinanceSession]) -> None:
    text = aggregate(1).replace('"p": "0.001"', '"p": "0.00000000"')
    (trade,) = subscribed("binance_spot", BTC_AGGREGATE).receive(text, 1)
    assert str(trade.price) == "0E-8"


# Open interest has no stream


def test_open_interest_is_asked_for_once_a_minute_in_turn(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_usdm", *((f"A{number}", Channel.OPEN_INTEREST) for number in range(3)))
    assert ours.opened(0.0) == (), "there is nothing to subscribe"
    asked = []
    for quarter in range(4 * 125):
        now = quarter / 4
        asked += [(now, one.request.query["symbol"]) for one in ours.due(now) if isinstance(one, Rest)]
    assert asked == [
        (start + place, f"A{place}") for start in (0.0, 60.0, 120.0) for place in range(3)
    ]  # fmt: skip


def test_two_hundred_polls_are_spread_over_the_minute(session: Callable[..., BinanceSession]) -> None:
    ours = session("binance_usdm", *((f"A{number}", Channel.OPEN_INTEREST) for number in range(200)))
    ours.opened(0.0)
    per_call = [len(ours.due(quarter / 4)) for quarter in range(4 * 60)]
    assert sum(per_call) == 200
    assert max(per_call) == 1


def test_an_open_interest_answer_becomes_a_number(subscribed: Callable[..., BinanceSession]) -> None:
    ours = subscribed("binance_usdm", ("BTCUSDT", Channel.OPEN_INTEREST), BTC_AGGREGATE)
    ours.receive(aggregate(1), 1_700_000_000_000_000)
    (poll,) = [one for one in ours.due(0.0) if isinstance(one, Rest)]
    assert (poll.request.path, dict(poll.request.query), poll.request.weight) == (
        "/fapi/v1/openInterest", {"symbol": "BTCUSDT"}, 1,
    )  # fmt: skip
    (number,) = poll.parse(b'{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}')
    assert isinstance(number, Number)
    assert (number.metric, str(number.value)) == (Metric.OPEN_INTEREST, "10659.509")
    assert (number.event_time, number.receive_time) == (1589437530011000, 1_700_000_000_000_000)
    assert ours.subscriptions["btcusdt@openInterest"].messages == 1
    assert poll.parse(b'{"openInterest":"NaN","symbol":"BTCUSDT"}') == ()
    assert poll.failed("no answer") == ()
    assert ours.ignored == {"openInterest (unreadable)": 1}
