"""All rows of one tenant as files: what the role of private rows may read, and so no ciphertext."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.private_tables import private_tables, readable_columns
from trade_platform.adapters.database.roles import ACCOUNTS, acting_as

_CSV: Final = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT WITH (FORMAT csv, HEADER)")
_JSON: Final = sql.SQL("SELECT row_to_json(t)::text FROM (SELECT {} FROM {}) t")
_COUNT: Final = sql.SQL("SELECT count(*) FROM {}")


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"


def export_rows(connection: Connection, tenant_id: str, folder: Path, form: Format) -> dict[str, int]:
    """One file a table, of one moment, readable by its owner alone; rows by table. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    connection.execute("SET default_transaction_isolation = 'repeatable read'")
    try:
        with acting_as(connection, ACCOUNTS, tenant_id):
            for table in private_tables(connection):
                if columns := readable_columns(connection, table.name, ACCOUNTS):
                    with _private_file(folder / f"{table.name}.{form}") as file:
                        counts[table.name] = _write(connection, table.name, columns, form, file)
    finally:
        connection.execute("RESET default_transaction_isolation")
    return counts


def _write(connection: Connection, table: str, columns: list[str], form: Format, file: IO[bytes]) -> int:
    names = sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    if form is Format.JSON:
        return _write_json(connection, _JSON.format(*names), file)
    with connection.cursor().copy(_CSV.format(*names)) as copy:
        for piece in copy:
            file.write(piece)
    row = connection.execute(_COUNT.format(sql.Identifier(table))).fetchone()
    return row[0] if row else 0


def _write_json(connection: Connection, query: sql.Composed, file: IO[bytes]) -> int:
    """An array, a row a line: numbers as they are in the database, to the last digit."""
    count = 0
    file.write(b"[")
    with connection.cursor(name="export") as cursor:
        for count, (row,) in enumerate(cursor.execute(query), 1):
            file.write((b",\n" if count > 1 else b"\n") + row.encode())
    file.write(b"\n]\n")
    return count


def _private_file(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(descriptor, "wb")
