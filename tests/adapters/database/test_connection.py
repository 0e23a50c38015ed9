from __future__ import annotations

import psycopg
import pytest

from trade_platform.adapters.database.connection import (
    REFUSALS,
    Connection,
    WrongUrl,
    connect,
    libpq_url,
    passes_by_itself,
    sentence,
)


def test_both_sides_notice_a_peer_that_vanished_within_ten_seconds(connection: Connection) -> None:
    settings = dict(
        connection.execute("SELECT name, setting::int FROM pg_settings WHERE name LIKE 'tcp_%'").fetchall()
    )
    if connection.info.hostaddr:  # of a Unix socket there is nothing to keep alive
        assert settings["tcp_user_timeout"] <= 10_000
    ours = connection.info.get_parameters()
    assert int(ours["tcp_user_timeout"]) <= 10_000
    idle, interval, count = (int(ours[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 10


def test_session_parameters_hold_for_the_whole_connection(postgres_url: str) -> None:
    with connect(postgres_url, name="asked", synchronous_commit="off") as connection:
        shown = connection.execute("SHOW synchronous_commit").fetchone()
        name = connection.execute("SHOW application_name").fetchone()
        assert (shown, name) == (("off",), ("asked",))


def test_a_url_of_sqlalchemy_is_understood() -> None:
    assert libpq_url("postgresql+psycopg://a@b/c") == "postgresql://a@b/c"


def test_a_wrong_url_does_not_repeat_its_password() -> None:
    with pytest.raises(WrongUrl) as caught:
        libpq_url("sqlite://user:secret@host/name")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "refused", "passes"),
    [
        ("SELECT 'x'::int", True, False),
        ("INSERT INTO metric (metric_id, name) VALUES (99999999, 'x')", True, False),
        ("INSERT INTO dead_letter DEFAULT VALUES", True, False),
        ("SELECT pg_terminate_backend(pg_backend_pid())", False, True),
        ("SELECT nonsense", False, False),
    ],
)
def test_errors_are_told_apart(connection: Connection, statement: str, refused: bool, passes: bool) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    assert isinstance(caught.value, REFUSALS) == refused
    assert passes_by_itself(caught.value) == passes
    assert "\n" not in sentence(caught.value)
