"""Who trades for an account: at random by a seed, or as told. What fills are the prints of the market.

A print fills at most one order of an account, at its own price and for at most its own quantity; it stays
what it was, so nothing public comes of it. Orders that take fill by the newest print at once, what is left
of them by the next ones.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.book import Book, Unacceptable, plain_kind
from streamers.simulator.accounts.book_shapes import ZERO, OrderKind, Side, SimOrder
from streamers.simulator.figures import fixed
from streamers.simulator.floor import Floor
from streamers.simulator.listing import MINUTE, Listing
from streamers.simulator.tape import Print

MOST_WAITING = 8
AT_ONCE = ("IOC", "FOK")
LABELS = ("", "grid", "trend")
"""Strategies of a random trader."""


class Trader:
    """Acts on the market's agenda and watches its prints."""

    def __init__(self, spec: AccountSpec, book: Book, floor: Floor) -> None:
        self.book = book
        self.floor = floor
        self._rate = spec.orders_per_minute / MINUTE
        self._symbols = [name for name in spec.symbols if name in floor.pits] or [
            name for name, pit in floor.pits.items() if book.house.trades(pit.listing)
        ]
        self._random = Random(f"{spec.seed}/{floor.exchange}/{spec.name}/{len(book.orders)}")  # noqa: S311 (a market, not a secret)
        if self._rate and self._symbols:
            floor.agenda.at(self._next(floor.now), self._act)

    @property
    def now(self) -> int:
        """What the exchange's clock shows."""
        return self.floor.shown

    # --- as told ----------------------------------------------------------------------------------------

    def place(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        kind: OrderKind = "limit",
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        **more: Any,
    ) -> SimOrder:
        """A new order; one that takes is filled by the newest print, if that filled nothing here yet."""
        order = self.book.place(
            symbol, side, quantity, self.now, kind=kind, price=price, trigger_price=trigger_price, **more
        )
        if order.state == "open":
            self._take(order)
        return self.book.orders[order.order_id]

    def liquidate(self, symbol: str, reason: str = "") -> None:
        """The exchange closes a position: its orders are cancelled, and another one takes."""
        for order in self.book.waiting(symbol):
            self.book.cancel(order.order_id, self.now, reason)
        for position in list(self.book.positions.values()):
            if position.symbol == symbol and position.quantity:
                side: Side = "sell" if position.quantity > 0 else "buy"
                self.place(
                    symbol,
                    side,
                    abs(position.quantity),
                    kind="market",
                    reduce_only=True,
                    liquidation=True,
                    position_side=position.position_side,
                )

    # --- what the market does ---------------------------------------------------------------------------

    def witness(self, symbol: str, one: Print) -> None:
        """A print: stops may trigger, and one order may fill."""
        if not self.book.waits or one.sequence <= self.book.last_number(symbol):
            return  # after a crash, numbers that nobody heard of come again
        price = Decimal(one.price)
        waiting = self.book.waiting(symbol)
        for order in waiting:
            if order.state == "untriggered" and _triggers(order, price):
                self.book.trigger(order.order_id, self.now)
        able = [order for order in waiting if order.state == "open" and _crosses(order, price)]
        if able:
            able.sort(key=lambda order: (plain_kind(order.kind) == "limit", order.number))
            self._fill(able[0], one, maker=plain_kind(able[0].kind) == "limit")

    def _take(self, order: SimOrder) -> None:
        """Fill by the newest print what takes; what must be filled at once and is not, ends."""
        last = self.floor.tape.log(order.symbol, "trade").last
        kind = plain_kind(order.kind)
        takes = kind == "market" or order.time_in_force in AT_ONCE
        unused = last is not None and last.sequence > self.book.last_number(order.symbol)
        if last is not None and unused and takes and _crosses(order, Decimal(last.price)):
            self._fill(order, last, maker=False)
        order = self.book.orders[order.order_id]
        if order.waits and order.time_in_force in AT_ONCE and kind == "limit":
            end = self.book.expire if self.book.house.leftover == "expired" else self.book.cancel
            end(order.order_id, self.now)

    def _fill(self, order: SimOrder, one: Print, *, maker: bool) -> None:
        quantity = min(order.left, Decimal(one.quantity))
        self.book.execute(
            order.order_id, Decimal(one.price), quantity, self.now, number=one.sequence, maker=maker
        )

    # --- at random --------------------------------------------------------------------------------------

    def _next(self, now: int) -> int:
        return now + max(int(self._random.expovariate(self._rate)), 1)

    def _act(self, time: int) -> None:
        self.floor.agenda.at(self._next(time), self._act)
        pit = self.floor.pits[self._random.choice(self._symbols)]
        if pit.over or pit.halted:
            return
        waiting = self.book.waiting()
        draw = self._random.random()
        if waiting and (len(waiting) >= MOST_WAITING or draw < 0.2):
            self._change(self._random.choice(waiting))
        elif draw < 0.5:
            self._order(pit.listing, "market")
        elif draw < 0.85:
            self._order(pit.listing, "limit")
        else:
            self._order(pit.listing, "stop_market" if self._random.random() < 0.6 else "stop_limit")

    def _order(self, listing: Listing, kind: OrderKind) -> None:
        """A size that the account can bear, at a price or trigger some ticks away from the market."""
        pit, random = self.floor.pits[listing.symbol], self._random
        held = self.book.held(listing.symbol).quantity
        side: Side = "buy" if random.random() < (0.5 if not held else 0.25 if held > 0 else 0.75) else "sell"
        units = max(1, int(random.lognormvariate(0.0, 1.0) * listing.size)) * listing.step
        quantity = Decimal(fixed(units, listing.quantity_decimals))
        if held and random.random() < 0.15:
            quantity += abs(held)  # it closes, and opens the other way
        away = random.randrange(1, 30) * listing.tick
        buys = side == "buy"
        stops = kind.startswith("stop")
        above = buys == stops
        start = (max(pit.ask, pit.last) if above else min(pit.bid, pit.last)) + (away if above else -away)
        at = Decimal(fixed(max(start, listing.tick), listing.price_decimals))
        further = Decimal(fixed(10 * listing.tick, listing.price_decimals))
        if not self.book.house.affords(self.book, listing, side, quantity, at + further):
            return
        label, post_only = random.choice(LABELS), kind == "limit" and random.random() < 0.3
        at_once = kind == "limit" and not post_only and random.random() < 0.15
        self.place(
            listing.symbol,
            side,
            quantity,
            kind=kind,
            price=None if kind.endswith("market") else at + (further if buys else -further) * stops,
            trigger_price=at if stops else None,
            time_in_force="IOC" if at_once else "GTX" if post_only else "GTC",
            post_only=post_only,
            label=label,
            client_id=f"{self.book.name}-{len(self.book.orders) + 1}",
        )

    def _change(self, order: SimOrder) -> None:
        if self._random.random() < 0.5 or order.price is None or order.state != "open":
            self.book.cancel(order.order_id, self.now, "user_request")
            return
        listing = self.floor.pits[order.symbol].listing
        tick = Decimal(fixed(listing.tick, listing.price_decimals))
        steps = self._random.randrange(1, 10)
        price = order.price - steps * tick if order.side == "buy" else order.price + steps * tick
        if price > ZERO:
            try:
                self.book.amend(order.order_id, self.now, price=price)
            except Unacceptable:
                return


def _triggers(order: SimOrder, price: Decimal) -> bool:
    """A stop goes with the market, a take against it."""
    if order.trigger_price is None:
        return False
    rising = (order.side == "buy") == order.kind.startswith("stop")
    return price >= order.trigger_price if rising else price <= order.trigger_price


def _crosses(order: SimOrder, price: Decimal) -> bool:
    if plain_kind(order.kind) == "market" or order.price is None:
        return True
    return price <= order.price if order.side == "buy" else price >= order.price
