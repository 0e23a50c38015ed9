"""All that is known about Deribit's private side, behind the seam of ``exchanges/account.py``."""

from __future__ import annotations

from typing import Final

from trade_platform.exchanges.account import Ask, KeyFacts, Known, PermissionsAsk, PrivateRequest, Signed
from trade_platform.exchanges.deribit import rest as public
from trade_platform.exchanges.deribit.private import histories, rest, signing
from trade_platform.exchanges.deribit.private.session import DeribitAccountSession
from trade_platform.exchanges.session import RestError

PRODUCTION: Final = "www.deribit.com"
TEST_NETWORK: Final = "test.deribit.com"
PATH: Final = "/ws/api/v2"


class DeribitAccounts:
    """API v2. ``testnet``: which network must answer; None where either may. Stateless."""

    key = "deribit"
    maximum_age_seconds: float | None = None
    """Connections have no published lifetime; logins are renewed on them."""
    limits = rest.LIMITS

    def __init__(self, *, testnet: bool | None = False) -> None:
        host = TEST_NETWORK if testnet else PRODUCTION
        self.testnet = testnet
        self.websocket_url = f"wss://{host}"
        self.rest_url = f"https://{host}"

    def path(self, listen_key: str) -> str:
        """Public and private share one path, and there is no listen key."""
        del listen_key
        return PATH

    def session(self, key: KeyFacts) -> DeribitAccountSession:
        del key  # whoever signs names it
        return DeribitAccountSession(testnet=self.testnet)

    def to_sign(self, request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:
        return signing.request_text(request, key, at, nonce)

    def with_signature(self, request: PrivateRequest, signed: Signed) -> PrivateRequest:
        return signing.signed_request(request, signed)

    def open_orders(self) -> list[Ask]:
        return rest.open_orders()

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        """An id alone says which."""
        del symbol
        return rest.order(order_id)

    def balances(self) -> list[Ask]:
        return rest.balances()

    def positions(self) -> list[Ask]:
        return rest.positions()

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        del known  # the account's currencies are asked for instead: one may be new
        return histories.orders(since, until)

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        del known
        return histories.fills(since, until)

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:
        del known
        return histories.movements(since, until)

    def reach(self, what: str, now: int) -> int:
        """The archives go back to the account's beginning; unfilled orders are told for two days."""
        del what, now
        return 0

    def permissions(self) -> PermissionsAsk:
        """A login's scope says what the key may do; the list of keys, asked further, where from."""
        return rest.granted_permissions()

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return public.error_of(status, body)
