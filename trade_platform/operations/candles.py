"""Candles: a whole day of one instrument from its trades, and the wider ones from the minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

from trade_platform.adapters.database import day_rows, rollups
from trade_platform.adapters.database.bars import Key
from trade_platform.adapters.database.candles import load_called_empty
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_bars import Day, compute_day
from trade_platform.adapters.database.minutes import fill_empty, materialise
from trade_platform.adapters.database.rollups import STEPS, Bucket
from trade_platform.adapters.database.snapshot import in_one_snapshot
from trade_platform.domain.candle_day import rows_of_day
from trade_platform.domain.model import DAY, MINUTE

ROLLED: Final = tuple(step.interval for step in STEPS)
"""Intervals that are made of narrower ones, ascending."""
MOST: Final = 20_000
"""Changed candles that one refresh looks at, of each interval."""


class Built(msgspec.Struct, frozen=True):
    """What a day has now, and what of it was not so before."""

    minutes: int
    """Stored minutes of our own."""
    complete: int
    changed: int
    """Minutes that were written, the next day's fillers not counted."""
    trades: int
    """Stored trades of the day, each aggregate once."""
    rolled_up: Mapping[str, int]
    """Wider candles that were written, by interval."""


class Refreshed(msgspec.Struct, frozen=True):
    """What a refresh did."""

    buckets: Mapping[str, int]
    """Wider candles that were looked at, by interval."""
    changed: Mapping[str, int]
    """Those that were written."""
    more: bool
    """There was more to do than one call may: call again."""


def build_day(connection: Connection, instrument_id: int, day: date, *, now: int) -> Built:
    """Make all minutes of the UTC day from the stored trades, and the wider candles from them.

    ``now`` is the market's time in microseconds: what is running by it gets no row. A day whose trades
    are not held any longer keeps its minutes. Where nothing changed, nothing is written. The connection is
    in no transaction; raises UnknownInstrument.
    """
    changed, trades = in_one_snapshot(connection, lambda: _build(connection, instrument_id, day, now))
    rolled = in_one_snapshot(connection, lambda: _roll_day(connection, instrument_id, day, now))
    minutes, complete = day_rows.count_day(connection, instrument_id, day)
    return Built(minutes, complete, changed, trades, rolled)


def refresh(connection: Connection, *, now: int, most: int = MOST) -> Refreshed:
    """Make exactly those wider candles anew that are over and whose parts changed, of all instruments.

    At most ``most`` changed candles of each interval are looked at. The connection is in no transaction.
    """
    done = in_one_snapshot(
        connection,
        lambda: {step.interval: rollups.roll_due(connection, step, now=now, most=most) for step in STEPS},
    )
    return Refreshed(
        {interval: rolled.buckets for interval, rolled in done.items()},
        {interval: rolled.changed for interval, rolled in done.items()},
        more=any(rolled.marks >= most for rolled in done.values()),
    )


def refresh_all(connection: Connection, *, now: int, most: int = MOST) -> Refreshed:
    """``refresh`` again and again until no more is due: after a backfill or a migration millions may be."""
    buckets: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    while True:
        done = refresh(connection, now=now, most=most)
        buckets.update(done.buckets)
        changed.update(done.changed)
        if not done.more:
            return Refreshed(dict(buckets), dict(changed), more=False)


def stale_buckets(connection: Connection, *, now: int, most: int = 1_000) -> list[Bucket]:
    """Wider candles that ``refresh`` would make anew now, at most so many; cheap enough for a sensor.

    Named are those of the interval next to what changed: wider ones follow where these change.
    """
    return rollups.load_stale(connection, now=now, most=most)


def _build(connection: Connection, instrument_id: int, day: date, now: int) -> tuple[int, int]:
    """(minutes that changed, trades of the day)."""
    unit = day_rows.load_unit(connection, instrument_id)
    held = day_rows.has_trades_table(connection, day)
    if not held and day_rows.was_dropped(connection, instrument_id, day):
        return 0, 0
    counting = day_rows.counting_channel(connection, instrument_id)
    found = compute_day(connection, instrument_id, day, unit, counting) if held else Day((), 0)
    judged = day_rows.judge(connection, instrument_id, found.minutes)
    around = day_rows.load_around(connection, instrument_id, day, unit, counting)
    rows = rows_of_day(day_rows.start_of(day), judged, around, now=now)
    changed = day_rows.write_day(connection, instrument_id, rows)
    if changed and around.after is not None:
        after = (instrument_id, around.after.bar.open_time)
        over = {after} if after[1] + MINUTE <= now else set[Key]()
        materialise(connection, over, {after} - over, {instrument_id: unit}, {instrument_id: counting})
    if changed:
        _fill_after(connection, (instrument_id, day_rows.start_of(day) + DAY - MINUTE))
    return changed, found.rows


def _fill_after(connection: Connection, last: Key) -> None:
    """The price that the day ends on is that of the minutes after it which the exchange calls empty."""
    called = load_called_empty(connection, [last])
    if called:
        fill_empty(connection, called)


def _roll_day(connection: Connection, instrument_id: int, day: date, now: int) -> dict[str, int]:
    asked = day_rows.names_of_day(instrument_id, day)
    return {step.interval: rollups.roll_day(connection, step, asked, now=now).changed for step in STEPS}
