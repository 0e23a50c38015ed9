"""All that is known of Binance's private side, by product, behind the ``AccountExchange`` seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import quote

from trade_platform.domain.model import DAY, MINUTE
from trade_platform.exchanges.account import (
    AccountSession,
    Ask,
    KeyFacts,
    Known,
    PermissionsAsk,
    PrivateRequest,
    Signed,
)
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.private import (
    permissions,
    signing,
    spot_rest,
    spot_transfers,
    usdm_rest,
)
from trade_platform.exchanges.binance.private.spot_session import SpotAccountSession
from trade_platform.exchanges.binance.private.usdm_session import READ, UsdmAccountSession
from trade_platform.exchanges.binance.private.walk import asked
from trade_platform.exchanges.limits import Limit
from trade_platform.exchanges.session import RestError

QUARTER: Final = 90 * DAY
BEGINNING: Final = 1_498_867_200_000_000
"""July 2017: before it there was no Binance."""
MARGIN: Final = 60 * MINUTE
"""Before what is about to be forgotten: an answer takes its time, and clocks differ."""


class BinanceAccounts:
    """The half that does not depend on the product; addresses share their limits with the public side."""

    public: ClassVar[BinanceSpot | BinanceUsdm]

    def __init__(self) -> None:
        self.key = self.public.key
        self.rest_url = self.public.rest_url
        self.maximum_age_seconds: float | None = self.public.maximum_age_seconds

    @property
    def limits(self) -> Sequence[Limit]:
        return self.public.limits

    def to_sign(self, request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:  # noqa: ARG002
        """The key itself stands in a header, and is not signed; the moment makes each text another."""
        return signing.rest_text(signing.timed(request.query, at))

    def with_signature(self, request: PrivateRequest, signed: Signed) -> PrivateRequest:
        return signing.signed_request(request, signed)

    def permissions(self) -> PermissionsAsk:
        """Asked of spot's host: USD-M's has no such path."""
        return PermissionsAsk(
            request=asked(permissions.PATH, 1),
            read=permissions.permissions,
            rest_url=BinanceSpot.rest_url,
        )

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return self.public.error_of(status, body)


class SpotAccounts(BinanceAccounts):
    """Implements ``exchanges.account.AccountExchange``."""

    public = BinanceSpot()
    websocket_url = "wss://ws-api.binance.com:443"

    def path(self, listen_key: str) -> str:  # noqa: ARG002
        return "/ws-api/v3"

    def session(self, key: KeyFacts) -> AccountSession:
        return SpotAccountSession(key)

    def open_orders(self) -> list[Ask]:
        return spot_rest.open_orders()

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        return spot_rest.order(symbol, order_id)

    def balances(self) -> list[Ask]:
        return spot_rest.balances()

    def positions(self) -> list[Ask]:
        """Spot has none."""
        return []

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        return spot_rest.orders(known, since, until)

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        return spot_rest.fills(known, since, until)

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:  # noqa: ARG002
        """There is no ledger: what came and went by no trade, as far as there are lists of it."""
        span = max(since, BEGINNING), until
        return [*spot_transfers.incoming(*span), *spot_transfers.outgoing(*span)]

    def reach(self, what: str, now: int) -> int:
        """An order that ended unfilled is told of for 90 days; the rest for ever, 90 days a question."""
        return now - QUARTER + MARGIN if what == "orders" else BEGINNING


class UsdmAccounts(BinanceAccounts):
    """Implements ``exchanges.account.AccountExchange``."""

    public = BinanceUsdm()
    websocket_url = "wss://fstream.binance.com"

    def path(self, listen_key: str) -> str:
        """Events come plain here, without the key before each of them."""
        return f"/private/ws?listenKey={quote(listen_key, safe='')}&events={'/'.join(READ)}"

    def session(self, key: KeyFacts) -> AccountSession:  # noqa: ARG002
        return UsdmAccountSession()

    def open_orders(self) -> list[Ask]:
        return usdm_rest.open_orders()

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        return usdm_rest.order(symbol, order_id)

    def balances(self) -> list[Ask]:
        return usdm_rest.balances()

    def positions(self) -> list[Ask]:
        return usdm_rest.positions()

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        return usdm_rest.orders(known, since, until)

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        return usdm_rest.fills(known, since, until)

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:  # noqa: ARG002
        return usdm_rest.movements(since, until)

    def reach(self, what: str, now: int) -> int:
        """An order that ended unfilled is told of for three days after it was made; the rest for 90 days."""
        return now - (3 * DAY if what == "orders" else QUARTER) + MARGIN
