"""What Binance is known to send beyond what is read here: event types, and fields of those that are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trade_platform.exchanges.tally import Tally

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "aggTrade": _names("e E s a p q nq f l T m M st ps"),
    "trade": _names("e E s t p q b a T m M st ps X"),
    "kline": _names("e E s k st ps k.t k.T k.s k.i k.f k.L k.o k.c k.h k.l k.v k.n k.x k.q k.V k.Q k.B"),
    "bookTicker": _names("e E T u s b B a A st ps"),
    "24hrTicker": _names("e E s p P w x c Q b B a A o h l v q O C F L n st ps"),
    "markPriceUpdate": _names("e E s p ap i P r T st ps"),
    "forceOrder": _names("e E o st ps o.s o.S o.o o.f o.q o.p o.ap o.X o.l o.z o.T o.ps o.st"),
    "contractInfo": _names("e E s ps ct dt ot cs bks st"),
}
"""Fields that are read, or known and of no use here, one level deep; others count as ``type.field``."""

IGNORED: Final = frozenset(
    {
        "depthUpdate", "depthSnapshot", "blockTrade", "avgPrice", "referencePrice", "24hrMiniTicker",
        "1hTicker", "4hTicker", "1dTicker", "continuous_kline", "compositeIndex", "assetIndexUpdate",
        "EquityUpdate", "openInterest",
        # European options, another product of the same house
        "trade_all", "ticker_all",
        # private events
        "executionReport", "outboundAccountPosition", "outboundAccountInfo", "balanceUpdate", "listStatus",
        "externalLockUpdate", "eventStreamTerminated", "listenKeyExpired", "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "TRADE_LITE", "ALGO_UPDATE", "MARGIN_CALL",
        "STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT",
    }
)  # fmt: skip
"""Event types that are known and not recorded: order books (the seam leaves room), block trades (ids of
their own space, nobody asked for them yet), private events (they are not for a public connection)."""


def note_unknown_fields(tally: Tally, kind: str, data: msgspec.Raw) -> None:
    """Count the fields of one event, and of the objects inside it, that nobody here has heard of."""
    known = KNOWN_FIELDS[kind]
    for name, value in _fields.decode(data).items():
        if name not in known:
            tally.note(f"{kind}.{name}")
        elif bytes(value)[:1] == b"{":
            for inner in _fields.decode(value):
                if f"{name}.{inner}" not in known:
                    tally.note(f"{kind}.{name}.{inner}")
