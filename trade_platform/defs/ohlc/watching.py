"""The running day is told as soon as it has something, and what was red is asked again until it is green.

A question that was answered "red" may have had a cause that is mended since: a gap that was open while it was
asked. Which those are stands in Dagster's own tables, so that nothing is lost with a restart. Asking costs no
run; only where there is something to say one is asked for, which says it.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

import dagster as dg
import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_counts import count_candles
from trade_platform.adapters.database.times import day_of
from trade_platform.defs.ohlc.checks import CHECKS, Check, evaluated
from trade_platform.defs.ohlc.days import PartitionDay, days_held, key_of
from trade_platform.defs.ohlc.proving import Days, prove_candles, prove_the_days
from trade_platform.defs.ohlc.standing import Standing, standings
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.runs import is_active
from trade_platform.defs.stores import Stores, unreachable

LOOK_SECONDS: Final = 20
LOOK_DAYS: Final = 8
"""The running one and those before it: what is red of an older one is asked when it is made again."""
TICK_SECONDS: Final = 10.0
"""After which no new question is begun; the next look asks the rest."""
REST: Final = 10.0
"""What was red and is red again is left alone for so many times as long as asking took."""
SOON_SECONDS: Final = 40.0
"""Between two runs: instruments come one after the other when a platform begins."""
RETRY_SECONDS: Final = 300.0
"""Between two runs about the same partitions: the first has failed."""
MOST: Final = 200
"""Partitions that one run is asked about; the next look names the rest."""

Question = tuple[Check, PartitionDay]


class Cursor(msgspec.Struct, frozen=True):
    """Lost, what is red is asked at once. Times are seconds since 1970."""

    again: float = 0.0
    """Before that nothing red is asked again."""
    digest: str = ""
    """Of the partitions that the last run was asked about."""
    at: float = 0.0
    """When it was."""


@dg.sensor(
    name="candle_checks",
    job=prove_candles,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Has the candles of the running day told as soon as there are some, with their checks, and "
    "each check that was red asked again until it is green.",
)
def candle_checks(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    """Bounded questions; one run for all that is new, none while one is on its way."""
    before = msgspec.json.decode(context.cursor, type=Cursor) if context.cursor else Cursor()
    if is_active(context.instance, prove_candles.name):
        return dg.SkipReason("A run that asks is on its way.")
    with unreachable() as missing, stores.database("candle_checks") as connection:
        look = Look(context.instance, connection, stores.clock().market())
        keys = sorted(map(str, look.news(again=time.time() >= before.again)))[:MOST]
    if missing:
        return dg.SkipReason(missing[0])
    now = time.time()
    cursor = msgspec.structs.replace(before, again=now + REST * look.in_vain) if look.in_vain else before
    request, why = None, f"{look.red} checks are red, and nothing is new."
    if keys:
        digest = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:16]
        if now >= before.at + (RETRY_SECONDS if digest == before.digest else SOON_SECONDS):
            cursor = msgspec.structs.replace(cursor, digest=digest, at=now)
            config = dg.RunConfig(ops={prove_the_days.name: Days(only=keys)})
            request = dg.RunRequest(run_key=f"{digest}:{now:.0f}", run_config=config)
        else:
            why = f"{len(keys)} partitions are told soon: a run has just asked."
    return dg.SensorResult(
        run_requests=[request] if request else [],
        cursor=msgspec.json.encode(cursor).decode(),
        skip_reason=None if request else why,
    )


class Look:
    """One look at all that is held and at all that was said of it."""

    def __init__(self, instance: dg.DagsterInstance, connection: Connection, now: int) -> None:
        self.red = 0
        """Checks of partitions that were red at the last answer."""
        self.in_vain = 0.0
        """Seconds that asking took where the answer was the same."""
        self._instance = instance
        self._connection = connection
        self._now = now
        self._known = set(instance.get_dynamic_partitions(str(INSTRUMENTS.name)))

    def news(self, *, again: bool) -> set[str]:
        """Keys of partitions of which there is something to say; ``again``: what was red is asked, too."""
        today = self._held(0)
        past: dict[str, int] = {
            key_of(partition, day_of(self._now) - timedelta(days=back)): back
            for back in range(1, LOOK_DAYS)
            for partition in self._known
        }
        found = standings(self._instance, [*past, *(one.key for one in today)])
        never = {key for (_, key), standing in found.items() if standing is Standing.NEVER}
        new = {key for (_, key), standing in found.items() if standing is Standing.OUTDATED}
        new |= self._with_minutes([one for one in today if one.key in never])
        red = {question for question, standing in found.items() if standing is Standing.RED}
        self.red = len(red)
        if not again:
            return new
        backs = sorted({past[key] for _, key in red if key in past})
        days = [*today, *(one for back in backs for one in self._held(back))]
        asked = [(check, one) for one in days for check in CHECKS if (check, one.key) in red]
        return new | set(self._mended(asked))

    def _mended(self, questions: Sequence[Question]) -> Iterator[str]:
        """Each look begins with another one: where there is no time for all, all have their turn."""
        turn = int(time.time()) % max(1, len(questions))
        began = time.monotonic()
        for check, one in (*questions[turn:], *questions[:turn]):
            asked = time.monotonic()
            if asked > began + TICK_SECONDS:
                return
            if evaluated(check, self._connection, one, self._now).passed:
                yield one.key
            else:
                self.in_vain += time.monotonic() - asked

    def _held(self, back: int) -> list[PartitionDay]:
        """Of that day, what Dagster knows as a partition."""
        days = days_held(self._connection, day_of(self._now) - timedelta(days=back))
        return [one for one in days if one.instruments[0].partition in self._known]

    def _with_minutes(self, days: Sequence[PartitionDay]) -> set[str]:
        """There is nothing to look at of a day that has just begun."""
        if not days:
            return set()
        ids = [each.instrument_id for one in days for each in one.instruments]
        counted = count_candles(self._connection, ids, day_of(self._now))
        return {
            one.key for one in days if any((each.instrument_id, "1m") in counted for each in one.instruments)
        }
