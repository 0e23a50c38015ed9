"""How complete the last days are: per instrument and hour, and which closed day still has a hole.

Asks PostgreSQL alone and changes nothing. The rules are ``domain/hours.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.hours import (
    HourOfMinutes,
    Ledger,
    MinutesGivenUp,
    Series,
    load_bounds,
    load_days,
    load_ends,
    load_ledger,
    load_minutes,
    load_minutes_given_up,
)
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.hours import (
    HOUR,
    Recorded,
    Share,
    holes_by_day,
    hour_of,
    mean_share,
    missing_minutes,
    shares_of_minutes,
    shares_of_trades,
)
from trade_platform.domain.model import MINUTE, Channel
from trade_platform.operations.partitions import Listed, recorded_instruments

WEEK: Final = 7 * 24
"""Hours that are looked at."""
CLOSED_MINUTES: Final = 10
"""So long after midnight a day counts as closed: by then what was under way has been stored."""


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """What a day lacks of one instrument, and nobody has given up."""

    exchange: str
    symbol: str
    channel: Channel
    day: date
    missing: int
    """Numbers of trades; of candles alone: minutes."""


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument and what is recorded of it."""

    instrument: Listed
    channel: Channel
    shares: Sequence[Share]
    """Of each hour of the report."""
    missing: int
    """Numbers that are neither held nor given up (of candles alone: minutes)."""
    given_up: int
    """Numbers of trades that nobody serves again."""
    open_gaps: int
    holes: Sequence[Hole]
    """By day."""


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the last hours, the running one among them."""

    now: int
    """Market time, microseconds UTC."""
    hours: Sequence[int]
    """Openings, ascending."""
    instruments: Sequence[Covered]
    open_gaps: int
    """All of the ledger's, of whole connections, too."""

    @property
    def closed_holes(self) -> list[Hole]:
        """Those of days that are over: what ought not to be."""
        running = day_of(self.now - CLOSED_MINUTES * MINUTE)
        return [hole for one in self.instruments for hole in one.holes if hole.day < running]


class PartitionShares(msgspec.Struct, frozen=True, kw_only=True):
    """The instruments of one partition together."""

    partition: str
    instruments: int
    shares: Sequence[Share]
    total: Share
    week: Share
    missing: int
    given_up: int
    open_gaps: int


def completeness(connection: Connection, now: int, *, hours: int = WEEK) -> Completeness:
    """The last ``hours`` hours up to and with the running one; ``now`` is the market's, microseconds UTC."""
    openings = [hour_of(now) - HOUR * back for back in reversed(range(hours))]
    start, end = openings[0], openings[-1] + HOUR
    listed = {one.instrument_id: one for one in recorded_instruments(connection)}
    ledger = load_ledger(connection)
    minutes = load_minutes(connection, sorted(listed), start, end)
    looking = _Looking(connection, listed, openings, now, ledger)
    by_trades = looking.trades(_by_instrument(minutes, "proven"))
    traded = {one.instrument.instrument_id for one in by_trades}
    by_minutes = looking.minutes([one for one in minutes if one.instrument_id not in traded])
    found = sorted(
        (*by_trades, *by_minutes), key=lambda one: (one.instrument.exchange, one.instrument.symbol)
    )
    return Completeness(now=now, hours=openings, instruments=found, open_gaps=sum(one.open for one in ledger))


def by_partition(report: Completeness, hours: int) -> list[PartitionShares]:
    """The newest ``hours`` hours, one line a partition, families as the mean of their instruments."""
    parts: dict[str, list[Covered]] = {}
    for one in report.instruments:
        parts.setdefault(one.instrument.partition, []).append(one)
    return [_together(partition, parts[partition], hours) for partition in sorted(parts)]


def _together(partition: str, parts: Sequence[Covered], hours: int) -> PartitionShares:
    by_hour = [mean_share(shares) for shares in zip(*(one.shares for one in parts), strict=True)]
    return PartitionShares(
        partition=partition,
        instruments=len({one.instrument.instrument_id for one in parts}),
        shares=by_hour[-hours:],
        total=mean_share([share for one in parts for share in one.shares[-hours:]]),
        week=mean_share([share for one in parts for share in one.shares]),
        missing=sum(one.missing for one in parts),
        given_up=sum(one.given_up for one in parts),
        open_gaps=sum(one.open_gaps for one in parts),
    )


class _Looking:
    """What all instruments of one report share."""

    def __init__(
        self,
        connection: Connection,
        listed: Mapping[int, Listed],
        hours: Sequence[int],
        now: int,
        ledger: Sequence[Ledger],
    ) -> None:
        self._connection = connection
        self._listed = listed
        self._hours = hours
        self._now = now
        self._gaps = {(one.exchange, one.symbol, one.channel): one for one in ledger}

    def trades(self, minutes: Mapping[int, Mapping[int, int]]) -> list[Covered]:
        """Of every instrument whose trades are recorded."""
        first = day_of(self._hours[0])
        days = load_days(self._connection, first, day_of(self._now))
        days = {series: held for series, held in days.items() if series[0] in self._listed}
        bounds = load_bounds(
            self._connection,
            [(series, min(d for d in held if d >= first), max(held)) for series, held in days.items()],
        )
        recorded = {series: _recorded(days[series], first, *bounds[series]) for series in bounds}
        broken = [series for series, one in recorded.items() if one.broken]
        ends = load_ends(self._connection, broken, self._hours[0], self._hours[-1] + HOUR) if broken else {}
        return [
            self._covered(
                series, days[series], msgspec.structs.replace(one, ends=ends.get(series, {})), minutes
            )
            for series, one in recorded.items()
        ]

    def _covered(
        self,
        series: Series,
        days: Mapping[date, Ranges],
        one: Recorded,
        minutes: Mapping[int, Mapping[int, int]],
    ) -> Covered:
        instrument_id, channel = series
        listed = self._listed[instrument_id]
        gap = self._gaps.get((listed.exchange, listed.symbol, channel))
        given_up = gap.given_up if gap else Ranges()
        assert one.held.lowest is not None
        assert one.held.highest is not None
        missing = one.held.missing(one.held.lowest, one.held.highest + 1)
        by_day = {day: numbers.count for day, numbers in holes_by_day(days, given_up).items()}
        return Covered(
            instrument=listed,
            channel=channel,
            shares=shares_of_trades(one, minutes.get(instrument_id, {}), self._hours, self._now),
            missing=(missing - given_up).count,
            given_up=(missing & given_up).count,
            open_gaps=gap.open if gap else 0,
            holes=_holes(listed, channel, by_day),
        )

    def minutes(self, minutes: Sequence[HourOfMinutes]) -> list[Covered]:
        """Of every other instrument, of which the exchange's candles are recorded."""
        told = _by_instrument(minutes, "told")
        firsts: dict[int, int] = {}
        for one in minutes:
            if one.first_told is not None:
                firsts[one.instrument_id] = min(one.first_told, firsts.get(one.instrument_id, one.first_told))
        lost = load_minutes_given_up(self._connection, self._hours[0])
        return [self._candles(self._listed[key], told[key], first, lost) for key, first in firsts.items()]

    def _candles(
        self, listed: Listed, told: Mapping[int, int], first: int, lost: Sequence[MinutesGivenUp]
    ) -> Covered:
        own = [
            (since, until)
            for exchange, symbol, since, until in lost
            if exchange == listed.exchange and symbol in (None, listed.symbol)
        ]
        missing = missing_minutes(told, self._hours, first, self._now, own)
        by_day: dict[date, int] = {}
        for hour, count in missing.items():
            by_day[day_of(hour)] = by_day.get(day_of(hour), 0) + count
        gap = self._gaps.get((listed.exchange, listed.symbol, Channel.CANDLE))
        return Covered(
            instrument=listed,
            channel=Channel.CANDLE,
            shares=shares_of_minutes(told, self._hours, first, self._now),
            missing=sum(missing.values()),
            given_up=0,
            open_gaps=gap.open if gap else 0,
            holes=_holes(listed, Channel.CANDLE, by_day),
        )


def _holes(listed: Listed, channel: Channel, by_day: Mapping[date, int]) -> list[Hole]:
    return [
        Hole(exchange=listed.exchange, symbol=listed.symbol, channel=channel, day=day, missing=missing)
        for day, missing in sorted(by_day.items())
    ]


def _recorded(days: Mapping[date, Ranges], first_day: date, first: int, last: int) -> Recorded:
    own = {day: held for day, held in days.items() if day >= first_day}
    return Recorded(
        held=Ranges.from_spans(span for held in days.values() for span in held),
        begun_before=len(own) < len(days),
        count=sum(held.count for held in own.values()),
        first=first,
        last=last,
    )


def _by_instrument(minutes: Sequence[HourOfMinutes], what: str) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for one in minutes:
        found.setdefault(one.instrument_id, {})[one.hour] = getattr(one, what)
    return found
