"""``trade-platform instruments``."""

from __future__ import annotations

import asyncio

import click
import msgspec
import psycopg

from trade_platform.adapters.database.catalogue import known_instruments, trades_a_day
from trade_platform.adapters.selection_file import read_selection
from trade_platform.commands.console import console
from trade_platform.domain.model import Instrument
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange
from trade_platform.operations.instruments import RecordedInstrument, recorded_instruments
from trade_platform.settings import Settings, settings_from
from trade_platform.surroundings import NotHere, database, rest_client
from trade_platform.terminal import print_instruments


@click.command()
@click.option("--refresh", is_flag=True, help="Ask the exchanges instead of the stored catalogue.")
@click.option("--exchange", "exchanges", multiple=True, type=click.Choice(sorted(EXCHANGES)))
@click.option("--json", "as_json", is_flag=True)
def instruments(*, refresh: bool, exchanges: tuple[str, ...], as_json: bool) -> None:
    """What config/instruments.toml comes to, and what it costs in rows a day."""
    settings = settings_from()
    selection = read_selection(settings.instruments_file, exchanges=EXCHANGES)
    recorded: list[RecordedInstrument] = []
    for key in exchanges or tuple(sorted(EXCHANGES)):
        known, rates = ([], {}) if refresh else _from_catalogue(settings, key)
        if not known:
            known = asyncio.run(_ask_instruments(EXCHANGES[key], settings))
        recorded += recorded_instruments(selection, EXCHANGES[key], known, rates)
    if as_json:
        click.echo(msgspec.json.encode(recorded))
    else:
        print_instruments(console, recorded)


def _from_catalogue(settings: Settings, key: str) -> tuple[list[Instrument], dict[tuple[str, str], int]]:
    try:
        with database(settings) as connection:
            return known_instruments(connection, key), trades_a_day(connection, key)
    except (NotHere, psycopg.Error):
        return [], {}


async def _ask_instruments(exchange: Exchange, settings: Settings) -> list[Instrument]:
    found: list[Instrument] = []
    async with rest_client(exchange, settings) as client:
        for request in exchange.instruments_requests():
            found += exchange.parse_instruments(await client.fetch(request))
    return found
