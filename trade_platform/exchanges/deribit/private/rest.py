"""How things stand at Deribit, asked by REST, and what a key may do; GET alone, nothing is changed."""

from __future__ import annotations

from typing import Final

from trade_platform.domain.accounts import Origin
from trade_platform.exchanges.account import Ask, Page, Permissions, PermissionsAsk, PrivateRequest
from trade_platform.exchanges.deribit import rest as public
from trade_platform.exchanges.deribit.private import permissions, records, signing, wire
from trade_platform.exchanges.deribit.private.answers import (
    moment_of,
    orders_of,
    request,
    result,
    safely,
    summaries,
)
from trade_platform.exchanges.deribit.private.histories import TRANSACTION_LOG
from trade_platform.exchanges.limits import Limit

LIMITS: Final = (*public.LIMITS, Limit(TRANSACTION_LOG, 8, 8.0, bucket=True))
"""Credits of private methods are counted per account; sharing the address's with the public ones is the
stricter way.
"""
UNKNOWN_ORDER: Final = frozenset({10004, 13020})
"""order_not_found, not_found."""


def open_orders() -> list[Ask]:
    """All currencies and kinds; triggers are among them."""

    def read(body: bytes, receive_time: int) -> Page:
        return Page(records=orders_of(result(body, list[wire.Order])[0], receive_time, Origin.SNAPSHOT))

    return [Ask(what="open orders", request=request("get_open_orders"), read=safely(read))]


def order(order_id: str) -> list[Ask]:
    """One order, a trigger or not."""

    def read(body: bytes, receive_time: int) -> Page:
        return Page(records=orders_of([result(body, wire.Order)[0]], receive_time, Origin.SNAPSHOT))

    asked = request("get_order_state", order_id=order_id)
    return [Ask(what=f"order {order_id}", request=asked, read=safely(read), absent=UNKNOWN_ORDER)]


def balances() -> list[Ask]:
    """Every currency of the account."""

    def read(body: bytes, receive_time: int) -> Page:
        found, said_at = result(body, wire.Summaries)
        at = moment_of(said_at, receive_time)
        return Page(
            records=[records.balance(one, at, receive_time, Origin.SNAPSHOT) for one in found.summaries]
        )

    return [Ask(what="balances", request=summaries(), read=safely(read))]


def positions() -> list[Ask]:
    """Every currency and kind; what is closed is left out."""

    def read(body: bytes, receive_time: int) -> Page:
        found, said_at = result(body, list[wire.Position])
        at = moment_of(said_at, receive_time)
        held = [records.position(one, at, receive_time, Origin.SNAPSHOT) for one in found]
        return Page(records=[one for one in held if one.quantity])

    return [Ask(what="positions", request=request("get_positions", currency="any"), read=safely(read))]


def granted_permissions() -> PermissionsAsk:
    """What a login without a wish is granted: all that the key may do."""

    def read(body: bytes) -> Permissions:
        return permissions.of_scope(result(body, wire.Granted)[0].scope)

    asked = PrivateRequest(path=signing.AUTH_PATH, weight=public.CREDITS)
    return PermissionsAsk(
        request=asked, read=safely(read), further=lambda key: listed_permissions(key.key_id)
    )


def listed_permissions(key_id: str) -> PermissionsAsk:
    """What the list of the account's keys says of this one: its addresses, too."""

    def read(body: bytes) -> Permissions:
        return permissions.of_key(result(body, list[wire.ApiKey])[0], key_id)

    return PermissionsAsk(request=request("list_api_keys"), read=safely(read))
