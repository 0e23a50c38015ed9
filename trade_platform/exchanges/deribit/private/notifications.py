"""The account's own notifications: which channels are asked for, and what each of them says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Raw

from trade_platform.domain.accounts import AccountRecord, Origin
from trade_platform.exchanges.deribit.private import records, wire

Reader: TypeAlias = Callable[[Raw, int], list[AccountRecord]]

DEMANDED: Final = ("user.changes.any.any.raw", "user.portfolio.any")
"""Without these nothing is known of the account."""
WELCOME: Final = ("user.lock", "user.access_log")
"""Taken where the exchange gives them."""


def _changes(data: Raw, receive_time: int) -> list[AccountRecord]:
    found = wire.many(wire.read_changes(data))
    return [record for one in found for record in records.changes(one, receive_time)]


def _orders(data: Raw, receive_time: int) -> list[AccountRecord]:
    found = wire.many(wire.read_orders(data))
    return [records.order_event(one, receive_time, Origin.STREAM) for one in found]


def _trades(data: Raw, receive_time: int) -> list[AccountRecord]:
    found = wire.many(wire.read_trades(data))
    return [records.fill(one, receive_time, Origin.STREAM) for one in found]


def _portfolio(data: Raw, receive_time: int) -> list[AccountRecord]:
    """It bears no time of the exchange's: ours stands for it."""
    found = wire.many(wire.read_portfolio(data))
    return [records.balance(one, receive_time, receive_time, Origin.STREAM) for one in found]


def _lock(data: Raw, receive_time: int) -> list[AccountRecord]:
    return [records.lock_note(one, receive_time) for one in wire.many(wire.read_lock(data))]


def _access(data: Raw, receive_time: int) -> list[AccountRecord]:
    return [records.access_note(one, receive_time) for one in wire.many(wire.read_access(data))]


def _protection(data: Raw, receive_time: int) -> list[AccountRecord]:
    return [records.protection_note(one, receive_time) for one in wire.many(wire.read_protection(data))]


READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "user.changes": _changes,
        "user.orders": _orders,
        "user.trades": _trades,
        "user.portfolio": _portfolio,
        "user.lock": _lock,
        "user.access_log": _access,
        "user.mmp_trigger": _protection,
    }
)
"""By the first two words of a channel's name."""


def kind_of(channel: str) -> str:
    """``user.changes`` of ``user.changes.any.any.raw``."""
    return ".".join(channel.split(".", 2)[:2])
