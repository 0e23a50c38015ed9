from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.adapters.database.booking import fill
from tests.streamers.account.fake import ACCOUNT, FakeAccounts, FakeServer, FakeVault
from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.adapters.vault_client import VaultClient, VaultUnavailable
from trade_platform.domain.accounts import Fill
from trade_platform.exchanges.account import Ask, Known, Page, PrivateRequest
from trade_platform.exchanges.session import ProtocolViolation, RestError

KNOWN = Known(symbols=frozenset({"BTCUSDT"}))
FOREVER = 2**60


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def vault(server_folder: Path, tmp_path: Path) -> AsyncIterator[FakeVault]:
    async with FakeVault(server_folder / f"{abs(hash(tmp_path)):x}.sock") as vault:
        yield vault


@pytest.fixture
async def rest(server: FakeServer, vault: FakeVault) -> AsyncIterator[AccountRest]:
    exchange = FakeAccounts(server)
    client = RestClient(
        exchange.rest_url, name="fake", error_of=exchange.error_of, budget=Budget("fake", exchange.limits)
    )
    async with client:
        yield AccountRest(exchange, client, VaultClient(vault.path), ACCOUNT, WallClock())


async def test_all_pages_are_read_each_signed(
    rest: AccountRest, server: FakeServer, vault: FakeVault
) -> None:
    server.happened = [fill(fill_id=str(n)) for n in range(5)]
    (ask,) = rest.exchange.fills(KNOWN, 0, FOREVER)
    assert [len(page.records) async for page in rest.pages(ask)] == [2, 2, 1]
    assert [one.fill_id for one in await rest.all(ask) if isinstance(one, Fill)] == list("01234")
    assert vault.signed == ["GET /fills"] * 6


async def test_what_is_told_bears_the_moment_of_asking(rest: AccountRest, server: FakeServer) -> None:
    server.happened = [fill()]
    before = WallClock().market()
    (ask,) = rest.exchange.fills(KNOWN, 0, FOREVER)
    server.asked.clear()
    (told,) = await rest.all(ask)
    assert before <= told.receive_time <= WallClock().market()  # type: ignore[union-attr]


async def test_a_part_is_never_taken_for_the_whole(rest: AccountRest, server: FakeServer) -> None:
    """The second page is refused: there is no answer at all."""
    server.happened = [fill(fill_id=str(n)) for n in range(3)]
    (ask,) = rest.exchange.fills(KNOWN, 0, FOREVER)
    pages = rest.pages(ask)
    assert len((await anext(pages)).records) == 2
    server.refuse = {"fills"}
    with pytest.raises(RestError, match="not now"):
        await anext(pages)
    with pytest.raises(RestError, match="not now"):
        await rest.all(ask)


async def test_what_means_that_there_is_none_is_an_empty_answer(
    rest: AccountRest, server: FakeServer
) -> None:
    (ask,) = rest.exchange.fills(KNOWN, 0, FOREVER)
    server.refuse = {"fills"}
    with pytest.raises(RestError) as caught:
        await rest.all(ask)
    assert await rest.all(msgspec.structs.replace(ask, absent=frozenset({caught.value.code}))) == []


async def test_without_the_vault_nothing_is_asked(
    rest: AccountRest, server: FakeServer, vault: FakeVault
) -> None:
    vault.away = True
    with pytest.raises(VaultUnavailable, match="busy"):
        await rest.all(rest.exchange.balances()[0])
    assert server.asked == []


async def test_what_needs_no_signature_gets_none(rest: AccountRest, vault: FakeVault) -> None:
    body = await rest.fetch(PrivateRequest(path="/key", method="POST", signed=False))
    assert msgspec.json.decode(body) == {"key": "a-listen-key"}
    assert vault.signed == []


async def test_pages_without_end_are_a_violation(rest: AccountRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trade_platform.adapters.account_rest.MOST_PAGES", 3)
    request = PrivateRequest(path="/balances", query={"page": 0})

    def read(_: bytes, __: int) -> Page:
        return Page(further=ask)

    ask = Ask(what="balances", request=request, read=read)
    with pytest.raises(ProtocolViolation, match="balances: more than 3 pages"):
        await rest.all(ask)


async def test_a_signature_stands_in_no_sentence(vault: FakeVault, server: FakeServer) -> None:
    """Neither in what is said, nor in what was the cause of it."""

    class Telling(FakeAccounts):
        def with_signature(self, request: PrivateRequest, signed: object) -> PrivateRequest:
            return msgspec.structs.replace(
                request, query={"signature": "s3cret"}, headers={"Authorization": "s3cret"}
            )

    exchange = Telling(server)
    client = RestClient(
        "http://127.0.0.1:9", name="fake", error_of=exchange.error_of, budget=Budget("fake", ())
    )
    async with client:
        rest = AccountRest(exchange, client, VaultClient(vault.path), ACCOUNT, WallClock())
        with pytest.raises(RestUnavailable, match="Connection refused") as caught:
            await rest.all(exchange.balances()[0])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "s3cret" not in str(caught.value)
