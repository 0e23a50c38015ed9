"""Binance's words for an order, spot and USD-M, as states; a word that is not here is kept and UNKNOWN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trade_platform.domain.accounts import OrderState

STATES: Final[Mapping[str, OrderState]] = {
    "NEW": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.OPEN,
    "PENDING_CANCEL": OrderState.OPEN,
    "PENDING_NEW": OrderState.UNTRIGGERED,  # waits for another order of its list
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELLED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
    "REJECTED": OrderState.REJECTED,
    # What the exchange itself trades on liquidation: told as new even where it is all filled.
    "NEW_INSURANCE": OrderState.OPEN,
    "NEW_ADL": OrderState.OPEN,
}
ALGO_STATES: Final[Mapping[str, OrderState]] = {
    "NEW": OrderState.UNTRIGGERED,
    "TRIGGERING": OrderState.UNTRIGGERED,
    "TRIGGERED": OrderState.TRIGGERED,
    "FINISHED": OrderState.TRIGGERED,  # so is the order that it made
    "CANCELED": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
}
ENDED: Final = frozenset({OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED})
"""States for which there is a reason."""

_CONDITIONS: Final = ("STOP", "TAKE_PROFIT", "TRAILING_STOP")


def is_conditional(order_type: str) -> bool:
    """Whether such an order waits for a price."""
    return order_type.startswith(_CONDITIONS)


def state_of(status: str, order_type: str, *, working: bool | None = None) -> OrderState:
    """``order_type``: as it is now; ``working``: whether it is in the book, where that is told."""
    state = STATES.get(status, OrderState.UNKNOWN)
    if status == "NEW" and is_conditional(order_type) and not working:
        return OrderState.UNTRIGGERED
    return state
