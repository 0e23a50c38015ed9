"""Deribit, API v2: how it speaks, over WebSocket and REST."""

from trade_platform.exchanges.deribit.exchange import Deribit
from trade_platform.exchanges.deribit.session import DeribitSession

__all__ = ["Deribit", "DeribitSession"]
