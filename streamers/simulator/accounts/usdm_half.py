"""How USD-M speaks of accounts: listenKeys hear what happened, REST shows the book; funding comes by itself.

Of a fill the short message comes first, before its order's NEW where it fills at once; then the wallet,
then the order. Conditional orders are told by messages of their own until another order comes of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from streamers.simulator.accounts.binance_keys import Keyring
from streamers.simulator.accounts.book_shapes import (
    ZERO,
    BookEvent,
    Executed,
    Moved,
    Noted,
    Ordered,
    Posting,
    SimFill,
    SimMovement,
    SimOrder,
    SimPosition,
)
from streamers.simulator.accounts.desk import Account, Desk
from streamers.simulator.accounts.listen_keys import ListenKeys
from streamers.simulator.accounts.positions import coin
from streamers.simulator.accounts.usdm import UsdmFeed, UsdmPrivateConversation, private_path
from streamers.simulator.accounts.usdm_house import LinearHouse, maintenance_margin, unrealized
from streamers.simulator.accounts.usdm_orders import PLAIN
from streamers.simulator.accounts.usdm_rest import UsdmRest
from streamers.simulator.accounts.usdm_texts import (
    account_update,
    algo_update,
    margin_call,
    order_update,
    trade_lite,
)
from streamers.simulator.accounts.usdm_wallet import Figures
from streamers.simulator.binance import USDM_RULES
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Conversation
from streamers.simulator.interference import Heard
from streamers.simulator.limits import WeightWindow
from streamers.simulator.listing import MINUTE
from streamers.simulator.rest import Answer, Carried
from streamers.simulator.usdm_floor import FUNDING_PERIOD

NEWEST: Final = 20
"""Among so many fills those of an order are looked for that fills at once."""
CALLED_AT: Final = Decimal("0.8")
"""Of what is left the maintenance margin may be so much before the exchange calls; all of it: it closes."""
CALL_EVERY: Final = 60 * MINUTE
WORDS: Final = {"funding": "FUNDING_FEE", "insurance": "INSURANCE_CLEAR"}


class UsdmHalf:
    """Of one simulated exchange. ``window`` is the public REST's: both sides weigh on it."""

    desk: Desk
    keys: Keyring
    feed: UsdmFeed
    rest: UsdmRest

    def __init__(self) -> None:
        self.house = LinearHouse()
        self.window = WeightWindow(2400)
        self._early: set[str] = set()
        """Fills whose short message was said before their order's NEW."""
        self._called: dict[str, int] = {}

    def start(self, desk: Desk) -> None:
        self.desk = desk
        self.keys = Keyring(self._find, self._refuses, self._time)
        self.feed = UsdmFeed(desk, ListenKeys(f"{desk.floor.exchange}/{desk.floor.now}"))
        self.rest = UsdmRest(desk, self.keys, self.window, self.feed)
        desk.floor.agenda.at((desk.floor.now // FUNDING_PERIOD + 1) * FUNDING_PERIOD, self._funding_time)

    def attach(self, window: WeightWindow) -> None:
        """From here on count what is asked with what the public REST is asked."""
        self.window = self.rest.window = window

    def converse(self, url: str, scale: float) -> Conversation | None:
        path = private_path(url)
        if path is None:
            return None
        rules = USDM_RULES.scaled(scale)
        return UsdmPrivateConversation(self.feed.keys, lambda: self.desk.floor.shown, path, rules)

    def answer(self, asked: Carried, params: dict[str, Any], now: float) -> Answer | None:
        _ = params
        return self.rest.answer(asked, now)

    # --- what happened ----------------------------------------------------------------------------------

    def told(self, account: Account, event: BookEvent) -> None:
        if isinstance(event, Ordered):
            self._ordered(account, event)
        elif isinstance(event, Executed):
            self._executed(account, event)
        elif isinstance(event, Moved):
            self._moved(account, event)
        elif isinstance(event, Noted) and event.what == "margin_call":
            self.feed.say(account.name, "MARGIN_CALL", event.text)

    def _ordered(self, account: Account, event: Ordered) -> None:
        order, what = event.order, event.what
        if order.kind not in PLAIN:
            status = {"placed": "NEW", "triggered": "TRIGGERING", "cancelled": "CANCELED"}
            self._say(account, algo_update(order, status.get(what, what.upper())))
            return
        parent = account.book.orders.get(order.parent_id)
        if parent and what == "placed":
            self._say(account, algo_update(parent, "TRIGGERED", order))
        if what == "placed":
            self._announce_early(account, order)
        self._say(account, order_update(order, what, None, parent))
        self._finish(account, order, parent)

    def _executed(self, account: Account, event: Executed) -> None:
        order, fill = event.order, event.fill
        if _name(fill) in self._early:
            self._early.discard(_name(fill))
        else:
            self._say(account, trade_lite(order, fill))
        self._say_wallet(account, "ORDER", fill.time, event.movements, event.positions)
        parent = account.book.orders.get(order.parent_id)
        self._say(account, order_update(order, None, fill, parent))
        self._finish(account, order, parent)

    def _moved(self, account: Account, event: Moved) -> None:
        """Funding names its symbol; what comes or goes is a deposit or a withdrawal."""
        for row in event.movements:
            why = WORDS.get(row.kind, "DEPOSIT" if row.change > 0 else "WITHDRAW")
            self._say_wallet(account, why, event.time, (row,), event.positions)

    def _announce_early(self, account: Account, order: SimOrder) -> None:
        """The book is ahead of what is told: a fill of the same moment is in it already."""
        for fill in account.book.fills[-NEWEST:]:
            if fill.order_id == order.order_id and fill.time == order.created:
                self._early.add(_name(fill))
                self._say(account, trade_lite(order, fill))

    def _finish(self, account: Account, order: SimOrder, parent: SimOrder | None) -> None:
        if parent and not order.waits:
            self._say(account, algo_update(parent, "FINISHED", order))

    def _say_wallet(
        self,
        account: Account,
        why: str,
        time: int,
        rows: Iterable[SimMovement],
        positions: Iterable[SimPosition],
    ) -> None:
        rows, figures = list(rows), Figures(account.book, self.desk.floor)
        foreign = why != "ORDER"
        wallets = {row.asset: (row.asset, row.balance, row.change if foreign else ZERO) for row in rows}
        held = [(one, unrealized(one, figures.mark(one.symbol))) for one in positions]
        symbol = rows[0].symbol if rows and why == "FUNDING_FEE" else ""
        self._say(account, account_update(why, time // 1000, wallets.values(), held, symbol))

    def _say(self, account: Account, said: dict[str, Any]) -> None:
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        self.feed.say(account.name, said["e"], text)

    # --- what happens by itself -------------------------------------------------------------------------

    def second(self, account: Account, time: int) -> None:
        """Keys lapse; what a position loses may call for more margin, or end it."""
        self.feed.lapse(time)
        book = account.book
        figures = Figures(book, self.desk.floor)
        if not figures.open:
            self._insure(account, time)
            return
        asset = figures.open[0].asset
        left = book.balances.get(asset, ZERO) + figures.brings(asset)
        needed = figures.needed(asset)
        if needed >= left:
            if not any(order.liquidation for order in book.waiting()):
                for one in figures.open:
                    account.trader.liquidate(one.symbol, "liquidation")
        elif needed >= left * CALLED_AT and time - self._called.get(account.name, 0) >= CALL_EVERY:
            self._called[account.name] = time
            book.note("margin_call", self._call(figures, book.balances.get(asset, ZERO), time), time)

    def _insure(self, account: Account, time: int) -> None:
        """What a liquidation left owing, the insurance fund pays."""
        for asset, wallet in account.book.balances.items():
            if wallet < 0:
                account.book.post("insurance", time, [Posting(kind="insurance", asset=asset, change=-wallet)])

    def _call(self, figures: Figures, wallet: Decimal, time: int) -> str:
        marks = [(one, figures.mark(one.symbol)) for one in figures.open]
        told = [(one, mark, unrealized(one, mark), maintenance_margin(one, mark)) for one, mark in marks]
        return json.dumps(margin_call(wallet, time // 1000, told), separators=(",", ":"))

    def _funding_time(self, time: int) -> None:
        """Every eight hours: who is long pays the rate, who is short gets it."""
        floor = self.desk.floor
        for account in self.desk.accounts.values():
            for one in Figures(account.book, floor).open:
                rate = floor.tell(one.symbol, "mark")[2]
                if rate:
                    self._pay(account, one, Decimal(rate), floor.stamps.peek(time))
        floor.agenda.at(time + FUNDING_PERIOD, self._funding_time)

    def _pay(self, account: Account, one: SimPosition, rate: Decimal, time: int) -> None:
        mark = Figures(account.book, self.desk.floor).mark(one.symbol)
        change = -coin(one.quantity * mark * rate)
        posting = Posting(kind="funding", asset=one.asset, change=change, symbol=one.symbol, funding=change)
        account.book.post("funding", time, [posting])

    def strike(self, account: Account, fault: Fault, now: float) -> Iterable[Heard]:
        """What becomes of keys, and funding out of turn."""
        _ = now
        time, effects = self.desk.floor.shown, self.desk.effects
        if fault.fault == "listen_key_expired":
            effects[fault.fault] += self.feed.end(account.name, time)
        elif fault.fault == "key_expired":
            account.revoked = True
            self.feed.end(account.name, time)
            effects[fault.fault] += 1
        elif fault.fault == "key_revoked":
            self.feed.keys.end(account.name)
        elif fault.fault == "funding":
            for one in Figures(account.book, self.desk.floor).open:
                if fault.symbol in ("", one.symbol):
                    rate = (Decimal(fault.amount) / 100).copy_sign(one.quantity * Decimal(fault.amount))
                    self._pay(account, one, rate, time)
                    effects[fault.fault] += 1
        return ()

    def _time(self) -> int:
        """The exchange's, milliseconds UTC."""
        return self.desk.clock()

    def _find(self, key_id: str) -> Any:
        account = self.desk.by_key(key_id)
        return account and account.spec

    def _refuses(self, account: str, now: float) -> bool:
        return self.desk.is_lasting("auth_refused", account, now)


def _name(fill: SimFill) -> str:
    return f"{fill.symbol}/{fill.fill_id}/{fill.order_id}"
