"""Business on the floor of an exchange: orders, quotes and candles, each at its time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamers.simulator.candles import Minute
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import MILLISECOND, MINUTE, SECOND
from streamers.simulator.market import Agenda, Order, Pit
from streamers.simulator.minutes import Minutes
from streamers.simulator.stamps import Stamps
from streamers.simulator.tape import Print, Row, Tape


class Business:
    """What happens in time. How each exchange says it: the hooks."""

    candle_period = SECOND
    """How often a running candle is said."""

    def __init__(self, tape: Tape, ledger: Ledger, rate: float) -> None:
        self.tape = tape
        self.ledger = ledger
        self.rate = rate
        self.agenda = Agenda()
        self.stamps = Stamps()
        self.minutes: dict[str, Minutes] = {}
        self.witnesses: list[Callable[[str, str, Print], None]] = []
        """Told of every print that becomes public: (symbol, channel, print)."""

    # --- what each exchange does its own way -------------------------------------------------------------

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

    def valued(self, pit: Pit, now: int) -> None:
        """Put its first quotes where they belong."""

    def candle_phase(self, pit: Pit) -> int:
        """When after a minute's end its final candle is said, in microseconds."""
        return pit.some(200, 900) * 1000

    # --- what happens ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Market time, microseconds UTC."""
        return self.agenda.now

    @property
    def shown(self) -> int:
        """Market time as the exchange's clock shows it."""
        return self.stamps.peek(self.now)

    def start(self, pit: Pit, now: int) -> None:
        """Begin (or go on) with business in one instrument."""
        minutes = self.minutes[pit.listing.symbol]
        minutes.said = minutes.roll(now).trades
        self._close(pit.listing.symbol)
        pit.rate = pit.listing.orders_per_second * self.rate
        self._await_order(pit, now)
        first = now // MINUTE * MINUTE + self.candle_phase(pit)
        while first <= now:
            first += self.candle_period
        self.every(pit, first, self.candle_period, partial(self._candle_due, pit))
        if pit.rate:
            self.agenda.at(now + pit.some(1, 500_000), partial(self._requote, pit))
        self.schedule(pit, now)

    def stop(self, pit: Pit) -> None:
        """No more business: nothing is printed or said, but the running minute will be closed."""
        pit.over = True
        end = self.minutes[pit.listing.symbol].running.open_time + MINUTE
        self.agenda.at(self.now + end - self.shown + self.candle_phase(pit), partial(self._last_candle, pit))

    def burst(self, pit: Pit, trades: int) -> int:
        """So many trades (or a few more) at once; how many."""
        printed, time = 0, self.stamps(self.now) // MILLISECOND * MILLISECOND
        while printed < trades:
            order = pit.order(time)
            self.print_order(pit, order)
            printed += len(order.fills)
        self.said_quote(pit, time)
        return printed

    def every(self, pit: Pit, first: int, period: int, action: Callable[[int], None]) -> None:
        """``action`` at ``first`` and every ``period`` after it, told what the clock shows."""

        def again(time: int) -> None:
            if not pit.over:
                action(self.stamps(time))
                self.agenda.at(time + period, again)

        self.agenda.at(first, again)

    def begin_minutes(self, pit: Pit, time: int) -> None:
        open_time, shown = time // MINUTE * MINUTE, partial(self.row, pit)
        inverse = pit.listing.inverse
        self.minutes[pit.listing.symbol] = Minutes(open_time, pit.last, shown, inverse=inverse)

    def count(
        self, pit: Pit, time: int, price: int, quantity: int, *, buy: bool, ids: tuple[int, int]
    ) -> None:
        """Count a fill into its minute."""
        self.minutes[pit.listing.symbol].count(time, price, quantity, buy=buy, ids=ids)

    def remember(self, pit: Pit, channel: str, one: Print) -> None:
        """A print is public from here on: in memory and, if anybody listens, in the ledger."""
        self.tape.log(pit.listing.symbol, channel).append(one)
        self.ledger.trade(pit.listing.symbol, channel, one)
        for witness in self.witnesses:
            witness(pit.listing.symbol, channel, one)

    def _await_order(self, pit: Pit, now: int) -> None:
        arrival = pit.next_arrival(now)
        if arrival is not None:
            self.agenda.at(max(arrival, now), partial(self._order, pit))

    def _order(self, pit: Pit, time: int) -> None:
        if pit.over:
            return
        if not pit.halted:
            stamp = self.stamps(time)
            self.print_order(pit, pit.order(stamp))
            self.said_quote(pit, stamp)
        self._await_order(pit, time)

    def _requote(self, pit: Pit, time: int) -> None:
        if pit.over:
            return
        if not pit.halted:
            pit.requote()
            self.said_quote(pit, self.stamps(time))
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

    def _last_candle(self, pit: Pit, time: int) -> None:
        """The minute in which trading ended is closed as any other; no further one follows."""
        minutes = self.minutes[pit.listing.symbol]
        if minutes.running.trades:
            minutes.roll(minutes.running.open_time + MINUTE)
        for row in self._close(pit.listing.symbol):
            self.said_candle(pit, row, closed=True, time=self.stamps.peek(time))
        minutes.finish()
