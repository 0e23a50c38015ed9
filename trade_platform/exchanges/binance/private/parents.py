"""Which conditional order made which order: the one names the other, and may do so after it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias, TypeVar

import msgspec

from trade_platform.domain.accounts import OrderEvent

T = TypeVar("T")
Key: TypeAlias = tuple[str, str]
"""Symbol and id: each symbol counts its own orders."""

KEPT: Final = 512
"""Orders, and parents, that are remembered."""


class Parents:
    """Gives orders their ``parent_id``, in whichever sequence the two events come."""

    def __init__(self) -> None:
        self._parents: OrderedDict[Key, str] = OrderedDict()
        self._orders: OrderedDict[Key, OrderEvent] = OrderedDict()

    def child(self, order: OrderEvent) -> OrderEvent:
        """The order with its parent, where that is known."""
        key = (order.symbol, order.order_id)
        parent = self._parents.get(key, "")
        if parent:
            return msgspec.structs.replace(order, parent_id=parent)
        _keep(self._orders, key, order)
        return order

    def made(self, parent: OrderEvent, order_id: str, word: str) -> list[OrderEvent]:
        """A conditional order says what it made; an order that was told of already is told again, with it."""
        key = (parent.symbol, order_id)
        if self._parents.get(key) == parent.order_id:
            return []
        _keep(self._parents, key, parent.order_id)
        order = self._orders.pop(key, None)
        if order is None:
            return []
        return [msgspec.structs.replace(order, parent_id=parent.order_id, event=word)]


def _keep(kept: OrderedDict[Key, T], name: Key, value: T) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > KEPT:
        kept.popitem(last=False)
