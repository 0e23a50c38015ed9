"""A row of each tenant in every private table that there is, made from what the catalogue says."""

from __future__ import annotations

from typing import Any, Final

from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.private_tables import private_tables

_COLUMNS: Final = """
SELECT a.attname, t.typname, t.typtype, t.oid::regtype::text,
       (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  AND a.attidentity <> 'a' AND (a.attnotnull OR a.attname = 'tenant_id')
ORDER BY a.attnum
"""
_CHECKS: Final = """
SELECT r.relname, c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
WHERE c.contype = 'c' AND c.connamespace = 'public'::regnamespace AND r.relname = ANY (%s)
"""


def fill(connection: Connection, tenants: list[str]) -> list[str]:
    """Put one row of each tenant into each private table, whatever its rules are; the tables' names.

    As a superuser, without triggers and checks: it is tried who sees the rows, not whether they are true.
    """
    names = [table.name for table in private_tables(connection)]
    for table, check in connection.execute(_CHECKS, (names,)).fetchall():
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(check))
        )
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = 'replica'")
        for name in names:
            for number, tenant in enumerate(tenants, 1):
                insert(connection, name, tenant, number)
    return names


def insert(connection: Connection, table: str, tenant: str, number: int) -> None:
    """One row; what is unique differs by number."""
    columns = connection.execute(_COLUMNS, (table,)).fetchall()
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING").format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(column[0]) for column in columns),
            sql.SQL(", ").join(
                sql.SQL("{}::{}").format(sql.Placeholder(), sql.SQL(column[3])) for column in columns
            ),
        ),
        [tenant if column[0] == "tenant_id" else _value(column, number) for column in columns],
    )


def _value(column: tuple[Any, ...], number: int) -> str:
    name, kind, type_of_type, _, label = column
    if type_of_type == "e":
        return str(label)
    if type_of_type in "rm":
        return "empty" if type_of_type == "r" else "{}"
    if kind.startswith("_"):
        return "{}"
    match kind:
        case "uuid":
            return f"00000000-0000-4000-9000-{number:012}"
        case "timestamptz" | "timestamp" | "date":
            return f"2026-01-{number:02}"
        case "bool":
            return "true"
        case "bytea":
            return f"\\x{number:02}"
        case "json" | "jsonb":
            return "{}"
        case "interval":
            return "1 s"
        case "text" | "varchar":
            return f"{name} {number}"
        case _:
            return str(number)
