"""Parameters of Deribit's private methods, and what is asked by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from streamers.simulator.accounts.book_shapes import SimFill, SimOrder
from streamers.simulator.deribit_rest import Refused

Params: TypeAlias = Mapping[str, Any]
ENDLESS: Final = 1 << 60


def allows(scope: str, wanted: str) -> bool:
    """Whether a granted scope is enough."""
    return bool({wanted, f"{wanted}_write"} & set(scope.split()))


def truth(value: object) -> bool:
    """Whether a flag is set, as JSON or as the text of a query."""
    return value in (True, "true", "True", 1)


def of_type(order: SimOrder, kind: str) -> bool:
    """Whether an order is of a type by which open ones are asked for."""
    if kind == "all":
        return True
    triggers = order.state == "untriggered"
    return triggers if kind == "trigger_all" else order.kind == kind


def between_ids(fills: list[SimFill], first: str, last: str) -> list[SimFill]:
    """Trades of these ids and what lies between; numbers behind the prefix count."""

    def digits_of(text: str) -> int:
        digits = text.rpartition("-")[2]
        return int(digits) if digits.isdecimal() else 0

    low, high = digits_of(first), digits_of(last) or ENDLESS
    return [fill for fill in fills if low <= digits_of(fill.fill_id) <= high] if first or last else fills


def count(params: Params, default: int, most: int) -> int:
    """How many rows are asked for; raises Refused."""
    number = integer(params, "count", default)
    if not 1 <= number <= most:
        raise Refused(-32602, "Invalid params", {"reason": "value out of range", "param": "count"})
    return number


def needed(params: Params, name: str) -> Any:
    """A parameter that must be there; raises Refused."""
    value = params.get(name)
    if value is None or value == "":
        raise Refused(-32602, "Invalid params", {"reason": "is required", "param": name})
    return value


def integer(params: Params, name: str, default: int) -> int:
    """A whole number; raises Refused."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise Refused(-32602, "Invalid params", {"reason": "must be an integer", "param": name}) from error
