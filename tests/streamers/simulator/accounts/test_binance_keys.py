"""Signatures: the exchange's own examples, and what it refuses."""

from __future__ import annotations

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.binance_keys import Keyring, api_text, check_time, rest_text
from streamers.simulator.binance_parameters import Refused

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
USDM_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
REST = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
USDM = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
    "&timestamp=1591702613943"
)
NOW = 1_499_827_319_600


def spec(**fields: str) -> AccountSpec:
    return msgspec.convert(
        {"exchange": "binance_spot", "name": "main", "key_id": KEY, "secret": SECRET, **fields}, AccountSpec
    )


@pytest.mark.parametrize(
    ("query", "secret", "signature"),
    [
        (REST, SECRET, "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (
            REST.replace("LTCBTC", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96"),
            SECRET,
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
        (
            USDM,
            USDM_SECRET,
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
        ),
    ],
)
@pytest.mark.parametrize("in_body", [False, True])
def test_the_documented_examples_of_rest_are_valid(
    query: str, secret: str, signature: str, in_body: bool
) -> None:
    signed = f"{query}&signature={signature.upper()}"
    text, found = rest_text(*(("", signed) if in_body else (signed, "")))
    assert spec(secret=secret).signed(text, found)
    assert not spec(secret=secret).signed(text + "0", found)


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.01000000",
                "price": "52000.00",
                "recvWindow": 100,
                "timestamp": 1645423376532,
                "apiKey": KEY,
            },
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            {
                "symbol": "１２３４５６",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "1.00000000",
                "price": "0.10000000",
                "recvWindow": 5000,
                "timestamp": 1645423376532,
                "apiKey": KEY,
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
    ],
)
def test_the_documented_examples_of_the_websocket_api_are_valid(
    params: dict[str, object], signature: str
) -> None:
    assert spec().signed(api_text({**params, "signature": signature}), signature)


def test_a_query_and_a_body_are_signed_one_after_the_other() -> None:
    assert rest_text("a=1", "b=2&signature=c3") == ("a=1b=2", "c3")
    assert rest_text("a=1&signature=%2Bx%3D", "b=2") == ("a=1b=2", "+x=")


@pytest.mark.parametrize(("query", "code"), [(REST, -1102), ("signature=00&symbol=BTCUSDT", -1022)])
def test_a_signature_must_be_there_and_stand_last(query: str, code: int) -> None:
    with pytest.raises(Refused) as refused:
        rest_text(query)
    assert refused.value.code == code


def test_an_ed25519_signature_is_verified_with_the_public_key_alone() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    signature = base64.b64encode(private.sign(b"timestamp=1")).decode()
    holder = spec(algorithm="ed25519", public_key=public)
    assert holder.signed("timestamp=1", signature)
    assert not holder.signed("timestamp=2", signature)
    assert not holder.signed("timestamp=1", "no base64!")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"timestamp": str(NOW)}, None),
        ({"timestamp": str(NOW * 1000)}, None),
        ({"timestamp": str(NOW + 999)}, None),
        ({"timestamp": str(NOW + 1000)}, -1021),
        ({"timestamp": str(NOW - 5000)}, None),
        ({"timestamp": str(NOW - 5001)}, -1021),
        ({"timestamp": str(NOW - 5001), "recvWindow": "6000.5"}, None),
        ({"timestamp": str(NOW), "recvWindow": "60001"}, -1131),
        ({"timestamp": "now"}, -1100),
        ({}, -1102),
    ],
)
def test_a_request_must_come_in_time(query: dict[str, str], code: int | None) -> None:
    if code is None:
        check_time(query, NOW)
        return
    with pytest.raises(Refused) as refused:
        check_time(query, NOW)
    assert refused.value.code == code


def test_who_signs_is_let_in_or_told_why_not() -> None:
    signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    good, shut = {KEY: spec()}, [False]
    keys = Keyring(good.get, lambda account, now: shut[0] and account == "main" and now < 5, lambda: NOW)

    def code_of(key: str, text: str, at: int = NOW, now: float = 0.0) -> tuple[int, int]:
        with pytest.raises(Refused) as refused:
            keys.signed(key, {"timestamp": str(at)}, text, signature, now)
        return refused.value.code, refused.value.status

    assert keys.signed(KEY, {"timestamp": str(NOW)}, REST, signature, 0.0).name == "main"
    assert code_of(KEY, REST + "0") == (-1022, 400)
    assert code_of(KEY, REST, NOW - 6000) == (-1021, 400)
    assert code_of("", REST) == (-2014, 401)
    assert code_of("unknown", REST) == (-2015, 401)
    shut[0] = True
    assert code_of(KEY, REST) == (-2015, 401)
    assert keys.known(KEY, 5.0).name == "main"
    assert keys.lives(KEY)
    del good[KEY]
    assert not keys.lives(KEY)
    assert code_of(KEY, REST, now=9.0) == (-2015, 401)
