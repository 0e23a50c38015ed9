"""Every exchange is registered under its key and offers what the seam demands."""

from __future__ import annotations

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange, Request, Session
from trade_platform.settings import Settings


def attributes(protocol: type) -> set[str]:
    return {name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")}


def test_the_exchanges_by_key() -> None:
    assert list(EXCHANGES) == ["binance_spot", "binance_usdm", "deribit"]
    assert all(exchange.key == key for key, exchange in EXCHANGES.items())


@pytest.mark.parametrize("key", EXCHANGES)
def test_an_exchange_has_all_that_the_seam_names(key: str) -> None:
    exchange = EXCHANGES[key]
    assert not [name for name in attributes(Exchange) if not hasattr(exchange, name)]
    assert exchange.websocket_url.startswith("wss://")
    assert exchange.rest_url.startswith("https://")
    assert not exchange.channels & exchange.exchange_channels
    assert all(isinstance(one, Request) for one in exchange.instruments_requests())
    assert Settings().hosts(key) == ("", ""), "settings may replace its hosts"


@pytest.mark.parametrize("key", EXCHANGES)
def test_a_session_has_all_that_the_seam_names(key: str) -> None:
    exchange = EXCHANGES[key]
    (plan, *_) = exchange.plan([Wanted("BTC-PERPETUAL" if key == "deribit" else "BTCUSDT", Channel.CANDLE)])
    session = exchange.session(plan)
    assert not [name for name in attributes(Session) if not hasattr(session, name)]
    assert len(session.subscriptions) >= 1
    assert not session.live
