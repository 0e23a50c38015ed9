from __future__ import annotations

import pytest

from trade_platform.domain.families import exchange_of, partition_of
from trade_platform.domain.model import InstrumentKind


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind", "base", "partition"),
    [
        ("binance_spot", "BTCUSDT", "spot", "BTC", "binance_spot/BTCUSDT"),
        ("binance_usdm", "BTCUSDT", "perpetual", "BTC", "binance_usdm/BTCUSDT"),
        ("binance_usdm", "BTCUSDT_261225", "future", "BTC", "binance_usdm/BTC-futures"),
        ("deribit", "BTC-27NOV26-100000-C", "option", "BTC", "deribit/BTC-options"),
        ("deribit", "BTC_USDC-27NOV26-100000-C", "option", "BTC", "deribit/BTC-options"),
        ("deribit", "BTC-FS-27NOV26_PERP", "combo", "BTC", "deribit/BTC-combos"),
        ("deribit", "btc_usd", "index", "", "deribit/btc_usd"),
        ("deribit", "NEW", "unknown", "", "deribit/NEW"),
    ],
)
def test_what_stays_has_a_partition_of_its_own_and_what_expires_shares_one(
    exchange: str, symbol: str, kind: str, base: str, partition: str
) -> None:
    assert partition_of(exchange, symbol, kind, base) == partition
    assert exchange_of(partition) == exchange


def test_an_option_without_a_base_stands_alone() -> None:
    assert partition_of("deribit", "X-1-C", InstrumentKind.OPTION, "") == "deribit/X-1-C-options"


def test_a_kind_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="warrant"):
        partition_of("deribit", "X", "warrant", "")
