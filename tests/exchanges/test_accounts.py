"""One registry for the accounts of all exchanges that there are."""

from __future__ import annotations

from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES
from trade_platform.exchanges.registry import EXCHANGES


def test_every_exchange_has_its_private_side() -> None:
    assert ACCOUNT_EXCHANGES.keys() == EXCHANGES.keys()
    assert all(key == one.key for key, one in ACCOUNT_EXCHANGES.items())
    for key, one in ACCOUNT_EXCHANGES.items():
        assert one.rest_url == EXCHANGES[key].rest_url, "their limits are shared, so must the host be"
        assert set(EXCHANGES[key].limits) <= set(one.limits)
