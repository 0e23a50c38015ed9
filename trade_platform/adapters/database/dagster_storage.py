"""Dagster's own database and role, beside the platform's on the same PostgreSQL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from trade_platform.adapters.database.connection import Connection, libpq_url
from trade_platform.adapters.passwords import hide_password

NAME: Final = "dagster"
"""Of the database and of the role that owns it, beside a platform's database ``trade_platform``."""
CONNECTIONS: Final = 60
"""That the role may have: a page that asks for much must not take the recorder's."""
_LOCK: Final = 5_417_204_301


class NoDagsterStorage(Exception):
    """Dagster's database can neither be reached nor made; the sentence says what to do."""


def ensure_dagster_storage(database_url: str, password_file: Path) -> str:
    """Make sure of the database and its role on the platform's server; their URL. Repeatable.

    Raises NoDagsterStorage.
    """
    plain = libpq_url(database_url)
    parts = conninfo_to_dict(plain)
    try:
        with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
            name = _name(connection.info.dbname)
            parts |= {"dbname": name, "user": name}
            kept = _kept(password_file)
            if kept and _answers(_url(parts, kept)):
                return _url(parts, kept)
            connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # two platforms may start at once
            password = kept or _new(password_file)
            _ensure_role(connection, name, password)
            _ensure_database(connection, name)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NoDagsterStorage(
            "The role of DATABASE_URL may not create Dagster's database and role: create them yourself and "
            "set DAGSTER_DATABASE_URL, grant it CREATEDB and CREATEROLE, or start with --no-dagster."
        ) from error
    except psycopg.Error as error:
        raise _unreachable("Dagster's database cannot be made", error, database_url) from error
    url = _url(parts, password)
    check_dagster_storage(url)
    return url


def known_dagster_storage(database_url: str, password_file: Path) -> str:
    """Its URL, as ``ensure_dagster_storage`` gave it; empty where that was never asked."""
    password = _kept(password_file)
    if not password:
        return ""
    parts = conninfo_to_dict(libpq_url(database_url))
    name = _name(str(parts.get("dbname") or parts.get("user") or ""))
    return _url({**parts, "dbname": name, "user": name}, password)


def check_dagster_storage(url: str) -> int:
    """Does it answer? How many tables it has. Raises NoDagsterStorage."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
            ).fetchone()
    except psycopg.Error as error:
        raise _unreachable("Dagster's database does not answer", error, url) from error
    return int(row[0]) if row else 0


def sqlalchemy_url(url: str) -> str:
    """The same for Dagster, which speaks by psycopg 2 and must be told so: "postgresql:" means 3 by now."""
    return "postgresql+psycopg2://" + url.partition("://")[2]


def _name(platform: str) -> str:
    """Another platform on the same server has another Dagster."""
    return NAME if platform == "trade_platform" else f"{NAME}_{platform}"[:63]


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error:
        return False
    return True


def _ensure_role(connection: Connection, name: str, password: str) -> None:
    """The password is in our file alone; where that was lost, the role gets a new one."""
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}").format(
            sql.SQL("ALTER" if known else "CREATE"),
            sql.Identifier(name),
            sql.Literal(password),
            sql.Literal(CONNECTIONS),
        )
    )


def _ensure_database(connection: Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(name)))
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
            sql.Identifier(name), sql.Identifier(name)
        )
    )


def _kept(password_file: Path) -> str:
    try:
        return password_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _new(password_file: Path) -> str:
    password = secrets.token_hex(24)
    password_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password + "\n")
    return password


def _url(parts: Mapping[str, object], password: str) -> str:
    """As URL, which both drivers take; a socket's folder stands in its query."""
    given = {key: str(value) for key, value in parts.items() if value is not None}
    user, name = quote(given.pop("user"), safe=""), quote(given.pop("dbname"), safe="")
    given.pop("password", None)
    host, port = given.pop("host", ""), given.pop("port", "")
    if not host or host.startswith("/") or "," in host:
        given |= {"host": host} if host else {}
        given |= {"port": port} if port else {}
        host = port = ""
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port else ""
    query = f"?{urlencode(given, quote_via=quote, safe='/')}" if given else ""
    return f"postgresql://{user}:{password}@{place}/{name}{query}"


def _unreachable(what: str, error: psycopg.Error, url: str) -> NoDagsterStorage:
    reason = hide_password((str(error).strip().splitlines() or [type(error).__name__])[0], url)
    return NoDagsterStorage(
        f"{what} ({reason}): correct DAGSTER_DATABASE_URL or DATABASE_URL, or start with --no-dagster."
    )
