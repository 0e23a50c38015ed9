"""Where marks stand on an axis of time: at whole minutes, hours and days of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE

HOUR: Final = 60 * MINUTE
STEPS: Final = (
    *(n * MICROSECONDS for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 28, 91, 182, 364)),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """Aware, UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def step_of(span: int, most: int) -> int:
    """The smallest of the round steps by which a span has no more than so many marks."""
    return next((step for step in STEPS if span / step <= most), STEPS[-1])


def ticks_of(start: int, end: int, most: int = 10) -> list[tuple[int, str]]:
    """(time, words) within [start, end]; the day stands below the first mark and wherever it changes."""
    step = step_of(end - start, most)
    times = range(-(-start // step) * step, end + 1, step)
    before = None
    ticks = []
    for at in times:
        words, below = _words(moment(at), step)
        ticks.append((at, f"{words}\n{below}" if below and below != before else words))
        before = below
    return ticks


def span_in_words(start: int, end: int) -> str:
    """``2026-11-22 14:00 – 15:00 UTC``; the second day only where it is another."""
    first, last = moment(start), moment(end)
    if start % DAY == 0 and end % DAY == 0:
        last -= timedelta(days=1)
        if last <= first:
            return f"{first:%Y-%m-%d} UTC"
        return f"{first:%Y-%m-%d} – {last:%Y-%m-%d} UTC"
    clock = "%H:%M:%S" if (start % MINUTE or end % MINUTE) else "%H:%M"
    same = first.date() == last.date()
    return f"{first:%Y-%m-%d} {first:{clock}} – {'' if same else f'{last:%Y-%m-%d} '}{last:{clock}} UTC"


def _words(at: datetime, step: int) -> tuple[str, str]:
    day = f"{at.day} {at:%b}"
    if step >= DAY:
        return day, f"{at:%Y}"
    return f"{at:{'%H:%M:%S' if step < MINUTE else '%H:%M'}}", day
