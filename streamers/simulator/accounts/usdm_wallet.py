"""The wallet of USD-M as REST shows it: balances, margins and positions at the market's mark prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import ZERO, SimPosition
from streamers.simulator.accounts.spot_texts import eight
from streamers.simulator.accounts.usdm_house import (
    LEVERAGE,
    initial_margin,
    liquidation_price,
    maintenance_margin,
    unrealized,
)
from streamers.simulator.accounts.usdm_texts import plain, side_of
from streamers.simulator.floor import Floor


class Figures:
    """What follows from a book and the marks of the moment."""

    def __init__(self, book: Book, floor: Floor) -> None:
        self.book = book
        self.floor = floor
        self.open = [one for one in book.positions.values() if one.quantity]

    def mark(self, symbol: str) -> Decimal:
        """The mark price."""
        return Decimal(self.floor.tell(symbol, "mark")[0])

    def brings(self, asset: str) -> Decimal:
        """What closing all positions of an asset would bring."""
        return sum((unrealized(one, self.mark(one.symbol)) for one in self._of(asset)), ZERO)

    def tied(self, asset: str) -> Decimal:
        """Initial margin of positions."""
        return sum((initial_margin(one, self.mark(one.symbol)) for one in self._of(asset)), ZERO)

    def needed(self, asset: str) -> Decimal:
        """Maintenance margin."""
        return sum((maintenance_margin(one, self.mark(one.symbol)) for one in self._of(asset)), ZERO)

    def ordered(self, asset: str) -> Decimal:
        """Initial margin of open orders that reduce nothing."""
        listing_of = self.book.listing_of
        return sum(
            (
                order.left * (order.price or ZERO) / LEVERAGE
                for order in self.book.waiting()
                if order.state == "open"
                and not order.reduce_only
                and listing_of(order.symbol).settlement == asset
            ),
            ZERO,
        )

    def updated(self, asset: str) -> int:
        """When its balance last changed, milliseconds UTC; 0: never."""
        times = (row.time // 1000 for row in reversed(self.book.movements) if row.asset == asset)
        return next(times, 0)

    def assets(self) -> list[dict[str, Any]]:
        """``assets`` of the account."""
        return [self._asset(asset) for asset in self.book.balances]

    def balances(self) -> list[dict[str, Any]]:
        """``balance``."""
        rows = []
        for asset, wallet in self.book.balances.items():
            row = self._asset(asset)
            rows.append(
                {
                    "accountAlias": "SgsR",
                    "asset": asset,
                    "balance": eight(wallet),
                    "crossWalletBalance": eight(wallet),
                    "crossUnPnl": row["crossUnPnl"],
                    "availableBalance": row["availableBalance"],
                    "maxWithdrawAmount": row["maxWithdrawAmount"],
                    "marginAvailable": True,
                    "updateTime": row["updateTime"],
                }
            )
        return rows

    def account(self) -> dict[str, Any]:
        """Totals, assets, and positions of symbols that have any."""
        asset = "USDT"
        wallet, brings = self.book.balances.get(asset, ZERO), self.brings(asset)
        tied, ordered = self.tied(asset), self.ordered(asset)
        free = eight(max(wallet + brings - tied - ordered, ZERO))
        return {
            "totalInitialMargin": eight(tied + ordered),
            "totalMaintMargin": eight(self.needed(asset)),
            "totalWalletBalance": eight(wallet),
            "totalUnrealizedProfit": eight(brings),
            "totalMarginBalance": eight(wallet + brings),
            "totalPositionInitialMargin": eight(tied),
            "totalOpenOrderInitialMargin": eight(ordered),
            "totalCrossWalletBalance": eight(wallet),
            "totalCrossUnPnl": eight(brings),
            "availableBalance": free,
            "maxWithdrawAmount": free,
            "assets": self.assets(),
            "positions": [self._short(one) for one in self.open],
        }

    def positions(self, symbol: str = "") -> list[dict[str, Any]]:
        """``positionRisk``: open ones only."""
        return [self._risk(one) for one in self.open if symbol in ("", one.symbol)]

    def _of(self, asset: str) -> list[SimPosition]:
        return [one for one in self.open if one.asset == asset]

    def _asset(self, asset: str) -> dict[str, Any]:
        wallet, brings = self.book.balances.get(asset, ZERO), self.brings(asset)
        tied, ordered = self.tied(asset), self.ordered(asset)
        free = eight(max(wallet + brings - tied - ordered, ZERO))
        return {
            "asset": asset,
            "walletBalance": eight(wallet),
            "unrealizedProfit": eight(brings),
            "marginBalance": eight(wallet + brings),
            "maintMargin": eight(self.needed(asset)),
            "initialMargin": eight(tied + ordered),
            "positionInitialMargin": eight(tied),
            "openOrderInitialMargin": eight(ordered),
            "crossWalletBalance": eight(wallet),
            "crossUnPnl": eight(brings),
            "availableBalance": free,
            "maxWithdrawAmount": free,
            "marginAvailable": True,
            "updateTime": self.updated(asset),
        }

    def _short(self, one: SimPosition) -> dict[str, Any]:
        mark = self.mark(one.symbol)
        return {
            "symbol": one.symbol,
            "positionSide": side_of(one.position_side),
            "positionAmt": plain(one.quantity),
            "unrealizedProfit": eight(unrealized(one, mark)),
            "isolatedMargin": "0",
            "notional": eight(one.quantity * mark),
            "isolatedWallet": "0",
            "initialMargin": eight(initial_margin(one, mark)),
            "maintMargin": eight(maintenance_margin(one, mark)),
            "updateTime": one.updated // 1000,
        }

    def _risk(self, one: SimPosition) -> dict[str, Any]:
        mark, margin = self.mark(one.symbol), eight(initial_margin(one, self.mark(one.symbol)))
        return {
            "symbol": one.symbol,
            "positionSide": side_of(one.position_side),
            "positionAmt": plain(one.quantity),
            "entryPrice": f"{one.entry:.5f}",
            "breakEvenPrice": f"{one.entry:.5f}",
            "markPrice": eight(mark),
            "unRealizedProfit": eight(unrealized(one, mark)),
            "liquidationPrice": f"{liquidation_price(one, self.book.balances.get(one.asset, ZERO)):.5f}",
            "isolatedMargin": "0",
            "notional": eight(one.quantity * mark),
            "marginAsset": one.asset,
            "isolatedWallet": "0",
            "initialMargin": margin,
            "maintMargin": eight(maintenance_margin(one, mark)),
            "positionInitialMargin": margin,
            "openOrderInitialMargin": "0",
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": one.updated // 1000,
        }
