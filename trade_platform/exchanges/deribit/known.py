"""Fields that nobody here has heard of: looked for in a sample of each message type."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.exchanges.deribit import wire
from trade_platform.exchanges.tally import SAMPLE, Tally

KINDS: Final[dict[str, type[msgspec.Struct]]] = {
    "trades": wire.Trade,
    "quote": wire.Quote,
    "ticker": wire.Ticker,
    "chart.trades": wire.Bar,
    "deribit_price_index": wire.Price,
    "deribit_volatility_index": wire.Volatility,
    "instrument.state": wire.State,
    "platform_state": wire.Platform,
}
_NOT_NEEDED: Final[dict[str, frozenset[str]]] = {
    "trades": frozenset({"tick_direction", "contracts", "block_trade_leg_count", "block_rfq_id", "legs"}),
    "quote": frozenset({"instrument_name"}),
    "ticker": frozenset(
        {
            "instrument_name",
            "min_price",
            "max_price",
            "interest_value",
            "estimated_delivery_price",
            "delivery_price",
            "underlying_index",
            "implied_bid",
            "implied_ask",
            "combo_state",
        }
    ),
    "deribit_price_index": frozenset({"index_name"}),
    "deribit_volatility_index": frozenset({"index_name"}),
}


class Sample:
    """Looks for fields that nobody here has heard of, in a sample of one message type."""

    def __init__(self, kind: str, ignored: Tally) -> None:
        self._kind = kind
        self._known = frozenset(KINDS[kind].__struct_fields__) | _NOT_NEEDED.get(kind, frozenset())
        self._ignored = ignored
        self._seen = 0

    def look(self, data: msgspec.Raw) -> None:
        """Count this message and, if its turn has come, its unknown fields."""
        if self._seen % SAMPLE == 0:
            found = wire.read_fields(data)
            for one in found if isinstance(found, list) else [found]:
                for name in one.keys() - self._known:
                    self._ignored.note(f"{self._kind}.{name}")
        self._seen += 1
