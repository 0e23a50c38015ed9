"""Which accounts' days a run is asked for, and the tables that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import Final, cast

import dagster as dg

from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import EPOCH
from trade_platform.defs.live.assets import table_key
from trade_platform.defs.partitions import DAYS
from trade_platform.defs.stores import Stores
from trade_platform.domain.model import DAY

GROUP: Final = "accounts"
OWNERS: Final = ["team:trading"]
ACCOUNTS: Final = dg.DynamicPartitionsDefinition(name="account")
"""Keys of accounts, ``tenant.name``; the sensor ``account_standing`` adds and removes them."""
ACCOUNT_DAYS: Final = dg.MultiPartitionsDefinition({"account": ACCOUNTS, "day": DAYS})
TABLES: Final = {
    "account_order": "How each order stands, from all that was ever told of it.",
    "fill": "Our own executions, each once.",
    "movement": "Rows of the exchanges' ledgers: fees, funding, settlements, transfers.",
    "balance": "What was held of each asset, whenever it changed.",
    "position": "Open positions, whenever they changed.",
}


def external_assets() -> list[dg.AssetSpec]:
    """Tables that the processors of accounts fill."""
    return [
        dg.AssetSpec(
            key=table_key(name), group_name=GROUP, owners=OWNERS, kinds={"postgres"}, description=description
        )
        for name, description in TABLES.items()
    ]


@contextmanager
def books(stores: Stores, name: str) -> Iterator[Connection]:
    """A connection that has stepped down. Raises CannotStart, SchemaBehind, psycopg.Error."""
    from trade_platform.reconcile_desk import open_books  # noqa: PLC0415 - an HTTP client: few runs need it

    with closing(open_books(stores.settings(), name)) as connection:
        yield connection


def asked_day(context: dg.AssetExecutionContext, connection: Connection) -> tuple[Account, date]:
    """The account and day of a run's partition. Raises CannotStart where the account is gone."""
    from trade_platform.reconcile_desk import chosen_accounts  # noqa: PLC0415

    names = cast("dg.MultiPartitionKey", context.partition_key).keys_by_dimension
    (account,) = chosen_accounts(connection, [names["account"]])
    return account, date.fromisoformat(names["day"])


def span(day: date) -> tuple[int, int]:
    """[begin, end) of a UTC day, microseconds."""
    since = (day - EPOCH.date()).days * DAY
    return since, since + DAY
