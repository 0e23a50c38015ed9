from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from streamers.account.__main__ import _exchange_of
from streamers.account.telemetry import AccountTelemetry
from tests.adapters.database.booking import ACCOUNT, fill
from tests.streamers.account.fake import FakeServer, FakeVault
from tests.streamers.account.hearing import hearing, now_at
from tests.streamers.waiting import until
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.vault_client import AccountFacts
from trade_platform.exchanges.account import KeyFacts


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "streamers.account", "--account", ACCOUNT],
        env={
            **os.environ,
            "DATA_FOLDER": str(folder),
            **{name.upper(): one for name, one in settings.items()},
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Answering:
    """A vault that knows one account, at the place where a process looks for it."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(msgspec.json.encode(self._answer) + b"\n")
        await writer.drain()
        writer.close()


async def run_with(folder: Path, answer: object, **settings: str) -> tuple[int, str]:
    """What the process says to such a vault, and how it ends."""
    (folder / "run").mkdir()
    server = await asyncio.start_unix_server(Answering(answer).serve, str(folder / "run" / "vault.sock"))
    process = start(folder, **settings)
    said, _ = await asyncio.to_thread(process.communicate, timeout=60)
    server.close()
    return process.returncode, said


FACTS = {
    "account": ACCOUNT, "tenant": "t", "exchange": "deribit", "key_id": "k", "algorithm": "hmac_sha256",
    "testnet": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": "There is no account operator.main."}, "There is no account operator.main."),
        (FACTS, "REDIS_URL is not set"),
        (FACTS | {"exchange": "nowhere"}, "Accounts on nowhere cannot be heard by this version"),
    ],
    ids=["unknown", "no redis", "unknown exchange"],
)
async def test_what_hinders_it_is_one_sentence(server_folder: Path, answer: object, says: str) -> None:
    folder = server_folder / f"account-{abs(hash(says)):x}"
    folder.mkdir()
    code, said = await run_with(folder, answer)
    assert code == 1
    assert says in said
    assert "Traceback" not in said


def test_it_waits_for_the_vault_and_stops_when_asked(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    assert "The vault cannot be asked" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()


def test_a_test_network_s_account_is_heard_there_or_not_at_all() -> None:
    facts = AccountFacts(
        account=ACCOUNT, tenant="t", exchange="deribit", key=KeyFacts(key_id="k"), testnet=True
    )
    assert "test.deribit.com" in _exchange_of(facts).websocket_url
    spot = msgspec.structs.replace(facts, exchange="binance_spot")
    with pytest.raises(CannotStart, match="the test network of binance_spot"):
        _exchange_of(spot)


async def test_metrics_tell_how_it_is_and_nothing_of_money(
    exchange: FakeServer, vault: FakeVault, redis_url: str, tmp_path: Path
) -> None:
    async with hearing(exchange, vault, redis_url, tmp_path) as one:
        registry = CollectorRegistry()
        AccountTelemetry(one.driver, one.publisher, one.clock, ACCOUNT, registry)
        await until(lambda: one.driver.live, "live")
        await exchange.happen(now_at(fill(), one.clock))
        await until(lambda: one.told(type(fill())), "the fill")
        await until(lambda: "account_socket_to_redis_seconds_count 0" not in text(registry), "measured")
        said = text(registry)
    assert f'account_live{{account="{ACCOUNT}"}} 1.0' in said
    assert f'account_records_total{{account="{ACCOUNT}",kind="fill"}} 1.0' in said
    assert f'account_blind_seconds{{account="{ACCOUNT}"}} 0.0' in said
    assert "100.5" not in said


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()
