"""Whatever the socket brings: a record, a count, or the one typed error."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.exchange import Binance
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import ConnectionPlan, ProtocolViolation

FRAMES = [
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":5,"p":"0.1","q":"1","f":1,"l":2,"T":3,"m":true}}',
    '{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1","c":"1","h":"1","l":"1","v":"1","n":2,"x":false,"q":"1","V":"0","Q":"0","B":"0"}}}',
    '{"stream":"btcusdt@bookTicker","data":{"u":4,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1","T":5}}',
    '{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1,"s":"BTCUSDT","c":"1","h":"1","l":"1","v":"1","q":"1"}}',
    '{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","i":"1","P":"1","r":"0.1","T":1}}',
    '{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":1,"o":{"s":"BTCUSDT","S":"SELL","q":"1","p":"1","ap":"1","X":"FILLED","l":"1","z":"1","T":1}}}',
    '{"stream":"!contractInfo","data":{"e":"contractInfo","E":1,"s":"BTCUSDT","cs":"TRADING"}}',
    '{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1"}]}',
    '{"result":null,"id":1}',
    '{"result":["btcusdt@aggTrade"],"id":2}',
    '{"error":{"code":2,"msg":"x"},"id":1}',
    '{"code":2,"msg":"x"}',
    '{"event":{"e":"serverShutdown","E":1}}',
    '{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}',
]


def opened(exchange: Binance, quote_interval: int) -> BinanceSession:
    wanted = [Wanted("BTCUSDT", channel) for channel in sorted(exchange.channels)]
    wanted += [Wanted("", channel) for channel in exchange.exchange_channels]
    plan = ConnectionPlan(name="all-0", path="/", wanted=tuple(wanted))
    session = exchange.session(plan, quote_interval=quote_interval)
    session.opened(0.0)
    return session


sessions = st.builds(opened, st.sampled_from([BinanceSpot(), BinanceUsdm()]), st.sampled_from([0, 1_000_000]))


def feed(session: BinanceSession, text: str | bytes) -> None:
    with suppress(ProtocolViolation):
        session.receive(text, 1_700_000_000_000_000)
    assert len(session.ignored) <= 200


@given(session=sessions, texts=st.lists(st.binary(max_size=300) | st.text(max_size=300), max_size=5))
def test_arbitrary_text(session: BinanceSession, texts: list[str | bytes]) -> None:
    for text in texts:
        feed(session, text)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["NaN", "-Infinity", "1E+999999", "1e-999999", "", "BTCUSDT", "kline", "aggTrade", -1, 2**63]
    )
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*"eEsapqfltTmkouSbBAUx", "stream", "data", "id", "result", "event"]), inner
        )
    ),
    max_leaves=25,
)


@given(session=sessions, values=st.lists(anything, max_size=5))
def test_arbitrary_json(session: BinanceSession, values: list[object]) -> None:
    for value in values:
        feed(session, json.dumps(value))


def paths(value: object, prefix: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix] * bool(prefix) + [path for key, one in inner for path in paths(one, (*prefix, key))]


@st.composite
def mutated(draw: st.DrawFn) -> str | bytes:
    """A real frame with values replaced, taken out or added, or with bytes changed."""
    text = draw(st.sampled_from(FRAMES))
    if draw(st.booleans()):
        raw = bytearray(text.encode())
        for _ in range(draw(st.integers(1, 3))):
            raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
        return bytes(raw)
    frame = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        places = paths(frame)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        holder = frame
        for key in way:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            holder[last] = draw(anything)
        elif action == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = draw(anything)
    return json.dumps(frame)


@settings(max_examples=400)
@given(session=sessions, texts=st.lists(mutated(), min_size=1, max_size=6))
def test_mutations_of_real_frames(session: BinanceSession, texts: list[str | bytes]) -> None:
    for number, text in enumerate(texts):
        feed(session, text)
        session.due(float(number))
