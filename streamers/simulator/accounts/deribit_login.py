"""Who may ask what on Deribit: logins, tokens, scopes, and signed HTTP requests."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streamers.simulator.deribit_rest import Refused
from streamers.simulator.listing import SECOND

if TYPE_CHECKING:
    from streamers.simulator.accounts.desk import Account, Desk

WINDOW_MS: Final = 60_000
"""So far may the time of a signature be from the exchange's."""
LIFETIME: Final = 31_536_000
LEVELS: Final = ("none", "read", "read_write")
PARTS: Final = re.compile(r"(\w+)=([^,\s]+)")


class Token(NamedTuple):
    """What a login gives."""

    account: str
    scope: str
    expires: int
    """Microseconds UTC."""


class Logins:
    """Tokens, and those who hold them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._tokens: dict[str, Token] = {}
        self._refresh: dict[str, tuple[str, str]] = {}
        """Refresh token → (account, the scope that was asked)."""

    def log_in(self, params: dict[str, Any], now: float) -> tuple[Account, Token, dict[str, Any]]:
        """Answer ``public/auth``: who it is, the token, and the result. Raises Refused."""
        grant = params.get("grant_type")
        asked = str(params.get("scope") or "")
        if grant == "refresh_token":
            name, first = self._refresh.get(str(params.get("refresh_token")), ("", ""))
            account, asked = self.desk.accounts.get(name), asked or first
        else:
            account = self.desk.by_key(str(params.get("client_id") or ""))
            if account is not None and not self._proven(account, grant, params):
                self._noted(account, "failure")
                account = None
        if account is None or account.revoked:
            raise Refused(13004, "invalid_credentials")
        if self.desk.is_lasting("auth_refused", account.name, now):
            raise Refused(13004, "invalid_credentials")
        return self._granted(account, asked, params)

    def holder(self, token: str) -> tuple[Account, Token]:
        """Whose token it is; raises Refused."""
        known = self._tokens.get(token)
        if known is None or known.expires <= self.desk.clock() * 1000:
            raise Refused(13009, "unauthorized", {"reason": "invalid_token"})
        account = self.desk.accounts[known.account]
        if account.revoked:
            raise Refused(13009, "unauthorized", {"reason": "invalid_token"})
        return account, known

    def is_good(self, token: Token) -> bool:
        """Whether it still counts."""
        return token in self._tokens.values() and token.expires > self.desk.clock() * 1000

    def expire(self, account: str) -> None:
        """Every token of an account ends now."""
        self._tokens = {text: one for text, one in self._tokens.items() if one.account != account}

    def signer(self, header: str, text: str, now: float) -> tuple[Account, str]:
        """Who sends an HTTP request, with which scope; ``text``: method, target, body. Raises Refused."""
        kind, _, rest = header.partition(" ")
        if not rest:
            raise Refused(10000, "authorization_required")
        if kind.lower() == "bearer":
            account, token = self.holder(rest.strip())
            return account, token.scope
        parts = dict(PARTS.findall(rest)) if kind.lower() == "deri-hmac-sha256" else _basic(rest)
        known = self.desk.by_key(parts.get("id", ""))
        if known is None or self.desk.is_lasting("auth_refused", known.name, now):
            raise Refused(13004, "invalid_credentials")
        if "secret" in parts:
            if known.spec.secret != parts["secret"]:
                raise Refused(13004, "invalid_credentials")
        elif not self._in_time(parts.get("ts")) or not known.spec.signed(
            f"{parts.get('ts')}\n{parts.get('nonce')}\n{text}", parts.get("sig", "")
        ):
            raise Refused(13009, "unauthorized", {"reason": "invalid_signature"})
        return known, granted_scope(known.spec.scope, "")

    def _proven(self, account: Account, grant: object, params: dict[str, Any]) -> bool:
        spec = account.spec
        if grant == "client_credentials":
            return bool(spec.secret) and params.get("client_secret") == spec.secret
        if grant != "client_signature" or not self._in_time(params.get("timestamp")):
            return False
        text = f"{params.get('timestamp')}\n{params.get('nonce', '')}\n{params.get('data', '')}"
        return spec.signed(text, str(params.get("signature") or ""))

    def _in_time(self, stamp: object) -> bool:
        try:
            time = int(str(stamp))
        except ValueError:
            return False
        return abs(self.desk.clock() - time) <= WINDOW_MS

    def _granted(
        self, account: Account, asked: str, params: dict[str, Any]
    ) -> tuple[Account, Token, dict[str, Any]]:
        scope = granted_scope(account.spec.scope, asked)
        seconds = next(
            (int(word[8:]) for word in asked.split() if re.fullmatch(r"expires:[0-9]{1,9}", word)), LIFETIME
        )
        number = len(self._tokens) + len(self._refresh) + 1
        secret = sha256(f"{account.name}/{number}/{account.spec.seed}".encode()).hexdigest()
        shown = self.desk.clock()
        token = Token(account.name, scope, shown * 1000 + seconds * SECOND)
        access = f"{shown}.{secret[:12]}.{number}"
        refresh = f"{shown}.{secret[12:24]}.{number}"
        self._tokens[access] = token
        self._refresh[refresh] = account.name, asked
        self._noted(account, "success")
        result: dict[str, Any] = {
            "access_token": access,
            "expires_in": seconds,
            "refresh_token": refresh,
            "scope": scope,
            "token_type": "bearer",
            "enabled_features": [],
            "sid": f"{number}.{secret[:6]}",
        }
        if params.get("state"):
            result["state"] = params["state"]
        return account, token, result

    def _noted(self, account: Account, how: str) -> None:
        account.book.note("access", how, self.desk.floor.shown)


def granted_scope(most: str, asked: str) -> str:
    """What is granted of what is asked (all that a key may where nothing is named), in Deribit's order."""
    may = _levels(most)
    wants = _levels(asked) or may
    words = [
        f"{name}:{min(level, may[name], key=LEVELS.index)}" for name, level in wants.items() if name in may
    ]
    words.append(next((word for word in asked.split() if word.startswith("session:")), "connection"))
    return " ".join(sorted([*(word for word in words if not word.endswith(":none")), "mainaccount"]))


def _levels(scope: str) -> dict[str, str]:
    pairs = (word.split(":", 1) for word in scope.split() if ":" in word)
    return {name: level for name, level in pairs if level in LEVELS}


def _basic(text: str) -> dict[str, str]:
    try:
        name, _, secret = b64decode(text, validate=True).decode().partition(":")
    except (NotBase64, ValueError):
        return {}
    return {"id": name, "secret": secret}
