"""The trading floor of one exchange: pits at work, minutes counted, prints remembered and announced.

What the exchanges have in common besides their ``business``; how each says it:
``spot_floor``, ``usdm_floor``, ``deribit_floor``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from streamers.simulator import ledger as entries
from streamers.simulator import restart
from streamers.simulator.business import Business
from streamers.simulator.exchange_objects import OBJECTS
from streamers.simulator.figures import fixed
from streamers.simulator.hub import Hub
from streamers.simulator.ladder import ladder
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import MINUTE, SECOND, Listing
from streamers.simulator.market import Agenda, Pit
from streamers.simulator.source import Quote
from streamers.simulator.tape import Older, Row, Tape
from streamers.simulator.unheard import Chained

if TYPE_CHECKING:
    from streamers.simulator.history import History

HISTORY = 30 * MINUTE
HISTORY_RATE = 0.1
"""The past is thinner than the present: it must only be there."""


class Floor(Business):
    """Pits of one exchange on one agenda."""

    channels: tuple[str, ...] = ("trade",)
    """Kinds of prints, by the ledger's words; the first is what a restart goes on from."""

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
        super().__init__(Tape(self._older), ledger, rate)
        self.finished = False
        self.history: History | None = None
        """What was before the first start, where there is anything."""
        self.listed_at = 0
        """When the listings were made: dated instruments follow from it."""
        self.seed = seed
        self.newcomers: list[Listing] = []
        """Listed while the market ran."""
        self._objects: dict[str, dict[str, Any]] = {}
        self.pits: dict[str, Pit] = {}
        self.ids: dict[tuple[str, str], int] = {}
        """Last sequence of each kind of print."""
        random = Random(f"{seed}/{exchange}")  # noqa: S311 (a market, not a secret)
        for listing in listings:
            self._seat(listing)
            for channel in self.channels:
                self.ids[listing.symbol, channel] = random.randrange(10**6, 9 * 10**8)

    # --- life -------------------------------------------------------------------------------------------

    def begins_at(self, now: int) -> int:
        """From when on a market that is opened at ``now`` trades: a short past comes first."""
        return (now - HISTORY) // MINUTE * MINUTE

    def open(self, now: int) -> None:
        """A first start: a short past, then business."""
        begin = self.begins_at(now)
        self.agenda = Agenda(begin)
        for pit in self.pits.values():
            pit.rate = pit.listing.orders_per_second * HISTORY_RATE
            self.begin_minutes(pit, begin)
            self._await_order(pit, begin)
        self.agenda.run(now)
        self._resume(now)

    def reopen(
        self, now: int, memory: Mapping[str, Any], past: Iterable[entries.Trade | entries.Candle]
    ) -> None:
        """A restart: sequences, prices and the running minute go on from where the ledger ends."""
        self.recall(memory)
        newest = restart.relive_all(self, memory, past)
        if newest > now + restart.PATIENCE:
            raise restart.ClockBehind(
                f"The ledger of {self.exchange} ends {(newest - now) // SECOND} s after the market clock: "
                "go on with a later clock, or with a fresh data folder."
            )
        now = max(now, newest)
        restart.resume_minutes(self, now)
        self._resume(now)

    def run(self, now: int) -> None:
        """Let the market move up to ``now``."""
        for stream in self.hub.news():
            self.listened(stream, self.stamps.peek(now))
        for stream in self.hub.given_up():
            self.abandoned(stream)
        if now > self.now:
            self.agenda.run(now)

    def memory(self) -> dict[str, Any]:
        """What a restart needs beside the ledger."""
        return restart.memory_of(self)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what ``memory`` gave."""
        restart.recall(self, memory)

    def admit(self, listing: Listing) -> Pit:
        """One more instrument; its numbers begin at 1."""
        self.newcomers.append(listing)
        self.ids |= {(listing.symbol, channel): 0 for channel in self.channels}
        return self._seat(listing)

    def mark_status(self, symbol: str, status: str) -> None:
        """Show another status in the exchange's own object."""
        one = self._objects[symbol]
        changed = {"state": status, "is_active": status == "open"} if "state" in one else {"status": status}
        self._objects[symbol] = {**one, **changed}

    def status_of(self, symbol: str) -> str:
        one = self._objects[symbol]
        return str(one.get("state") or one.get("status"))

    def figure(self, value: int, decimals: int) -> str:
        """A decimal as this exchange writes it."""
        return fixed(value, decimals)

    def instruments(self) -> dict[str, dict[str, Any]]:
        return self._objects

    def rows(self, symbol: str) -> list[Row]:
        """All one-minute candles up to the running one, ascending."""
        minutes = self.minutes[symbol]
        minutes.roll(self.shown // 1000 * 1000)
        return [*self.tape.rows.get(symbol, {}).values(), *minutes.unsaid()]

    def past(self, symbol: str, since: int, until: int, most: int, *, newest: bool) -> list[Row]:
        return [] if self.history is None else self.history.rows(symbol, since, until, most, newest=newest)

    def quote(self, symbol: str) -> Quote | None:
        return self.quote_at(self.pits[symbol], self.shown)

    def quote_at(self, pit: Pit, time: int) -> Quote:
        """Best bid and ask."""
        p, q = pit.listing.price_decimals, pit.listing.quantity_decimals
        bid, bid_size = self.figure(pit.bid, p), self.figure(pit.bid_size, q)
        ask, ask_size = self.figure(pit.ask, p), self.figure(pit.ask_size, q)
        return Quote(bid, bid_size, ask, ask_size, pit.update, time // 1000)

    def tell(self, name: str, what: str) -> Any:
        """What only some exchanges tell; None where unknown."""
        return ladder(self, self.pits[name]) if what == "depth" else None

    def _older(self, symbol: str, channel: str) -> Older:
        shelf = self.ledger.shelf(symbol, channel, self.text_of)
        return shelf if self.history is None else Chained(self.history.shelf(symbol, channel), shelf)

    def _seat(self, listing: Listing) -> Pit:
        self._objects[listing.symbol] = OBJECTS[self.exchange](listing)
        pit = self.pits[listing.symbol] = Pit(listing, self.seed, self.rate)
        return pit

    def _resume(self, now: int) -> None:
        self.settle(now)
        self.agenda = Agenda(now)
        for pit in self.pits.values():
            if pit.over:
                self._last_candle(pit, now)
            else:
                self.start(pit, now)

    def reprint(self, entry: entries.Trade) -> None:
        """Put a print of the ledger back into memory."""
        self.tape.log(entry.symbol, entry.channel).append(entry.print(self.text_of(entry)))

    def text_of(self, entry: entries.Trade) -> str:
        """The whole object of a print of the ledger, on exchanges that show the same one everywhere."""
        _ = entry
        return ""
