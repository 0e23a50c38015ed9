"""USD-M's private REST: listenKeys, wallet, positions, orders of both kinds, trades, and the ledger.

Windows of ``allOrders`` count by when an order was made. ``income`` knows no ``page``: it is not heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamers.simulator.accounts.binance_history import Span, last, page
from streamers.simulator.accounts.binance_keys import Keyring
from streamers.simulator.accounts.binance_rest import (
    QUARTER,
    Asked,
    PrivateRest,
    Routes,
    by,
    by_symbol,
    kept,
    listed,
)
from streamers.simulator.accounts.book_shapes import SimMovement
from streamers.simulator.accounts.desk import Desk
from streamers.simulator.accounts.usdm import UsdmFeed
from streamers.simulator.accounts.usdm_house import LEVERAGE, MAINTENANCE
from streamers.simulator.accounts.usdm_orders import (
    WEEK,
    all_algo_orders,
    all_orders,
    force_orders,
    one_algo_order,
    one_order,
    open_algo_orders,
    open_orders,
    week_of,
)
from streamers.simulator.accounts.usdm_rows import INCOMES, income_row, trade_row
from streamers.simulator.accounts.usdm_wallet import Figures
from streamers.simulator.binance_parameters import Refused, integer, required
from streamers.simulator.limits import WeightWindow


class UsdmRest(PrivateRest):
    """The private endpoints of USD-M."""

    def __init__(self, desk: Desk, keys: Keyring, window: WeightWindow, feed: UsdmFeed) -> None:
        self.feed = feed
        super().__init__(desk, keys, window, self._routes())

    def _routes(self) -> Routes:
        account = by(5, lambda asked: {**_rights(asked), **self._figures(asked).account()})
        balance = by(5, lambda asked: self._figures(asked).balances())
        positions = by(5, lambda asked: self._figures(asked).positions(listed(asked)))
        return {
            ("POST", "/fapi/v1/listenKey"): by(1, self._obtain, signed=False),
            ("PUT", "/fapi/v1/listenKey"): by(1, self._extend, signed=False),
            ("DELETE", "/fapi/v1/listenKey"): by(1, self._end, signed=False),
            ("GET", "/fapi/v2/account"): account,
            ("GET", "/fapi/v3/account"): account,
            ("GET", "/fapi/v2/balance"): balance,
            ("GET", "/fapi/v3/balance"): balance,
            ("GET", "/fapi/v2/positionRisk"): positions,
            ("GET", "/fapi/v3/positionRisk"): positions,
            ("GET", "/fapi/v1/accountConfig"): by(5, _rights),
            ("GET", "/fapi/v1/positionSide/dual"): by(30, lambda _: {"dualSidePosition": False}),
            ("GET", "/fapi/v1/multiAssetsMargin"): by(30, lambda _: {"multiAssetsMargin": False}),
            ("GET", "/fapi/v1/leverageBracket"): by(1, self._brackets),
            ("GET", "/fapi/v1/openOrders"): by_symbol(1, 40, open_orders),
            ("GET", "/fapi/v1/openAlgoOrders"): by_symbol(1, 40, open_algo_orders),
            ("GET", "/fapi/v1/order"): by(1, one_order),
            ("GET", "/fapi/v1/algoOrder"): by(1, one_algo_order),
            ("GET", "/fapi/v1/allOrders"): by(5, self._told(all_orders)),
            ("GET", "/fapi/v1/allAlgoOrders"): by(5, self._told(all_algo_orders)),
            ("GET", "/fapi/v1/forceOrders"): by_symbol(20, 50, force_orders),
            ("GET", "/fapi/v1/userTrades"): by(5, self._trades),
            ("GET", "/fapi/v1/income"): by(30, self._income),
        }

    # --- listenKeys -------------------------------------------------------------------------------------

    def _obtain(self, asked: Asked) -> object:
        return {"listenKey": self.feed.keys.obtain(asked.account.name, self.desk.floor.shown)}

    def _extend(self, asked: Asked) -> object:
        return {"listenKey": self.feed.keys.extend(asked.account.name, self.desk.floor.shown)}

    def _end(self, asked: Asked) -> object:
        """It is over for everybody who shares it."""
        if not self.feed.end(asked.account.name, self.desk.floor.shown):
            raise Refused(-1125, "This listenKey does not exist.")
        return {}

    def _brackets(self, asked: Asked) -> object:
        """One for all sizes."""
        symbol = listed(asked)
        bracket = {
            "bracket": 1,
            "initialLeverage": LEVERAGE,
            "notionalCap": 50_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": float(MAINTENANCE),
            "cum": 0.0,
        }
        names = [symbol] if symbol else list(self.desk.floor.pits)
        return [{"symbol": name, "notionalCoef": 1.0, "brackets": [bracket]} for name in names]

    # --- histories --------------------------------------------------------------------------------------

    def _figures(self, asked: Asked) -> Figures:
        return Figures(asked.book, self.desk.floor)

    def _told(self, history: Callable[[Asked], list[dict[str, Any]]]) -> Callable[[Asked], object]:
        """A history of which a fault can lose a page."""
        return lambda asked: kept(self.desk, asked, history(asked))

    def _trades(self, asked: Asked) -> object:
        required(asked.query, "symbol")
        symbol, first = listed(asked), integer(asked.query, "fromId")
        order_id = integer(asked.query, "orderId")
        if first is not None and {"startTime", "endTime"} & asked.query.keys():
            raise Refused(-1128, "Combination of optional parameters invalid.")
        rows = [
            fill
            for fill in asked.book.fills
            if fill.symbol == symbol and fill.time // 1000 >= asked.now - QUARTER
            if (first is None or fill.number >= first)
            and (order_id is None or int(fill.order_id) == order_id)
        ]
        found = page(rows, asked.query, week_of(asked, first), lambda fill: fill.time // 1000)
        return kept(self.desk, asked, [trade_row(fill) for fill in found])

    def _income(self, asked: Asked) -> object:
        symbol, kind = asked.query.get("symbol", ""), asked.query.get("incomeType", "")
        rows = [
            row
            for row in asked.book.movements
            if row.time // 1000 >= asked.now - QUARTER
            if symbol in ("", row.symbol) and kind in ("", INCOMES.get(row.kind, ""))
        ]
        found = page(rows, asked.query, _span_of_income(asked), lambda row: row.time // 1000, 100)
        return kept(
            self.desk, asked, [income_row(row, _transaction(asked.book.movements, row)) for row in found]
        )


def _span_of_income(asked: Asked) -> Span:
    """Seven days where nothing is said; else anything within three months."""
    start, end = integer(asked.query, "startTime"), integer(asked.query, "endTime")
    if start is None and end is None:
        return last(WEEK, asked.now)
    return Span(start or 0, asked.now if end is None else end, newest=start is None)


def _transaction(movements: list[SimMovement], row: SimMovement) -> int:
    """A fill's commission has the number of its profit, where it realised any: unique within a type only."""
    before = movements[row.number - 2] if row.number > 1 else None
    shares = (
        before is not None
        and row.kind == "fee"
        and row.fill_id
        and (before.kind, before.fill_id, before.order_id) == ("realized_pnl", row.fill_id, row.order_id)
    )
    return row.number - 1 if shares else row.number


def _rights(asked: Asked) -> dict[str, Any]:
    rights = asked.account.spec.permissions
    return {
        "feeTier": 0,
        "canTrade": rights.trade,
        "canDeposit": True,
        "canWithdraw": rights.withdraw,
        "dualSidePosition": False,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "updateTime": 0,
    }
