"""What Dagster does not run, so that the graph begins at the exchange: connections, streams, tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import dagster as dg
import msgspec

from trade_platform.exchanges.registry import EXCHANGES

GROUP: Final = "live"
OWNERS: Final = ("team:trading",)
HEARTBEAT_SECONDS: Final = 600
"""How often an asset whose data flow is reported; a report is an event that is kept."""
FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(minutes=25), warn_window=timedelta(minutes=15)
)
"""Of what must never rest. It takes materialisations alone: they are reported while data flow, so that it
turns red when nothing came for so long, and also when nobody looks any more."""
EXCHANGE_NAMES: Final = {
    "binance_spot": "Binance spot",
    "binance_usdm": "Binance USD-M futures",
    "deribit": "Deribit",
}


def connection_key(exchange: str) -> dg.AssetKey:
    """Of the connections to an exchange."""
    return dg.AssetKey(["exchange", exchange])


def stream_key(stream: str) -> dg.AssetKey:
    """Of a Redis stream, by its name there: ``market:deribit``."""
    return dg.AssetKey(["redis", *stream.split(":")])


def table_key(table: str) -> dg.AssetKey:
    """Of a table that processors fill."""
    return dg.AssetKey(["postgres", table])


STATE: Final = stream_key("state")
MARKETS: Final = tuple(stream_key(f"market:{key}") for key in EXCHANGES)


class TableOf(msgspec.Struct, frozen=True):
    """What is said of a table."""

    description: str
    deps: tuple[dg.AssetKey, ...] = MARKETS
    fresh: bool = False
    """Something must come all the time."""


TABLES: Final[Mapping[str, TableOf]] = {
    "trade": TableOf("Public trades, each once, proven by the exchange's sequence numbers.", fresh=True),
    "candle": TableOf(
        "1-minute candles beside each other: made from our trades, and as the exchange reports them.",
        fresh=True,
    ),
    "number": TableOf(
        "Quotes, tickers, mark and index prices, funding, open interest, greeks: one row a measurement.",
        fresh=True,
    ),
    "liquidation": TableOf("Forced orders that an exchange shows; on Binance a sample."),
    "instrument": TableOf("What the exchanges list, with ticks, units, expiries and states."),
    "instrument_state": TableOf("Steps in an instrument's life: listed, halted, expired.", (STATE,)),
    "exchange_state": TableOf("What exchanges say of themselves: open, locked, in maintenance.", (STATE,)),
    "gap": TableOf("The ledger of holes: noted, tried, closed by proof.", (*MARKETS, STATE)),
    "coverage": TableOf("Which sequence numbers are held, per instrument and day.", fresh=True),
    "dead_letter": TableOf("What could not be read or stored, with the error.", (*MARKETS, STATE)),
}


def external_assets() -> list[dg.AssetSpec]:
    """Connections → streams → tables."""
    return [
        *(_connection(key) for key in EXCHANGES),
        *(_stream(key) for key in EXCHANGES),
        _spec(
            STATE,
            kinds={"redis"},
            deps=[connection_key(key) for key in EXCHANGES],
            description="Redis stream `state`: gaps, states of exchanges and instruments, never dropped.",
        ),
        *(_table(name, table) for name, table in TABLES.items()),
    ]


def _connection(exchange: str) -> dg.AssetSpec:
    name = EXCHANGE_NAMES.get(exchange, exchange)
    return _spec(
        connection_key(exchange),
        kinds={"websocket", exchange.partition("_")[0]},
        description=f"What {name} tells by WebSocket: held by the process `streamer-{exchange}`.",
        fresh=True,
    )


def _stream(exchange: str) -> dg.AssetSpec:
    return _spec(
        stream_key(f"market:{exchange}"),
        kinds={"redis"},
        deps=[connection_key(exchange)],
        description=(
            f"Redis stream `market:{exchange}`: numbered batches, trimmed behind what is stored by the "
            f"process `processor-market-{exchange}`."
        ),
        fresh=True,
    )


def _table(name: str, table: TableOf) -> dg.AssetSpec:
    return _spec(
        table_key(name),
        kinds={"postgres", "table"},
        deps=table.deps,
        description=table.description,
        fresh=table.fresh,
    )


def _spec(
    key: dg.AssetKey,
    *,
    kinds: set[str],
    description: str,
    deps: tuple[dg.AssetKey, ...] | list[dg.AssetKey] = (),
    fresh: bool = False,
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name=GROUP,
        owners=list(OWNERS),
        kinds=kinds,
        freshness_policy=FRESHNESS if fresh else None,
    )
