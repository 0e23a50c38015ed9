from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest

from trade_platform.adapters.process import RunFile
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange
from trade_platform.operations import doctor
from trade_platform.operations.doctor import Verdict


def test_a_folder_that_cannot_be_written_is_bad_and_says_what_to_set(tmp_path: Path) -> None:
    assert doctor.check_folder(tmp_path / "new").verdict in (Verdict.GOOD, Verdict.WARNING)
    finding = doctor.check_folder(Path("/proc/data"))
    assert finding.verdict is Verdict.BAD
    assert "DATA_FOLDER" in finding.remedy


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ('[[record]]\nexchange="deribit"\nsymbols=["*"]\nchannels=["trade"]\n', Verdict.GOOD),
        ("", Verdict.WARNING),
        ('[[record]]\nexchange="deribit"\nsymbols=["*"]\nchannels=["everything"]\n', Verdict.BAD),
        ("no toml", Verdict.BAD),
    ],
)
def test_the_selection_is_read(tmp_path: Path, content: str, verdict: Verdict) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text(content, encoding="utf-8")
    assert doctor.check_selection(path).verdict is verdict


def test_a_database_without_the_tables_is_a_warning_and_with_them_good(
    empty_postgres_url: str, postgres_url: str
) -> None:
    finding = doctor.check_database(empty_postgres_url)
    assert (finding.verdict, "no migration" in finding.seen) == (Verdict.WARNING, True)
    assert doctor.check_database(postgres_url).verdict is Verdict.GOOD
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '0000'")
    assert doctor.check_database(postgres_url).verdict is Verdict.WARNING


def test_an_archive_is_looked_at_before_a_repair_needs_it(tmp_path: Path) -> None:
    assert doctor.check_archive("").verdict is Verdict.GOOD
    assert doctor.check_archive(str(tmp_path)).verdict is Verdict.GOOD
    finding = doctor.check_archive(str(tmp_path / "mistyped"))
    assert (finding.verdict, "mistyped is not there" in finding.seen) == (Verdict.BAD, True)
    assert "ARCHIVE" in finding.remedy
    away = doctor.check_archive("http://127.0.0.1:9/")
    assert (away.verdict, "gave no answer" in away.seen) == (Verdict.WARNING, True)


def test_what_a_server_says_of_a_url_is_shown_without_its_password() -> None:
    findings = [
        doctor.check_database("postgresql://me:p@se/cret@127.0.0.1:9/x"),
        doctor.check_redis("redis://:se/cret@127.0.0.1:9/0"),
    ]
    assert [finding.verdict for finding in findings] == [Verdict.BAD] * 2
    said = " ".join(finding.seen + finding.remedy for finding in findings)
    assert ("'se'" in said, "cret" in said) == (False, False)


def test_servers_that_settings_do_not_name_are_embedded() -> None:
    assert doctor.check_database("").verdict is Verdict.GOOD
    assert doctor.check_redis("").verdict is Verdict.GOOD


def test_dagster_s_database_and_page_are_looked_at(tmp_path: Path, empty_postgres_url: str) -> None:
    assert doctor.check_dagster("").verdict is Verdict.GOOD
    assert doctor.check_dagster(empty_postgres_url).seen == "answers; 0 tables"
    away = doctor.check_dagster("postgresql://dagster:secret@127.0.0.1:9/dagster")
    assert (away.verdict, "DAGSTER_DATABASE_URL" in away.remedy) == (Verdict.BAD, True)
    assert "secret" not in away.seen
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = doctor.check_page(tmp_path, taken.getsockname()[1])
    assert (finding.verdict, "WEB_PORT" in finding.remedy) == (Verdict.WARNING, True)
    assert doctor.check_page(tmp_path, 0).verdict is Verdict.GOOD
    with RunFile(tmp_path, "dagster-web", urls={"page": {"http": "http://127.0.0.1:4321"}}):
        assert doctor.check_page(tmp_path, 3000).seen == "http://127.0.0.1:4321"


def test_a_redis_that_would_drop_streams_is_bad(redis_server: object) -> None:
    kept = redis_server("kept")  # type: ignore[operator]
    assert doctor.check_redis(kept.url).verdict is Verdict.GOOD
    dropping = redis_server("dropping", parameters={"maxmemory-policy": "allkeys-lru"})  # type: ignore[operator]
    finding = doctor.check_redis(dropping.url)
    assert finding.verdict is Verdict.BAD
    assert "noeviction" in finding.remedy
    forgetful = redis_server("forgetful", parameters={"appendonly": "no"})  # type: ignore[operator]
    assert doctor.check_redis(forgetful.url).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("offset_ms", "verdict"), [(0, Verdict.GOOD), (-30_000, Verdict.BAD), (30_000, Verdict.BAD)]
)
def test_a_clock_that_is_off_is_bad(offset_ms: int, verdict: Verdict) -> None:
    import time

    def ask(_exchange: Exchange) -> bytes:
        return b'{"serverTime":%d}' % (time.time_ns() // 1_000_000 + offset_ms)

    assert doctor.check_exchange(EXCHANGES["binance_spot"], ask).verdict is verdict


def test_an_exchange_that_does_not_answer_is_a_warning_with_its_own_words() -> None:
    def ask(_exchange: Exchange) -> bytes:
        raise ConnectionError("nobody there")

    finding = doctor.check_exchange(EXCHANGES["deribit"], ask)
    assert (finding.verdict, finding.seen) == (Verdict.WARNING, "nobody there")
