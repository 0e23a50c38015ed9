"""The loopback exchange speaks WebSocket, REST and Binance's words well enough to be measured against."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.exchange import Exchange, listen
from benchmarks.frames import FIRST, SYMBOLS, Tape, frame, stream_name, trade_text
from trade_platform.domain.model import Channel, InstrumentKind
from trade_platform.exchanges.binance import wire
from trade_platform.exchanges.registry import EXCHANGES

USDM = EXCHANGES["binance_usdm"]


@pytest.fixture
async def loopback() -> AsyncIterator[tuple[Exchange, int]]:
    exchange = Exchange()
    server, port = await listen(exchange)
    yield exchange, port
    server.close()
    await server.wait_closed()


async def _subscribe(socket: ClientConnection) -> None:
    request = {"method": "SUBSCRIBE", "params": [stream_name(symbol) for symbol in SYMBOLS], "id": 7}
    await socket.send(msgspec.json.encode(request).decode())
    assert msgspec.json.decode(await socket.recv()) == {"result": None, "id": 7}


def _trade(text: str | bytes) -> wire.AggregateTrade:
    return msgspec.json.decode(msgspec.json.decode(text, type=wire.Envelope).data, type=wire.AggregateTrade)


async def test_a_client_gets_each_trade_once_and_in_order(loopback: tuple[Exchange, int]) -> None:
    exchange, port = loopback
    frames = 5000
    async with connect(f"ws://127.0.0.1:{port}/market/stream", compression=None, proxy=None) as socket:
        await _subscribe(socket)
        exchange.answer("/control/prepare", {"frames": str(frames)})
        exchange.answer("/control/burst", {})
        trades = [_trade(await socket.recv()) for _ in range(len(SYMBOLS) + frames)]
    for symbol in SYMBOLS:
        sequences = [trade.sequence for trade in trades if trade.symbol == symbol]
        assert sequences == list(range(FIRST, exchange.tape.last[symbol] + 1))
    assert exchange.tape.taken == len(trades)
    assert not exchange.sending


async def test_a_paced_run_sends_as_many_as_asked(loopback: tuple[Exchange, int]) -> None:
    exchange, port = loopback
    async with connect(f"ws://127.0.0.1:{port}/market/stream", compression=None, proxy=None) as socket:
        await _subscribe(socket)
        exchange.answer("/control/pace", {"rate": "20000", "frames": "400"})
        trades = [_trade(await socket.recv()) for _ in range(len(SYMBOLS) + 400)]
    assert sum(exchange.tape.last.values()) - len(SYMBOLS) * (FIRST - 1) == len(trades)


async def test_pings_lists_and_the_closing_handshake_are_answered(loopback: tuple[Exchange, int]) -> None:
    _, port = loopback
    async with connect(f"ws://127.0.0.1:{port}/market/stream", compression=None, proxy=None) as socket:
        await (await socket.ping(b"payload"))
        await socket.send('{"method":"SUBSCRIBE","params":["!contractInfo"],"id":1}')
        await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":2}')
        assert msgspec.json.decode(await socket.recv()) == {"result": None, "id": 1}
        assert msgspec.json.decode(await socket.recv()) == {"result": ["!contractInfo"], "id": 2}
        await socket.close(1000, "done")
        assert socket.close_code == 1000


async def test_rest_answers_are_read_by_the_platform_itself(loopback: tuple[Exchange, int]) -> None:
    exchange, port = loopback
    for _ in range(30):
        exchange.tape.next(1_700_000_000_000)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:

        async def fetch(path: str) -> bytes:
            async with http.get(path) as answer:
                assert answer.status == 200
                return await answer.read()

        (request,) = USDM.instruments_requests()
        instruments = USDM.parse_instruments(await fetch(request.path))
        trades = await fetch(f"/fapi/v1/aggTrades?symbol={SYMBOLS[0]}&fromId={FIRST + 2}&limit=4")
        parsed = USDM.parse_trades(trades, SYMBOLS[0], Channel.AGGREGATE_TRADE, 1)
        async with http.get("/fapi/v1/nothing") as answer:
            assert answer.status == 404
    assert [(one.symbol, one.kind) for one in instruments] == [
        (symbol, InstrumentKind.PERPETUAL) for symbol in SYMBOLS
    ]
    assert [trade.sequence for trade in parsed] == [FIRST + 2, FIRST + 3, FIRST + 4, FIRST + 5]
    assert exchange.unknown == {"/fapi/v1/nothing"}


def test_frames_of_every_length_carry_it_as_the_protocol_says() -> None:
    assert frame(b"x" * 125)[:2] == b"\x81\x7d"
    assert frame(b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert frame(b"x" * 65_536)[:10] == b"\x81\x7f" + (65_536).to_bytes(8, "big")


def test_a_message_has_about_190_bytes() -> None:
    sizes = {len(trade_text("BTCUSDT", FIRST + number, 1_763_800_000_000)) for number in range(2000)}
    assert min(sizes) >= 180
    assert max(sizes) <= 205


def test_chunks_hold_whole_frames() -> None:
    tape, whole = Tape(), Tape()
    chunks = list(tape.chunks(700, 1_763_800_000_000))
    assert len(chunks) == 3
    assert b"".join(chunks) == b"".join(whole.next(1_763_800_000_000 + n // 200) for n in range(700))
