"""Which tables are private, read from the catalogue: whatever has a ``tenant_id``, now and later."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection

COLUMN: Final = "tenant_id"

_TABLES: Final = """
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
       EXISTS (
           SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'own_rows' AND p.polcmd = '*'
             AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL AND p.polroles = '{0}'
       )
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
_VIEWS: Final = """
SELECT c.relname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
  AND (c.relkind = 'm' OR NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false))
ORDER BY c.relname
"""
_REFERENCES: Final = """
SELECT referring.relname, referred.relname FROM pg_constraint c
JOIN pg_class referring ON referring.oid = c.conrelid JOIN pg_class referred ON referred.oid = c.confrelid
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND c.conrelid <> c.confrelid
"""
_COLUMNS: Final = """
SELECT a.attname FROM pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND has_column_privilege(%s, a.attrelid, a.attnum, 'SELECT')
ORDER BY a.attnum
"""
_MAY: Final = "SELECT has_table_privilege(%s, %s::regclass, %s)"


class PrivateTable(msgspec.Struct, frozen=True):
    """One of them, and whether the database keeps it so."""

    name: str
    forced: bool
    """Row-level security is on, for the table's owner, too."""
    own_rows: bool
    """The policy of one tenant's rows is there, for reading and for writing."""


def private_tables(connection: Connection) -> list[PrivateTable]:
    """All of them, by name."""
    return [PrivateTable(*row) for row in connection.execute(_TABLES, (COLUMN,)).fetchall()]


def open_views(connection: Connection) -> list[str]:
    """Views of private rows that ask with their maker's rights, not the reader's: there must be none."""
    return [row[0] for row in connection.execute(_VIEWS, (COLUMN,)).fetchall()]


def leaves_first(connection: Connection) -> list[str]:
    """All private tables, each before those that it refers to: the order in which rows may be deleted."""
    names = {table.name for table in private_tables(connection)}
    referring: dict[str, set[str]] = {name: set() for name in names}
    for referrer, referred in connection.execute(_REFERENCES).fetchall():
        if referrer in names and referred in names:
            referring[referred].add(referrer)
    ordered: list[str] = []
    while referring:
        free = sorted(name for name, referrers in referring.items() if not referrers & referring.keys())
        if not free:
            raise RuntimeError(f"these tables refer to each other in a circle: {sorted(referring)}")
        ordered += free
        for name in free:
            del referring[name]
    return ordered


def readable_columns(connection: Connection, table: str, role: str) -> list[str]:
    """What the role may read of a table, in its order."""
    return [row[0] for row in connection.execute(_COLUMNS, (table, role)).fetchall()]


def may(connection: Connection, role: str, privilege: str, table: str) -> bool:
    """Has the role this privilege (SELECT, DELETE …) on the whole table?"""
    row = connection.execute(_MAY, (role, table, privilege)).fetchone()
    return bool(row and row[0])
