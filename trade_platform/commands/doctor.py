"""``trade-platform doctor``."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from trade_platform.adapters.embedded import url_of
from trade_platform.commands.console import console
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange, Request
from trade_platform.operations.doctor import Verdict
from trade_platform.operations.doctor import doctor as examine
from trade_platform.settings import settings_from
from trade_platform.surroundings import dagster_url, rest_client
from trade_platform.terminal import print_findings


@click.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(*, as_json: bool) -> None:
    """Check configuration, versions, permissions, servers and clocks; say what to do about each failure."""
    settings = settings_from()

    async def fetch(exchange: Exchange, request: Request) -> bytes:
        async with rest_client(exchange, settings) as client:
            return await client.fetch(request)

    findings = list(
        examine(
            data_folder=settings.data_folder,
            instruments_file=settings.instruments_file,
            database_url=settings.database_url or url_of(settings.data_folder / "postgres"),
            redis_url=settings.redis_url or url_of(settings.data_folder / "redis"),
            dagster_url=settings.dagster_database_url or dagster_url(settings),
            web_port=settings.web_port,
            archive=settings.archive,
            exchanges=EXCHANGES,
            ask=lambda exchange: asyncio.run(fetch(exchange, exchange.time_request())),
        )
    )
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        print_findings(console, findings)
    sys.exit(1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0)
