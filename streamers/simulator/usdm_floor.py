"""What Binance USD-M says of its market: aggregates per 100 ms, mark prices, funding, liquidations."""

from __future__ import annotations

from functools import partial
from typing import Any

from streamers.simulator import binance_texts as texts
from streamers.simulator.candles import Minute
from streamers.simulator.figures import fixed
from streamers.simulator.listing import MILLISECOND, MINUTE, SECOND
from streamers.simulator.market import Order, Pit
from streamers.simulator.spot_floor import SpotFloor
from streamers.simulator.tape import Print, Row

FUNDING_PERIOD = 8 * 60 * MINUTE
WINDOW_MS = 100


class UsdmFloor(SpotFloor):
    """Raw ids have holes here, aggregate ids have none; candles every 250 ms."""

    channels = ("aggregate_trade", "trade")
    candle_period = 250 * MILLISECOND
    ticker_period = 2 * SECOND
    ticker_quotes = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open_runs: dict[str, Print] = {}
        self._liquidated: dict[str, int] = {}

    # --- how it is said ---------------------------------------------------------------------------------

    def figure(self, value: int, decimals: int) -> str:
        return fixed(value, decimals)

    def row(self, pit: Pit, minute: Minute) -> Row:
        return minute.binance_row(pit.listing)

    def trade_text(self, symbol: str, one: Print) -> str:
        return texts.usdm_trade(symbol, one)

    def aggregate_text(self, symbol: str, one: Print, event_time: int) -> str:
        return texts.usdm_aggregate(symbol, one, event_time)

    def said_quote(self, pit: Pit, time: int) -> None:
        symbol = pit.listing.symbol
        stream = f"{symbol.lower()}@bookTicker"
        if self.hub.wanted(stream):
            self.hub.say(stream, texts.usdm_quote(symbol, self.quote_at(pit, time)))

    def tell(self, name: str, what: str) -> Any:
        if what == "mark":
            return self.marks(self.pits[name], self.shown)
        if what == "open_interest":
            pit = self.pits[name]
            return self.figure(
                5_000_000 + pit.update % 100_000 * pit.listing.step, pit.listing.quantity_decimals
            )
        return super().tell(name, what)

    def marks(self, pit: Pit, time: int) -> tuple[str, str, str, int]:
        """(mark, index, funding rate, next funding in milliseconds): all near the middle of the quotes."""
        middle = (pit.bid + pit.ask) * 10**8 // 2 // 10**pit.listing.price_decimals
        lean = (pit.update % 401 - 200) * middle // 10**7
        rate, funding_time = "", 0
        if pit.listing.expiry is None:
            rate = fixed(10_000 + pit.update % 1_000, 8)
            funding_time = (time // FUNDING_PERIOD + 1) * FUNDING_PERIOD // 1000
        return fixed(middle + lean, 8), fixed(middle - middle // 10**5, 8), rate, funding_time

    # --- what happens -----------------------------------------------------------------------------------

    def candle_phase(self, pit: Pit) -> int:
        return pit.some(60, 240) * MILLISECOND

    def schedule(self, pit: Pit, now: int) -> None:
        super().schedule(pit, now)
        self.every(pit, (now // SECOND + 1) * SECOND, SECOND, partial(self._mark, pit))

    def print_order(self, pit: Pit, order: Order) -> None:
        if pit.chance(0.004):  # the insurance fund traded: ids are used up, nothing is printed
            self.ids[pit.listing.symbol, "trade"] += pit.some(1, 4)
        prints = self.print_fills(pit, order)
        for one in prints:
            self._aggregate(pit, one)
        if pit.chance(0.002):
            self._liquidate(pit, order, prints[-1])

    def _aggregate(self, pit: Pit, one: Print) -> None:
        """Fills in a row of one price and side within one window of 100 ms are one aggregate."""
        symbol = pit.listing.symbol
        run = self._open_runs.get(symbol)
        window = one.time // WINDOW_MS
        if run is None or run.time // WINDOW_MS != window:
            self._end_run(pit, one.time)
            left = (window + 1) * WINDOW_MS - one.time  # by the clock that is shown
            self.agenda.at(self.now // 1000 * 1000 + left * 1000, partial(self._window_over, pit, window))
        elif run.price == one.price and run.buy == one.buy and run.last_id + 1 == one.first_id:
            self._open_runs[symbol] = self.merged(pit, run, one)
            return
        else:
            self._end_run(pit, one.time)
        self._open_runs[symbol] = one

    def _window_over(self, pit: Pit, window: int, time: int) -> None:
        run = self._open_runs.get(pit.listing.symbol)
        if run is not None and run.time // WINDOW_MS == window:
            self._end_run(pit, self.stamps(time) // 1000)

    def _end_run(self, pit: Pit, event_time: int) -> None:
        run = self._open_runs.pop(pit.listing.symbol, None)
        if run is not None:
            self.print_aggregate(pit, run, event_time)

    def _mark(self, pit: Pit, time: int) -> None:
        name = pit.listing.symbol.lower()
        streams = [f"{name}@markPrice@1s"]
        if self.now // SECOND % 3 == 0:
            streams.append(f"{name}@markPrice")
        for stream in filter(self.hub.wanted, streams):
            self.hub.say(stream, texts.mark(pit.listing.symbol, self.marks(pit, time), time // 1000))

    def _liquidate(self, pit: Pit, order: Order, last: Print) -> None:
        """At most one a second and symbol is shown."""
        symbol, second = pit.listing.symbol, last.time // 1000
        if self._liquidated.get(symbol) == second:
            return
        self._liquidated[symbol] = second
        filled = self.figure(sum(fill.quantity for fill in order.fills), pit.listing.quantity_decimals)
        shown = Print(0, last.price, filled, order.buy, last.time, 0, 0)
        for stream in filter(self.hub.wanted, (f"{symbol.lower()}@forceOrder", "!forceOrder@arr")):
            self.hub.say(stream, texts.liquidation(symbol, shown))

    def settle(self, now: int) -> None:
        for symbol in list(self._open_runs):
            self._end_run(self.pits[symbol], now // 1000)
