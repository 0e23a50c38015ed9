"""Faults of PostgreSQL: gone, in a deadlock, unable to serialize, and a record that it refuses."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

import psycopg

from benchmarks.loopback import Reading
from benchmarks.matrix.case import SPOT, Case, Deed
from benchmarks.platform import Platform
from benchmarks.signs import begun_anew, dead_letters, postgres_away, server_gone
from trade_platform.domain.defences import Defence

RECONNECTION: Final = (Defence.RECONNECTION,)
ENDED: Final = begun_anew("processor-market-{}")
FAILURES: Final = 4
DEADLOCK_SECONDS: Final = 12.0
HELD_SECONDS: Final = 0.4
"""Less than PostgreSQL waits before it looks for a deadlock, which it does once."""
MARKED: Final = "rehearsal"
_ROWS: Final = """
select 1 from coverage join instrument using (instrument_id)
where exchange = %s and day >= (select max(day) from coverage)
"""
_LAST: Final = f"{_ROWS} order by instrument_id desc limit 1 for update of coverage"
_ALL: Final = f"{_ROWS} order by instrument_id for update of coverage"
_FAILING: Final = f"""
create sequence {MARKED};
create function {MARKED}() returns trigger language plpgsql as $$ begin
    if nextval('{MARKED}') <= {FAILURES} then
        raise exception 'could not serialize access (rehearsal)' using errcode = '40001';
    end if;
    return new;
end $$;
create trigger {MARKED} before update on stream_position for each row execute function {MARKED}();
"""
_REFUSING: Final = f"""
create sequence {MARKED} minvalue 0 start 0;
select setval('{MARKED}', 0);
create function {MARKED}() returns trigger language plpgsql as $$ declare
    moment bigint := (extract(epoch from new.event_time) * 1000000)::bigint;
    chosen bigint;
begin
    if new.instrument_id <> (select min(instrument_id) from instrument where exchange = '{SPOT[0]}') then
        return new;
    end if;
    select last_value into chosen from {MARKED};
    if chosen = 0 then
        chosen := setval('{MARKED}', moment);
    end if;
    if chosen = moment then
        raise exception 'refused (rehearsal)' using errcode = '23514';
    end if;
    return new;
end $$;
create trigger {MARKED} before insert on number for each row execute function {MARKED}();
"""
_AWAY: Final = f"drop function if exists {MARKED} cascade; drop sequence if exists {MARKED};"
case: Final = partial(Case, kind="postgres", patience=60.0)


def cases() -> list[Case]:
    """In the order in which they are run."""
    deadlock = Deadlock()
    return [
        case(
            name="postgres_kill", shared=True, inflict=lambda platform, _: platform.postgres.kill(),
            heal=lambda platform, _: platform.start_postgres(), hold=1.0, proof=server_gone("postgres"),
            sign=postgres_away, defences=RECONNECTION, harm=ENDED,
        ),
        case(
            name="postgres_stop", shared=True, covers=("PostgreSQL stopped for 60 s",), combines=False,
            inflict=lambda platform, _: platform.postgres.stop(), hold=60.0, proof=server_gone("postgres"),
            heal=lambda platform, _: platform.start_postgres(), sign=postgres_away,
            defences=RECONNECTION, harm=ENDED,
        ),
        case(
            name="deadlock", targets=SPOT, inflict=deadlock.begin, heal=deadlock.end,
            hold=DEADLOCK_SECONDS, proof=deadlocks, defences=RECONNECTION, harm=ENDED, combines=False,
        ),
        case(
            name="serialization_failure", shared=True, inflict=ordered(_FAILING), clean_up=ordered(_AWAY),
            proof=failures, hold=3.0, defences=RECONNECTION, harm=ENDED, combines=False,
        ),
        case(
            name="refused_record", targets=SPOT, covers=("a record that PostgreSQL refuses inside a batch",),
            inflict=ordered(_REFUSING), heal=ordered(_AWAY), proof=refusals, sign=dead_letters, hold=6.0,
            defences=(Defence.ISOLATION,), harm=ENDED, combines=False,
        ),
    ]  # fmt: skip


def ordered(statements: str) -> Deed:
    """Said to the server, in one transaction."""

    def deed(platform: Platform, _targets: Sequence[str]) -> None:
        platform.tables.connection.execute(statements.encode())

    return deed


def failures(platform: Platform, _exchange: str) -> Reading:
    return {"PostgreSQL: 40001 raised": platform.tables.count(f"select last_value from {MARKED}")}


def refusals(platform: Platform, _exchange: str) -> Reading:
    """The moment that was chosen: by then a record of it had been refused."""
    return {"PostgreSQL: a record refused": platform.tables.count(f"select last_value from {MARKED}")}


def deadlocks(platform: Platform, _exchange: str) -> Reading:
    query = "select deadlocks from pg_stat_database where datname = current_database()"
    return {"PostgreSQL: deadlocks": platform.tables.count(query)}


class Deadlock:
    """Locks what a processor locks, in the other order, and is more patient than it."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection | None = None

    def begin(self, platform: Platform, targets: Sequence[str]) -> None:
        self._connection = psycopg.connect(platform.tables.url)
        self._connection.execute("set deadlock_timeout = '1h'")  # it is the other one that finds out
        self._connection.commit()
        self._thread = threading.Thread(target=self._lock, args=(targets[0],), daemon=True)
        self._thread.start()

    def end(self, _platform: Platform, _targets: Sequence[str]) -> None:
        assert self._connection is not None
        assert self._thread is not None
        self._stop.set()
        self._thread.join(5.0)
        self._connection.close()

    def _lock(self, target: str) -> None:
        """The last row, then all: again and again, until it meets a batch that holds one of them."""
        assert self._connection is not None
        try:
            while not self._stop.is_set():
                self._connection.execute(_LAST, (target,))
                self._stop.wait(HELD_SECONDS)
                self._connection.execute(_ALL, (target,))
                self._connection.rollback()
                self._stop.wait(HELD_SECONDS)
        except psycopg.Error:
            return  # the server is gone
