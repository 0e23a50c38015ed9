"""``python -m streamers.account --account KEY``: composition root of the process that hears one account."""

from __future__ import annotations

import argparse
import asyncio
import sys

import structlog
import uvloop
from prometheus_client import REGISTRY

from streamers.account.conversation import Around
from streamers.account.driver import Driver
from streamers.account.publisher import AccountPublisher
from streamers.account.telemetry import AccountTelemetry
from streamers.adoption import Adoption
from streamers.backoff import Backoff
from streamers.bus_link import BusLink
from streamers.spool import Spool, SpoolUnusable
from trade_platform.adapters import logs
from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock, WallClock, clock_from_text
from trade_platform.adapters.holdings import Holdings
from trade_platform.adapters.process import (
    CannotStart,
    PortTaken,
    RunFile,
    die_with_parent,
    keep_standard_streams,
    serve_health,
    stop_event,
)
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.trust import trust
from trade_platform.adapters.vault_client import (
    AccountFacts,
    VaultClient,
    VaultRefused,
    VaultUnavailable,
    socket_of,
)
from trade_platform.domain.slots import other_slot
from trade_platform.exchanges.account import AccountExchange
from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.settings import Settings, SettingsError, settings_from

FLUSH_SECONDS = 4.0
"""For what is left when the process stops; the spool keeps the rest."""

log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM; 0 after a graceful stop, 1 where it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m streamers.account", description="Feeds Redis from one account."
    )
    parser.add_argument("--account", required=True, metavar="TENANT.NAME", help="which one")
    keep_standard_streams()
    account: str = parser.parse_args(arguments).account
    try:
        settings = settings_from()
        name = settings.process_name or f"account-{account}"
        logs.configure(settings.log_level, settings.log_format, name)
        if settings.parent_pid:
            die_with_parent(settings.parent_pid)
        uvloop.run(_run(settings, account, name))
    except (SettingsError, CannotStart, PortTaken, SpoolUnusable) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging may not be there yet
        return 1
    return 0


async def _run(settings: Settings, account: str, name: str) -> None:
    stop = stop_event()
    clock = _clock(settings)
    vault = VaultClient(socket_of(settings.data_folder))
    facts = await _facts(vault, account, stop)
    if facts is None:
        return
    exchange = _exchange_of(facts)
    websocket_url, rest_url = settings.hosts(exchange.key)
    tls = trust(settings.tls_ca_file)
    publisher = AccountPublisher(
        _bus_link(settings),
        Spool(settings.data_folder / "spool" / name, settings.spool_megabytes << 20),
        exchange=exchange.key,
        account=account,
        producer=f"{name}:{WallClock().market()}",  # a replay's time may come twice
        clock=clock,
        buffer_records=settings.buffer_records,
    )
    publisher.open()
    adoption = Adoption(
        settings.data_folder / "spool" / other_slot(name),
        settings.spool_megabytes << 20,
        lambda: _bus_link(settings),
        clock,
    )
    budget = Budget(exchange.key, exchange.limits, redis_url=settings.redis_url, share=settings.budget_share)
    client = RestClient(
        rest_url or exchange.rest_url,
        name=exchange.key,
        error_of=exchange.error_of,
        budget=budget,
        ssl_context=tls,
    )
    around = Around(
        exchange=exchange,
        account=account,
        key=facts.key,
        publisher=publisher,
        rest=AccountRest(exchange, client, vault, account, clock),
        vault=vault,
        budget=budget,
        clock=clock,
        websocket_url=websocket_url or exchange.websocket_url,
        tls=tls,
    )
    age = settings.connection_maximum_age_seconds or exchange.maximum_age_seconds
    driver = Driver(around, maximum_age_seconds=age)
    AccountTelemetry(driver, publisher, clock, account, REGISTRY)
    Holdings(REGISTRY).add(publisher.holdings)
    server = await serve_health(settings.metrics_port, driver.health)
    async with budget, client, server:
        with RunFile(settings.data_folder, name, metrics=server.url):
            log.info("The account's streamer is up.", account=account, exchange=exchange.key)
            async with asyncio.TaskGroup() as group:
                group.create_task(publisher.run())
                adopting = group.create_task(adoption.run())
                await driver.run(stop)
                adopting.cancel()
                publisher.finish(FLUSH_SECONDS)
            log.info("The account's streamer has stopped.", records=publisher.sender.sent_records)


async def _facts(vault: VaultClient, account: str, stop: asyncio.Event) -> AccountFacts | None:
    """Who the account is, as soon as the vault can say it; None where we are asked to stop before."""
    backoff, complaint = Backoff(), ""
    while not stop.is_set():
        try:
            return await vault.describe(account)
        except VaultRefused as error:
            raise CannotStart(str(error)) from error
        except VaultUnavailable as error:
            if not complaint:
                log.warning("The vault cannot be asked; trying again until it can.", error=str(error))
            complaint = str(error)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait(
            {waiting}, timeout=backoff.delay_after(delivered=False, lived_seconds=0, accepted=False)
        )
        waiting.cancel()
    return None


def _exchange_of(facts: AccountFacts) -> AccountExchange:
    if facts.testnet and facts.exchange == DeribitAccounts.key:
        return DeribitAccounts(testnet=True)
    exchange = ACCOUNT_EXCHANGES.get(facts.exchange)
    if exchange is None or facts.testnet:
        where = f"the test network of {facts.exchange}" if facts.testnet else facts.exchange
        raise CannotStart(f"Accounts on {where} cannot be heard by this version: revoke the account.")
    return exchange


def _bus_link(settings: Settings) -> BusLink:
    if not settings.redis_url:
        raise CannotStart("REDIS_URL is not set: it names the Redis that takes the entries.")
    try:
        return BusLink(settings.redis_url)
    except (ValueError, TypeError) as error:
        raise CannotStart(f"REDIS_URL is not usable ({error}): correct it.") from error


def _clock(settings: Settings) -> Clock:
    try:
        return clock_from_text(settings.market_clock)
    except ValueError as error:
        raise CannotStart(
            f"MARKET_CLOCK={settings.market_clock!r} is not usable ({error}): unset it for the wall clock."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
