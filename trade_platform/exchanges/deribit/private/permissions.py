"""What a key may do: the scope that a login was granted, held against what is needed and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trade_platform.exchanges.account import Permissions
from trade_platform.exchanges.deribit.private import wire

LEVELS: Final[Mapping[str, int]] = {"none": 0, "read": 1, "read_write": 2}
NEEDED: Final = ("account", "trade", "wallet")
"""Of each the right to read, and no more."""
SCOPE: Final = "connection " + " ".join(f"{area}:read" for area in NEEDED)
"""Asked for at a login. The token of ``connection`` dies with its socket and is of no use on another, while
that of ``session:NAME`` lives on for up to a year, counts against 16 a key, and would have to be kept."""


def rights(scope: str) -> dict[str, int]:
    """How far each area is open: 0 not at all, 1 to read, 2 to change. What cannot be read counts as open."""
    found: dict[str, int] = {}
    for word in scope.split():
        area, colon, level = word.partition(":")
        if colon and area in NEEDED:
            found[area] = max(found.get(area, 0), LEVELS.get(level, 2))
    return found


def lacking(scope: str) -> list[str]:
    """The areas that may not even be read."""
    held = rights(scope)
    return [area for area in NEEDED if not held.get(area)]


def refusal(scope: str) -> str:
    """Why a key with this scope is not used; empty where it is."""
    if rights(scope).get("wallet", 0) > 1:
        return (
            "This key may withdraw (wallet:read_write), so it is not used. "
            "Make one with account:read trade:read wallet:read, and delete this one."
        )
    missing = lacking(scope)
    if missing:
        areas = " and ".join(f"{area}:read" for area in missing)
        return f"This key lacks {areas}. Make one with account:read trade:read wallet:read."
    return ""


def warning(scope: str) -> str:
    """What is wider than need be; empty where nothing is."""
    if rights(scope).get("trade", 0) > 1:
        return "This key may trade (trade:read_write); reading is enough here."
    return ""


def of_scope(scope: str, *, ip_restricted: bool | None = None) -> Permissions:
    """A scope in the words of all exchanges."""
    held = rights(scope)
    return Permissions(
        read=not lacking(scope),
        trade=held.get("trade", 0) > 1,
        withdraw=held.get("wallet", 0) > 1,
        ip_restricted=ip_restricted,
        words=scope,
    )


def of_key(keys: list[wire.ApiKey], key_id: str) -> Permissions:
    """What the list of keys says of this one; nothing where it is not among them."""
    for key in keys:
        if key.client_id == key_id:
            return of_scope(key.max_scope, ip_restricted=bool(key.ip_whitelist))
    return Permissions()
