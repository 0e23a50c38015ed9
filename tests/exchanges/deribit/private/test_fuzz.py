"""Whatever arrives, a ProtocolViolation or nothing is raised, and the session stays usable."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.deribit.private.payloads import LOG, ORDER, POSITION, TRADE
from tests.exchanges.deribit.private.talking import CHANNELS, KEY, SCOPE, Conversation, call, only
from trade_platform.domain.accounts import Balance
from trade_platform.exchanges.account import Ask, Known, Sign, Signed
from trade_platform.exchanges.deribit.private import rest
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.session import ProtocolViolation

PORTFOLIO = {"currency": "BTC", "balance": 1.5, "equity": 2, "cross_collateral_enabled": True}
NOTIFICATIONS: dict[str, Any] = {
    "user.changes.any.any.raw": {"orders": [ORDER], "trades": [TRADE], "positions": [POSITION]},
    "user.orders.any.any.raw": {**ORDER, "price": "market_price"},
    "user.trades.any.any.raw": [TRADE, {**TRADE, "liquidation": "MT", "legs": [TRADE]}],
    "user.portfolio.any": PORTFOLIO,
    "user.lock": {"locked": True, "currency": "ALL"},
    "user.access_log": {"log": "success", "ip": "1.2.3.4", "timestamp": 5, "city": "A", "country": "B"},
    "user.mmp_trigger.btc_usd": {"frozen_until": 5, "index_name": "btc_usd"},
    "user.new": {},
}
GRANTED = {"scope": SCOPE, "expires_in": 900, "refresh_token": "t", "access_token": "a"}
FRAMES: list[Any] = [
    *(
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
        for channel, data in NOTIFICATIONS.items()
    ),
    {"method": "heartbeat", "params": {"type": "test_request"}},
    {"id": 10, "result": GRANTED, "testnet": False},
    {"id": 10, "result": CHANNELS},
    {"id": 11, "result": CHANNELS},
    *({"id": 10, "error": {"code": code, "message": "m", "data": None}} for code in (10040, 13009, 13004)),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "sNaN", "Infinity", "-1e400", "1e999999", 10**400, "raw", "M", "", "buy", -5])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn, originals: list[Any] = FRAMES) -> Any:
    """A good message with one place of it replaced or left out."""
    whole = copy.deepcopy(draw(st.sampled_from(originals)))
    node = whole
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
    return whole


def logged_in() -> Conversation:
    talk = Conversation(testnet=None)
    talk.log_in()
    return talk


def assert_still_usable(talk: Conversation) -> None:
    talk.after(0.25)
    (told,) = only(talk.tell("user.portfolio.any", PORTFOLIO), Balance)
    assert told.asset == "BTC"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_bytes_and_text(text: bytes | str) -> None:
    talk = logged_in()
    with suppress(ProtocolViolation):
        talk.session.receive(text, 1)
    assert_still_usable(talk)


@given(values)
def test_arbitrary_json(value: Any) -> None:
    talk = logged_in()
    with suppress(ProtocolViolation):
        talk.session.receive(json.dumps(value), 1)
    assert_still_usable(talk)


@given(st.lists(altered(), max_size=6), st.booleans())
def test_altered_frames(frames: list[Any], open_only: bool) -> None:
    talk = Conversation(testnet=None)
    if open_only:
        call(talk.sign(talk.open()), "public/auth")
    else:
        talk.log_in()
    for frame in frames:
        with suppress(ProtocolViolation):
            for output in talk.session.receive(json.dumps(frame), talk.market):
                if isinstance(output, Sign):
                    output.then(Signed(key=KEY, signature="s", at=1, nonce="n"))
        talk.after(5.5)
    assert_still_usable(talk)


EXCHANGE = DeribitAccounts()
SUMMARIES = {"summaries": [PORTFOLIO, {**PORTFOLIO, "currency": "ETH"}]}
ENTRY = {**ORDER, "trigger_order_id": "SLIS-103", "timestamp": 5}


def following(asks: list[Ask], steps: int) -> Ask:
    """The question that comes so many pages on, of those that answers lead to."""
    ask = asks[0]
    page = ask.read(json.dumps({"result": SUMMARIES}).encode(), 1)
    for _ in range(steps):
        assert page.further is not None
        ask = page.further
        empty: Any = {"logs": []} if "log" in ask.request.path else {"trades": []}
        page = ask.read(json.dumps({"result": [] if "order" in ask.request.path else empty}).encode(), 1)
    return ask


QUESTIONS: list[tuple[Ask, Any]] = [
    (EXCHANGE.open_orders()[0], [ORDER, {**ORDER, "price": "market_price"}]),
    (EXCHANGE.order("X", "1")[0], ORDER),
    (EXCHANGE.balances()[0], SUMMARIES),
    (EXCHANGE.positions()[0], [POSITION]),
    (EXCHANGE.orders(Known(), 1, 2)[0], SUMMARIES),
    (following(EXCHANGE.orders(Known(), 1, 2), 1), [ORDER]),
    (following(EXCHANGE.orders(Known(), 1, 2), 2), {"orders": [ORDER], "continuation": 5}),
    (following(EXCHANGE.fills(Known(), 1, 2), 1), {"trades": [TRADE], "has_more": True}),
    (following(EXCHANGE.movements(Known(), 1, 2), 1), LOG),
]
PERMISSIONS: list[tuple[Callable[[bytes], Any], Any]] = [
    (EXCHANGE.permissions().read, GRANTED),
    (rest.listed_permissions("A").read, [{"client_id": "A", "max_scope": SCOPE, "ip_whitelist": ["1"]}]),
]


@given(st.data())
def test_answers_to_rest_raise_what_is_promised(data: st.DataObject) -> None:
    ask, good = data.draw(st.sampled_from(QUESTIONS))
    assert ask.read(json.dumps({"result": good, "usOut": 5}).encode(), 1)
    answer = data.draw(altered([{"result": good, "usOut": 5}]) | values)
    with suppress(ProtocolViolation):
        ask.read(json.dumps(answer).encode(), 1)


@given(st.data())
def test_answers_about_permissions_raise_what_is_promised(data: st.DataObject) -> None:
    read, good = data.draw(st.sampled_from(PERMISSIONS))
    assert read(json.dumps({"result": good}).encode()).read
    answer = data.draw(altered([{"result": good}]) | values)
    with suppress(ProtocolViolation):
        read(json.dumps(answer).encode())


@given(st.binary(max_size=60), st.integers(0, len(QUESTIONS) - 1))
def test_arbitrary_bodies(body: bytes, which: int) -> None:
    with suppress(ProtocolViolation):
        QUESTIONS[which][0].read(body, 1)
