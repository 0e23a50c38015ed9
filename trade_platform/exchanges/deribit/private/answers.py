"""What all answers of Deribit's private REST side have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from trade_platform.domain.accounts import OrderEvent, Origin
from trade_platform.exchanges.account import PrivateRequest
from trade_platform.exchanges.amounts import has_endless_number
from trade_platform.exchanges.deribit import rest as public
from trade_platform.exchanges.deribit.private import records, wire
from trade_platform.exchanges.deribit.wire import UNREADABLE
from trade_platform.exchanges.session import ProtocolViolation

T = TypeVar("T")
R = TypeVar("R", bound=Callable[..., object])


def request(method: str, **query: str | int) -> PrivateRequest:
    """A GET of one private method."""
    return PrivateRequest(path=f"/api/v2/private/{method}", query=query, weight=public.CREDITS)


def result(body: bytes, kind: type[T]) -> tuple[T, int | None]:
    """The ``result`` of an answer and when it was made; raises ProtocolViolation where there is none."""
    if has_endless_number(body):
        raise ProtocolViolation("a number that goes on and on")
    try:
        answer = msgspec.json.decode(body, type=wire.Answer[kind])  # type: ignore[valid-type]
    except UNREADABLE as error:
        raise ProtocolViolation(f"an answer that cannot be read: {error}") from error
    if answer.error is not None:
        raise ProtocolViolation(f"an error instead of an answer: {answer.error.code} {answer.error.message}")
    if answer.result is None:
        raise ProtocolViolation("an answer with neither a result nor an error")
    return answer.result, answer.usOut


def summaries() -> PrivateRequest:
    """What tells the account's currencies and what is held of each."""
    return request("get_account_summaries", extended="true")


def orders_of(rows: Iterable[wire.Order], receive_time: int, origin: Origin) -> list[OrderEvent]:
    """Each as it stood."""
    return [records.order_event(one, receive_time, origin) for one in rows]


def moment_of(said_at: int | None, receive_time: int) -> int:
    """When a snapshot was true: by the exchange's clock, but never ahead of ours, by which notifications
    without a time are placed: one that lies ahead would hide them.
    """
    return receive_time if said_at is None else min(said_at, receive_time)


def safely(read: R) -> R:
    """Whatever cannot be read is a ProtocolViolation, and one row spoils its whole page: money that was left
    out would be taken for money that is not there.
    """

    def safe(*given: object) -> object:
        try:
            return read(*given)
        except UNREADABLE as error:
            raise ProtocolViolation(f"an answer that cannot be read: {error}") from error

    return safe  # type: ignore[return-value]
