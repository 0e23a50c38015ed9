"""Binance's REST as far as public market data goes: paths, weights, limits, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

from streamers.simulator.binance_answers import BinanceAnswers
from streamers.simulator.binance_parameters import Query, Refused, limit_of
from streamers.simulator.binance_trades import DEFAULT_REACH_HOURS, BinanceTrades
from streamers.simulator.limits import Verdict, WeightWindow
from streamers.simulator.listing import BINANCE_SPOT
from streamers.simulator.rest import Answer
from streamers.simulator.source import Source

Route: TypeAlias = tuple[Callable[[Query], int], Callable[[Query], str]]
"""What a request weighs, and who answers it."""


class BinanceRest:
    """One exchange's REST."""

    def __init__(self, source: Source, reach_hours: float = DEFAULT_REACH_HOURS) -> None:
        self.source = source
        self.spot = source.exchange == BINANCE_SPOT
        self.window = WeightWindow(6000 if self.spot else 2400)
        self.answers = BinanceAnswers(source, self.window.limit)
        self.trades = BinanceTrades(source, reach_hours)
        self.maintenance = False
        prefix = "/api/v3/" if self.spot else "/fapi/v1/"
        self.routes: dict[str, Route] = {prefix + name: route for name, route in self._routes().items()}
        if self.spot:
            self.routes["/sapi/v1/system/status"] = (lambda _: 1, self._system_status)

    def handle(self, method: str, path: str, query: Query, now: float) -> Answer:
        """Answer one request; ``now`` in real seconds."""
        if self.maintenance and path != "/sapi/v1/system/status":
            return Answer(503, _error(-1016, "This service is no longer available."))
        route = self.routes.get(path)
        if route is None:
            return Answer(404, _error(-1020, f"{path} is not simulated."))
        if method != "GET":
            return Answer(405, _error(-1020, f"Request method '{method}' is not supported."))
        weight, handler = route
        return weighed(self.window, lambda: weight(query), lambda: handler(query), self.source.shown, now)

    def _routes(self) -> dict[str, Route]:
        spot = self.spot

        def cost(in_spot: int, in_usdm: int) -> Callable[[Query], int]:
            return lambda _: in_spot if spot else in_usdm

        def by_symbol(one: int, all_of_them: int) -> Callable[[Query], int]:
            return lambda query: one if "symbol" in query else all_of_them

        routes: dict[str, Route] = {
            "ping": (cost(1, 1), lambda _: "{}"),
            "time": (cost(1, 1), lambda _: f'{{"serverTime":{self.source.shown // 1000}}}'),
            "exchangeInfo": (cost(20, 1), self.answers.exchange_info),
            "aggTrades": (cost(4, 20), self.trades.aggregates),
            "trades": (cost(25, 5), self.trades.trades),
            "historicalTrades": (cost(25, 200), self.trades.historical_trades),
            "klines": (self._klines_weight, self.answers.klines),
            "depth": (self._depth_weight, self.answers.depth),
            "ticker/bookTicker": (by_symbol(2, 4 if spot else 5), self.answers.book_ticker),
            "ticker/24hr": (by_symbol(2 if spot else 1, 80 if spot else 40), self.answers.day_ticker),
            "ticker/price": (by_symbol(2 if spot else 1, 4 if spot else 2), self.answers.price),
        }
        if not spot:
            routes |= {
                "openInterest": (cost(1, 1), self.answers.open_interest),
                "premiumIndex": (by_symbol(1, 10), self.answers.premium_index),
                "fundingRate": (cost(0, 0), self.answers.funding_rate),
                "fundingInfo": (cost(0, 0), lambda _: "[]"),
            }
        return routes

    def _system_status(self, _query: Query) -> str:
        down = self.maintenance
        return f'{{"status":{int(down)},"msg":"{"system_maintenance" if down else "normal"}"}}'

    def _depth_weight(self, query: Query) -> int:
        limit = limit_of(query, 100 if self.spot else 500, 5000 if self.spot else 1000)
        steps = (
            ((100, 5), (500, 25), (1000, 50), (5000, 250))
            if self.spot
            else ((50, 2), (100, 5), (500, 10), (1000, 20))
        )
        return next(weight for most, weight in steps if limit <= most)

    def _klines_weight(self, query: Query) -> int:
        if self.spot:
            return 2
        limit = limit_of(query, 500, 1500)
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def weighed(
    window: WeightWindow, weight: Callable[[], int], handler: Callable[[], str], shown: int, now: float
) -> Answer:
    """Answer, if the weight of this minute allows it; ``shown`` is its time in microseconds UTC."""
    try:
        verdict = window.spend(weight(), now)
    except Refused as refused:
        return Answer(refused.status, _error(refused.code, str(refused)))
    headers = {"X-MBX-USED-WEIGHT-1M": str(verdict.used), "X-MBX-USED-WEIGHT": str(verdict.used)}
    if verdict.status != 200:
        headers["Retry-After"] = str(verdict.retry_after)
        return Answer(verdict.status, _error(-1003, too_much(window, verdict, shown)), headers)
    try:
        return Answer(200, handler(), headers)
    except Refused as refused:
        return Answer(refused.status, _error(refused.code, str(refused)), headers)


def too_much(window: WeightWindow, verdict: Verdict, shown: int) -> str:
    """What a limit says that was broken."""
    if verdict.status == 429:
        limit = f"current limit is {window.limit} request weight per 1 MINUTE."
        return f"Too much request weight used; {limit}"
    until = shown // 1000 + verdict.retry_after * 1000
    return f"Way too much request weight used; IP banned until {until}."


def _error(code: int, message: str) -> str:
    return json.dumps({"code": code, "msg": message}, ensure_ascii=False)
