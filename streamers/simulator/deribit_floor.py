"""What Deribit says of its market: prints in batches, tickers, quotes, charts, indices, books in full."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from streamers.simulator.candles import Minute
from streamers.simulator.deribit_texts import book_text, chart_text, quote_text, ticker_text, trade_text
from streamers.simulator.figures import fixed, plain_units
from streamers.simulator.floor import Floor
from streamers.simulator.ledger import Trade
from streamers.simulator.listing import INDICES, MILLISECOND, MINUTE, SECOND
from streamers.simulator.market import Order, Pit
from streamers.simulator.options import Worth, worth
from streamers.simulator.statistics import Day, day_of
from streamers.simulator.tape import Print, Row

VOLATILITY = ("btc_usd", "eth_usd")
BATCH = 100 * MILLISECOND


class DeribitFloor(Floor):
    """Deribit: prints leave in batches of 100 ms, candles are said every second, fillers included."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._batch: dict[str, list[Print]] = defaultdict(list)
        self._direction: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._said_row: dict[str, Row] = {}
        self._day: dict[str, tuple[int, Day]] = {}
        self.worths: dict[str, Worth] = {}

    def open(self, now: int) -> None:
        for pit in self.pits.values():
            self.valued(pit, now)
        super().open(now)

    # --- what is asked by those who answer --------------------------------------------------------------

    def listened(self, stream: str, now: int) -> None:
        parts = stream.split(".")
        if parts[0] != "trades":
            return
        for symbol, pit in self.pits.items():
            if stream in trade_channels(pit):
                self.ledger.begin(symbol, "trade", now)

    def abandoned(self, stream: str) -> None:
        for symbol, pit in self.pits.items():
            channels = trade_channels(pit)
            if stream in channels and not any(map(self.hub.wanted, channels)):
                self.ledger.end(symbol, "trade")

    def figure(self, units: int, decimals: int) -> str:
        return plain_units(units, decimals)

    def tell(self, name: str, what: str) -> Any:
        if what == "index":
            return self.index(name) if name in INDICES else None
        return (
            ticker_text(self, self.pits[name], self.shown // 1000)
            if what == "ticker"
            else super().tell(name, what)
        )

    def index(self, name: str) -> str:
        """A price index, two decimals."""
        pit = self.pits[INDICES[name]]
        return plain_units(pit.last * 10**2 // 10**pit.listing.price_decimals - pit.last // 200_000, 2)

    def mark(self, pit: Pit) -> str:
        """Mark price; of an option, its worth in coin."""
        if pit.listing.strike is not None:
            return f"{self.worth(pit).price:.6f}"
        decimals = pit.listing.price_decimals
        middle = (pit.bid + pit.ask) * 10**4 // 2 // 10**decimals
        return plain_units((middle + middle // 100_000 * (pit.update % 7 - 3)) // 100, 2)

    def worth(self, pit: Pit) -> Worth:
        """An option's value now."""
        listing = pit.listing
        assert listing.strike is not None
        assert listing.expiry is not None
        return self.worths.get(listing.symbol) or worth(
            float(self.index(listing.index)),
            listing.strike,
            listing.expiry,
            self.now,
            call=listing.option_type == "call",
        )

    def volatility(self, name: str) -> str:
        pit = self.pits[INDICES[name]]
        return plain_units(4_500 + pit.update % 300, 2)

    def day(self, pit: Pit) -> Day:
        """The last 24 hours, as of this second."""
        symbol = pit.listing.symbol
        known = self._day.get(symbol)
        if known is None or known[0] != self.now // SECOND:
            known = self._day[symbol] = (self.now // SECOND, day_of(self.rows(symbol), self.shown // 1000))
        return known[1]

    # --- what happens -----------------------------------------------------------------------------------

    def row(self, pit: Pit, minute: Minute) -> Row:
        return minute.deribit_row(pit.listing)

    def candle_phase(self, pit: Pit) -> int:
        return pit.some(200, 900) * MILLISECOND

    def print_order(self, pit: Pit, order: Order) -> None:
        liquidation = ("T", "T", "M", "MT")[pit.some(0, 4)] if pit.chance(0.004) else ""
        for price, quantity in order.fills:
            more = f',"liquidation":"{liquidation}"' if liquidation else ""
            self._fill(pit, order, price, quantity, more)
        if pit.chance(0.004) and pit.listing.kind != "spot":
            self._fill(pit, order, order.fills[-1].price, 50 * pit.some_quantity(), self._block(pit))
        if pit.chance(0.003) and pit.listing.expiry:
            self._fill(pit, order, order.fills[-1].price, pit.some_quantity(), self._combo(pit))

    def _fill(self, pit: Pit, order: Order, price: int, quantity: int, more: str) -> None:
        """One print. What is off the book has the price just traded: no rule about it can matter then."""
        symbol, listing = pit.listing.symbol, pit.listing
        self.ids[symbol, "trade"] = number = self.ids[symbol, "trade"] + 1
        self.count(pit, order.time, price, quantity, buy=order.buy, ids=(number, number))
        step = self._direction.get(symbol, price)
        direction = (0 if price > step else 1) if price >= step else 2
        self._direction[symbol] = price
        text = trade_text(
            self,
            pit,
            number,
            self.trade_id(pit.listing.symbol, number),
            price,
            quantity,
            order.time // 1000,
            direction,
            buy=order.buy,
            more=more,
        )
        if not self._batch[symbol]:
            self.agenda.at((self.now // BATCH + 1) * BATCH, partial(self._batch_over, pit))
        self._batch[symbol].append(
            Print(
                number,
                fixed(price, listing.price_decimals),
                fixed(quantity, listing.quantity_decimals),
                order.buy,
                order.time // 1000,
                number,
                number,
                text,
            )
        )

    def _batch_over(self, pit: Pit, time: int) -> None:
        batch = self._batch.pop(pit.listing.symbol, [])
        for one in batch:
            self.remember(pit, "trade", one)
        channels = [channel for channel in trade_channels(pit) if self.hub.wanted(channel)]
        if channels and batch:
            data = f"[{','.join(one.text for one in batch)}]"
            for channel in channels:
                self.hub.say(channel, data, prints=True)
        self._dirty.add(pit.listing.symbol)
        _ = time

    def said_quote(self, pit: Pit, time: int) -> None:
        self._dirty.add(pit.listing.symbol)
        channel = f"quote.{pit.listing.symbol}"
        if self.hub.wanted(channel):
            self.hub.say(channel, quote_text(self, pit, time // 1000))

    def said_candle(self, pit: Pit, row: Row, *, closed: bool, time: int) -> None:
        channel = f"chart.trades.{pit.listing.symbol}.1"
        if self.hub.wanted(channel) and self._said_row.get(pit.listing.symbol) != row:
            self._said_row[pit.listing.symbol] = row
            self.hub.say(channel, chart_text(row))
        _ = closed, time

    def schedule(self, pit: Pit, now: int) -> None:
        symbol = pit.listing.symbol
        self.every(
            pit, (now // BATCH + 1) * BATCH + pit.some(1, 99) * MILLISECOND, BATCH, partial(self._ticker, pit)
        )
        second = (now // SECOND + 1) * SECOND
        self.every(pit, second + pit.some(0, 999) * MILLISECOND, SECOND, partial(self._second, pit))
        for name, source in INDICES.items():
            if source == symbol:
                self.every(pit, second + 150 * MILLISECOND, SECOND, partial(self._index, name))
        filler = (now // MINUTE + 1) * MINUTE + pit.some(1000, 1900) * MILLISECOND
        self.every(pit, filler, MINUTE, partial(self._filler, pit))

    def _ticker(self, pit: Pit, time: int) -> None:
        symbol = pit.listing.symbol
        if symbol not in self._dirty:
            return
        self._dirty.discard(symbol)
        for interval in ("100ms", "agg2", "raw"):
            channel = f"ticker.{symbol}.{interval}"
            if self.hub.wanted(channel):
                self.hub.say(channel, ticker_text(self, pit, time // 1000))

    def _second(self, pit: Pit, time: int) -> None:
        """Once a second: value an option, say books and funding."""
        symbol, listing = pit.listing.symbol, pit.listing
        if listing.strike is not None:
            self.valued(pit, time)
            self.said_quote(pit, time)
        for channel in (f"book.{symbol}.100ms", f"book.{symbol}.raw", f"book.{symbol}.agg2"):
            if self.hub.wanted(channel):
                self.hub.say(channel, book_text(self, pit, time // 1000, 20, typed=True))
        for depth in (1, 10, 20):
            channel = f"book.{symbol}.none.{depth}.100ms"
            if self.hub.wanted(channel):
                self.hub.say(channel, book_text(self, pit, time // 1000, depth, typed=False))
        channel = f"perpetual.{symbol}.100ms"
        if listing.kind == "perpetual" and self.hub.wanted(channel):
            index = self.index(listing.index)
            self.hub.say(
                channel,
                f'{{"interest":{self.funding(pit)},"timestamp":{time // 1000},"index_price":{index}}}',
            )

    def valued(self, pit: Pit, time: int) -> None:
        """Put an option's quotes around what it is worth."""
        listing = pit.listing
        if listing.strike is None or listing.expiry is None or pit.halted:
            return
        forward = float(self.index(listing.index))
        value = worth(forward, listing.strike, listing.expiry, time, call=listing.option_type == "call")
        self.worths[listing.symbol] = value
        ticks = max(round(value.price * 10**listing.price_decimals / listing.tick), 1)
        pit.last = pit.anchor = ticks * listing.tick
        pit.requote()

    def funding(self, pit: Pit) -> str:
        """A small fraction per eight hours."""
        return fixed(pit.update % 4_000 - 1_000, 8)

    def _index(self, name: str, time: int) -> None:
        channel, stamp = f"deribit_price_index.{name}", time // 1000
        if self.hub.wanted(channel):
            self.hub.say(channel, f'{{"timestamp":{stamp},"price":{self.index(name)},"index_name":"{name}"}}')
        channel = f"deribit_volatility_index.{name}"
        if name in VOLATILITY and self.hub.wanted(channel):
            self.hub.say(
                channel, f'{{"timestamp":{stamp},"volatility":{self.volatility(name)},"index_name":"{name}"}}'
            )
        channel = f"markprice.options.{name}"
        if self.hub.wanted(channel):
            rows = (
                f'{{"instrument_name":"{symbol}","mark_price":{self.mark(pit)},'
                f'"iv":{self.worth(pit).volatility / 100:.4f},"timestamp":{stamp}}}'
                for symbol, pit in self.pits.items()
                if pit.listing.strike is not None and pit.listing.index == name
            )
            self.hub.say(channel, f"[{','.join(rows)}]")

    def _filler(self, pit: Pit, time: int) -> None:
        """A minute in which nothing traded yet is said too."""
        minutes = self.minutes[pit.listing.symbol]
        if not minutes.roll(time).trades:
            self.said_candle(pit, minutes.shown(), closed=False, time=time)

    def trade_id(self, symbol: str, sequence: int) -> str:
        """Unique for its currency, sparse, and the same whenever it is asked for."""
        listing = self.pits[symbol].listing
        prefix = (
            listing.base if listing.inverse or listing.kind == "option" else f"{listing.base}_{listing.quote}"
        )
        number = 1_009 * sequence + list(self.pits).index(listing.symbol)
        return str(number) if prefix == "BTC" else f"{prefix}-{number}"

    def _block(self, pit: Pit) -> str:
        return f',"block_trade_id":"BLOCK-{pit.some(10_000, 99_999)}","block_trade_leg_count":1'

    def _combo(self, pit: Pit) -> str:
        combo = pit.listing.symbol.split("-")[1]
        return f',"combo_id":"BTC-FS-{combo}_PERP","combo_trade_id":"{pit.some(10**8, 10**9)}"'

    def settle(self, now: int) -> None:
        for symbol in list(self._batch):
            self._batch_over(self.pits[symbol], now)

    def text_of(self, entry: Trade) -> str:
        """The ledger holds no index, mark or iv: those of prints that left the memory are lost to REST."""
        trade_id = self.trade_id(entry.symbol, entry.sequence)
        return (
            f'{{"timestamp":{entry.event_time // 1000},"price":{entry.price},"amount":{entry.quantity},'
            f'"direction":"{entry.side}","instrument_name":"{entry.symbol}","trade_seq":{entry.sequence},'
            f'"tick_direction":1,"trade_id":"{trade_id}"}}'
        )


def trade_channels(pit: Pit) -> list[str]:
    """Every channel on which a print of this instrument is heard."""
    kind = {"perpetual": "future"}.get(pit.listing.kind, pit.listing.kind)
    topics = [pit.listing.symbol, *(f"{k}.{c}" for k in (kind, "any") for c in (pit.listing.base, "any"))]
    return [f"trades.{topic}.{interval}" for topic in topics for interval in ("100ms", "agg2", "raw")]
