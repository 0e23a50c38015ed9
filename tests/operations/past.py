"""A market with days behind it: Binance's REST side on loopback, its archive in a folder, processors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from redis import Redis

from tests.adapters.published import publish
from tests.operations.spot import FixedClock
from tests.processors.feeding import NOON
from trade_platform.adapters.archive import ArchiveFolder
from trade_platform.adapters.archive_source import ArchiveSource
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import EPOCH, day_of
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE, Channel
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.session import Request
from trade_platform.operations.desk import Desk, Reach
from trade_platform.operations.patient_reading import Target

TODAY = day_of(NOON)
HOUR = 60 * MINUTE
PACE = 433 * MICROSECONDS
"""Between two trades: some 200 a day."""
SYMBOL = "BTCUSDT"


class Printed(msgspec.Struct, frozen=True):
    """One raw trade."""

    number: int
    time: int

    @property
    def price(self) -> Decimal:
        return Decimal(1000 + self.number * 7 % 101) / 10

    @property
    def quantity(self) -> Decimal:
        return Decimal(1 + self.number % 5) / 4

    @property
    def maker(self) -> bool:
        return self.number % 3 == 0

    @property
    def milliseconds(self) -> int:
        return self.time // 1000


class Past:
    """Trades of one symbol from the first of some days until now."""

    def __init__(
        self, *, days: int = 5, today: date = TODAY, first: int = 1, until: int | None = None
    ) -> None:
        """``days``: how many lie behind today. ``first``: number of the first trade."""
        self.today = today
        begin = (today - timedelta(days=days) - EPOCH.date()).days * DAY + 100 * MICROSECONDS
        end = NOON + 110 * MINUTE if until is None else until
        times = range(begin, end, PACE)
        self.trades = [Printed(first + n, time) for n, time in enumerate(times)]
        self.group = 1
        """Raw trades in an aggregate."""
        self.timed_by = -1
        """Which of them gives it its time: the last (-1) or the first (0)."""
        self.page = 1000
        """Rows that an answer has at most."""
        self.left_out: set[int] = set()
        self.reach: int | None = None
        """Before this time (microseconds) REST tells no trades."""
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.before_answer: Callable[[dict[str, str]], None] = lambda _: None
        self.url = ""

    def day(self, offset: int) -> date:
        """``-1``: yesterday."""
        return self.today + timedelta(days=offset)

    def of(self, *days: date) -> list[int]:
        """Numbers of the trades of these days."""
        return [one.number for one in self.trades if day_of(one.time) in days]

    def silence(self, day: date) -> None:
        """Nobody trades on this day; numbers stay contiguous."""
        kept = [one for one in self.trades if day_of(one.time) != day]
        self.trades = [Printed(self.trades[0].number + n, one.time) for n, one in enumerate(kept)]

    def questions(self, *names: str) -> list[dict[str, str]]:
        """What was asked of these endpoints."""
        return [one for one in self.asked if one["path"].rpartition("/")[2] in names]

    def klines(self, start: int, end: int) -> Iterator[list[Any]]:
        """Rows of minutes with an opening in [start, end]; one without trades repeats the price."""
        inside: dict[int, list[Printed]] = {}
        for one in self.trades:
            inside.setdefault(one.time // MINUTE * MINUTE, []).append(one)
        begin = self.trades[0].time // MINUTE * MINUTE
        for opening in range(max(-(-start // MINUTE) * MINUTE, begin), end + 1, MINUTE):
            yield self._kline(opening, inside.get(opening, []))

    def _kline(self, opening: int, own: list[Printed]) -> list[Any]:
        before = next(one.price for one in reversed(self.trades) if one.time < opening + MINUTE)
        prices = [one.price for one in own] or [before]
        four = [prices[0], max(prices), min(prices), prices[-1]]
        taken = [one for one in own if not one.maker]
        sums = [
            sum((one.quantity for one in own), Decimal()),
            sum((one.quantity * one.price for one in own), Decimal()),
            sum((one.quantity for one in taken), Decimal()),
            sum((one.quantity * one.price for one in taken), Decimal()),
        ]
        volume, quote, taker, taker_quote = map(str, sums)
        ms = opening // 1000
        return [ms, *map(str, four), volume, ms + 59_999, quote, len(own), taker, taker_quote, "0"]

    # --- REST ---

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        for prefix in ("/api/v3", "/fapi/v1"):
            app.router.add_get(f"{prefix}/historicalTrades", self._historical)
            app.router.add_get(f"{prefix}/trades", self._newest)
            app.router.add_get(f"{prefix}/aggTrades", self._aggregates)
            app.router.add_get(f"{prefix}/klines", self._minutes)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self.url
        finally:
            await runner.cleanup()

    def served(self) -> list[Printed]:
        return [
            one
            for one in self.trades
            if one.number not in self.left_out and (self.reach is None or one.time >= self.reach)
        ]

    async def _historical(self, request: web.Request) -> web.Response:
        query = self._note(request)
        rows = [one for one in self.served() if one.number >= int(query["fromId"])]
        return self._answer([raw(one) for one in rows[: min(self.page, int(query["limit"]))]])

    async def _newest(self, request: web.Request) -> web.Response:
        query = self._note(request)
        return self._answer([raw(one) for one in self.served()[-int(query["limit"]) :]])

    async def _aggregates(self, request: web.Request) -> web.Response:
        """With a group of one an aggregate has the number of its raw trade."""
        query, served = self._note(request), self.served()
        groups = [served[n : n + self.group] for n in range(0, len(served), self.group)]
        rows = [aggregate(group, self.timed_by) for group in groups]
        if "fromId" in query:
            rows = [row for row in rows if int(str(row["a"])) >= int(query["fromId"])]
        elif "startTime" in query:
            low, high = int(query["startTime"]), int(query["endTime"])
            if request.path.startswith("/fapi") and high - low >= 3_600_000:
                return web.Response(status=400, text='{"code":-1127,"msg":"More than 1 hours."}')
            rows = [row for row in rows if low <= int(str(row["T"])) <= high]
        else:
            rows = rows[-int(query["limit"]) :]
        return self._answer(rows[: int(query["limit"])])

    async def _minutes(self, request: web.Request) -> web.Response:
        query = self._note(request)
        rows = self.klines(int(query["startTime"]) * 1000, int(query["endTime"]) * 1000)
        return self._answer([row for row, _ in zip(rows, range(int(query["limit"])), strict=False)])

    def _note(self, request: web.Request) -> dict[str, str]:
        query = {"path": request.path, **request.query}
        self.asked.append(query)
        self.before_answer(query)
        return query

    def _answer(self, rows: Sequence[object]) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status, text="away")
        return web.json_response(list(rows))

    # --- the archive ---

    def publish(self, folder: Path, *days: date, root: str = "data/spot", kind: str = "trades") -> None:
        for day in days:
            path = f"{root}/daily/{kind}/{SYMBOL}/{SYMBOL}-{kind}-{day}.zip"
            own = [one for one in self.trades if day_of(one.time) == day and one.number not in self.left_out]
            publish(folder, path, [line(one) if kind == "trades" else aggregate_line(one) for one in own])


def raw(one: Printed) -> dict[str, object]:
    price, quantity = str(one.price), str(one.quantity)
    return {
        "id": one.number,
        "price": price,
        "qty": quantity,
        "time": one.milliseconds,
        "isBuyerMaker": one.maker,
    }


def aggregate(group: Sequence[Printed], timed_by: int = -1) -> dict[str, object]:
    first, last = group[0], group[-1]
    return {
        "a": first.number,
        "p": str(first.price),
        "q": str(first.quantity),
        "f": first.number,
        "l": last.number,
        "T": group[timed_by].milliseconds,
        "m": first.maker,
    }


def line(one: Printed) -> str:
    return f"{one.number},{one.price},{one.quantity},0,{one.time},{one.maker},True"


def aggregate_line(one: Printed) -> str:
    return (
        f"{one.number},{one.price},{one.quantity},{one.number},{one.number},{one.milliseconds},"
        f"{str(one.maker).lower()}"
    )


@asynccontextmanager
async def desk_of(
    connection: Connection, redis_url: str, past: Past, *, archive: Path | None = None, **options: Any
) -> AsyncIterator[Desk]:
    """A desk whose Binance, spot and USD-M, is this market."""
    clock: Clock = options.setdefault("clock", FixedClock())
    options.setdefault("recorded", lambda _exchange, _symbol, channel: channel is Channel.TRADE)
    reaches = {}
    async with aiohttp.ClientSession() as http:
        for exchange in (BinanceSpot(), BinanceUsdm()):

            async def fetch(request: Request, error_of: Any = exchange.error_of) -> bytes:
                query = {name: str(value) for name, value in request.query.items()}
                try:
                    async with http.get(past.url + request.path, params=query) as answer:
                        body = await answer.read()
                except aiohttp.ClientError as error:
                    raise RestUnavailable(f"Binance gave no answer ({type(error).__name__}).") from error
                if refusal := error_of(answer.status, body):
                    raise refusal
                return body

            assert exchange.archive is not None
            source = archive and ArchiveSource(exchange.archive, ArchiveFolder(archive), clock)
            reaches[exchange.key] = Reach(exchange, fetch, source or None)
        bus = Redis.from_url(redis_url)
        try:
            yield Desk(connection, bus, reaches, **options)
        finally:
            bus.close()


def target_of(connection: Connection, exchange: str = "binance_spot") -> Target:
    """The symbol, made known as an exchange's list makes it."""
    row = connection.execute(
        "INSERT INTO instrument (exchange, symbol) VALUES (%s, %s) "
        "ON CONFLICT (exchange, symbol) DO UPDATE SET symbol = excluded.symbol RETURNING instrument_id",
        (exchange, SYMBOL),
    ).fetchone()
    assert row is not None
    channel = Channel.TRADE if exchange == "binance_spot" else Channel.AGGREGATE_TRADE
    return Target(row[0], exchange, SYMBOL, channel)


def stored_minutes(connection: Connection, day: date, source: str = "trade") -> list[tuple[Any, ...]]:
    """(opening in ms, open, high, low, close, volume, quote volume, trades, taker's) of complete ones."""
    rows = connection.execute(
        "SELECT (extract(epoch FROM open_time) * 1000)::bigint, open, high, low, close, volume, "
        "quote_volume, trades, taker_buy_volume, taker_buy_quote_volume FROM candle "
        "WHERE interval = '1m' AND source = %s AND complete AND open_time >= %s AND open_time < %s "
        "ORDER BY 1",
        (source, day, day + timedelta(days=1)),
    )
    return rows.fetchall()


def told_minutes(past: Past, day: date) -> list[tuple[Any, ...]]:
    """The same of the exchange's own."""
    start = (day - EPOCH.date()).days * DAY
    return [
        (row[0], *map(Decimal, row[1:6]), Decimal(row[7]), row[8], Decimal(row[9]), Decimal(row[10]))
        for row in past.klines(start, start + DAY - MINUTE)
    ]
