"""A loopback exchange that is never the bottleneck: just enough of Binance USD-M, frames encoded beforehand.

``python -m benchmarks.exchange``. WebSocket, REST and control on one port, written in the run file. A
subscriber to aggregate trades gets one trade of each symbol at once; all else is ordered by control:

- ``POST /control/prepare?frames=N`` encodes N frames,
- ``POST /control/burst`` writes them as fast as the subscriber reads,
- ``POST /control/pace?rate=R&frames=N`` writes N frames at R a second, made as they are due,
- ``GET /control/state`` says what was sent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections import deque
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop

from benchmarks.frames import SYMBOLS, Tape, frame, price_of, quantity_of, stream_name
from trade_platform.adapters.process import RunFile, die_with_parent, stop_event
from trade_platform.settings import settings_from

ACCEPT_KEY: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LOOPBACK: Final = "127.0.0.1"
WRITE_AHEAD: Final = 1024 * 1024
TICK_SECONDS: Final = 0.001
TEXT, CLOSE, PING = 1, 8, 9


class Exchange:
    """What all connections share."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.prepared: deque[bytes] = deque()
        self.connections: set[Connection] = set()
        self.sending = False
        self.began = 0.0
        """Monotonic: when the last burst or pace began."""
        self.unknown: set[str] = set()

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """REST and control: status and body."""
        match path:
            case "/control/prepare":
                self.prepared.extend(self.tape.chunks(int(query["frames"]), time.time_ns() // 1_000_000))
            case "/control/burst":
                self.subscriber().burst()
            case "/control/pace":
                self.subscriber().pace(float(query["rate"]), int(query["frames"]))
            case "/control/state":
                pass
            case "/fapi/v1/exchangeInfo":
                return 200, {
                    "timezone": "UTC",
                    "rateLimits": [],
                    "symbols": [_listing(one) for one in SYMBOLS],
                }
            case "/fapi/v1/aggTrades":
                return 200, self._trades(query)
            case "/fapi/v1/time":
                return 200, {"serverTime": time.time_ns() // 1_000_000}
            case "/fapi/v1/ping":
                return 200, {}
            case _:
                self.unknown.add(path)
                return 404, {"code": -5000, "msg": f"Path {path} is invalid"}
        return 200, {
            "sending": self.sending,
            "began": self.began,
            "last": self.tape.last,
            "taken": self.tape.taken,
            "subscribers": len([one for one in self.connections if one.wants_all]),
            "unknown": sorted(self.unknown),
        }

    def subscriber(self) -> Connection:
        """The connection that takes the trades."""
        (only,) = (one for one in self.connections if one.wants_all)
        return only

    def _trades(self, query: dict[str, str]) -> list[dict[str, object]]:
        last = self.tape.last[query["symbol"]]
        first = int(query.get("fromId", last))
        sequences = range(first, min(last, first + int(query.get("limit", "500")) - 1) + 1)
        now = time.time_ns() // 1_000_000
        return [
            {"a": a, "p": price_of(a), "q": quantity_of(a), "f": a, "l": a, "T": now, "m": a % 2 == 1}
            for a in sequences
        ]


class Connection(asyncio.Protocol):
    """HTTP until it is asked to be a WebSocket."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._received = bytearray()
        self._upgraded = False
        self._paused = False
        self._chunks: deque[bytes] = deque()
        self._streams: list[str] = []

    @property
    def wants_all(self) -> bool:
        return {stream_name(symbol) for symbol in SYMBOLS} <= set(self._streams)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_AHEAD)
        self._exchange.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._exchange.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._take_frame() if self._upgraded else self._take_request():
            pass

    # --- HTTP ---

    def _take_request(self) -> bool:
        head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            return False
        self._received[:] = rest  # requests have no body here
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        target = urlsplit(line.split(" ")[1])
        if headers.get("upgrade", "").lower() == "websocket":
            self._upgrade(headers["sec-websocket-key"])
            return True
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        status, body = self._exchange.answer(target.path, query)
        content = json.dumps(body).encode()
        self._transport.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        return True

    def _upgrade(self, key: str) -> None:
        self._upgraded = True
        accept = base64.b64encode(hashlib.sha1(key.encode() + ACCEPT_KEY).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    # --- WebSocket ---

    def _take_frame(self) -> bool:
        """One frame of the client's, which are masked and short."""
        data = self._received
        if len(data) < 2:
            return False
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + 4 + length:
            return False
        mask, masked = data[start : start + 4], data[start + 4 : start + 4 + length]
        opcode = data[0] & 0x0F
        del data[: start + 4 + length]
        self._handle(opcode, bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked)))
        return True

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._converse(msgspec.json.decode(payload))
        elif opcode == PING:
            self._transport.write(frame(payload, b"\x8a"))
        elif opcode == CLOSE:
            self._transport.write(frame(payload, b"\x88"))
            self._transport.close()

    def _converse(self, request: dict[str, Any]) -> None:
        named: list[str] = request.get("params", [])
        before = self.wants_all
        match request["method"]:
            case "SUBSCRIBE":
                self._streams += [name for name in named if name not in self._streams]
            case "UNSUBSCRIBE":
                self._streams = [name for name in self._streams if name not in named]
        result = self._streams if request["method"] == "LIST_SUBSCRIPTIONS" else None
        self._transport.write(frame(msgspec.json.encode({"result": result, "id": request["id"]})))
        if self.wants_all and not before:
            tape, now = self._exchange.tape, time.time_ns() // 1_000_000
            self._transport.write(b"".join(tape.next_of(symbol, now) for symbol in SYMBOLS))

    # --- trades ---

    def burst(self) -> None:
        """Write what is prepared, as fast as it is read."""
        self._chunks, self._exchange.prepared = self._exchange.prepared, deque()
        self._exchange.sending = True
        self._exchange.began = time.monotonic()
        self._pump()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def _pump(self) -> None:
        while self._chunks and not self._paused:
            self._transport.write(self._chunks.popleft())
        self._exchange.sending = bool(self._chunks)

    def pace(self, rate: float, count: int) -> None:
        """Write ``count`` trades, each as it is due."""
        exchange, loop = self._exchange, asyncio.get_running_loop()
        exchange.sending, exchange.began = True, time.monotonic()
        tape, sent = exchange.tape, 0

        def tick() -> None:
            nonlocal sent
            due = min(int((time.monotonic() - exchange.began) * rate), count)
            now = time.time_ns() // 1_000_000
            self._transport.write(b"".join(tape.next(now) for _ in range(sent, due)))
            sent = due
            if sent < count:
                loop.call_later(TICK_SECONDS, tick)
            else:
                exchange.sending = False

        tick()


def _listing(symbol: str) -> dict[str, object]:
    return {
        "symbol": symbol, "pair": symbol, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }  # fmt: skip


async def listen(exchange: Exchange) -> tuple[asyncio.Server, int]:
    """Open any free port on loopback."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(exchange), LOOPBACK, 0)
    return server, server.sockets[0].getsockname()[1]


async def serve() -> None:
    """Answer until SIGTERM."""
    settings = settings_from()
    stop = stop_event()
    _, port = await listen(Exchange())
    urls = {"binance_usdm": {"websocket": f"ws://{LOOPBACK}:{port}", "rest": f"http://{LOOPBACK}:{port}"}}
    with RunFile(settings.data_folder, settings.process_name or "exchange", urls=urls):
        await stop.wait()


if __name__ == "__main__":
    die_with_parent(int(os.environ.get("PARENT_PID", "0")))
    uvloop.run(serve())
