"""What a key may do: asked of spot's host, for keys of both products."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.exchanges.account import Permissions
from trade_platform.exchanges.binance.private.rows import decoded, reading

PATH: Final = "/sapi/v1/account/apiRestrictions"


class Restrictions(
    msgspec.Struct,
    rename={
        "ip_restricted": "ipRestrict", "read": "enableReading", "withdraw": "enableWithdrawals",
        "internal_transfer": "enableInternalTransfer", "universal_transfer": "permitsUniversalTransfer",
        "spot": "enableSpotAndMarginTrading", "futures": "enableFutures", "margin": "enableMargin",
        "options": "enableVanillaOptions", "portfolio": "enablePortfolioMarginTrading",
        "fix": "enableFixApiTrade",
    },
):  # fmt: skip
    """None: it is not said, which is not the same as no."""

    ip_restricted: bool | None = None
    read: bool | None = None
    withdraw: bool | None = None
    internal_transfer: bool | None = None
    universal_transfer: bool | None = None
    spot: bool | None = None
    futures: bool | None = None
    margin: bool | None = None
    options: bool | None = None
    portfolio: bool | None = None
    fix: bool | None = None


_restrictions = msgspec.json.Decoder(Restrictions)
_anything = msgspec.json.Decoder(dict[str, msgspec.Raw])


@reading
def permissions(body: bytes) -> Permissions:
    """Transfers to others count as withdrawals; any kind of trading counts as trading."""
    told = decoded(_restrictions, body)
    return Permissions(
        read=told.read,
        trade=any_of(told.spot, told.futures, told.margin, told.options, told.portfolio, told.fix),
        withdraw=any_of(told.withdraw, told.internal_transfer, told.universal_transfer),
        ip_restricted=told.ip_restricted,
        words=", ".join(name for name, value in _anything.decode(body).items() if bytes(value) == b"true")[
            :500
        ],
    )


def any_of(first: bool | None, *others: bool | None) -> bool | None:
    """Yes where one of them is; no only where the first, the one that always is there, says no."""
    return True if first or any(others) else first
