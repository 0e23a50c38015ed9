"""Binance's public side: spot and USD-M futures."""

from trade_platform.exchanges.binance.spot import BinanceSpot
from trade_platform.exchanges.binance.usdm import BinanceUsdm

__all__ = ["BinanceSpot", "BinanceUsdm"]
