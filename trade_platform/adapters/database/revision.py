"""Does the database have the schema that this code needs? Asked without loading the migration machinery."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from psycopg import errors

from trade_platform.adapters.database.connection import Connection, SchemaBehind

NEEDED: Final = max(path.stem[:4] for path in (Path(__file__).parent / "migrations").glob("[0-9]*.py"))
COMMAND: Final = "python -m trade_platform.adapters.database.migrate"


def check_revision(connection: Connection) -> None:
    """Raises SchemaBehind. A newer schema is fine: migrations only add, and run before new code does."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except errors.UndefinedTable:
        row = None
    if row is None or row[0] < NEEDED:
        held = f"is at revision {row[0]}" if row else "has no schema of ours"
        raise SchemaBehind(f"the database {held}, {NEEDED} is needed: run `{COMMAND}` with DATABASE_URL")
