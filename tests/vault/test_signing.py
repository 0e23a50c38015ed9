"""Signatures against the vectors that the exchanges publish, and against RFC 8032."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from trade_platform.exchanges.account import Algorithm
from trade_platform.vault.secret import Secret
from trade_platform.vault.signing import (
    UnusableSecret,
    generate,
    public_half,
    public_raw,
    secret_from,
    sign,
)

SPOT = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SPOT_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
USDM = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"

VECTORS = {
    "binance spot, REST": (
        SPOT,
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
            "&timestamp=1499827319559"
        ),
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    ),
    "binance spot, REST, a symbol beyond ASCII, percent-encoded": (
        SPOT,
        (
            "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC"
            "&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        ),
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    "binance spot, WebSocket API": (
        SPOT,
        (
            f"apiKey={SPOT_KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
            "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
        ),
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    ),
    "binance spot, WebSocket API, a symbol beyond ASCII, as it is": (
        SPOT,
        (
            f"apiKey={SPOT_KEY}&price=0.10000000&quantity=1.00000000&recvWindow=5000&side=BUY"
            "&symbol=１２３４５６&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
        ),
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
    ),
    "binance USD-M, REST": (
        USDM,
        (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
            "&timestamp=1591702613943"
        ),
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
    "deribit, client_signature": (
        "AMANDASECRECT",
        "1576074319000\n1iqt2wls\n",
        "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1",
    ),
}


@pytest.mark.parametrize(("secret", "text", "signature"), VECTORS.values(), ids=VECTORS)
def test_the_exchanges_own_vectors(secret: str, text: str, signature: str) -> None:
    kept = secret_from(Algorithm.HMAC_SHA256, Secret(f"{secret}\n"))  # as a file ends
    assert sign(Algorithm.HMAC_SHA256, kept, text) == signature
    assert sign(Algorithm.HMAC_SHA256, kept, text + " ") != signature


def test_ed25519_as_the_standard_has_it() -> None:
    """RFC 8032, 7.1, tests 1 and 2."""
    empty = Secret(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    expected = (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    assert base64.b64decode(sign(Algorithm.ED25519, empty, "")).hex() == expected
    letter = Secret(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    expected = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert base64.b64decode(sign(Algorithm.ED25519, letter, "r")).hex() == expected


def test_a_generated_pair_s_public_half_judges_its_signatures() -> None:
    secret = generate()
    assert secret != generate()
    public = load_pem_public_key(public_half(secret).encode())
    assert isinstance(public, Ed25519PublicKey)
    signature = base64.b64decode(sign(Algorithm.ED25519, secret, "１２ text"))
    public.verify(signature, "１２ text".encode())
    assert Ed25519PublicKey.from_public_bytes(base64.b64decode(public_raw(secret))) == public


def test_a_private_key_is_taken_as_pem_and_as_base64() -> None:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for given in (pem, base64.b64encode(raw) + b"\n"):
        assert secret_from(Algorithm.ED25519, Secret(given)).reveal() == raw


def test_what_is_no_secret_is_refused_and_not_repeated() -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    rubbish = [
        b"canary", b"", base64.b64encode(b"short"), b"-----BEGIN PRIVATE KEY-----\ncanary", locked,
        rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ]  # fmt: skip
    for given in rubbish:
        with pytest.raises(UnusableSecret, match="no Ed25519 private key") as caught:
            secret_from(Algorithm.ED25519, Secret(given))
        assert "canary" not in str(caught.value)
    with pytest.raises(UnusableSecret, match="empty"):
        secret_from(Algorithm.HMAC_SHA256, Secret(" \n"))
