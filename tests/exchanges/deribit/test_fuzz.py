"""Whatever arrives, a session raises ProtocolViolation or nothing, and stays usable."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import Channel
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.deribit.session import DeribitSession
from trade_platform.exchanges.session import ConnectionPlan, ProtocolViolation, RestError

TRADE = {
    "timestamp": 1765531356452,
    "price": 92294.5,
    "amount": 10.0,
    "direction": "sell",
    "instrument_name": "X",
    "trade_seq": 271252854,
    "trade_id": "403691824",
    "liquidation": "M",
    "iv": 50.5,
}
TICKER = {
    "timestamp": 1765541474086,
    "state": "open",
    "stats": {"high": 93612.0, "volume": None, "volume_usd": 1.5},
    "greeks": {"delta": 0.5},
    "best_ask_price": 92284.0,
    "mark_iv": 1e-05,
}
BAR = {"tick": 60000, "open": 1.5, "high": 2, "low": 1, "close": 1.75, "volume": 0.5, "cost": 3.25}
NOTIFICATIONS: dict[str, Any] = {
    "trades.X.100ms": [TRADE, {**TRADE, "trade_seq": 271252860}],
    "ticker.X.100ms": TICKER,
    "quote.X": TICKER,
    "chart.trades.X.1": BAR,
    "deribit_price_index.btc_usd": {"timestamp": 5, "price": 1.5, "index_name": "btc_usd"},
    "deribit_volatility_index.btc_usd": {"timestamp": 5, "volatility": 1.5},
    "instrument.state.any.any": {"timestamp": 5, "state": "open", "instrument_name": "X"},
    "platform_state": {"locked": True, "price_index": "x", "maintenance": False},
    "book.X.100ms": {"bids": []},
}
FRAMES: list[Any] = [
    *(
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
        for channel, data in NOTIFICATIONS.items()
    ),
    {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
    {"jsonrpc": "2.0", "id": 10, "result": ["trades.X.100ms"], "testnet": False},
    {"jsonrpc": "2.0", "id": 9, "error": {"code": 10028, "message": "m", "data": {"a": 1}}},
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "Infinity", "-1e400", "1e999999", 10**400, "raw", "M", ""])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn) -> str:
    """A good frame with one place of it replaced or left out."""
    frame = json.loads(json.dumps(draw(st.sampled_from(FRAMES))))
    node = frame
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and draw(st.integers(0, 3)):
            node = node[key]
            continue
        if draw(st.booleans()):
            node[key] = draw(values)
        else:
            del node[key]
        break
    return json.dumps(frame)


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    """A good frame with some bytes changed, or its end missing."""
    text = bytearray(json.dumps(draw(st.sampled_from(FRAMES))).encode())
    for _ in range(draw(st.integers(0, 4))):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text[: draw(st.integers(0, len(text)))])


def a_session(interval: int = 0) -> DeribitSession:
    plan = ConnectionPlan(name="market-0", path="/", wanted=())
    session = Deribit(testnet=None).session(plan, quote_interval=interval)
    session.opened(0.0)
    return session


def assert_still_usable(session: DeribitSession) -> None:
    session.due(5.0)
    frame = {
        "method": "subscription",
        "params": {"channel": "trades.Y.100ms", "data": [{**TRADE, "instrument_name": "Y"}]},
    }
    assert len(session.receive(json.dumps(frame), 5)) == 1


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_bytes_and_text(text: bytes | str) -> None:
    session = a_session()
    with suppress(ProtocolViolation):
        session.receive(text, 1)
    assert_still_usable(session)


@given(values)
def test_arbitrary_json(value: Any) -> None:
    session = a_session()
    with suppress(ProtocolViolation):
        session.receive(json.dumps(value), 1)
    assert_still_usable(session)


@given(st.lists(altered() | cut(), max_size=6), st.sampled_from([0, 1000]))
def test_altered_frames(texts: list[str | bytes], interval: int) -> None:
    session = a_session(interval)
    for text in texts:
        with suppress(ProtocolViolation):
            session.receive(text, 1)
    assert_still_usable(session)


PARSERS: list[Callable[[bytes], Any]] = [
    Deribit().parse_instruments,
    Deribit().parse_time,
    lambda body: Deribit().parse_trades(body, "X", Channel.TRADE, 1),
    lambda body: Deribit().parse_candles(body, "X", 1),
    lambda body: Deribit().parse_status(body, 1),
    lambda body: Deribit().error_of(400, body),
]


@given(
    st.sampled_from(PARSERS),
    st.binary(max_size=60)
    | values.map(lambda value: json.dumps(value).encode())
    | values.map(lambda value: json.dumps({"result": value}).encode())
    | values.map(lambda value: json.dumps({"error": value}).encode())
    | values.map(lambda value: json.dumps({"result": {"trades": [{**TRADE, "price": value}]}}).encode()),
)
def test_answers_to_rest_raise_what_is_promised(parse: Callable[[bytes], Any], body: bytes) -> None:
    with suppress(ProtocolViolation, RestError):
        parse(body)


def test_captured_frames_cut_at_every_byte(captures: Any) -> None:
    text = (captures / "messages/deribit/ws_trades.json").read_bytes()
    session = a_session()
    for end in range(len(text.rstrip())):
        with suppress(ProtocolViolation):
            assert not session.receive(text[:end], 1)
    assert len(session.receive(text, 1)) == 2
