"""What USD-M's REST interface tells of money: balances, positions and the ledger ("income")."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.accounts import Balance, Movement, MovementKind, Origin, Position
from trade_platform.exchanges.account import Page
from trade_platform.exchanges.amounts import checked, checked_optional, checked_unsigned
from trade_platform.exchanges.binance.private.rows import decoded, reading
from trade_platform.exchanges.binance.private.usdm_records import BOTH, side_of_position
from trade_platform.exchanges.binance.private.walk import Row
from trade_platform.exchanges.binance.private.wire import Id, Milliseconds, Text, Word, given
from trade_platform.exchanges.binance.records import MILLISECOND

KINDS: Final[Mapping[str, MovementKind]] = {
    "REALIZED_PNL": MovementKind.REALIZED_PNL,
    "COMMISSION": MovementKind.FEE,
    "POSITION_LIMIT_INCREASE_FEE": MovementKind.FEE,
    "FUNDING_FEE": MovementKind.FUNDING,
    "TRANSFER": MovementKind.TRANSFER,
    "INTERNAL_TRANSFER": MovementKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": MovementKind.TRANSFER,
    "COIN_SWAP_DEPOSIT": MovementKind.TRANSFER,
    "COIN_SWAP_WITHDRAW": MovementKind.TRANSFER,
    "INSURANCE_CLEAR": MovementKind.INSURANCE,
    "DELIVERED_SETTELMENT": MovementKind.SETTLEMENT,  # Binance's own spelling
    "DELIVERED_SETTLEMENT": MovementKind.SETTLEMENT,
    "WELCOME_BONUS": MovementKind.REBATE,
    "REFERRAL_KICKBACK": MovementKind.REBATE,
    "COMMISSION_REBATE": MovementKind.REBATE,
    "API_REBATE": MovementKind.REBATE,
}
"""Of an income's type; what is not here is OTHER and keeps its word."""
ISOLATED: Final = "isolated"
CROSS: Final = "cross"


class AssetRow(
    msgspec.Struct,
    gc=False,
    rename={
        "total": "walletBalance", "equity": "marginBalance", "available": "availableBalance",
        "initial_margin": "initialMargin", "maintenance_margin": "maintMargin", "updated": "updateTime",
    },
):  # fmt: skip
    asset: Word
    total: Decimal
    equity: Decimal | None = None
    available: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    updated: Milliseconds = 0


class Account(msgspec.Struct, rename={"multi_assets": "multiAssetsMargin"}):
    assets: list[AssetRow]
    multi_assets: bool = False


class PositionRow(
    msgspec.Struct,
    gc=False,
    rename={
        "side": "positionSide", "quantity": "positionAmt", "entry": "entryPrice", "mark": "markPrice",
        "unrealized": "unRealizedProfit", "liquidation": "liquidationPrice", "updated": "updateTime",
        "isolated_margin": "isolatedMargin", "margin_type": "marginType", "asset": "marginAsset",
        "initial_margin": "initialMargin", "maintenance_margin": "maintMargin",
    },
):  # fmt: skip
    symbol: Word
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    unrealized: Decimal
    liquidation: Decimal = Decimal(0)
    updated: Milliseconds = 0
    side: Text = BOTH
    isolated_margin: Decimal = Decimal(0)
    margin_type: Text = ""
    """Of older answers; newer ones tell the isolated margin alone."""
    asset: Text = ""
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None


class IncomeRow(
    msgspec.Struct,
    gc=False,
    rename={"word": "incomeType", "change": "income", "number": "tranId", "trade_id": "tradeId"},
):
    word: Word
    change: Decimal
    asset: Word
    time: Milliseconds
    number: Id | Word
    symbol: Text = ""
    trade_id: Id | Text = ""


_account = msgspec.json.Decoder(Account)
_positions = msgspec.json.Decoder(list[PositionRow])
_income = msgspec.json.Decoder(list[IncomeRow])


@reading
def balances(body: bytes, receive_time: int) -> Page:
    """Wallets; where assets share their margin, margins are of all together."""
    account = decoded(_account, body)
    return Page(
        records=[
            Balance(
                asset=one.asset,
                total=checked(one.total),
                event_time=one.updated * MILLISECOND or receive_time,
                receive_time=receive_time,
                available=checked_optional(one.available),
                equity=checked_optional(one.equity),
                initial_margin=checked_optional(one.initial_margin),
                maintenance_margin=checked_optional(one.maintenance_margin),
                shared_margin=account.multi_assets,
                origin=Origin.SNAPSHOT,
            )
            for one in account.assets
        ]
    )


@reading
def positions(body: bytes, receive_time: int) -> Page:
    """Open ones; a symbol with orders alone is told, too, with nothing."""
    rows = decoded(_positions, body)
    return Page(records=[_position(row, receive_time) for row in rows if checked(row.quantity)])


def _position(row: PositionRow, receive_time: int) -> Position:
    margin_mode = row.margin_type or (ISOLATED if checked(row.isolated_margin) else CROSS)
    return Position(
        symbol=row.symbol,
        quantity=row.quantity,
        event_time=row.updated * MILLISECOND or receive_time,
        receive_time=receive_time,
        position_side=side_of_position(row.side),
        average_price=given(checked_unsigned(row.entry)),
        mark_price=given(checked_unsigned(row.mark)),
        liquidation_price=given(checked(row.liquidation)),
        unrealized_pnl=checked(row.unrealized),
        initial_margin=checked_optional(row.initial_margin),
        maintenance_margin=checked_optional(row.maintenance_margin),
        margin_mode=margin_mode,
        asset=row.asset,
        origin=Origin.SNAPSHOT,
    )


@reading
def income(body: bytes, receive_time: int) -> list[Row]:
    """A page of the ledger. A number is unique among rows of one type only: the id holds both."""
    rows = []
    for row in decoded(_income, body):
        movement = Movement(
            movement_id=f"{row.word}:{row.number}:{row.asset}",
            kind=KINDS.get(row.word, MovementKind.OTHER),
            word=row.word,
            asset=row.asset,
            change=checked(row.change),
            event_time=row.time * MILLISECOND,
            receive_time=receive_time,
            symbol=row.symbol,
            fill_id=str(row.trade_id),
        )
        rows.append(Row(0, row.time, movement, movement.movement_id))
    return rows
