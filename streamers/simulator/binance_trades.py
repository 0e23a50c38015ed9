"""What Binance answers over REST about trades: newest, by id, by time, and how far back it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice, takewhile

from streamers.simulator.binance_parameters import Query, Refused, integer, limit_of, symbol_of
from streamers.simulator.binance_texts import array_of, truth
from streamers.simulator.figures import truncated
from streamers.simulator.listing import BINANCE_SPOT
from streamers.simulator.source import Source
from streamers.simulator.tape import FOREVER, Print

HOUR_MS = 60 * 60_000
DEFAULT_REACH_HOURS = 24.0


class BinanceTrades:
    """Answers from one market's tape."""

    def __init__(self, source: Source, reach_hours: float = DEFAULT_REACH_HOURS) -> None:
        self.source = source
        self.spot = source.exchange == BINANCE_SPOT
        self.reach_seconds = reach_hours * 3600
        """How far back USD-M serves aggregates; spot knows no such limit."""
        self.beyond_reach = 0
        """Answers that lack rows because they were too old."""

    def aggregates(self, query: Query) -> str:
        symbol, limit = self._symbol(query), limit_of(query, 500, 1000)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        if start is not None and end is not None and end - start >= HOUR_MS and not self.spot:
            raise Refused(-1127, "More than 1 hours between startTime and endTime.")
        prints = self._page(symbol, "aggregate_trade", limit, integer(query, "fromId"), start, end)
        if not self.spot:
            prints = self._within_reach(prints)
        best = ',"M":true' if self.spot else ""
        net = "" if self.spot else ',"nq":"{}"'
        return array_of(
            f'{{"a":{one.sequence},"p":"{one.price}","q":"{one.quantity}"{net.format(one.quantity)},"f":{one.first_id},'
            f'"l":{one.last_id},"T":{one.time},"m":{truth(not one.buy)}{best}}}'
            for one in prints
        )

    def trades(self, query: Query) -> str:
        symbol, limit = self._symbol(query), limit_of(query, 500, 1000)
        return self._trade_rows(self._page(symbol, "trade", limit, None, None, None))

    def historical_trades(self, query: Query) -> str:
        symbol = self._symbol(query)
        limit = limit_of(query, 500, 1000) if self.spot else limit_of(query, 100, 500)
        return self._trade_rows(self._page(symbol, "trade", limit, integer(query, "fromId"), None, None))

    def _trade_rows(self, prints: Sequence[Print]) -> str:
        best = ',"isBestMatch":true' if self.spot else ',"isRPITrade":false'
        return array_of(
            f'{{"id":{one.sequence},"price":"{one.price}","qty":"{one.quantity}",'
            f'"quoteQty":"{turnover(one, spot=self.spot)}",'
            f'"time":{one.time},"isBuyerMaker":{truth(not one.buy)}{best}}}'
            for one in prints
        )

    def _page(
        self, symbol: str, channel: str, limit: int, from_id: int | None, start: int | None, end: int | None
    ) -> list[Print]:
        log = self.source.tape.log(symbol, channel)
        if from_id is not None:
            return list(islice(log.ascending(from_id), limit))
        until = FOREVER if end is None else end
        if start is None:
            return list(islice(log.descending(time=until), limit))[::-1]
        found: Iterator[Print] = takewhile(lambda one: one.time <= until, log.ascending(time=start))
        return list(islice(found, limit))

    def _within_reach(self, prints: list[Print]) -> list[Print]:
        """What is older is left out without a word."""
        horizon = self.source.shown // 1000 - round(self.reach_seconds * 1000)
        if not prints or prints[0].time >= horizon:
            return prints
        self.beyond_reach += 1
        return [one for one in prints if one.time >= horizon]

    def _symbol(self, query: Query) -> str:
        return symbol_of(query, self.source.instruments())


def turnover(one: Print, *, spot: bool) -> str:
    """Price times quantity, as the product writes it."""
    value = truncated(Decimal(one.price) * Decimal(one.quantity))
    return f"{value:f}" if spot else f"{value.normalize():f}"
