"""Signatures: the exchange's own vector, and what each request signs."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from trade_platform.exchanges.account import KeyFacts, PrivateRequest, Signed
from trade_platform.exchanges.deribit.private import rest, signing
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts

KEY = KeyFacts(key_id="AMANDA")
AT, NONCE = 1576074319000_000, "1iqt2wls"
VECTOR = "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"


def signature(text: str) -> str:
    return hmac.new(b"AMANDASECRECT", text.encode(), hashlib.sha256).hexdigest()


def signed(text: str) -> Signed:
    return Signed(key=KEY, signature=signature(text), at=AT, nonce=NONCE)


def test_the_exchange_s_own_vector() -> None:
    assert signature(signing.login_text(KEY, AT, NONCE)) == VECTOR
    assert signing.login_parameters(signed(signing.login_text(KEY, AT, NONCE))) == {
        "grant_type": "client_signature",
        "client_id": "AMANDA",
        "timestamp": 1576074319000,
        "nonce": NONCE,
        "data": "",
        "signature": VECTOR,
    }


@pytest.mark.parametrize(
    ("request_", "address"),
    [
        (rest.request("get_open_orders"), "/api/v2/private/get_open_orders"),
        (
            rest.request("get_x", currency="BTC", count=250, order_id="USDC-SLMB-19641", historical="true"),
            "/api/v2/private/get_x?currency=BTC&count=250&order_id=USDC-SLMB-19641&historical=true",
        ),
    ],
)
def test_a_request_signs_its_time_nonce_method_address_and_no_body(
    request_: PrivateRequest, address: str
) -> None:
    text = DeribitAccounts().to_sign(request_, KEY, AT, NONCE)
    assert text == f"1576074319000\n1iqt2wls\nGET\n{address}\n\n"
    sent = DeribitAccounts().with_signature(request_, signed(text))
    assert (sent.path, sent.query, sent.method) == (request_.path, request_.query, "GET")
    assert sent.headers == {
        "Authorization": f"deri-hmac-sha256 id=AMANDA,ts=1576074319000,nonce={NONCE},sig={signature(text)}"
    }


def test_the_question_after_a_key_s_permissions_is_a_login_of_its_own() -> None:
    asked = DeribitAccounts().permissions().request
    text = DeribitAccounts().to_sign(asked, KEY, AT, NONCE)
    assert text == "1576074319000\n1iqt2wls\n"
    sent = DeribitAccounts().with_signature(asked, signed(text))
    assert sent.path == "/api/v2/public/auth"
    assert sent.query["signature"] == VECTOR
    assert "scope" not in sent.query, "without a wish all is granted that the key may do"
    assert sent.headers == {}
