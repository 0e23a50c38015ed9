"""How spot speaks of accounts: what happened becomes events of the WebSocket API, REST shows the book."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from streamers.simulator.accounts.binance_keys import Keyring
from streamers.simulator.accounts.binance_spot import API_PATH, SpotApiConversation, user_stream
from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import ZERO, BookEvent, Executed, Moved, Ordered, SimOrder
from streamers.simulator.accounts.desk import Account, Desk
from streamers.simulator.accounts.spot_house import SpotHouse, locked
from streamers.simulator.accounts.spot_rest import SpotRest
from streamers.simulator.accounts.spot_texts import account_position, balance_update, execution_report
from streamers.simulator.binance import SPOT_RULES
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Conversation
from streamers.simulator.interference import Heard
from streamers.simulator.limits import WeightWindow
from streamers.simulator.rest import Answer, Carried


class SpotWallet:
    """What was told of balances and locks: events are told later than they happen."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.balances = dict(book.balances)
        self._waiting: dict[str, SimOrder] = {order.order_id: order for order in book.waiting()}

    def apply(self, event: BookEvent) -> dict[str, tuple[Decimal, Decimal]]:
        """Take an event in; by asset that may have changed what is free and what is locked."""
        touched: dict[str, None] = {}
        if isinstance(event, Ordered | Executed):
            listing = self.book.listing_of(event.order.symbol)
            touched = {listing.base: None, listing.quote: None}
            if event.order.waits:
                self._waiting[event.order.order_id] = event.order
            else:
                self._waiting.pop(event.order.order_id, None)
        if isinstance(event, Executed | Moved):
            touched |= {row.asset: None for row in event.movements}
            self.balances |= {row.asset: row.balance for row in event.movements}
        locks = locked(self._waiting.values(), self.book)
        return {asset: self._state(asset, locks) for asset in touched}

    def _state(self, asset: str, locks: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
        lock = locks.get(asset, ZERO)
        return self.balances.get(asset, ZERO) - lock, lock


class SpotHalf:
    """Of one simulated exchange. ``window`` is the public REST's: both sides weigh on it."""

    desk: Desk
    keys: Keyring
    rest: SpotRest

    def __init__(self) -> None:
        self.house = SpotHouse()
        self.window = WeightWindow(6000)
        self._wallets: dict[str, SpotWallet] = {}
        self._executions: dict[str, int] = {}
        """Symbol → last execution id."""

    def start(self, desk: Desk) -> None:
        self.desk = desk
        self.keys = Keyring(self._find, self._refuses, self._time)
        self.rest = SpotRest(desk, self.keys, self.window)
        self._wallets = {name: SpotWallet(account.book) for name, account in desk.accounts.items()}

    def attach(self, window: WeightWindow) -> None:
        """From here on count what is asked with what the public REST is asked."""
        self.window = self.rest.window = window

    def converse(self, url: str, scale: float) -> Conversation | None:
        parts = urlsplit(url)
        if parts.path.rstrip("/") != API_PATH:
            return None
        tells = parse_qs(parts.query).get("returnRateLimits", ["true"])[0] != "false"
        return SpotApiConversation(
            self.keys,
            self.window,
            self._time,
            SPOT_RULES.scaled(scale),
            tells_limits=tells,
        )

    def told(self, account: Account, event: BookEvent) -> None:
        """The order first, then what became of the coins."""
        assets = self._wallets[account.name].apply(event)
        moment = 0
        if isinstance(event, Ordered | Executed):
            fill = event.fill if isinstance(event, Executed) else None
            what = event.what if isinstance(event, Ordered) else None
            moment = (fill.time if fill else event.order.updated) // 1000
            number = self._execution(event.order.symbol, moment)
            self._say(account, execution_report(event.order, what, number, fill))
        elif isinstance(event, Moved):
            moment = event.time // 1000
            for row in event.movements:
                self._say(account, balance_update(row.asset, row.change, moment))
        if assets:
            self._say(account, account_position(assets, moment))

    def second(self, account: Account, time: int) -> None:
        """Nothing happens by itself."""

    def answer(self, asked: Carried, params: dict[str, Any], now: float) -> Answer | None:
        _ = params
        return self.rest.answer(asked, now)

    def strike(self, account: Account, fault: Fault, now: float) -> Iterator[Heard]:
        """A key that expires ends its subscriptions with a word; one that is revoked ends them silently."""
        _ = now
        if fault.fault == "key_expired":
            account.revoked = True
            self.desk.effects[fault.fault] += 1
        elif fault.fault != "key_revoked":
            return
        hub = self.desk.floor.hub
        for one in list(hub.conversations):
            if not isinstance(one, SpotApiConversation):
                continue
            if fault.fault == "key_expired":
                yield from ((one, said) for said in one.terminate(account.name))
            else:
                one.silence(account.name)
            hub.refresh(one)

    def _time(self) -> int:
        """The exchange's, milliseconds UTC."""
        return self.desk.clock()

    def _find(self, key_id: str) -> Any:
        account = self.desk.by_key(key_id)
        return account and account.spec

    def _refuses(self, account: str, now: float) -> bool:
        return self.desk.is_lasting("auth_refused", account, now)

    def _execution(self, symbol: str, moment: int) -> int:
        """Unique per symbol, ascending; it follows the clock, so that none comes twice after a restart."""
        number = max(self._executions.get(symbol, 0) + 1, moment * 1000)
        self._executions[symbol] = number
        return number

    def _say(self, account: Account, said: dict[str, Any]) -> None:
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        self.desk.say(account.name, user_stream(account.name), text)
