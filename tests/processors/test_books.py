from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from tests.adapters.database.booking import (
    ACCOUNT,
    NOON,
    add_account,
    as_owner,
    entry,
    fill,
    order,
    put,
    rows,
)
from tests.processors.feeding import entry as market_entry
from tests.processors.feeding import number, until
from trade_platform.adapters.bus import Entry, account_stream, encode
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.roles import ACCOUNTS, become
from trade_platform.domain.accounts import Blindness
from trade_platform.processors.books import BooksDrain
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan

STREAM = account_stream("deribit", ACCOUNT)


@pytest.fixture
def admin(connection: Connection) -> Connection:
    """Sees everything; the drain's own connection has stepped down."""
    return connection


@pytest.fixture
def owner(admin: Connection) -> Owner:
    return add_account(admin)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def drain(postgres_url: str, redis_url: str, owner: Owner) -> Iterator[BooksDrain]:
    plan = Plan(stream=STREAM, database_url=postgres_url, redis_url=redis_url, process_name="test")
    with connect(postgres_url, name="test", synchronous_commit=plan.synchronous_commit) as connection:
        become(connection, ACCOUNTS)
        drain = BooksDrain(plan, connection, WallClock(), Meters(STREAM, CollectorRegistry()), owner)
        yield drain
        drain.close()


def add(redis: Redis, *entries: Entry) -> None:
    for one in entries:
        redis.xadd(STREAM, one.fields())  # type: ignore[arg-type]


def test_commits_wait_for_the_disk() -> None:
    plan = Plan(stream=STREAM, database_url="", redis_url="", process_name="test")
    assert (plan.synchronous_commit, plan.account) == ("on", ACCOUNT)


def test_entries_become_books_and_move_the_position(
    drain: BooksDrain, redis: Redis, admin: Connection
) -> None:
    add(
        redis,
        entry([order(), order(5, filled=Decimal(1))], 1),
        entry([fill()], 2),
        entry([fill(), fill(fill_id="3")], 3),
    )
    drain.turn()
    assert rows(admin, "fill", "fill_id, quantity, origin") == [
        ("17", Decimal("0.50"), "stream"), ("3", Decimal("0.50"), "stream")
    ]  # fmt: skip
    assert rows(admin, "account_order", "order_id, filled, events") == [("9007199254740993", Decimal(1), 2)]
    assert rows(admin, "stream_position", "stream, entry_id, 1") == [(STREAM, drain.lane.position, 1)]
    assert rows(admin, "producer_position", "stream, producer, n") == [(STREAM, "account:1", 3)]


def test_an_entry_that_came_again_is_ignored(drain: BooksDrain, redis: Redis, admin: Connection) -> None:
    """Not only its rows: a differing copy under the same number is not even looked at."""
    add(redis, entry([fill()], 1), entry([fill(quantity=Decimal(9))], 1))
    drain.turn()
    assert rows(admin, "fill", "fill_id, quantity, 1") == [("17", Decimal("0.50"), 1)]
    assert rows(admin, "book_conflict") == []


def test_missing_entries_are_blindness_and_no_gap(drain: BooksDrain, redis: Redis, admin: Connection) -> None:
    add(redis, entry([fill()], 1), entry([fill(7, fill_id="18")], 4))
    drain.turn()
    ((reason, bounded, _),) = rows(admin, "blindness", "reason, until >= since, 1")
    assert re.fullmatch(r"batches 2 to 3 of account:1 did not arrive on .*", reason)
    assert bounded
    assert rows(admin, "gap") == []


def test_what_cannot_be_stored_is_a_dead_letter_and_the_rest_is_stored(
    drain: BooksDrain, redis: Redis, admin: Connection
) -> None:
    bad = [fill(fill_id="a\x00b"), fill(fill_id="nan", price=Decimal("NaN"))]
    add(redis, entry([fill(), *bad, fill(fill_id="18")], 1), entry([order()], 2))
    drain.turn()
    assert [row[0] for row in rows(admin, "fill", "fill_id, 1, 1")] == ["17", "18"]
    assert len(rows(admin, "account_order")) == 1
    letters = rows(admin, "dead_letter", "position, kind, data")
    assert [(position, kind) for position, kind, _ in letters] == [(1, "fill"), (2, "fill")]


def test_what_is_no_record_of_an_account_is_a_dead_letter(
    drain: BooksDrain, redis: Redis, admin: Connection
) -> None:
    cut = Entry("fill", "account:1", 2, NOON, "deribit", encode([fill()])[:-9] + b"]]")
    add(redis, market_entry([number()], 1, producer="account:1"), cut, entry([fill(fill_id="3")], 3))
    drain.turn()
    assert [row[0] for row in rows(admin, "fill", "fill_id, 1, 1")] == ["3"]
    assert len(rows(admin, "dead_letter")) == 2
    assert rows(admin, "number") == []


def test_all_is_rolled_back_together(drain: BooksDrain, redis: Redis, admin: Connection) -> None:
    """The position was moved by somebody else: nothing of the batch may stay."""
    add(redis, entry([fill()], 1))
    admin.execute("UPDATE stream_position SET entry_id = '7-7'")
    with pytest.raises(Exception, match="another process moved it"):
        drain.turn()
    assert rows(admin, "fill") == []


def start(stream: str, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trade_platform.processors", "--stream", stream],
        env={**os.environ, **{name.upper(): str(value) for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("may_insert", [True, False])
def test_the_process_stores_as_the_role_that_it_stepped_down_to(
    admin: Connection, owner: Owner, postgres_url: str, redis_url: str, redis: Redis, tmp_path: Path,
    may_insert: bool,
) -> None:  # fmt: skip
    """It logs in as a superuser, who could do it either way."""
    add(redis, entry([fill()], 1))
    if not may_insert:
        admin.execute("REVOKE INSERT ON fill FROM trade_platform_accounts")
    process = start(STREAM, database_url=postgres_url, redis_url=redis_url, data_folder=tmp_path)
    if may_insert:
        until(lambda: rows(admin, "fill"), "the fill is stored")
        process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == (0 if may_insert else 1), said
    assert len(rows(admin, "fill")) == may_insert


def test_an_unknown_account_is_one_sentence(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    stream = account_stream("deribit", "operator.none")
    process = start(stream, database_url=postgres_url, redis_url=redis_url, data_folder=tmp_path)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no account operator.none" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "name", ["account:deribit:", "account:deribit:Operator.main", "account::a.b", "account:x:a.b.c"]
)
def test_a_wrong_stream_is_refused(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trade_platform.processors", "--stream", name],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "is none of market:KEY, account:KEY:TENANT.NAME, state" in done.stderr) == (
        2,
        True,
    )


def test_blindness_is_closed_by_the_stream(drain: BooksDrain, redis: Redis, admin: Connection) -> None:
    add(
        redis,
        entry([Blindness(NOON, "closed", NOON)], 1),
        entry([fill()], 2),
        entry([Blindness(NOON, "closed", NOON + 9, NOON + 8)], 3),
    )
    drain.turn()
    assert rows(admin, "blindness", "reason, extract(microseconds FROM until - since)::int, 1") == [
        ("closed", 8, 1)
    ]


def test_a_tenant_s_rows_are_not_seen_without_the_tenant(
    drain: BooksDrain, redis: Redis, owner: Owner, admin: Connection
) -> None:
    put(admin, owner, fill())
    with psycopg.connect(admin.info.dsn, password=admin.info.password, autocommit=True) as other:
        become(other, ACCOUNTS)
        assert other.execute("SELECT count(*) FROM fill").fetchone() == (0,)
    with as_owner(admin, owner):
        assert admin.execute("SELECT count(*) FROM fill").fetchone() == (1,)
