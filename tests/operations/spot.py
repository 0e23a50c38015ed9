"""A small Binance spot for repairs: its REST side on loopback, and a processor that stores what is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.processors.feeding import EXCHANGE, NOON, STREAM, entry, kline, trade, until
from trade_platform.adapters.bus import STATE_STREAM, stream_of
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.sources import TradeSource
from trade_platform.domain.model import MICROSECONDS, MINUTE, Candle, Channel, Gap, GapReason, Record, Trade
from trade_platform.exchanges.binance import BinanceSpot
from trade_platform.exchanges.session import Request
from trade_platform.operations.desk import Desk, Reach
from trade_platform.processors.engine import Engine
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan

SECOND = MICROSECONDS


class Market:
    """What the exchange printed, one trade a market second, and how its REST side behaves."""

    def __init__(self) -> None:
        self.trades: dict[str, list[int]] = {}
        """Symbol → numbers that REST tells."""
        self.minutes: dict[str, list[int]] = {}
        """Symbol → openings of the candles that REST tells."""
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.refusal = '{"code":-1121,"msg":"Invalid symbol."}'
        self.before_answer: Callable[[], None] = lambda: None
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/api/v3/historicalTrades", self._historical)
        app.router.add_get("/api/v3/trades", self._newest)
        app.router.add_get("/api/v3/klines", self._klines)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self.url
        finally:
            await runner.cleanup()

    async def _historical(self, request: web.Request) -> web.Response:
        query = self._note(request)
        first, limit = int(query["fromId"]), int(query["limit"])
        rows = [n for n in self.trades.get(query["symbol"], []) if n >= first][:limit]
        return self._answer([row(n) for n in rows])

    async def _newest(self, request: web.Request) -> web.Response:
        query = self._note(request)
        return self._answer([row(n) for n in self.trades.get(query["symbol"], [])[-1:]])

    async def _klines(self, request: web.Request) -> web.Response:
        query = self._note(request)
        low, high = int(query["startTime"]) * 1000, int(query["endTime"]) * 1000
        found = [m for m in self.minutes.get(query["symbol"], []) if low <= m <= high]
        return self._answer([kline_row(m) for m in found[: int(query["limit"])]])

    def _note(self, request: web.Request) -> dict[str, str]:
        self.asked.append({"path": request.path, **request.query})
        self.before_answer()
        return dict(request.query)

    def _answer(self, rows: Sequence[object]) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status, text=self.refusal)
        return web.json_response(rows)


def at(sequence: int) -> int:
    """When the trade with this number was printed."""
    return NOON + sequence * SECOND


def print_of(sequence: int, symbol: str = "BTCUSDT", **changes: Any) -> Trade:
    """As a streamer sends it."""
    price = Decimal("100.5") + sequence % 7
    return trade(sequence, at(sequence), symbol=symbol, price=price, **changes)


def row(sequence: int) -> dict[str, object]:
    """As REST tells it."""
    return {
        "id": sequence,
        "price": str(Decimal("100.5") + sequence % 7),
        "qty": "0.25",
        "time": at(sequence) // 1000,
        "isBuyerMaker": False,
    }


def kline_row(opening: int) -> list[object]:
    one = kline(opening)
    milliseconds = opening // 1000
    prices = [str(value) for value in (one.open, one.high, one.low, one.close, one.volume)]
    ends = [milliseconds + 59_999, str(one.quote_volume), 1, str(one.volume), str(one.quote_volume), "0"]
    return [milliseconds, *prices, *ends]


class Producer:
    """Puts records on the bus as a streamer would."""

    def __init__(self, redis_url: str, name: str = "streamer:1") -> None:
        self.client = Redis.from_url(redis_url)
        self._name = name
        self._n: dict[str, int] = {}

    def send(self, *records: Record) -> None:
        kind = "gap" if isinstance(records[0], Gap) else "trade"
        stream = stream_of(EXCHANGE, kind)
        self._n[stream] = self._n.get(stream, 0) + 1
        one = entry(list(records), self._n[stream], producer=self._name)
        self.client.xadd(stream, one.fields())  # type: ignore[arg-type]

    def trades(self, numbers: Sequence[int], symbol: str = "BTCUSDT") -> None:
        for start in range(0, len(numbers), 1000):
            self.send(*(print_of(n, symbol) for n in numbers[start : start + 1000]))

    def candles(self, *openings: int, symbol: str = "BTCUSDT") -> None:
        self._n[STREAM] = self._n.get(STREAM, 0) + 1
        made: list[Candle] = [kline(opening, symbol=symbol) for opening in openings]
        self.client.xadd(STREAM, entry(made, self._n[STREAM], producer=self._name).fields())  # type: ignore[arg-type]


@contextmanager
def processing(database_url: str, redis_url: str, *streams: str) -> Iterator[None]:
    """Processors of the market's stream and of events, in threads of this process."""
    engines = []
    for stream in streams or (STREAM, STATE_STREAM):
        plan = Plan(stream=stream, database_url=database_url, redis_url=redis_url, process_name="processor")
        engines.append(Engine(plan, WallClock(), Meters(stream, CollectorRegistry()), lambda: None))
    threads = [threading.Thread(target=engine.run) for engine in engines]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for engine in engines:
            engine.stopping.set()
        for thread in threads:
            thread.join(30)


class FixedClock(WallClock):
    """The market stands still, two hours after noon, unless a test moves it."""

    def __init__(self) -> None:
        self.now = NOON + 120 * MINUTE

    def market(self) -> int:
        return self.now


def noted(first: int, last: int, symbol: str = "BTCUSDT", reason: GapReason = GapReason.SEQUENCE) -> Gap:
    """A hole in numbers, as a streamer notes it."""
    return Gap(symbol, Channel.TRADE, reason, first, last, at(first - 1), at(last + 1), "market-0")


def broken(channel: Channel | None, first: int, last: int) -> Gap:
    """A break of a connection between two trades."""
    since, until_ = at(first) - SECOND // 2, at(last) + SECOND // 2
    return Gap(None, channel, GapReason.DISCONNECT, None, None, since, until_, "market-0: closed")


@asynccontextmanager
async def desk_of(
    connection: Connection,
    redis_url: str,
    market: Market,
    *,
    archive: TradeSource | None = None,
    **options: Any,
) -> AsyncIterator[Desk]:
    """A desk whose only exchange is this market."""
    exchange = BinanceSpot()
    async with aiohttp.ClientSession() as http:

        async def fetch(request: Request) -> bytes:
            query = {name: str(value) for name, value in request.query.items()}
            try:
                async with http.get(market.url + request.path, params=query) as answer:
                    body = await answer.read()
            except aiohttp.ClientError as error:
                raise RestUnavailable(f"binance_spot gave no answer ({type(error).__name__}).") from error
            if refusal := exchange.error_of(answer.status, body):
                raise refusal
            return body

        bus = Redis.from_url(redis_url)
        reach = Reach(exchange, fetch, archive)
        options.setdefault("clock", FixedClock())
        try:
            yield Desk(connection, bus, {EXCHANGE: reach}, **options)
        finally:
            bus.close()


def numbers_of(connection: Connection, symbol: str = "BTCUSDT") -> list[int]:
    """What the table holds."""
    rows = connection.execute(
        "SELECT sequence FROM trade JOIN instrument USING (instrument_id) WHERE symbol = %s ORDER BY 1",
        (symbol,),
    )
    return [number for (number,) in rows]


def ledger_of(connection: Connection) -> list[tuple[Any, ...]]:
    """(symbol, channel, first, last, state, by, verdict) in the order of their making."""
    return connection.execute(
        "SELECT symbol, channel, first_sequence, last_sequence, state, repaired_by, verdict FROM gap "
        "ORDER BY gap_id"
    ).fetchall()


async def stored(connection: Connection, numbers: int, gaps: int = 0) -> None:
    """Wait until so many trades and gaps are in the tables."""

    def enough() -> bool:
        row_ = connection.execute(
            "SELECT (SELECT count(*) FROM trade), (SELECT count(*) FROM gap)"
        ).fetchone()
        return row_ is not None and row_[0] >= numbers and row_[1] >= gaps

    await asyncio.to_thread(until, enough, f"{numbers} trades and {gaps} gaps are stored")
