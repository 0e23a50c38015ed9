"""Accounts on simulated exchanges, heard by the whole platform: their books equal the exchanges' own."""

from __future__ import annotations

import os
import signal
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.request import Request, urlopen

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.end_to_end.conftest import Platform
from trade_platform.adapters.loopback import LoopbackError, get_json, post_json
from trade_platform.adapters.process import read_run

ACCOUNTS = {"deribit": "operator.simulated-deribit", "binance_usdm": "operator.simulated-binance-usdm"}
CONDITIONAL = "algo-"
"""What we put before the numbers of USD-M's conditional orders, which are a count of their own."""
ENOUGH = 15
"""Fills of an account until something is done to it."""

Books: TypeAlias = dict[str, dict[Any, Any]]

_ORDERS = "SELECT order_id, state, filled, quantity FROM account_order WHERE account_id = %s"
_FILLS = "SELECT order_id, fill_id, side::text, price, quantity, fee FROM fill WHERE account_id = %s"
_BALANCES = "SELECT asset, total FROM balance_now WHERE account_id = %s"
_POSITIONS = "SELECT symbol, position_side, quantity FROM position_now WHERE account_id = %s"


def theirs(platform: Platform, exchange: str) -> Books:
    """What the simulator holds to be true."""
    run = read_run(platform.folder / "run" / "simulator.json")
    assert run is not None
    name = ACCOUNTS[exchange].removeprefix("operator.")
    told = get_json(f"{run.urls[exchange]['rest']}/simulator/account?name={name}")
    return {
        "orders": {
            one["order_id"]: (one["state"], Decimal(one["filled"]), Decimal(one["quantity"]))
            for one in told["orders"]
        },
        "fills": {
            (one["order_id"], one["fill_id"]): (
                one["side"],
                Decimal(one["price"]),
                Decimal(one["quantity"]),
                Decimal(one["fee"]),
            )
            for one in told["fills"]
        },
        "balances": {asset: Decimal(total) for asset, total in told["balances"].items()},
        "positions": {
            (one["symbol"], one["position_side"]): Decimal(one["quantity"])
            for one in told["positions"]
            if Decimal(one["quantity"])
        },
    }


def ours(platform: Platform, exchange: str) -> Books:
    """What the books say."""
    with psycopg.connect(platform.database_url, row_factory=dict_row) as connection:

        def asked(statement: str) -> list[dict[str, Any]]:
            return connection.execute(statement, [account["account_id"]]).fetchall()

        account = connection.execute(
            "SELECT account_id FROM account WHERE key = %s", [ACCOUNTS[exchange]]
        ).fetchone()
        if account is None:
            return {}
        return {
            "orders": {
                one["order_id"].removeprefix(CONDITIONAL): (one["state"], one["filled"], one["quantity"])
                for one in asked(_ORDERS)
            },
            "fills": {
                (one["order_id"], one["fill_id"]): (one["side"], one["price"], one["quantity"], one["fee"])
                for one in asked(_FILLS)
            },
            "balances": {one["asset"]: one["total"] for one in asked(_BALANCES)},
            "positions": {
                (one["symbol"], one["position_side"]): one["quantity"]
                for one in asked(_POSITIONS)
                if one["quantity"]
            },
        }


def differences(platform: Platform, exchange: str) -> list[str]:
    """What the books say otherwise than the exchange; empty: nothing."""
    try:
        truth, books = theirs(platform, exchange), ours(platform, exchange)
    except LoopbackError as error:
        return [str(error)]
    return [
        f"{exchange} {what} {key}: {books.get(what, {}).get(key)} instead of {truth[what].get(key)}"
        for what in truth
        for key in truth[what].keys() | books.get(what, {}).keys()
        if truth[what].get(key) != books.get(what, {}).get(key)
    ]


def pause(platform: Platform) -> None:
    run = read_run(platform.folder / "run" / "simulator.json")
    assert run is not None
    for urls in run.urls.values():
        post_json(f"{urls['rest']}/simulator/pause")


@pytest.mark.timeout(300)
def test_the_books_equal_the_exchanges_own_through_kills(platform: Platform) -> None:
    """An account's streamer and its processor die without a goodbye while it trades."""
    platform.start("--simulated", "--accounts", *(part for key in ACCOUNTS for part in ("--exchange", key)))

    def filled(count: int) -> bool:
        return all(len(ours(platform, key).get("fills", {})) >= count for key in ACCOUNTS)

    for account in ACCOUNTS.values():
        platform.await_running(f"account-{account}")
    platform.until(lambda: filled(ENOUGH), "they trade")
    for exchange, account in ACCOUNTS.items():
        for name in (f"account-{account}", f"processor-account-{exchange}-{account}"):
            pid = platform.await_running(name)
            os.kill(pid, signal.SIGKILL)
            platform.await_running(name, other_than=pid)
    platform.until(lambda: filled(3 * ENOUGH), "they trade on")
    pause(platform)
    await_equal(platform)
    code, said = platform.stop()
    assert code == 0, said


def await_equal(platform: Platform) -> None:
    """The books of both; nothing is left to be read again, nothing was odd, nothing was refused."""
    seen: list[str] = []

    def equal() -> bool:
        seen[:] = [line for key in ACCOUNTS for line in differences(platform, key)]
        with psycopg.connect(platform.database_url) as connection:
            blind = connection.execute("SELECT since, reason FROM blindness WHERE until IS NULL").fetchall()
        seen.extend(f"to be read again: {one}" for one in blind)
        return not seen

    try:
        platform.until(equal, "the books equal the exchanges' own", timeout=60)
    except AssertionError as error:
        raise AssertionError("\n".join([*seen[:20], str(error)])) from None
    with psycopg.connect(platform.database_url) as connection:
        odd = connection.execute("SELECT kind, content FROM book_conflict").fetchall()
        letters = connection.execute("SELECT error FROM dead_letter").fetchall()
    assert (odd, letters) == ([], [])


FAULTS: tuple[dict[str, object], ...] = (
    {"fault": "private_duplicate", "count": 9},
    {"fault": "private_reorder", "count": 9},
    {"fault": "transfer", "amount": "0.5", "kind": "deposit"},
    {"fault": "settlement", "exchange": "deribit"},
    {"fault": "funding", "amount": "0.01"},
    {"fault": "liquidation"},
    {"fault": "cancel_on_disconnect"},
    {"fault": "abort"},
    {"fault": "listen_key_expired", "exchange": "binance_usdm"},
    {"fault": "key_expired", "exchange": "deribit"},
    {"fault": "auth_refused", "seconds": 2, "exchange": "binance_usdm"},  # a refused login waits for minutes
    {"fault": "rest_behind", "seconds": 4},
    {"fault": "abort"},
    {"fault": "rest_refuse", "status": 503, "count": 4},
    {"fault": "abort"},
)
"""What the stream and its re-reading survive by themselves; a message that is dropped without a trace is what
reconciliation is for."""


def strike(platform: Platform, fault: dict[str, object]) -> None:
    """At every exchange, or at the one that the fault names."""
    run = read_run(platform.folder / "run" / "simulator.json")
    assert run is not None
    for exchange, urls in run.urls.items():
        if fault.get("exchange", exchange) == exchange:
            request = Request(
                f"{urls['rest']}/simulator/fault", data=msgspec.json.encode(fault), method="POST"
            )
            with urlopen(request, timeout=10) as answer:
                assert answer.status == 200, answer.read()


def live(platform: Platform) -> bool:
    """Both hear all, and have read again what passed unheard."""
    details = []
    for account in ACCOUNTS.values():
        run = platform.running(f"account-{account}")
        try:
            details.append(get_json(f"{run.metrics}/healthz").get("details", {}) if run else {})
        except LoopbackError:
            details.append({})
    return all(one.get("live") for one in details)


@pytest.mark.timeout(400)
def test_the_books_equal_the_exchanges_own_through_what_exchanges_do(platform: Platform) -> None:
    platform.start("--simulated", "--accounts", *(part for key in ACCOUNTS for part in ("--exchange", key)))
    platform.until(lambda: live(platform), "both are live")
    for fault in FAULTS:
        before = {key: len(ours(platform, key)["orders"]) for key in ACCOUNTS}
        strike(platform, fault)
        platform.until(
            lambda before=before: all(
                len(ours(platform, key)["orders"]) > count for key, count in before.items()
            ),
            f"they trade on after {fault['fault']}",
        )
    platform.until(lambda: live(platform), "both are live again")
    pause(platform)
    await_equal(platform)
    code, said = platform.stop()
    assert code == 0, said
