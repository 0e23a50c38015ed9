"""Deribit's private JSON objects, key by key as the wire has them; decimals become JSON numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import ZERO, SimFill, SimMovement, SimOrder, SimPosition
from streamers.simulator.accounts.deribit_wallet import (
    INITIAL,
    MAINTENANCE,
    MAKER_FEE,
    TAKER_FEE,
    Standing,
    unsettled,
)
from streamers.simulator.accounts.positions import coin, gain, worth
from streamers.simulator.listing import Listing

if TYPE_CHECKING:
    from streamers.simulator.deribit_floor import DeribitFloor

PRICE: Final = Decimal("0.000001")
"""To this averages are rounded."""
USER: Final = 96_103
TIMES_IN_FORCE: Final = {"IOC": "immediate_or_cancel", "FOK": "fill_or_kill"}
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def dumps(value: object) -> str:
    """JSON with decimals as numbers, to their last digit."""
    return _encoder.encode(value).decode()


def kind_of(listing: Listing) -> str:
    """The word by which instruments are asked for."""
    return {"perpetual": "future"}.get(listing.kind, listing.kind)


def number(value: Decimal) -> Decimal:
    """Without zeros behind, never in exponents."""
    value = value.normalize()
    exponent = value.as_tuple().exponent
    return value.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else value


def contracts(listing: Listing, amount: Decimal) -> Decimal:
    """An amount as a number of contracts."""
    return number(amount / Decimal(listing.contract_size))


def order_object(order: SimOrder, listing: Listing) -> dict[str, Any]:
    """An order, as it is in channels, in lists of open ones and in histories."""
    triggers = order.trigger_price is not None
    untouched = triggers and not order.parent_id
    shown: dict[str, Any] = {
        "order_id": order.order_id,
        "order_state": order.state,
        "order_type": order.kind,
        "instrument_name": order.symbol,
        "direction": order.side,
        "price": "market_price" if order.price is None else number(order.price),
        "amount": number(order.quantity),
        "contracts": contracts(listing, order.quantity),
        "time_in_force": TIMES_IN_FORCE.get(order.time_in_force, "good_til_cancelled"),
        "label": order.label,
        "post_only": order.post_only,
        "reject_post_only": False,
        "reduce_only": order.reduce_only,
        "creation_timestamp": order.created // 1000,
        "last_update_timestamp": order.updated // 1000,
        "replaced": order.amended,
        "api": not order.liquidation,
        "web": False,
        "mmp": False,
        "is_liquidation": order.liquidation,
        "risk_reducing": order.reduce_only,
        "user_id": USER,
    }
    if not untouched:
        average = order.average
        shown["filled_amount"] = number(order.filled)
        shown["average_price"] = number(average.quantize(PRICE)) if average is not None else ZERO
    if untouched:
        shown |= {"trigger": "last_price", "trigger_price": order.trigger_price}
        shown["triggered"] = order.state == "triggered"
    if order.parent_id:
        shown |= {"trigger_order_id": order.parent_id, "trigger": "last_price"}
        shown |= {"trigger_price": order.trigger_price, "triggered": True}
    if order.reason:
        shown["cancel_reason"] = order.reason
    return shown


def trade_object(fill: SimFill, order: SimOrder, listing: Listing, floor: DeribitFloor) -> dict[str, Any]:
    """An own trade."""
    shown: dict[str, Any] = {
        "trade_id": fill.fill_id,
        "trade_seq": fill.number,
        "timestamp": fill.time // 1000,
        "instrument_name": fill.symbol,
        "direction": fill.side,
        "price": number(fill.price),
        "amount": number(fill.quantity),
        "contracts": contracts(listing, fill.quantity),
        "order_id": fill.order_id,
        "order_type": "liquidation" if fill.liquidation else fill.order_kind,
        "liquidity": "M" if fill.maker else "T",
        "fee": number(fill.fee),
        "fee_currency": fill.fee_asset,
        "profit_loss": number(fill.realized or ZERO),
        "state": order.state,
        "label": fill.label,
        "index_price": Decimal(floor.index(listing.index)),
        "mark_price": Decimal(floor.mark(floor.pits[fill.symbol])),
        "tick_direction": 1,
        "matching_id": None,
        "self_trade": False,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "mmp": False,
        "risk_reducing": order.reduce_only,
        "api": not order.liquidation,
    }
    if fill.liquidation:
        shown["liquidation"] = "T"
    return shown


def position_object(
    book: Book, position: SimPosition, mark: Decimal, index: Decimal, *, more: bool = False
) -> dict[str, Any]:
    """A position; ``more``: with what only REST tells."""
    inverse = book.listing_of(position.symbol).inverse
    quantity = position.quantity
    size = worth(quantity, mark, inverse=inverse) if quantity else ZERO
    unrealized = unsettled(book, position, mark)
    shown: dict[str, Any] = {
        "instrument_name": position.symbol,
        "kind": "future",
        "direction": "buy" if quantity > 0 else "sell" if quantity < 0 else "zero",
        "size": number(quantity),
        "size_currency": number(coin(size if inverse else quantity)),
        "average_price": number(position.entry.quantize(PRICE)),
        "mark_price": mark,
        "index_price": index,
        "settlement_price": mark if position.settlement_price is None else position.settlement_price,
        "delta": number(coin(size if inverse else quantity)),
        "initial_margin": number(coin(INITIAL * abs(size))),
        "maintenance_margin": number(coin(MAINTENANCE * abs(size))),
        "leverage": 50,
        "floating_profit_loss": number(unrealized),
        "realized_profit_loss": number(position.session_realized),
        "total_profit_loss": number(gain(quantity, position.entry, mark, inverse=inverse)),
        "realized_funding": number(position.session_funding),
        "interest_value": ZERO,
    }
    if more:
        shown |= {"estimated_liquidation_price": None, "open_orders_margin": ZERO}
    return shown


def portfolio_object(one: Standing) -> dict[str, Any]:
    """One currency, as ``user.portfolio`` tells it; money with all its digits."""
    equity, total = number(one.equity), number(one.realized + one.total)
    available = number(one.equity - one.initial)
    shown: dict[str, Any] = {
        "currency": one.currency,
        "equity": equity,
        "balance": number(one.balance),
        "margin_balance": equity,
        "available_funds": available,
        "available_withdrawal_funds": number(max(min(one.balance, one.equity) - one.initial, ZERO)),
        "initial_margin": number(one.initial),
        "maintenance_margin": number(one.maintenance),
        "projected_initial_margin": number(one.initial),
        "projected_maintenance_margin": number(one.maintenance),
        "session_upl": number(one.unrealized),
        "session_rpl": number(one.realized),
        "total_pl": total,
        "futures_pl": total,
        "futures_session_upl": number(one.unrealized),
        "futures_session_rpl": number(one.realized),
        "delta_total": number(one.delta),
        "projected_delta_total": number(one.delta),
        "delta_total_map": {f"{one.currency.lower()}_usd": number(one.delta)} if one.delta else {},
        "margin_model": "segregated_sm",
        "portfolio_margining_enabled": False,
        "cross_collateral_enabled": False,
    }
    nothing = ("fee_balance", "locked_balance", "spot_reserve", "additional_reserve")
    options = ("pl", "session_upl", "session_rpl", "value", "delta", "gamma", "vega", "theta")
    shown |= dict.fromkeys(nothing, ZERO) | {f"options_{name}": ZERO for name in options}
    return shown | {f"options_{name}_map": {} for name in ("gamma", "vega", "theta")}


def summary_object(one: Standing) -> dict[str, Any]:
    """One currency, as ``get_account_summary`` tells it."""
    fixed = {"type": "fixed", "taker": TAKER_FEE, "maker": MAKER_FEE}
    burst = {"burst": 20, "rate": 5}
    return portfolio_object(one) | {
        "estimated_liquidation_ratio": ZERO,
        "estimated_liquidation_ratio_map": {},
        "limits": {
            "limits_per_currency": False,
            "non_matching_engine": {"burst": 100, "rate": 20},
            "matching_engine": {"trading": {"total": burst}, "spot": burst, "cancel_all": burst},
        },
        "fees": [
            {
                "kind": kind,
                "index_name": f"{one.currency.lower()}_usd",
                "value": {"default": fixed, "block_trade": Decimal("0.3")},
            }
            for kind in ("perpetual", "future")
        ],
    }


def owner_object(name: str) -> dict[str, Any]:
    """Whose account it is, as extended summaries tell it."""
    return {
        "id": USER,
        "email": "simulated@example.com",
        "system_name": name,
        "username": name,
        "type": "main",
        "creation_timestamp": 1_687_352_432_143,
        "mmp_enabled": False,
        "login_enabled": False,
        "security_keys_enabled": False,
        "interuser_transfers_enabled": False,
        "self_trading_reject_mode": "cancel_maker",
        "self_trading_extended_to_subaccounts": False,
        "block_rfq_self_match_prevention": True,
        "referrer_id": None,
    }


def log_id(one: SimMovement) -> int:
    """The name of a row of the transaction log; it ascends."""
    return 60_000 + one.number


def log_object(one: SimMovement, name: str) -> dict[str, Any]:
    """A row of the transaction log."""
    shown: dict[str, Any] = {
        "id": log_id(one),
        "user_seq": one.number,
        "type": one.kind,
        "timestamp": one.time // 1000,
        "currency": one.asset,
        "user_id": USER,
        "username": name,
        "change": number(one.change),
        "balance": number(one.balance),
        "equity": number(one.balance),
        "commission": None if one.fee is None else number(one.fee),
        "side": one.side or "-",
        "instrument_name": one.symbol or None,
        "trade_id": one.fill_id or None,
        "order_id": one.order_id or None,
        "info": one.info or None,
    }
    if one.quantity is not None:
        shown |= {"amount": number(one.quantity), "position": number(one.position or ZERO)}
        shown |= {"price": number(one.price or ZERO), "price_currency": "USD"}
        shown |= {"mark_price": number(one.price or ZERO)}
    if one.kind == "trade":
        shown |= {"cashflow": ZERO, "profit_as_cashflow": False, "interest_pl": ZERO}
        shown |= dict.fromkeys(("user_role", "fee_role"), "maker" if one.maker else "taker")
        shown |= {"session_rpl": number(one.realized or ZERO), "session_upl": ZERO}
    else:
        shown["cashflow"] = number(one.change)
    if one.kind in ("settlement", "delivery"):
        shown |= dict.fromkeys(("interest_pl", "total_interest_pl"), number(one.funding or ZERO))
        shown |= {"session_rpl": number(one.realized or ZERO), "session_upl": number(one.unrealized or ZERO)}
        shown["info"] = {
            "settlement_price": number(one.price or ZERO),
            "floating_pl": number(one.unrealized or ZERO),
        }
    return shown


def settlement_object(one: SimMovement, index: Decimal) -> dict[str, Any]:
    """A row of the settlement history."""
    return {
        "type": one.kind,
        "timestamp": one.time // 1000,
        "instrument_name": one.symbol,
        "position": number(one.position or ZERO),
        "mark_price": number(one.price or ZERO),
        "index_price": index,
        "profit_loss": number(one.change),
        "session_profit_loss": number(one.change),
        "funding": number(one.funding or ZERO),
    }


def funds_object(one: SimMovement) -> dict[str, Any]:
    """A deposit, a withdrawal or a transfer."""
    shown: dict[str, Any] = {
        "currency": one.asset,
        "amount": number(abs(one.change)),
        "received_timestamp": one.time // 1000,
        "updated_timestamp": one.time // 1000,
        "state": "completed" if one.kind != "transfer" else "confirmed",
        "transaction_id": f"simulated-{one.number}",
        "address": "simulated",
        "id": one.number,
    }
    if one.kind == "transfer":
        shown |= {
            "created_timestamp": one.time // 1000,
            "type": "user",
            "direction": "income" if one.change > 0 else "payment",
            "other_side": "another",
        }
    if one.kind == "withdrawal":
        shown |= {"created_timestamp": one.time // 1000, "confirmed_timestamp": one.time // 1000}
        shown |= {"fee": ZERO, "priority": ZERO}
    return shown
