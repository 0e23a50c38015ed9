"""What both products say of themselves, and what a key may do."""

from __future__ import annotations

import json

import pytest

from tests.exchanges.binance.private.talk import ED25519, HMAC
from trade_platform.exchanges.account import Permissions
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.private import SpotAccounts, UsdmAccounts
from trade_platform.exchanges.session import ProtocolViolation

RESTRICTIONS = {
    "ipRestrict": True, "createTime": 1_698_645_219_000, "enableReading": True, "enableWithdrawals": False,
    "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
    "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
    "enableFixReadOnly": False, "enableSpotAndMarginTrading": False, "enablePortfolioMarginTrading": False,
}  # fmt: skip


@pytest.mark.parametrize("exchange", [SpotAccounts(), UsdmAccounts()])
@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("", Permissions(read=True, trade=False, withdraw=False, ip_restricted=True)),
        ("enableWithdrawals", Permissions(read=True, trade=False, withdraw=True, ip_restricted=True)),
        ("enableInternalTransfer", Permissions(read=True, trade=False, withdraw=True, ip_restricted=True)),
        ("permitsUniversalTransfer", Permissions(read=True, trade=False, withdraw=True, ip_restricted=True)),
        (
            "enableSpotAndMarginTrading",
            Permissions(read=True, trade=True, withdraw=False, ip_restricted=True),
        ),
        ("enableFutures", Permissions(read=True, trade=True, withdraw=False, ip_restricted=True)),
        ("enableMargin", Permissions(read=True, trade=True, withdraw=False, ip_restricted=True)),
        ("enableVanillaOptions", Permissions(read=True, trade=True, withdraw=False, ip_restricted=True)),
        (
            "enablePortfolioMarginTrading",
            Permissions(read=True, trade=True, withdraw=False, ip_restricted=True),
        ),
        ("enableFixApiTrade", Permissions(read=True, trade=True, withdraw=False, ip_restricted=True)),
    ],
)
def test_what_a_key_may_do(exchange: SpotAccounts | UsdmAccounts, right: str, expected: Permissions) -> None:
    ask = exchange.permissions()
    assert (ask.request.path, ask.rest_url) == ("/sapi/v1/account/apiRestrictions", "https://api.binance.com")
    told = ask.read(json.dumps(RESTRICTIONS | ({right: True} if right else {})).encode())
    words = ", ".join(name for name in RESTRICTIONS if RESTRICTIONS[name] is True or name == right)
    assert told == Permissions(
        read=expected.read,
        trade=expected.trade,
        withdraw=expected.withdraw,
        ip_restricted=expected.ip_restricted,
        words=words,
    )


def test_what_is_not_said_is_not_no() -> None:
    told = SpotAccounts().permissions().read(b'{"enableReading":true}')
    assert (told.read, told.trade, told.withdraw, told.ip_restricted) == (True, None, None, None)
    with pytest.raises(ProtocolViolation):
        SpotAccounts().permissions().read(b'{"enableWithdrawals":"maybe"}')


@pytest.mark.parametrize(
    ("exchange", "public"), [(SpotAccounts(), BinanceSpot()), (UsdmAccounts(), BinanceUsdm())]
)
def test_addresses_and_limits_are_those_of_the_public_side(
    exchange: SpotAccounts | UsdmAccounts, public: BinanceSpot | BinanceUsdm
) -> None:
    assert (exchange.key, exchange.rest_url, exchange.limits) == (public.key, public.rest_url, public.limits)
    assert exchange.maximum_age_seconds == 23 * 3600
    error = exchange.error_of(401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}')
    assert error is not None
    assert (error.code, error.retry) == (-2015, False)


def test_paths() -> None:
    assert SpotAccounts().websocket_url + SpotAccounts().path("") == "wss://ws-api.binance.com:443/ws-api/v3"
    assert UsdmAccounts().path("a b").startswith("/private/ws?listenKey=a%20b&events=")
    assert SpotAccounts().session(ED25519).listen_key == UsdmAccounts().session(HMAC).listen_key == ""
