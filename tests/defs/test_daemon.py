"""The daemon, really started: it beats, and ends when asked, with or without a code server."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.defs import trio

BEATS = "select count(*) from daemon_heartbeats where daemon_type in ('SENSOR', 'SCHEDULER', 'MONITORING')"


def test_the_daemon_beats_even_where_no_code_server_answers(tmp_path: Path, empty_postgres_url: str) -> None:
    told = trio.environment(tmp_path, empty_postgres_url)
    daemon = trio.start("daemon", told, tmp_path)
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        trio.until(lambda: connection.execute(BEATS).fetchone() == (3,), daemon)
    daemon.terminate()
    assert daemon.wait(30) == 0, daemon.last_words()
    assert daemon.ready() is None
