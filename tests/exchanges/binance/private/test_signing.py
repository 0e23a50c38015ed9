"""Every published example, and that what is sent is what was signed."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trade_platform.exchanges.account import KeyFacts, PrivateRequest, Signed
from trade_platform.exchanges.binance.private import SpotAccounts
from trade_platform.exchanges.binance.private.signing import api_text, rest_text, signed_request

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
USDM_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
WIDE = "１２３４５６"


def of(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def order(symbol: str, **rest: str | int) -> dict[str, str | int]:
    return {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", **rest}


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (WIDE, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    ],
)
def test_rest_signs_what_is_percent_encoded(symbol: str, signature: str) -> None:
    query = order(symbol, quantity=1, price="0.1", recvWindow=5000, timestamp=1499827319559)
    assert of(SECRET, rest_text(query)) == signature


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "price": "52000.00",
                "quantity": "0.01000000",
                "recvWindow": 100,
            },
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            {
                "symbol": WIDE,
                "side": "BUY",
                "price": "0.10000000",
                "quantity": "1.00000000",
                "recvWindow": 5000,
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
    ],
)
def test_the_websocket_api_signs_by_alphabet_and_unencoded(
    params: dict[str, str | int], signature: str
) -> None:
    rest = {"type": "LIMIT", "timeInForce": "GTC", "timestamp": 1645423376532, "apiKey": KEY}
    assert of(SECRET, api_text({**params, **rest})) == signature
    assert api_text({**params, **rest, "signature": "x"}) == api_text({**params, **rest})


def test_futures_sign_likewise() -> None:
    query = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": 1, "price": 9000,
        "timeInForce": "GTC", "recvWindow": 5000, "timestamp": 1591702613943,
    }  # fmt: skip
    assert (
        of(USDM_SECRET, rest_text(query))
        == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    )


words = st.text(alphabet=st.sampled_from([*"ABCZabz019_-.", "测", "币", "１"]), max_size=12)


@given(
    symbol=words,
    number=st.integers(0, 2**63),
    signature=st.text(alphabet="abcXYZ019+/=", min_size=1, max_size=88),
)
def test_what_is_sent_is_what_was_signed(symbol: str, number: int, signature: str) -> None:
    """An HTTP client encodes in its own way: before the signature, which stands last, it must be ours."""
    exchange = SpotAccounts()
    request = PrivateRequest(path="/api/v3/order", query={"symbol": symbol, "orderId": number})
    key = KeyFacts(key_id="name")
    text = exchange.to_sign(request, key, 1_700_000_000_123_456, "")
    ready = exchange.with_signature(
        request, Signed(key=key, signature=signature, at=1_700_000_000_123_456, nonce="")
    )
    sent = URL("https://exchange.test/api/v3/order").update_query(
        {name: str(value) for name, value in ready.query.items()}
    )
    before, mark, after = urlsplit(str(sent)).query.rpartition("&signature=")
    assert mark
    assert before == text
    assert text.endswith("&timestamp=1700000000123")
    assert unquote(after) == signature
    assert ready.headers == {"X-MBX-APIKEY": "name"}


def test_what_needs_no_signature_says_whose_it_is() -> None:
    request = PrivateRequest(path="/fapi/v1/listenKey", method="POST", signed=False)
    ready = signed_request(request, Signed(key=KeyFacts(key_id="name"), signature="", at=0, nonce=""))
    assert (ready.query, ready.headers) == ({}, {"X-MBX-APIKEY": "name"})
