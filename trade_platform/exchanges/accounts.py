"""The exchanges of whose accounts we know how to hear, by key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trade_platform.exchanges.account import AccountExchange
from trade_platform.exchanges.binance.private.exchange import SpotAccounts, UsdmAccounts
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts

_ALL: Final[tuple[AccountExchange, ...]] = (SpotAccounts(), UsdmAccounts(), DeribitAccounts())

ACCOUNT_EXCHANGES: Final[Mapping[str, AccountExchange]] = MappingProxyType({one.key: one for one in _ALL})
"""One stateless instance each; keys are those of the public side (``exchanges/registry.py``)."""
