"""Migrations: ``python -m trade_platform.adapters.database.migrate [--check]`` with DATABASE_URL.

Plain numbered files in ``migrations/``, applied in order by Alembic inside one transaction, under an
advisory lock: whoever comes second waits and finds nothing left to do. ``--check`` builds one scratch
database from the metadata and one from the migrations, on the same server, and compares them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO
from uuid import uuid4

import psycopg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from psycopg import sql
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from trade_platform.adapters.database import (  # their tables are declared, too
    books_schema,  # noqa: F401
    reconciliation_schema,  # noqa: F401
    vault_schema,  # noqa: F401
)
from trade_platform.adapters.database.connection import WrongUrl, libpq_url
from trade_platform.adapters.database.revision import COMMAND
from trade_platform.adapters.database.schema import metadata

FOLDER: Final = Path(__file__).parent / "migrations"
LOCK: Final = "trade_platform migrations"

CATALOG: Final = """
SELECT format('column %s.%s %s %s%s%s%s', c.relname, a.attnum, a.attname,
              format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
              CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text ELSE '' END,
              ' default ' || pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
UNION ALL
SELECT format('table %s %s %s', relname, pg_get_partkeydef(oid), reloptions)
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version'
UNION ALL
SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
  AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT format('index %s', indexdef) FROM pg_indexes
WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT format('enum %s %s', enumtypid::regtype, string_agg(enumlabel, ',' ORDER BY enumsortorder))
FROM pg_enum GROUP BY enumtypid
"""
"""Everything that makes two databases the same to us, one line each."""


class MigrationFailed(Exception):
    """The database cannot be migrated; the sentence says why."""


def upgrade(url: str) -> str | None:
    """Bring the database to the newest revision; returns the one it came from. Raises MigrationFailed."""
    try:
        return _upgrade(url)
    except (SQLAlchemyError, CommandError) as error:
        raise MigrationFailed(f"The database cannot be migrated: {_sentence(error)}") from error


def _upgrade(url: str) -> str | None:
    with _engine(url).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": LOCK})
        connection.commit()
        before = MigrationContext.configure(connection).get_current_revision()
        connection.commit()
        if before != newest():
            _run(connection)
            connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock_all()"))
        return before


def newest() -> str:
    """The revision that this code needs."""
    head = _scripts().get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def differences(url: str) -> list[str]:
    """Lines that tell a database made by migrations (+) from one made from the metadata (-)."""
    with _scratch(url) as from_metadata, _scratch(url) as from_migrations:
        engine = _engine(from_metadata)
        metadata.create_all(engine)
        upgrade(from_migrations)
        declared, migrated = _catalog(engine), _catalog(_engine(from_migrations))
    return sorted(
        [f"- {line}" for line in declared - migrated] + [f"+ {line}" for line in migrated - declared]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, or the same; 1: it failed, or they differ; 2: used wrongly."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Bring the database to the newest schema.")
    parser.add_argument(
        "--check", action="store_true", help="compare the migrations with the declared schema"
    )
    options = parser.parse_args(arguments)
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        _say("DATABASE_URL is not set: set it to postgresql://user@host:port/name.", sys.stderr)
        return 2
    try:
        libpq_url(url)
        return _check(url) if options.check else _migrate(url)
    except WrongUrl as error:
        _say(str(error), sys.stderr)
        return 2
    except MigrationFailed as error:
        _say(str(error), sys.stderr)
        return 1
    except (SQLAlchemyError, psycopg.Error) as error:
        _say(f"The migrations cannot be checked: {_sentence(error)}", sys.stderr)
        return 1


def _migrate(url: str) -> int:
    before = upgrade(url)
    _say(f"The schema is at revision {newest()} (it was at {before or 'none'}).")
    return 0


def _check(url: str) -> int:
    found = differences(url)
    _say("\n".join(found) or "The migrations make the declared schema.")
    return 1 if found else 0


def _say(words: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{words}\n")


def _sentence(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())


def _engine(url: str) -> Engine:
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 10, "application_name": "migrate"},
    )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(FOLDER), version_locations=[str(FOLDER)])


def _run(connection: Connection) -> None:
    scripts = _scripts()

    def steps(revision: object, _context: object) -> list[object]:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type,return-value]  # noqa: SLF001

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata)
        with environment.begin_transaction():
            environment.run_migrations()


def _catalog(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text(CATALOG)).scalars())


@contextmanager
def _scratch(url: str) -> Iterator[str]:
    """A new empty database on the same server, dropped afterwards."""
    name = f"scratch_{uuid4().hex[:12]}"
    server = make_url(url).set(drivername="postgresql")
    plain = server.render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


if __name__ == "__main__":
    raise SystemExit(main())
