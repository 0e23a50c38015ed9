"""Deribit's private side behind the seam of all exchanges."""

from __future__ import annotations

import pytest

from tests.exchanges.deribit.private.talking import KEY
from trade_platform.exchanges.account import AccountExchange, AccountSession
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts


def attributes(protocol: type) -> set[str]:
    return {name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")}


def test_it_has_all_that_the_seam_names() -> None:
    exchange: AccountExchange = DeribitAccounts()
    session: AccountSession = exchange.session(KEY)
    assert not [name for name in attributes(AccountExchange) if not hasattr(exchange, name)]
    assert not [name for name in attributes(AccountSession) if not hasattr(session, name)]
    assert not session.live
    assert (session.listen_key, session.before(0.0, 0)) == ("", ())


def test_it_is_the_public_side_s_exchange() -> None:
    public, private = Deribit(), DeribitAccounts()
    assert (private.key, private.rest_url, private.websocket_url) == (
        public.key,
        public.rest_url,
        public.websocket_url,
    )
    assert private.path("") == "/ws/api/v2"
    assert {limit.name for limit in public.limits} <= {limit.name for limit in private.limits}


def test_the_test_network_has_its_own_host() -> None:
    assert DeribitAccounts(testnet=True).websocket_url == "wss://test.deribit.com"
    assert DeribitAccounts(testnet=True).rest_url == "https://test.deribit.com"


@pytest.mark.parametrize("what", ["orders", "fills", "movements"])
def test_the_archives_have_no_end(what: str) -> None:
    assert DeribitAccounts().reach(what, 1_766_000_000_000_000) == 0


@pytest.mark.parametrize(("code", "retry"), [(10028, True), (13009, False), (10041, True), (13004, False)])
def test_errors_are_read_as_on_the_public_side(code: int, retry: bool) -> None:
    error = DeribitAccounts().error_of(400, b'{"error": {"code": %d, "message": "m"}}' % code)
    assert error is not None
    assert (error.code, error.retry) == (code, retry)
