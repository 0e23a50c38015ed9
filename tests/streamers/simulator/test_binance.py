"""The server half of Binance: acknowledgements, errors, limits, pings, routes."""

from __future__ import annotations

from typing import Any

import pytest

from streamers.simulator.binance import SPOT_RULES, USDM_RULES, BinanceConversation, Path, delivers, path_of
from streamers.simulator.hub import Abort, Close, Frame, Ping, Say, texts


def spot(streams: Any = (), *, combined: bool = False) -> Any:
    conversation = BinanceConversation(SPOT_RULES, Path("", combined, streams))
    conversation.opened(0.0)
    return conversation


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1}', '{"result":null,"id":1}'),
        ('{"method":"SUBSCRIBE","params":["no such thing"],"id":"x"}', '{"result":null,"id":"x"}'),
        ('{"method":"UNSUBSCRIBE","params":["a@trade"],"id":312}', '{"result":null,"id":312}'),
        ('{"method":"SET_PROPERTY","params":["combined",true],"id":5}', '{"result":null,"id":5}'),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":2}', '{"result":false,"id":2}'),
        ('{"method":"GET_PROPERTY","params":["x"],"id":2}', '{"code":0,"msg":"Unknown property","id":2}'),
        (
            '{"method":"SET_PROPERTY","params":["combined",3],"id":2}',
            '{"code":1,"msg":"Invalid value type: expected Boolean","id":2}',
        ),
        (
            '{"method":"GET_PROPERTY","params":[7],"id":2}',
            '{"code":2,"msg":"Invalid request: property name must be a string","id":2}',
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":-3}',
            '{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
        ),
        ("nonsense", '{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}'),
        ("[]", '{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 1"}'),
    ],
)
def test_answers_of_control_messages(request_text: str, answer: str) -> None:
    assert texts(spot().receive(request_text, 0.0)) == [answer]


def test_an_unknown_method_names_the_known_ones() -> None:
    (text,) = texts(spot().receive('{"method":"DANCE","id":1}', 0.0))
    assert "unknown variant `DANCE`, expected one of `SUBSCRIBE`" in text


def test_subscriptions_are_listed_as_asked() -> None:
    conversation = spot(("a@trade",))
    conversation.receive('{"method":"SUBSCRIBE","params":["b@trade","zzz"],"id":1}', 0.0)
    conversation.receive('{"method":"UNSUBSCRIBE","params":["a@trade"],"id":2}', 0.0)
    listed = texts(conversation.receive('{"method":"LIST_SUBSCRIPTIONS","id":3}', 0.0))
    assert listed == ['{"result":["b@trade","zzz"],"id":3}']


def test_usdm_takes_unsigned_ids_only() -> None:
    conversation = BinanceConversation(USDM_RULES, Path("market", False, ()))
    assert (
        "unsigned integer" in texts(conversation.receive('{"method":"LIST_SUBSCRIPTIONS","id":"a"}', 0.0))[0]
    )


@pytest.mark.parametrize(("rules", "allowed"), [(SPOT_RULES, 5), (USDM_RULES, 10)])
def test_too_many_messages_a_second_end_the_connection(rules: Any, allowed: int) -> None:
    conversation = BinanceConversation(rules, Path("", False, ()))
    message = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
    for place in range(allowed):
        assert isinstance(conversation.receive(message, place / 100)[0], Say)
    assert conversation.receive(message, 0.5) == [Close(1008, "Too many requests")]
    later = BinanceConversation(rules, Path("", False, ()))
    assert all(isinstance(later.receive(message, float(n))[0], Say) for n in range(3 * allowed))


def test_pings_and_pongs_count_as_messages() -> None:
    conversation = spot()
    for _ in range(5):
        assert conversation.pinged(0.1) == []
    assert conversation.ponged(b"", 0.2) == [Close(1008, "Too many requests")]


def test_more_than_1024_streams_end_the_connection() -> None:
    conversation = spot(tuple(f"s{n}@trade" for n in range(1024)))
    answer = conversation.receive('{"method":"SUBSCRIBE","params":["one@more"],"id":1}', 0.0)
    assert answer == [Close(1008, "Too many streams")]


def test_pings_come_on_schedule_and_a_missed_pong_drops_the_connection() -> None:
    conversation = spot()
    assert conversation.due(19.9) == []
    (ping,) = conversation.due(20.1)
    assert isinstance(ping, Ping)
    conversation.ponged(ping.payload, 20.2)
    (ping,) = conversation.due(40.2)
    conversation.ponged(b"other payload", 40.3)  # does not keep alive
    assert [type(one) for one in conversation.due(60.3)] == [Ping]
    assert conversation.due(100.3) == [Abort()]


def test_a_connection_lives_24_hours() -> None:
    assert conversation_after(86_401.0) == [Close(1001, "connection lifetime exceeded")]


def conversation_after(seconds: int) -> Any:
    conversation = spot()
    return conversation.due(seconds)


def test_combined_frames_are_wrapped_and_raw_ones_are_not() -> None:
    frame = Frame("a@trade", '{"e":"trade"}')
    assert spot(combined=True).wrap(frame) == '{"stream":"a@trade","data":{"e":"trade"}}'
    assert spot().wrap(frame) == '{"e":"trade"}'


@pytest.mark.parametrize(
    ("url", "exchange", "path"),
    [
        ("/ws", "binance_spot", Path("", False, ())),
        (
            "/ws/btcusdt@trade/ethusdt@trade",
            "binance_spot",
            Path("", False, ("btcusdt@trade", "ethusdt@trade")),
        ),
        ("/stream?streams=a@trade/b@kline_1m", "binance_spot", Path("", True, ("a@trade", "b@kline_1m"))),
        ("/stream", "binance_spot", Path("", True, ())),
        ("/market/stream?streams=a@aggTrade", "binance_usdm", Path("market", True, ("a@aggTrade",))),
        ("/public/ws/a@bookTicker", "binance_usdm", Path("public", False, ("a@bookTicker",))),
        ("/ws", "binance_usdm", Path("", False, ())),
        ("/market/ws", "binance_spot", None),
        ("/elsewhere", "binance_usdm", None),
    ],
)
def test_paths(url: str, exchange: Any, path: Path) -> None:
    assert path_of(url, exchange) == path


@pytest.mark.parametrize(
    ("stream", "routes"),
    [
        ("a@aggTrade", {"market"}),
        ("a@kline_1m", {"market"}),
        ("a@markPrice@1s", {"market"}),
        ("!forceOrder@arr", {"market"}),
        ("a@bookTicker", {"public", ""}),
        ("a@depth@100ms", {"public", ""}),
        ("!bookTicker", {"public", ""}),
    ],
)
def test_usdm_streams_belong_to_one_route(stream: str, routes: Any) -> None:
    assert {
        route for route in ("", "public", "market", "private") if delivers(stream, route, "binance_usdm")
    } == routes


def test_a_wrong_route_is_acknowledged_and_stays_silent(wire: Any, start: int) -> None:
    one = wire("binance_usdm", url="/stream")
    assert one.subscribe("btcusdt@aggTrade", "btcusdt@kline_1m") == {"result": None, "id": 1}
    one.run(start + 30_000_000)
    assert one.heard == [{"result": None, "id": 1}]
    assert not one.exchange.ledger.lines


def test_the_goodbye_of_spot_has_the_documented_form() -> None:
    assert texts(spot().goodbye(5)) == ['{"e":"serverShutdown","E":5}']
    (combined,) = texts(spot(combined=True).goodbye(5))
    assert combined == '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":5}}'
    assert BinanceConversation(USDM_RULES, Path("", True, ())).goodbye(5) == []
