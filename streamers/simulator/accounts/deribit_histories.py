"""What Deribit remembers of an account's orders and trades: the live store, the archive, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from streamers.simulator.accounts import deribit_objects as objects
from streamers.simulator.accounts import deribit_parameters as parameters
from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import SimFill, SimOrder
from streamers.simulator.accounts.deribit_parameters import Params
from streamers.simulator.deribit_rest import Refused
from streamers.simulator.listing import MINUTE, SECOND

if TYPE_CHECKING:
    from streamers.simulator.accounts.desk import Account, Desk
    from streamers.simulator.deribit_floor import DeribitFloor

LIVE_ORDERS: Final = 30 * MINUTE
LIVE_TRADES: Final = 24 * 60 * MINUTE
ARCHIVE_DELAY: Final = 60 * SECOND
"""So much of the newest an archive lacks."""
OLD: Final = 2 * 24 * 60 * MINUTE
_T = TypeVar("_T")


class Histories:
    """Orders and trades, as they are asked for."""

    def __init__(self, desk: Desk, floor: DeribitFloor) -> None:
        self.desk = desk
        self.floor = floor

    # --- orders -----------------------------------------------------------------------------------------

    def open_orders(self, account: Account, params: Params) -> object:
        """Those that wait, triggers included."""
        wanted = self.filter(params)
        kind = str(params.get("type") or "all")
        label = params.get("label")
        return [
            self._order(one)
            for one in self.desk.shown(account).waiting()
            if wanted(one.symbol) and parameters.of_type(one, kind) and label in (None, "", one.label)
        ]

    def order_state(self, account: Account, params: Params) -> object:
        """One order, whatever became of it."""
        order = self.desk.shown(account).orders.get(str(parameters.needed(params, "order_id")))
        if order is None:
            raise Refused(10004, "order_not_found")
        return self._order(order)

    def order_history(self, account: Account, params: Params) -> object:
        """Orders that are over, newest first."""
        wanted, unfilled = self.filter(params), parameters.truth(params.get("include_unfilled"))
        told = self._told_by(params, LIVE_ORDERS)
        since = 0 if parameters.truth(params.get("include_old")) else self.floor.shown - OLD
        orders = [
            one
            for one in self.desk.shown(account).orders.values()
            if not one.waits
            and (unfilled or one.filled)
            and told(one.updated)
            and one.updated >= since
            and wanted(one.symbol)
        ]
        orders.sort(key=lambda one: (one.updated, one.number), reverse=True)
        start = parameters.integer(params, "continuation", parameters.integer(params, "offset", 0))
        page, further = self.page(account, orders[start:], parameters.count(params, 20, 1000))
        shown = [self._order(one) for one in page]
        if not parameters.truth(params.get("with_continuation")):
            return shown
        return {"orders": shown, "continuation": str(start + len(page)) if further else None}

    def trigger_history(self, account: Account, params: Params) -> object:
        """Conditional orders, and what came of them."""
        wanted = self.filter(params)
        book = self.desk.shown(account)
        children = {one.parent_id: one.order_id for one in book.orders.values() if one.parent_id}
        orders = [
            one
            for one in book.orders.values()
            if one.trigger_price is not None and not one.parent_id and wanted(one.symbol)
        ]
        orders.sort(key=lambda one: (one.updated, one.number), reverse=True)
        start = parameters.integer(params, "continuation", 0)
        page, further = self.page(account, orders[start:], parameters.count(params, 20, 1000))
        entries = [
            self._order(one)
            | {
                "trigger_order_id": one.order_id,
                "order_id": children.get(one.order_id, "(null)"),
                "timestamp": one.updated // 1000,
                "request": "trigger:order" if one.state == "triggered" else one.state,
            }
            for one in page
        ]
        return {"entries": entries, "continuation": str(start + len(page)) if further else None}

    # --- trades -----------------------------------------------------------------------------------------

    def trades(self, account: Account, params: Params) -> object:
        """Own trades of an interval, of a span of sequences or of ids."""
        wanted, told = self.filter(params), self._told_by(params, LIVE_TRADES)
        since, until = (
            parameters.integer(params, "start_timestamp", 0),
            parameters.integer(params, "end_timestamp", parameters.ENDLESS),
        )
        first, last = (
            parameters.integer(params, "start_seq", 0),
            parameters.integer(params, "end_seq", parameters.ENDLESS),
        )
        fills = [
            fill
            for fill in self.desk.shown(account).fills
            if told(fill.time)
            and since <= fill.time // 1000 <= until
            and first <= fill.number <= last
            and wanted(fill.symbol)
        ]
        fills = parameters.between_ids(
            fills, str(params.get("start_id") or ""), str(params.get("end_id") or "")
        )
        if params.get("sorting") != "asc":
            fills.reverse()
        page, further = self.page(account, fills, parameters.count(params, 10, 1000))
        return {"trades": [self._trade(account, fill) for fill in page], "has_more": further}

    def trades_of_order(self, account: Account, params: Params) -> object:
        """All trades of one order."""
        order_id = str(parameters.needed(params, "order_id"))
        return [self._trade(account, fill) for fill in self.desk.shown(account).fills_of(order_id)]

    # --- how --------------------------------------------------------------------------------------------

    def mark(self, symbol: str) -> Decimal:
        """The mark price now."""
        return Decimal(self.floor.mark(self.floor.pits[symbol]))

    def index(self, symbol: str) -> Decimal:
        return Decimal(self.floor.index(self.floor.pits[symbol].listing.index))

    def _order(self, order: SimOrder) -> dict[str, Any]:
        return objects.order_object(order, self.floor.pits[order.symbol].listing)

    def _trade(self, account: Account, fill: SimFill) -> dict[str, Any]:
        order = self.desk.shown(account).orders[fill.order_id]
        return objects.trade_object(fill, order, self.floor.pits[fill.symbol].listing, self.floor)

    def position_object(self, book: Book, symbol: str) -> dict[str, Any]:
        return objects.position_object(
            book, book.held(symbol), self.mark(symbol), self.index(symbol), more=True
        )

    def _told_by(self, params: Params, live: int) -> Callable[[int], bool]:
        """Whether the store that is asked has a record of this moment: the live one, or the archive."""
        now = self.floor.shown
        if parameters.truth(params.get("historical")):
            return lambda time: time <= now - ARCHIVE_DELAY
        return lambda time: time >= now - live

    def page(self, account: Account, rows: Sequence[_T], most: int) -> tuple[list[_T], bool]:
        """The first rows, and whether there are more; a lost page loses half of them without a word."""
        page = list(rows[:most])
        if page and self.desk.owes("rest_page_lost", account.name):
            return page[: len(page) // 2], False
        return page, len(rows) > most

    def filter(self, params: Params) -> Callable[[str], bool]:
        """Whether an instrument is asked for: by its name, or by currency and kind."""
        if params.get("instrument_name") not in (None, ""):
            symbol = self.symbol(params)
            return lambda one: one == symbol
        currency, kind = str(params.get("currency") or "any"), str(params.get("kind") or "any")
        pits = self.floor.pits

        def wanted(symbol: str) -> bool:
            listing = pits[symbol].listing
            family = listing.settlement or listing.quote
            return currency in ("any", family) and kind in ("any", objects.kind_of(listing))

        return wanted

    def symbol(self, params: Params) -> str:
        symbol = str(parameters.needed(params, "instrument_name"))
        if symbol not in self.floor.pits:
            raise Refused(13020, "not_found", {"param": "instrument_name"})
        return symbol


def _span(params: Params, first: str, last: str) -> tuple[int, int]:
    """Both ends inclusive; what is not named has no end."""
    return parameters.integer(params, first, 0), parameters.integer(params, last, parameters.ENDLESS)
