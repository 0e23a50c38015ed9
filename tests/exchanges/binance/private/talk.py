"""Ways to talk with a session that holds no socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trade_platform.exchanges.account import AccountOutput, Algorithm, KeyFacts, Sign, Signed
from trade_platform.exchanges.session import Send

HMAC = KeyFacts(key_id="public-name")
ED25519 = KeyFacts(key_id="public-name", algorithm=Algorithm.ED25519)
NOW = 1_700_000_000_000_000


def signed(sign: Sign, key: KeyFacts, at: int = NOW) -> tuple[str, Sequence[AccountOutput]]:
    """What is signed, and what comes of a signature."""
    text = sign.prepare(key, at, "nonce")
    return text, sign.then(Signed(key=key, signature="a+b/c=", at=at, nonce="nonce"))


def said(outputs: Sequence[AccountOutput]) -> list[dict[str, Any]]:
    """The requests among the outputs."""
    return [json.loads(output.text) for output in outputs if isinstance(output, Send)]
