"""One row a fault and exchange: what was measured, and what is said of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

SPARED: Final = "none here"
"""Where the same fault harmed another exchange."""


class Gaps(msgspec.Struct, frozen=True):
    """Rows of the gap ledger that a fault left."""

    opened: int = 0
    repaired: int = 0
    unrepairable: int = 0
    lost: int = 0
    """Of the unrepairable ones those of trades."""
    candles: int = 0
    """And those of candles, which an exchange serves again, unless it was itself away."""

    @property
    def open(self) -> int:
        return self.opened - self.repaired - self.unrepairable


class Absence(msgspec.Struct, frozen=True):
    """What the same fault did while its defence was switched off."""

    defences: tuple[str, ...]
    harm: str
    """In words; empty: none, so the defence defends against nothing."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault did to one exchange."""

    fault: str
    target: str
    happened: str
    """The evidence; empty: it did not happen."""
    noticed: str
    """By what the platform noticed; empty: it did not."""
    watched: bool = True
    """There is something to notice."""
    detect: float | None
    """Seconds from the fault."""
    resume: float | None
    """Seconds from the fault's end until a trade that was printed after it was stored; None: never."""
    whole: float | None
    """Seconds from the fault's end until everything that was printed before that was stored, too."""
    waited: float = 0.0
    """Seconds from the fault's end that were given."""
    gaps: Gaps | None
    """None where that could not be asked."""
    lost: int | None
    duplicated: int | None
    detect_reach: float | None = None
    resume_reach: float | None = None
    expects_gap: bool = False
    expects_none: bool = False
    """It must leave no gap at all."""
    beyond: bool = False
    """It is about the exchange's horizon: what is marked unrepairable may be lost."""
    outage: bool = False
    """The exchange itself fell: it has no candle of the minute in which that was."""
    excess: str = ""
    """What was more than may be, in words."""
    absence: Absence | None = None
    """The run with the defence switched off; None: not made."""
    harmless: str = ""
    """Why there is no defence to switch off."""


def failures(row: Row, *, times: bool = True) -> list[str]:
    """What makes the run fail; ``times``: deadlines are judged, too."""
    found = [] if row.happened else ["did not happen"]
    if row.happened and row.watched and not row.noticed:
        found.append("not noticed")
    found += _losses(row)
    if row.excess:
        found.append(row.excess)
    if row.expects_gap and row.gaps is not None and not row.gaps.opened:
        found.append("no gap row")
    if row.expects_none and row.gaps is not None and row.gaps.opened:
        found.append(f"{row.gaps.opened} gap rows, and none was to be")
    if row.absence is not None and not row.absence.harm:
        found.append(f"no harm without {' and '.join(row.absence.defences)}")
    return found + (_lateness(row) if times else [])


def of_one_server(rows: Sequence[Row], shared: Collection[str]) -> list[Row]:
    """What happens to a server that all exchanges share (faults by name), one of them may notice for all.

    A busy exchange fills a buffer that a quiet one does not in the same seconds.
    """
    noticed = {row.fault for row in rows if row.noticed}
    harmed = {row.fault for row in rows if row.absence is not None and row.absence.harm}
    return [
        replace(
            row,
            watched=row.watched and (bool(row.noticed) or row.fault not in noticed),
            absence=row.absence
            and replace(row.absence, harm=row.absence.harm or SPARED * (row.fault in harmed)),
        )
        if row.fault in shared
        else row
        for row in rows
    ]


def _losses(row: Row) -> list[str]:
    if row.lost is None or row.duplicated is None:
        return ["could not be counted"]
    gaps = row.gaps or Gaps()
    lost = row.lost + (0 if row.beyond else gaps.lost) + (0 if row.outage else gaps.candles)
    if row.beyond and row.gaps is not None and row.gaps.lost:
        lost = 0
    found = [f"{lost:,} lost"] if lost else []
    return found + ([f"{row.duplicated:,} twice"] if row.duplicated else [])


def _lateness(row: Row) -> list[str]:
    found = []
    if row.detect_reach is not None and row.detect is not None and row.detect > row.detect_reach:
        found.append(f"noticed late (≤ {row.detect_reach:g} s)")
    if row.resume is None:
        found.append("did not resume")
    elif row.resume_reach is not None and row.resume > row.resume_reach:
        found.append(f"resumed late (≤ {row.resume_reach:g} s)")
    if row.gaps is not None and row.gaps.open:
        found.append(f"{row.gaps.open} gaps still open")
    return found


def harm_of(row: Row, word: str = "") -> str:
    """What a fault did without its defence, in words; ``word`` is what the case itself found."""
    if word:
        return word
    if row.resume is None:
        return f"stalled, {row.waited:.0f} s and more"
    found = [f"{row.lost:,} lost"] if row.lost else []
    found += [f"{row.duplicated:,} twice"] if row.duplicated else []
    if row.detect_reach is not None and row.detect is None:
        found.append("never noticed")
    if row.expects_gap and row.gaps is not None and not row.gaps.opened:
        found.append("its gap was never stored")
    if row.excess:
        found.append(row.excess)
    return ", ".join(found)


def verdict(row: Row, *, times: bool = True) -> str:
    """In words: failures, or what was reached."""
    said = failures(row, times=times)
    if said:
        return ", ".join(said)
    reaches = [(row.detect_reach, "noticed"), (row.resume_reach, "resumed")]
    reached = [f"{word} ≤ {reach:g} s" for reach, word in reaches if reach is not None and times]
    return f"good: {', '.join(reached)}" if reached else "good"


def line(place: int, of: int, rows: Sequence[Row], *, times: bool = True) -> str:
    """What is said of a fault when its rows are there; its gaps still have time to close."""
    said = "; ".join(
        f"{row.target} {seconds(row.detect)}/{seconds(row.resume)} s, {verdict(_hopeful(row), times=times)}"
        for row in rows
    )
    return f"[{place}/{of}] {rows[0].fault}: {said}"


def _hopeful(row: Row) -> Row:
    if row.gaps is None:
        return row
    lost = int(row.beyond)  # what the ledger will say of it
    return replace(row, gaps=Gaps(row.gaps.opened, row.gaps.opened - lost, lost, lost))


def absent_line(rows: Sequence[Row], harms: Sequence[str]) -> str:
    """The same of a run without a defence."""
    said = "; ".join(f"{row.target}: {harm or 'no harm'}" for row, harm in zip(rows, harms, strict=True))
    return f"{rows[0].fault} without its defence: {said}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
