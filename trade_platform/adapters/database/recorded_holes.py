"""Holes in what was recorded, as part of a query: where a backfill ends, nothing is missing behind it.

A backfill reads the last trade before its days and the first after them. Such a neighbour is all that is
held of its day on that side, and came long after it was made; what lies beyond it was never asked for. The
ledger of gaps knows it by the same signs (``coverage_holes``).
"""

from __future__ import annotations

from typing import Final

LATE: Final = "interval '1 hour'"
"""What is recorded as it happens, or read again at once, comes sooner."""

# Where the trades of a day were dropped, what coverage looks like must do.
HOLES: Final = f"""
ranges as (
    select instrument_id, channel, day, lower(r) as low, upper(r) as high from coverage, unnest(held) as r
), placed as (
    select *, lead(low) over numbers as next,
           high - low = 1 and lag(high) over numbers = low and lag(day) over numbers < day as after_a_day,
           high - low = 1 and lead(low) over numbers = high and lead(day) over numbers > day as before_a_day
    from ranges window numbers as (partition by instrument_id, channel order by low)
), paired as (
    select instrument_id, channel, day, after_a_day, next - high as missing,
           lead(before_a_day) over numbers as next_before_a_day, lead(day) over numbers as next_day
    from placed window numbers as (partition by instrument_id, channel order by low)
), holes as (
    select instrument_id, channel, missing from paired
    where missing > 0
      and not (coalesce(after_a_day, false) and coalesce((
          select receive_time - event_time > {LATE} from trade
          where trade.instrument_id = paired.instrument_id
            and (flags & 1 = 1) = (paired.channel = 'aggregate_trade')
            and event_time >= paired.day::timestamp at time zone 'UTC'
            and event_time < (paired.day + 1)::timestamp at time zone 'UTC'
          order by event_time, sequence limit 1), true))
      and not (coalesce(next_before_a_day, false) and coalesce((
          select receive_time - event_time > {LATE} from trade
          where trade.instrument_id = paired.instrument_id
            and (flags & 1 = 1) = (paired.channel = 'aggregate_trade')
            and event_time >= paired.next_day::timestamp at time zone 'UTC'
            and event_time < (paired.next_day + 1)::timestamp at time zone 'UTC'
          order by event_time desc, sequence desc limit 1), true))
), missed as (
    select instrument_id, channel, count(*) as holes, sum(missing)::bigint as missing from holes group by 1, 2
)"""  # noqa: S608 - constants of our own
"""Common table expressions: ``missed`` has the holes and the missing numbers of those that have any."""
