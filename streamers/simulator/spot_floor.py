"""What Binance spot says of its market: prints, aggregates, quotes, candles, tickers."""

from __future__ import annotations

from functools import partial

from streamers.simulator import binance_texts as texts
from streamers.simulator.candles import Minute
from streamers.simulator.figures import fixed, padded, units
from streamers.simulator.floor import Floor
from streamers.simulator.ledger import Trade
from streamers.simulator.listing import MILLISECOND, SECOND
from streamers.simulator.market import Order, Pit
from streamers.simulator.statistics import day_of
from streamers.simulator.tape import Print, Row

CHANNELS = {"trade": "trade", "aggTrade": "aggregate_trade"}


class SpotFloor(Floor):
    """Raw trades at once, aggregates per order and price, candles every two seconds."""

    channels: tuple[str, ...] = ("trade", "aggregate_trade")
    candle_period = 2 * SECOND
    ticker_period = SECOND

    # --- how it is said ---------------------------------------------------------------------------------

    def figure(self, value: int, decimals: int) -> str:
        return padded(fixed(value, decimals))

    def row(self, pit: Pit, minute: Minute) -> Row:
        row = minute.binance_row(pit.listing)
        return Row(
            open_time=row.open_time,
            open=padded(row.open),
            high=padded(row.high),
            low=padded(row.low),
            close=padded(row.close),
            volume=padded(row.volume),
            quote_volume=padded(row.quote_volume),
            trades=row.trades,
            taker_volume=padded(row.taker_volume or "0"),
            taker_quote_volume=padded(row.taker_quote_volume or "0"),
            first_id=row.first_id,
            last_id=row.last_id,
        )

    def trade_text(self, symbol: str, one: Print) -> str:
        return texts.spot_trade(symbol, one)

    def aggregate_text(self, symbol: str, one: Print, event_time: int) -> str:
        return texts.spot_aggregate(symbol, one, event_time)

    def said_quote(self, pit: Pit, time: int) -> None:
        symbol = pit.listing.symbol
        stream = f"{symbol.lower()}@bookTicker"
        if self.hub.wanted(stream):
            self.hub.say(stream, texts.spot_quote(symbol, self.quote_at(pit, time)))

    def said_candle(self, pit: Pit, row: Row, *, closed: bool, time: int) -> None:
        symbol = pit.listing.symbol
        stream = f"{symbol.lower()}@kline_1m"
        if self.hub.wanted(stream):
            self.hub.say(stream, texts.candle(symbol, row, closed=closed, event_time=time // 1000))

    def _tickers(self, pit: Pit, time: int) -> None:
        symbol = pit.listing.symbol
        whole, small = f"{symbol.lower()}@ticker", f"{symbol.lower()}@miniTicker"
        if not self.hub.wanted(whole) and not self.hub.wanted(small):
            return
        day = day_of(self.rows(symbol), time // 1000)
        if self.hub.wanted(whole):
            last = self.tape.log(symbol, "trade").last
            quote = self.quote_at(pit, time) if self.ticker_quotes else None
            text = texts.ticker(symbol, day, last.quantity if last else "0", quote, time // 1000)
            self.hub.say(whole, text)
        if self.hub.wanted(small):
            self.hub.say(small, texts.small_ticker(symbol, day, time // 1000))

    ticker_quotes = True
    """Whether the 24 h ticker shows the best bid and ask."""

    # --- what happens -----------------------------------------------------------------------------------

    def listened(self, stream: str, now: int) -> None:
        name, _, kind = stream.partition("@")
        if kind in CHANNELS and name.upper() in self.pits:
            self.ledger.begin(name.upper(), CHANNELS[kind], now)

    def abandoned(self, stream: str) -> None:
        name, _, kind = stream.partition("@")
        if kind in CHANNELS:
            self.ledger.end(name.upper(), CHANNELS[kind])

    def candle_phase(self, pit: Pit) -> int:
        return pit.some(900, 1900) * MILLISECOND

    def schedule(self, pit: Pit, now: int) -> None:
        first = (now // SECOND + 1) * SECOND + pit.some(0, 1000) * MILLISECOND
        self.every(pit, first, self.ticker_period, partial(self._tickers, pit))

    def print_order(self, pit: Pit, order: Order) -> None:
        runs: list[Print] = []
        for one in self.print_fills(pit, order):
            if runs and runs[-1].price == one.price:
                runs[-1] = self.merged(pit, runs[-1], one)
            else:
                runs.append(one)
        for run in runs:
            self.print_aggregate(pit, run, order.time // 1000)

    def print_fills(self, pit: Pit, order: Order) -> list[Print]:
        """Number, count and say each fill as a raw trade."""
        symbol, listing, time = pit.listing.symbol, pit.listing, order.time // 1000
        stream = f"{symbol.lower()}@trade"
        prints = []
        for price, quantity in order.fills:
            self.ids[symbol, "trade"] = number = self.ids[symbol, "trade"] + 1
            one = Print(
                number,
                self.figure(price, listing.price_decimals),
                self.figure(quantity, listing.quantity_decimals),
                order.buy,
                time,
                number,
                number,
            )
            self.remember(pit, "trade", one)
            self.count(pit, order.time, price, quantity, buy=order.buy, ids=(number, number))
            if self.hub.wanted(stream):
                self.hub.say(stream, self.trade_text(symbol, one), prints=True)
            prints.append(one)
        return prints

    def print_aggregate(self, pit: Pit, run: Print, event_time: int) -> None:
        """Number an aggregate and say it."""
        symbol = pit.listing.symbol
        self.ids[symbol, "aggregate_trade"] = number = self.ids[symbol, "aggregate_trade"] + 1
        one = Print(number, run.price, run.quantity, run.buy, run.time, run.first_id, run.last_id)
        self.remember(pit, "aggregate_trade", one)
        stream = f"{symbol.lower()}@aggTrade"
        if self.hub.wanted(stream):
            self.hub.say(stream, self.aggregate_text(symbol, one, event_time), prints=True)

    def merged(self, pit: Pit, run: Print, one: Print) -> Print:
        """Two neighbours of one price as one."""
        decimals = pit.listing.quantity_decimals
        total = self.figure(units(run.quantity, decimals) + units(one.quantity, decimals), decimals)
        return Print(0, run.price, total, run.buy, run.time, run.first_id, one.last_id)

    def reprint(self, entry: Trade) -> None:
        """An aggregate of the ledger also says how far the raw ids came."""
        super().reprint(entry)
        self.ids[entry.symbol, "trade"] = max(self.ids[entry.symbol, "trade"], entry.last_id)
