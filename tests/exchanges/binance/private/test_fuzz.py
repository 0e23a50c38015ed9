"""Whatever the socket or REST brings: records, or the one typed error."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchanges.binance.private.talk import HMAC, NOW, signed
from trade_platform.domain.accounts import AccountRecord, Balance, Fill, Movement, OrderEvent, Position
from trade_platform.exchanges.account import AccountSession, Ask, Known, Obtain, Sign
from trade_platform.exchanges.binance.private import SpotAccounts, UsdmAccounts
from trade_platform.exchanges.binance.private.refusals import outputs_of, refusal_of
from trade_platform.exchanges.session import ProtocolViolation

FRAMES = [
    '{"subscriptionId":0,"event":{"e":"executionReport","E":1,"s":"ETHBTC","c":"m","S":"BUY","o":"LIMIT","f":"GTC","q":"1","p":"0.1","P":"0","F":"0","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":4,"l":"1","z":"1","L":"0.1","n":"0.1","N":"BNB","T":5,"t":6,"I":7,"w":true,"m":false,"M":false,"O":5,"Z":"0.1","Y":"0.1","Q":"0","W":5,"V":"NONE"}}',
    '{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"ETH","f":"1","l":"0"}]}',
    '{"e":"balanceUpdate","E":1,"a":"BTC","d":"100","T":1573200697068}',
    '{"e":"externalLockUpdate","E":1,"a":"BTC","d":"100","T":1573200697068}',
    '{"e":"eventStreamTerminated","E":1}',
    '{"event":{"e":"serverShutdown","E":1}}',
    '{"id":1,"status":200,"result":{"subscriptionId":0}}',
    '{"id":null,"status":401,"error":{"code":-2015,"msg":"no"}}',
    '{"id":1,"status":418,"error":{"code":-1003,"msg":"no","data":{"serverTime":1,"retryAfter":2}}}',
    '{"id":2,"status":200,"result":[{"subscriptionId":0}]}',
    '{"e":"ORDER_TRADE_UPDATE","T":1,"E":1,"o":{"s":"BTCUSDT","c":"T","S":"BUY","o":"LIMIT","f":"GTC","q":"1","p":"1","ap":"1","sp":"0","x":"TRADE","X":"FILLED","i":8,"l":"1","z":"1","L":"1","N":"USDT","n":"0.01","T":1,"t":9,"m":true,"R":false,"ot":"LIMIT","ps":"LONG","rp":"1","er":"0"}}',
    '{"stream":"k","data":{"e":"ACCOUNT_UPDATE","T":1,"E":1,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"1","cw":"1","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"1","ep":"1","cr":"0","up":"1","mt":"cross","iw":"0","ps":"BOTH"}]}}}',
    '{"e":"ALGO_UPDATE","T":1,"E":1,"o":{"caid":"Q","aid":2,"o":"STOP","s":"BNBUSDT","S":"SELL","ps":"BOTH","f":"GTC","q":"1","X":"TRIGGERED","ai":"8","tp":"7","p":"7","R":false,"rm":""}}',
    '{"e":"MARGIN_CALL","E":1,"cw":"1","p":[{"s":"E","ps":"LONG","pa":"1","mm":"1"}]}',
    '{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"B","l":25},"ai":{"j":true}}',
    '{"e":"listenKeyExpired","E":1,"listenKey":"k"}',
    '{"result":[],"id":1}',
]
KNOWN = Known(symbols=frozenset({"BTCUSDT"}))
ASKS = [
    ask
    for exchange in (SpotAccounts(), UsdmAccounts())
    for ask in [
        *exchange.open_orders(),
        *exchange.order("BTCUSDT", "7"),
        *exchange.order("BTCUSDT", "algo-7"),
        *exchange.balances(),
        *exchange.positions(),
        *exchange.orders(KNOWN, 0, NOW),
        *exchange.fills(KNOWN, 0, NOW),
        *exchange.movements(KNOWN, 0, NOW),
    ]
]
MONEY = (OrderEvent, Fill, Balance, Position, Movement)


def spot() -> AccountSession:
    session = SpotAccounts().session(HMAC)
    (sign,) = session.opened(0.0, NOW)
    assert isinstance(sign, Sign)
    signed(sign, HMAC)
    return session


def usdm() -> AccountSession:
    session = UsdmAccounts().session(HMAC)
    (obtain,) = session.before(0.0, NOW)
    assert isinstance(obtain, Obtain)
    obtain.then(b'{"listenKey":"k"}')
    session.opened(0.0, NOW)
    return session


sessions = st.sampled_from([spot, usdm]).map(lambda make: make())


def storable(record: AccountRecord) -> None:
    """What a database takes: bounded numbers, ids and texts, and a codec that gives the same again."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert -90 <= value.adjusted() <= 90
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63
        elif isinstance(value, str):
            assert len(value) <= 1000
            assert "\0" not in value
            value.encode()
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


def feed(session: AccountSession, text: str | bytes) -> None:
    with suppress(ProtocolViolation):
        for output in session.receive(text, NOW):
            if isinstance(output, MONEY):
                storable(output)
    assert len(session.ignored) <= 200


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["NaN", "-Infinity", "1E+999999", "1e-999999", "-1", "", "BUY", "NEW", -1, 2**63, 2**53 + 1]
    )
)
names = st.sampled_from(
    [
        *"eEsSoxXiITtqpPlzLnNmWwBCajrdu",
        "a",
        "event",
        "data",
        "stream",
        "id",
        "status",
        "result",
        "error",
        "symbol",
    ]
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=25,
)


@given(session=sessions, texts=st.lists(st.binary(max_size=300) | st.text(max_size=300), max_size=5))
def test_arbitrary_text(session: AccountSession, texts: list[str | bytes]) -> None:
    for text in texts:
        feed(session, text)


@given(session=sessions, values=st.lists(anything, max_size=5))
def test_arbitrary_json(session: AccountSession, values: list[object]) -> None:
    for value in values:
        feed(session, json.dumps(value))


def paths(value: object, prefix: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix] * bool(prefix) + [path for key, one in inner for path in paths(one, (*prefix, key))]


@st.composite
def mutated(draw: st.DrawFn, texts: list[str]) -> str | bytes:
    """A real frame with values replaced, taken out or added, or with bytes changed."""
    text = draw(st.sampled_from(texts))
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
        if draw(st.booleans()):
            holder[last] = draw(anything)
        else:
            del holder[last]
    return json.dumps(frame)


@settings(max_examples=300)
@given(session=sessions, texts=st.lists(mutated(FRAMES), min_size=1, max_size=6))
def test_mutations_of_real_frames(session: AccountSession, texts: list[str | bytes]) -> None:
    for number, text in enumerate(texts):
        feed(session, text)
        session.due(float(number), NOW + number)


ROWS = [
    '[{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"m","price":"0.1","origQty":"1","executedQty":"1","cummulativeQuoteQty":"0.1","avgPrice":"1","status":"NEW","timeInForce":"GTC","type":"LIMIT","side":"BUY","time":1499827319559,"updateTime":1499827319559}]',
    '{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"m","price":"0.1","origQty":"1","executedQty":"1","cummulativeQuoteQty":"0.1","avgPrice":"1","status":"NEW","timeInForce":"GTC","type":"LIMIT","side":"BUY","time":1499827319559}',
    '[{"symbol":"BTCUSDT","algoId":7,"clientAlgoId":"m","side":"BUY","algoStatus":"NEW","createTime":1,"quantity":"1","triggerPrice":"2"}]',
    '[{"symbol":"BTCUSDT","id":1,"orderId":2,"price":"1","qty":"1","quoteQty":"1","commission":"1","commissionAsset":"BNB","time":1,"isBuyer":true,"isMaker":true,"maker":true,"side":"BUY","realizedPnl":"1"}]',
    '{"balances":[{"asset":"A","free":"1","locked":"0"}],"updateTime":5,"assets":[{"asset":"U","walletBalance":"1","marginBalance":"2"}]}',
    '[{"symbol":"BTCUSDT","positionAmt":"1","entryPrice":"1","markPrice":"1","unRealizedProfit":"1"}]',
    '[{"incomeType":"X","income":"1","asset":"U","time":1,"tranId":1}]',
    '[{"id":"1","amount":"1","coin":"B","status":1,"insertTime":1,"applyTime":"2019-10-12 11:12:02"}]',
    '{"total":1,"rows":[{"asset":"U","amount":"1","type":"MAIN_UMFUTURE","status":"CONFIRMED","tranId":1,"timestamp":1}]}',
]


@settings(max_examples=300)
@given(
    ask=st.sampled_from(ASKS),
    body=st.binary(max_size=200) | anything.map(json.dumps) | st.sampled_from(ROWS) | mutated(ROWS),
)
def test_answers_of_any_kind(ask: Ask, body: str | bytes) -> None:
    with suppress(ProtocolViolation):
        for record in ask.read(body if isinstance(body, bytes) else body.encode(), NOW).records:
            storable(record)


@given(sentence=st.text(max_size=400))
def test_sentences_of_any_kind(sentence: str) -> None:
    assert outputs_of(refusal_of(sentence), "listenKey", NOW)
