"""The trading floor of one exchange: pits at work, minutes counted, prints remembered and announced.

What the exchanges have in common; how each says it: ``spot_floor``, ``usdm_floor``, ``deribit_floor``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from random import Random
from typing import Any

import msgspec

from streamers.simulator import ledger as entries
from streamers.simulator.candles import Minute
from streamers.simulator.exchange_objects import OBJECTS
from streamers.simulator.figures import fixed, units
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import MINUTE, SECOND, Listing
from streamers.simulator.market import Agenda, Order, Pit
from streamers.simulator.minutes import Minutes
from streamers.simulator.source import Quote
from streamers.simulator.tape import Print, Row, Tape

HISTORY = 30 * MINUTE
HISTORY_RATE = 0.1
"""The past is thinner than the present: it must only be there."""
OUTAGE = 24 * 60 * MINUTE
"""After a longer absence the minutes between are missing, as after a real outage."""
PATIENCE = 60 * SECOND
"""How far the ledger may lie ahead of the market clock: so long the market waits in silence."""


class ClockBehind(Exception):
    """The market clock lies far before the end of the ledger."""


class Floor:
    """Pits of one exchange on one agenda."""

    channels: tuple[str, ...] = ("trade",)
    """Kinds of prints, by the ledger's words; the first is what a restart goes on from."""
    candle_period = SECOND
    """How often a running candle is said."""

    def __init__(
        self,
        exchange: str,
        listings: Iterable[Listing],
        *,
        seed: int,
        hub: Hub,
        ledger: Ledger,
        rate: float = 1.0,
    ) -> None:
        self.exchange = exchange
        self.hub = hub
        self.ledger = ledger
        self.tape = Tape()
        self.agenda = Agenda()
        self.finished = False
        self.rate = rate
        self.listed_at = 0
        """When the listings were made: dated instruments follow from it."""
        listings = list(listings)
        self._objects = {one.symbol: OBJECTS[exchange](one) for one in listings}
        self.pits = {one.symbol: Pit(one, seed, rate) for one in listings}
        self.minutes: dict[str, Minutes] = {}
        random = Random(f"{seed}/{exchange}")  # noqa: S311 (a market, not a secret)
        self.ids = {
            (symbol, channel): random.randrange(10**6, 9 * 10**8)
            for symbol in self.pits
            for channel in self.channels
        }
        """Last sequence of each kind of print."""

    # --- life -------------------------------------------------------------------------------------------

    def open(self, now: int) -> None:
        """A first start: a short past, then business."""
        begin = (now - HISTORY) // MINUTE * MINUTE
        self.agenda = Agenda(begin)
        for pit in self.pits.values():
            pit.rate = pit.listing.orders_per_second * HISTORY_RATE
            self._begin_minutes(pit, begin)
            self._await_order(pit, begin)
        self.agenda.run(now)
        self._resume(now)

    def reopen(
        self, now: int, memory: Mapping[str, Any], past: Iterable[entries.Trade | entries.Candle]
    ) -> None:
        """A restart: sequences, prices and the running minute go on from where the ledger ends."""
        self.recall(memory)
        newest = 0
        for entry in past:
            if entry.symbol in self.pits:
                self._relive(self.pits[entry.symbol], entry)
            if isinstance(entry, entries.Trade):
                newest = max(newest, entry.event_time)
        for symbol, channel, last in memory.get("prints", []):
            log = self.tape.log(symbol, channel)
            if log.last is None:
                log.append(msgspec.convert(last, Print))
            if (symbol, channel) in self.ids:  # numbers of a symbol that was given up stand in no ledger
                self.ids[symbol, channel] = max(self.ids[symbol, channel], last["sequence"])
        for symbol, channel, last in memory.get("ended", []):
            if self.ledger.last.get((symbol, channel), -1) == last:
                self.ledger.end(symbol, channel)
        if newest > now + PATIENCE:
            raise ClockBehind(
                f"The ledger of {self.exchange} ends {(newest - now) // SECOND} s after the market clock: "
                "go on with a later clock, or with a fresh data folder."
            )
        now = max(now, newest)
        for symbol, pit in self.pits.items():
            if symbol not in self.minutes:
                self._begin_minutes(pit, now)
            elif now - self.minutes[symbol].running.open_time > OUTAGE:
                self.minutes[symbol].begin(now // MINUTE * MINUTE, pit.last)
            pit.requote()
        self._resume(now)

    def run(self, now: int) -> None:
        """Let the market move up to ``now``."""
        for stream in self.hub.news():
            self.listened(stream, now)
        for stream in self.hub.given_up():
            self.abandoned(stream)
        if now > self.now:
            self.agenda.run(now)

    @property
    def now(self) -> int:
        """Market time, microseconds UTC."""
        return self.agenda.now

    def memory(self) -> dict[str, Any]:
        """What a restart needs beside the ledger."""
        return {
            "listed_at": self.listed_at,
            "pits": {symbol: {"last": pit.last, "update": pit.update} for symbol, pit in self.pits.items()},
            "ids": [[symbol, channel, last] for (symbol, channel), last in self.ids.items()],
            "prints": [[*key, log.last] for key, log in self.tape.prints.items() if log.last],
            "begun": [[symbol, channel, at] for (symbol, channel), at in self.ledger.begun.items()],
            "ended": [[symbol, channel, last] for (symbol, channel), last in self.ledger.ended.items()],
        }

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what ``memory`` gave."""
        for symbol, known in memory.get("pits", {}).items():
            if symbol in self.pits:
                self.pits[symbol].last = known["last"]
                self.pits[symbol].update = known["update"] + 1000
        for symbol, channel, last in memory.get("ids", []):
            if (symbol, channel) in self.ids:
                self.ids[symbol, channel] = last
        for symbol, channel, last in memory.get("prints", []):  # what was numbered and not yet said never was
            if (symbol, channel) in self.ids:
                self.ids[symbol, channel] = last["sequence"]
        for symbol, channel, at in memory.get("begun", []):
            self.ledger.begun[symbol, channel] = at

    # --- what each exchange does its own way ------------------------------------------------------------

    def listened(self, stream: str, now: int) -> None:
        """Somebody hears this stream, after nobody did: from trades on, the ledger begins."""
        raise NotImplementedError

    def abandoned(self, stream: str) -> None:
        """The last one who heard this stream gave it up: of trades, the ledger ends."""
        raise NotImplementedError

    def print_order(self, pit: Pit, order: Order) -> None:
        """Number, count, remember and say what an order filled."""
        raise NotImplementedError

    def row(self, pit: Pit, minute: Minute) -> Row:
        """A minute as this exchange shows it."""
        raise NotImplementedError

    def said_candle(self, pit: Pit, row: Row, *, closed: bool, time: int) -> None:
        """Say a candle."""

    def said_quote(self, pit: Pit, time: int) -> None:
        """Say the quotes."""

    def schedule(self, pit: Pit, now: int) -> None:
        """What else happens to this instrument from the start of business on."""

    def settle(self, now: int) -> None:
        """Print what still waits in a window or a batch."""

    def candle_phase(self, pit: Pit) -> int:
        """When after a minute's end its final candle is said, in microseconds."""
        return pit.some(200, 900) * 1000

    def figure(self, value: int, decimals: int) -> str:
        """A decimal as this exchange writes it."""
        return fixed(value, decimals)

    # --- for those who answer ---------------------------------------------------------------------------

    def instruments(self) -> dict[str, dict[str, Any]]:
        return self._objects

    def rows(self, symbol: str) -> list[Row]:
        """All one-minute candles up to the running one, ascending."""
        minutes = self.minutes[symbol]
        minutes.roll(self.now // 1000 * 1000)
        return [*self.tape.rows.get(symbol, {}).values(), *minutes.unsaid()]

    def quote(self, symbol: str) -> Quote | None:
        return self.quote_at(self.pits[symbol], self.now)

    def quote_at(self, pit: Pit, time: int) -> Quote:
        """Best bid and ask."""
        p, q = pit.listing.price_decimals, pit.listing.quantity_decimals
        bid, bid_size = self.figure(pit.bid, p), self.figure(pit.bid_size, q)
        ask, ask_size = self.figure(pit.ask, p), self.figure(pit.ask_size, q)
        return Quote(bid, bid_size, ask, ask_size, pit.update, time // 1000)

    def tell(self, name: str, what: str) -> Any:
        """What only some exchanges tell; None where unknown."""
        return self.ladder(self.pits[name]) if what == "depth" else None

    def ladder(self, pit: Pit, depth: int = 100) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks: the quote, and behind it levels that follow from it."""
        bids, asks = (pit.bid, pit.bid_size), (pit.ask, pit.ask_size)
        return self._levels(pit, depth, *bids, -1), self._levels(pit, depth, *asks, 1)

    def _levels(self, pit: Pit, depth: int, price: int, size: int, way: int) -> list[tuple[str, str]]:
        listing = pit.listing
        levels = []
        for place in range(depth):
            if price <= 0:
                break
            shown = self.figure(price, listing.price_decimals), self.figure(size, listing.quantity_decimals)
            levels.append(shown)
            price += way * listing.tick * (1 + place % 3)
            size = max(size * 7 // 8 // listing.step, 1) * listing.step
        return levels

    # --- for those who print ----------------------------------------------------------------------------

    def count(
        self, pit: Pit, time: int, price: int, quantity: int, *, buy: bool, ids: tuple[int, int]
    ) -> None:
        """Count a fill into its minute."""
        self.minutes[pit.listing.symbol].count(time, price, quantity, buy=buy, ids=ids)

    def remember(self, pit: Pit, channel: str, one: Print) -> None:
        """A print is public from here on: in memory and, if anybody listens, in the ledger."""
        self.tape.log(pit.listing.symbol, channel).append(one)
        self.ledger.trade(pit.listing.symbol, channel, one)

    # --- inside -----------------------------------------------------------------------------------------

    def _begin_minutes(self, pit: Pit, time: int) -> None:
        open_time, shown = time // MINUTE * MINUTE, partial(self.row, pit)
        inverse = pit.listing.inverse
        self.minutes[pit.listing.symbol] = Minutes(open_time, pit.last, shown, inverse=inverse)

    def _resume(self, now: int) -> None:
        self.settle(now)
        self.agenda = Agenda(now)
        for symbol, pit in self.pits.items():
            minutes = self.minutes[symbol]
            minutes.said = minutes.roll(now).trades
            self._close(symbol)
            pit.rate = pit.listing.orders_per_second * self.rate
            self._await_order(pit, now)
            first = now // MINUTE * MINUTE + self.candle_phase(pit)
            while first <= now:
                first += self.candle_period
            self.agenda.every(first, self.candle_period, partial(self._candle_due, pit))
            if pit.rate:
                self.agenda.at(now + pit.some(1, 500_000), partial(self._requote, pit))
            self.schedule(pit, now)

    def _await_order(self, pit: Pit, now: int) -> None:
        arrival = pit.next_arrival(now)
        if arrival is not None:
            self.agenda.at(max(arrival, now), partial(self._order, pit))

    def _order(self, pit: Pit, time: int) -> None:
        self.print_order(pit, pit.order(time))
        self.said_quote(pit, time)
        self._await_order(pit, time)

    def _requote(self, pit: Pit, time: int) -> None:
        pit.requote()
        self.said_quote(pit, time)
        mean = SECOND / pit.rate
        self.agenda.at(time + pit.some(int(mean / 2) + 1, int(mean * 3 / 2) + 2), partial(self._requote, pit))

    def _close(self, symbol: str) -> list[Row]:
        """Close the minutes that ended: into memory and ledger."""
        rows = self.minutes[symbol].take_ended()
        for row in rows:
            self.tape.close(symbol, row)
            self.ledger.candle(symbol, row)
        return rows

    def _candle_due(self, pit: Pit, time: int) -> None:
        minutes = self.minutes[pit.listing.symbol]
        minutes.roll(time)
        for row in self._close(pit.listing.symbol):
            self.said_candle(pit, row, closed=True, time=time)
            minutes.said = 0
        if minutes.running.trades != minutes.said:
            minutes.said = minutes.running.trades
            self.said_candle(pit, minutes.shown(), closed=False, time=time)

    # --- a restart --------------------------------------------------------------------------------------

    def _relive(self, pit: Pit, entry: entries.Trade | entries.Candle) -> None:
        """Take one entry of the ledger as if it were just printed."""
        price_decimals = pit.listing.price_decimals
        if isinstance(entry, entries.Candle):
            self.tape.close(entry.symbol, entry.row())
            if entry.symbol not in self.minutes:
                self._begin_minutes(pit, entry.open_time)
            self.minutes[entry.symbol].closed_before(entry.open_time, units(entry.close, price_decimals))
            return
        self.ids[entry.symbol, entry.channel] = entry.sequence
        self.reprint(entry)
        pit.last = units(entry.price, price_decimals)
        if self._makes_candles(entry):
            if entry.symbol not in self.minutes:
                self._begin_minutes(pit, entry.event_time)
            quantity = units(entry.quantity, pit.listing.quantity_decimals)
            ids = (entry.first_id, entry.last_id)
            self.count(pit, entry.event_time, pit.last, quantity, buy=entry.side == "buy", ids=ids)

    def _makes_candles(self, entry: entries.Trade) -> bool:
        """Where two kinds of prints of a symbol are in the ledger, the one that began first is counted."""
        begun = self.ledger.begun
        both = [one for one in self.channels if (entry.symbol, one) in begun]
        return entry.channel == min(both, key=lambda one: begun[entry.symbol, one])

    def reprint(self, entry: entries.Trade) -> None:
        """Put a print of the ledger back into memory."""
        self.tape.log(entry.symbol, entry.channel).append(entry.print())
