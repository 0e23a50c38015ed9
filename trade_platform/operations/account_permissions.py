"""What a key may do: asked of its exchange before it is taken, and judged. No key may move money."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient
from trade_platform.exchanges.account import (
    AccountExchange,
    KeyFacts,
    Permissions,
    PermissionsAsk,
    PrivateRequest,
    Signed,
)
from trade_platform.exchanges.session import RestError

MOST_QUESTIONS: Final = 5

SignText = Callable[[str], Awaitable[str]]
"""Whoever holds the secret, or may ask for its signatures."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a key's permissions mean for taking it."""

    refusal: str = ""
    """Why it is not taken; empty where it may be."""
    warnings: tuple[str, ...] = ()


async def permissions_of(
    exchange: AccountExchange, rest: RestClient, key: KeyFacts, sign: SignText, clock: Clock
) -> Permissions:
    """As the exchange says now; what one answer leaves out, the next question may tell.

    Raises RestError, RestUnavailable, ProtocolViolation, and what ``sign`` does.
    """

    async def told(ask: PermissionsAsk) -> Permissions:
        async def prepare() -> PrivateRequest:
            at, nonce = clock.market(), secrets.token_hex(8)
            signature = await sign(exchange.to_sign(ask.request, key, at, nonce))
            signed = Signed(key=key, signature=signature, at=at, nonce=nonce)
            return exchange.with_signature(ask.request, signed)

        return ask.read(await rest.fetch(ask.request, prepare))

    ask = exchange.permissions()
    permissions = await told(ask)
    for _ in range(MOST_QUESTIONS):
        if ask.further is None:
            break
        ask = ask.further(key)
        try:
            permissions = completed(permissions, await told(ask))
        except RestError:  # it is not told to every key
            break
    return permissions


def completed(first: Permissions, more: Permissions) -> Permissions:
    """What the first answer leaves out, as the other has it; of two that differ the one that allows more."""
    return Permissions(
        read=first.read if first.read is not None else more.read,
        trade=_either(first.trade, more.trade),
        withdraw=_either(first.withdraw, more.withdraw),
        ip_restricted=first.ip_restricted if first.ip_restricted is not None else more.ip_restricted,
        words="; ".join(words for words in (first.words, more.words) if words),
    )


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one is None or other is None:
        return one if other is None else other
    return one or other


def judge(permissions: Permissions) -> Judgement:
    """A key that could withdraw is refused; one that can do more than it must is warned of."""
    if permissions.withdraw:
        return Judgement(
            refusal="This key may withdraw or transfer: make one at the exchange that may only read, "
            "and delete this one there."
        )
    warnings = {
        "The exchange does not say whether this key may withdraw: look there.": permissions.withdraw is None,
        "This key may trade: here nothing trades, so one that only reads is enough.": permissions.trade,
        "This key works from any address: restrict it at the exchange to this machine's.": (
            permissions.ip_restricted is False
        ),
        "The exchange does not say whether this key is bound to an address: look there.": (
            permissions.ip_restricted is None
        ),
        "This key may not read the account: there will be nothing to see.": permissions.read is False,
    }
    return Judgement(warnings=tuple(words for words, true in warnings.items() if true))
