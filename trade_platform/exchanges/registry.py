"""The exchanges that there are, by key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.session import Exchange

_ALL: Final[tuple[Exchange, ...]] = (BinanceSpot(), BinanceUsdm(), Deribit())

EXCHANGES: Final[Mapping[str, Exchange]] = MappingProxyType({one.key: one for one in _ALL})
"""One stateless instance each; a new exchange is one line above."""
