"""Binance's private side: accounts of spot and USD-M futures, read only."""

from trade_platform.exchanges.binance.private.exchange import SpotAccounts, UsdmAccounts

__all__ = ["SpotAccounts", "UsdmAccounts"]
