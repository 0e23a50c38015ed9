"""What Binance answers over REST about its public market: candles, quotes, tickers and instruments."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from streamers.simulator.binance_parameters import Query, Refused, integer, limit_of, required, symbol_of
from streamers.simulator.binance_texts import array_of
from streamers.simulator.candles import roll_up
from streamers.simulator.figures import padded
from streamers.simulator.listing import BINANCE_SPOT
from streamers.simulator.source import Source
from streamers.simulator.statistics import day_of
from streamers.simulator.tape import Row

MINUTE_MS = 60_000
INTERVALS = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
}
HOUR_MS = 60 * MINUTE_MS


class BinanceAnswers:
    """Answers from one market."""

    def __init__(self, source: Source, weight_limit: int) -> None:
        self.source = source
        self.spot = source.exchange == BINANCE_SPOT
        self._weight_limit = weight_limit

    def exchange_info(self, query: Query) -> str:
        known = self.source.instruments()
        wanted = list(known)
        if "symbol" in query:
            wanted = [self._symbol(query)]
        elif "symbols" in query:
            wanted = json.loads(query["symbols"])
            if any(symbol not in known for symbol in wanted):
                raise Refused(-1121, "Invalid symbol.")
        limits = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._weight_limit,
            }
        ]
        if self.spot:
            limits.append(
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000}
            )
        head: dict[str, Any] = {"timezone": "UTC", "serverTime": self.source.shown // 1000}
        if not self.spot:
            assets = sorted({str(known[symbol].get("marginAsset", "USDT")) for symbol in wanted})
            head |= {
                "futuresType": "U_MARGINED",
                "assets": [{"asset": one, "marginAvailable": True} for one in assets],
            }
        body = {
            **head,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [known[symbol] for symbol in wanted],
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    # --- candles ----------------------------------------------------------------------------------------

    def klines(self, query: Query) -> str:
        symbol, limit = self._symbol(query), limit_of(query, 500, 1000 if self.spot else 1500)
        interval = required(query, "interval")
        if interval not in INTERVALS:
            raise Refused(-1120, "Invalid interval.")
        span = INTERVALS[interval] * MINUTE_MS
        start, end = integer(query, "startTime"), integer(query, "endTime")
        rows = self._spans(symbol, span, start, end, limit)
        rows = [
            row
            for row in rows
            if (start is None or row.open_time >= start) and (end is None or row.open_time <= end)
        ]
        rows = rows[-limit:] if start is None else rows[:limit]
        return array_of(
            f'[{row.open_time},"{row.open}","{row.high}","{row.low}","{row.close}","{row.volume}",'
            f'{row.open_time + span - 1},"{row.quote_volume}",{row.trades},"{row.taker_volume}",'
            f'"{row.taker_quote_volume}","0"]'
            for row in rows
        )

    def _spans(self, symbol: str, span: int, start: int | None, end: int | None, limit: int) -> list[Row]:
        """All that is in memory, and of the past as much as the answer can hold."""
        since = 0 if start is None else start // span * span
        until = (self.source.shown // 1000 if end is None else end) + span
        most = (limit + 2) * span // MINUTE_MS
        rows = self.source.past(symbol, since, until, most, newest=start is None) + self.source.rows(symbol)
        if span == MINUTE_MS:
            return rows
        spans: dict[int, list[Row]] = {}
        for row in rows:
            spans.setdefault(row.open_time // span * span, []).append(row)
        return [roll_up(inside, open_time) for open_time, inside in spans.items()]

    # --- quotes and tickers -----------------------------------------------------------------------------

    def depth(self, query: Query) -> str:
        symbol = self._symbol(query)
        limit = limit_of(query, 100 if self.spot else 500, 5000 if self.spot else 1000)
        quote = self.source.quote(symbol)
        if quote is None:
            return '{"lastUpdateId":0,"bids":[],"asks":[]}'
        book = self.source.tell(symbol, "depth") or (
            [(quote.bid, quote.bid_quantity)],
            [(quote.ask, quote.ask_quantity)],
        )
        bids, asks = ([list(level) for level in side[:limit]] for side in book)
        times = {} if self.spot else {"E": quote.time, "T": quote.time}
        return json.dumps(
            {"lastUpdateId": quote.update, **times, "bids": bids, "asks": asks}, separators=(",", ":")
        )

    def book_ticker(self, query: Query) -> str:
        def row(symbol: str) -> str | None:
            quote = self.source.quote(symbol)
            if quote is None:
                return None
            time = "" if self.spot else f',"time":{quote.time}'
            return (
                f'{{"symbol":"{symbol}","bidPrice":"{quote.bid}","bidQty":"{quote.bid_quantity}",'
                f'"askPrice":"{quote.ask}","askQty":"{quote.ask_quantity}"{time}}}'
            )

        return self._one_or_all(query, row)

    def price(self, query: Query) -> str:
        def row(symbol: str) -> str | None:
            rows = self.source.rows(symbol)
            time = "" if self.spot else f',"time":{self.source.shown // 1000}'
            return f'{{"symbol":"{symbol}","price":"{rows[-1].close}"{time}}}' if rows else None

        return self._one_or_all(query, row)

    def day_ticker(self, query: Query) -> str:
        def row(symbol: str) -> str | None:
            rows, quote = self.source.rows(symbol), self.source.quote(symbol)
            if not rows:
                return None
            day = day_of(rows, self.source.shown // 1000)
            last = self.source.tape.log(symbol, "trade").last
            bid = (
                f'"prevClosePrice":"{day.open}","bidPrice":"{quote.bid}","bidQty":"{quote.bid_quantity}",'
                f'"askPrice":"{quote.ask}","askQty":"{quote.ask_quantity}",'
                if self.spot and quote
                else ""
            )
            last_quantity = last.quantity if last else padded("0")
            return (
                f'{{"symbol":"{symbol}","priceChange":"{day.change}","priceChangePercent":"{day.percent}",'
                f'"weightedAvgPrice":"{day.average}",{bid}"lastPrice":"{day.close}",'
                f'"lastQty":"{last_quantity}","openPrice":"{day.open}","highPrice":"{day.high}",'
                f'"lowPrice":"{day.low}","volume":"{day.volume}","quoteVolume":"{day.quote_volume}",'
                f'"openTime":{day.open_time},"closeTime":{self.source.shown // 1000},'
                f'"firstId":{day.first_id},"lastId":{day.last_id},"count":{day.trades}}}'
            )

        return self._one_or_all(query, row)

    def _one_or_all(self, query: Query, row: Callable[[str], str | None]) -> str:
        if "symbol" in query:
            return row(self._symbol(query)) or "{}"
        symbols = json.loads(query["symbols"]) if "symbols" in query else self.source.instruments()
        return array_of(text for symbol in symbols if (text := row(symbol)))

    # --- futures ----------------------------------------------------------------------------------------

    def open_interest(self, query: Query) -> str:
        symbol = self._symbol(query)
        value = self.source.tell(symbol, "open_interest") or "0"
        return f'{{"openInterest":"{value}","symbol":"{symbol}","time":{self.source.shown // 1000}}}'

    def premium_index(self, query: Query) -> str:
        def row(symbol: str) -> str | None:
            found = self.source.tell(symbol, "mark")
            if found is None:
                return None
            mark, index, rate, funding_time = found
            return (
                f'{{"symbol":"{symbol}","markPrice":"{mark}","indexPrice":"{index}","estimatedSettlePrice":"{index}",'
                f'"lastFundingRate":"{rate}","interestRate":"0.00010000","nextFundingTime":{funding_time},'
                f'"time":{self.source.shown // 1000}}}'
            )

        return self._one_or_all(query, row)

    def funding_rate(self, query: Query) -> str:
        symbol = self._symbol(query)
        found = self.source.tell(symbol, "mark")
        if found is None or not found[3]:
            return "[]"
        period, limit = 8 * HOUR_MS, limit_of(query, 100, 1000)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        last = min(found[3] - period, end if end is not None else found[3])
        times = [last // period * period - place * period for place in range(200)]
        times = sorted(time for time in times if start is None or time >= start)
        times = times[-limit:] if start is None else times[:limit]
        return array_of(
            f'{{"symbol":"{symbol}","fundingRate":"0.00010000","fundingTime":{time},"markPrice":"{found[0]}",'
            f'"rateType":"Regular"}}'
            for time in times
        )

    # --- inside -----------------------------------------------------------------------------------------

    def _symbol(self, query: Query) -> str:
        return symbol_of(query, self.source.instruments())
