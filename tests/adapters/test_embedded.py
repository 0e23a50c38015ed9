"""Embedded servers, for real: they keep data, refuse a second start, and end with whoever started them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from trade_platform.adapters.embedded import (
    EmbeddedError,
    Server,
    start_postgres,
    start_redis,
    stop_left_over,
    url_of,
)
from trade_platform.adapters.embedded.binaries import find_postgres, find_redis
from trade_platform.adapters.embedded.failure import sentence, unwritable
from trade_platform.adapters.embedded.folder import take
from trade_platform.adapters.process import wait_for_end

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")

STARTER = """
import encodings.idna, json, os, secrets, stringprep, sys
from pathlib import Path
from trade_platform.adapters.embedded import EmbeddedError, start_postgres, start_redis
start = {"postgres": start_postgres, "redis": start_redis}
folder, user, sys.executable, *names = sys.argv[1:]
if user != "same":  # after the imports: root's own Python may stand where nobody else can read it
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
try:
    servers = [start[name](Path(folder) / name) for name in names]
except EmbeddedError as error:
    raise SystemExit(f"refused: {error}")
print(json.dumps([[server.url, server.pid] for server in servers]), flush=True)
sys.stdin.read()
for server in servers:
    server.stop()
"""


@pytest.fixture
def folder(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = server_folder / f"embedded-{abs(hash(request.node.name)) % 10**8}"
    path.mkdir()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def held_by_another(
    folder: Path, *names: str, user: int | None = None, interpreter: str = sys.executable
) -> Iterator[list[tuple[str, int]]]:
    """(URL, pid) of servers that another process starts; at the end it is killed with SIGKILL."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, folder, "same" if user is None else str(user), interpreter, *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert starter.stdout
        said = starter.stdout.readline()
        if not said:
            raise EmbeddedError(starter.communicate()[1].strip())
        yield json.loads(said)
    finally:
        starter.kill()
        starter.communicate()


def count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row
    return int(row[0])


def count_up(url: str) -> int:
    with Redis.from_url(url) as client:
        return int(client.incr("kept"))


def test_data_survive_a_restart(folder: Path) -> None:
    for expected in (1, 2):
        with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as redis:
            assert count_rows(postgres.url) == expected
            assert count_up(redis.url) == expected
        assert not postgres.alive
        assert not redis.alive


def test_a_killed_starter_takes_its_servers_with_it_and_the_next_start_waits_for_them(folder: Path) -> None:
    with held_by_another(folder, "postgres", "redis") as servers:
        (postgres_url, postgres_pid), (redis_url, redis_pid) = servers
        assert (count_rows(postgres_url), count_up(redis_url)) == (1, 1)
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as redis:
        assert wait_for_end(postgres_pid, 0)
        assert wait_for_end(redis_pid, 0)
        assert (count_rows(postgres.url), count_up(redis.url)) == (2, 2)
    log = (folder / "postgres" / "server.log").read_text()
    assert "received fast shutdown request" in log
    assert "not properly shut down" not in log


def test_a_killed_server_recovers(
    postgres_server: Callable[..., Server], redis_server: Callable[..., Server]
) -> None:
    first, second = postgres_server(), redis_server(parameters={"appendfsync": "always"})
    assert (count_rows(first.url), count_up(second.url)) == (1, 1)
    first.kill()
    second.kill()
    assert (count_rows(postgres_server().url), count_up(redis_server().url)) == (2, 2)


@pytest.mark.parametrize(("start", "name"), [(start_postgres, "PostgreSQL 17"), (start_redis, "Redis")])
def test_a_second_start_says_who_holds_the_folder(
    folder: Path, start: Callable[..., Server], name: str
) -> None:
    with start(folder / "data") as server:
        assert url_of(folder / "data") == server.url
        with pytest.raises(EmbeddedError) as caught:
            start(folder / "data")
        assert f"in use by {name} (pid {server.pid}), started by pid {os.getpid()}" in str(caught.value)
    assert url_of(folder / "data") == ""


def test_a_folder_that_is_being_opened_is_left_alone(folder: Path) -> None:
    with (
        take(folder),
        pytest.raises(EmbeddedError, match="being opened by another process"),
        take(folder, patience=0),
    ):
        pass


def test_a_server_that_was_left_over_is_stopped(folder: Path) -> None:
    with start_redis(folder / "redis") as redis, start_postgres(folder / "postgres") as postgres:
        assert stop_left_over(folder / "redis")
        assert stop_left_over(folder / "postgres")
        assert not redis.alive
        assert not postgres.alive
    assert not stop_left_over(folder / "redis")


def test_a_long_path_gets_a_short_private_socket_folder(folder: Path) -> None:
    deep = folder / ("long" * 25)
    with start_redis(deep / "redis") as redis, start_postgres(deep / "postgres") as postgres:
        assert count_up(redis.url) == 1
        assert count_rows(postgres.url) == 1
        sockets = Path(redis.url.removeprefix("unix://").partition("?")[0]).parent
        assert sockets != deep / "redis"
        assert sockets.stat().st_mode & 0o077 == 0
    assert not sockets.exists()


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    with start_postgres(folder / "postgres") as server:
        pid_file = folder / "postgres" / "cluster" / "postmaster.pid"
        left = pid_file.read_text()
    pid_file.write_text(left.replace(str(server.pid), str(os.getpid()), 1))
    with start_postgres(folder / "postgres") as server:
        assert count_rows(server.url) == 1


def test_an_interrupted_initdb_is_begun_anew(folder: Path) -> None:
    half = folder / "postgres" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("17\n")
    with start_postgres(folder / "postgres") as server:
        assert count_rows(server.url) == 1


def test_data_of_another_major_are_refused_with_the_remedy(folder: Path) -> None:
    cluster = folder / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 15.*pg_dumpall"):
        start_postgres(folder / "postgres")


@pytest.mark.parametrize("start", [start_postgres, start_redis])
def test_a_server_that_ends_at_once_is_quoted(folder: Path, start: Callable[..., Server]) -> None:
    wrong = {"port": "nonsense"}
    with pytest.raises(EmbeddedError, match=r"cannot run: .*server.log has the details"):
        start(folder / "data", parameters=wrong)
    with start(folder / "data") as server:  # the lock was given back
        assert server.alive


def test_a_damaged_append_only_file_is_named(folder: Path) -> None:
    with start_redis(folder / "redis") as redis:
        count_up(redis.url)
    for part in (folder / "redis" / "appendonlydir").glob("*.aof"):
        part.write_bytes(b"*2\r\n$6\r\nSELECT\r\nnot at all\r\n" + part.read_bytes())
    with pytest.raises(EmbeddedError, match="move the folder away"):
        start_redis(folder / "redis")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("FATAL:  could not write lock file: No space left on device", "the disk is full"),
        ("# Can't handle RDB format version 80", "written by a newer server"),
        ("2026 FATAL:  something new.", "something new"),
        ("", "it said nothing"),
    ],
)
def test_what_a_server_says_becomes_one_sentence(tmp_path: Path, said: str, remedy: str) -> None:
    log = tmp_path / "server.log"
    log.write_text("FATAL:  of an earlier start\n" + said)
    told = sentence("PostgreSQL 17", log, len("FATAL:  of an earlier start\n"))
    assert remedy in told
    assert "\n" not in told


def test_a_full_disk_is_told_from_a_forbidden_folder(tmp_path: Path) -> None:
    assert "the disk is full" in str(unwritable(tmp_path, OSError(28, "No space left on device")))
    assert "that you may write" in str(unwritable(tmp_path, OSError(13, "Permission denied")))


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_postgres_of_our_major_on_the_path_wins_and_another_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in ("15", "17"):
        program(tmp_path / major / "postgres", f"postgres (PostgreSQL) {major}.2 (Debian)")
        program(tmp_path / major / "initdb", "")
    monkeypatch.setenv("PATH", f"{tmp_path}/15:{tmp_path}/17")
    assert find_postgres().folder == tmp_path / "17"
    monkeypatch.setenv("PATH", f"{tmp_path}/15")
    assert find_postgres().from_wheel
    assert find_postgres(str(tmp_path / "17")).folder == tmp_path / "17"
    with pytest.raises(EmbeddedError, match="it holds version 15"):
        find_postgres(str(tmp_path / "15"))
    with pytest.raises(EmbeddedError, match="no postgres in it"):
        find_postgres(str(tmp_path))


def test_a_named_redis_must_be_new_enough(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "Redis server v=6.2.14 sha=00000000:0")
    new = program(tmp_path / "new", "Redis server v=7.0.15 sha=00000000:0")
    assert find_redis(str(new)) == new
    link = tmp_path / "redis-server"
    link.symlink_to(new)
    assert find_redis(str(link)) == link, "a program of many names goes by the one that it is called with"
    assert find_redis().name == "valkey-server"
    for wrong in (old, tmp_path / "absent"):
        with pytest.raises(EmbeddedError, match="version 7 or later"):
            find_redis(str(wrong))


def test_a_command_runs_with_servers_of_its_own() -> None:
    ask = "import os, sys; sys.exit(7 if os.environ['DATABASE_URL'] and os.environ['REDIS_URL'] else 1)"
    command = [sys.executable, "-m", "trade_platform.adapters.embedded", sys.executable, "-c", ask]
    assert subprocess.run(command, check=False).returncode == 7


def nobody() -> int:
    return pwd.getpwnam("nobody").pw_uid


def open_to_all(path: Path) -> bool:
    """Can any user enter every folder on the way?"""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


@pytest.fixture
def public_interpreter() -> str:
    """A Python that everybody can run; root's own may stand below /root."""
    if not open_to_all(Path(__file__)) or not open_to_all(Path(psycopg.__file__)):
        pytest.skip("the checkout is in a folder that other users cannot enter")
    for path in (Path(sys.executable), Path("/usr/bin/python3")):
        if path.exists() and open_to_all(path):
            return str(path)
    pytest.skip("no Python that other users can run")


@as_root
@pytest.mark.usefixtures("public_interpreter")
def test_root_drops_to_nobody_where_nobody_can_reach_everything(folder: Path) -> None:
    with start_postgres(folder / "postgres") as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == nobody()
        assert count_rows(server.url) == 1
    assert (folder / "postgres").stat().st_uid == nobody()


@as_root
def test_root_keeps_a_folder_that_only_root_can_reach(folder: Path) -> None:
    """A checkout below /root: PostgreSQL runs as root under another name."""
    folder.chmod(0o700)
    for expected in (1, 2):
        with start_postgres(folder / "deep" / "postgres") as server:
            assert count_rows(server.url) == expected
    assert (folder / "deep" / "postgres").stat().st_uid == 0


@as_root
def test_a_killed_starter_takes_a_server_in_a_user_namespace_with_it(folder: Path) -> None:
    folder.chmod(0o700)
    with held_by_another(folder, "postgres") as [(_, pid)]:
        assert not wait_for_end(pid, 0)
    assert wait_for_end(pid, 30)


@as_root
def test_an_ordinary_user_runs_both_and_root_later_uses_the_same_data(
    folder: Path, public_interpreter: str
) -> None:
    os.chown(folder, nobody(), -1)
    with held_by_another(
        folder, "postgres", "redis", user=nobody(), interpreter=public_interpreter
    ) as servers:
        (postgres_url, postgres_pid), (redis_url, redis_pid) = servers
        assert Path(f"/proc/{redis_pid}").stat().st_uid == nobody()
        assert (count_rows(postgres_url), count_up(redis_url)) == (1, 1)
    assert wait_for_end(postgres_pid, 30)
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as redis:
        assert Path(f"/proc/{redis.pid}").stat().st_uid == nobody()
        assert (count_rows(postgres.url), count_up(redis.url)) == (2, 2)


@as_root
@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_folder_of_somebody_else_is_refused_with_the_remedy(
    folder: Path, name: str, public_interpreter: str
) -> None:
    def attempt() -> str:
        with (
            pytest.raises(EmbeddedError) as caught,
            held_by_another(folder, name, user=nobody(), interpreter=public_interpreter),
        ):
            pass
        return str(caught.value)

    (folder / name).mkdir()
    said = attempt()
    assert said.startswith(f"refused: {folder / name} belongs to user root, and you are nobody")
    assert "chown" in said
    (folder / name).rmdir()
    assert attempt().startswith(f"refused: {folder / name} cannot be written (Permission denied)")
