"""Binance's private REST: who may ask, what it weighs, and what both products share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from streamers.simulator.accounts.binance_history import DAY, last, page, span_of
from streamers.simulator.accounts.binance_keys import Keyring, rest_text
from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import SimMovement
from streamers.simulator.accounts.desk import Account, Desk
from streamers.simulator.binance_parameters import Query, Refused
from streamers.simulator.binance_rest import weighed
from streamers.simulator.limits import WeightWindow
from streamers.simulator.rest import Answer, Carried

QUARTER: Final = 90 * DAY
"""Orders that nobody filled are told of so long after their end."""


class Asked(NamedTuple):
    """A request that was let in."""

    account: Account
    book: Book
    """As REST shows it: it may be behind."""
    query: Query
    now: int
    """The exchange's time, milliseconds UTC."""


class Route(NamedTuple):
    """One endpoint."""

    weight: Callable[[Query], int]
    handler: Callable[[Asked], object]
    signed: bool = True
    """False: the key's name alone is enough."""


Routes: TypeAlias = dict[tuple[str, str], Route]
"""By method and path."""


class PrivateRest:
    """The private endpoints of one product."""

    def __init__(self, desk: Desk, keys: Keyring, window: WeightWindow, routes: Routes) -> None:
        self.desk = desk
        self.keys = keys
        self.window = window
        self.routes = {("GET", "/sapi/v1/account/apiRestrictions"): by(1, restrictions), **routes}
        self._paths = {path for _, path in self.routes}

    def answer(self, asked: Carried, now: float) -> Answer | None:
        """Answer a request; None where the path is no private one."""
        parts = urlsplit(asked.target)
        if parts.path not in self._paths:
            return None
        route = self.routes.get((asked.method, parts.path))
        if route is None:
            return Answer(405, refusal(-1020, f"Request method '{asked.method}' is not supported."))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        query = {**dict(parse_qsl(asked.body, keep_blank_values=True)), **query}

        def handle() -> str:
            account = self._let_in(asked, route, parts.query, query, now)
            moment = self.desk.floor.shown // 1000
            result = route.handler(Asked(account, self.desk.shown(account), query, moment))
            return json.dumps(result, ensure_ascii=False, separators=(",", ":"))

        return weighed(self.window, lambda: route.weight(query), handle, self.desk.floor.shown, now)

    def _let_in(self, asked: Carried, route: Route, text: str, query: Query, now: float) -> Account:
        key = asked.headers.get("x-mbx-apikey", "")
        if route.signed and key:
            who = self.keys.signed(key, query, *rest_text(text, asked.body), now)
        else:
            who = self.keys.known(key, now)
        return self.desk.accounts[who.name]


def by(weight: int, handler: Callable[[Asked], object], *, signed: bool = True) -> Route:
    """An endpoint that always weighs the same."""
    return Route(lambda _: weight, handler, signed)


def by_symbol(one: int, all_of_them: int, handler: Callable[[Asked], object]) -> Route:
    """An endpoint that weighs more where no symbol is named."""
    return Route(lambda query: one if query.get("symbol") else all_of_them, handler)


def refusal(code: int, message: str) -> str:
    """An error's body."""
    return json.dumps({"code": code, "msg": message}, ensure_ascii=False)


def listed(asked: Asked) -> str:
    """The symbol that is asked for, empty where none is; raises Refused where it is not listed."""
    symbol = asked.query.get("symbol", "")
    if symbol:
        try:
            asked.book.listing_of(symbol)
        except KeyError:
            raise Refused(-1121, "Invalid symbol.") from None
    return symbol


def kept(desk: Desk, asked: Asked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A page of a history; a fault loses half of it without a word."""
    lost = rows and desk.owes("rest_page_lost", asked.account.name)
    return rows[: len(rows) // 2] if lost else rows


def restrictions(asked: Asked) -> dict[str, Any]:
    """What the key may do; on both products, though the exchange itself has it on spot's host alone."""
    rights = asked.account.spec.permissions
    futures = asked.account.spec.exchange != "binance_spot"
    return {
        "ipRestrict": rights.ip_restricted,
        "createTime": 1_700_000_000_000,
        "enableReading": True,
        "enableWithdrawals": rights.withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": rights.trade and futures,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": rights.trade and not futures,
        "enablePortfolioMarginTrading": False,
    }


def moved(asked: Asked, *kinds: str) -> list[SimMovement]:
    """Movements of some kinds that a history of ninety days shows, of one coin where it is named."""
    coin = asked.query.get("coin", "")
    rows = [row for row in asked.book.movements if row.kind in kinds and coin in ("", row.asset)]
    span = span_of(asked.query, QUARTER, last(QUARTER, asked.now))
    return page(rows, asked.query, span, lambda row: row.time // 1000, 1000)
