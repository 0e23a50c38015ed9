"""One fault from its preparation to the moment when everything that was printed is stored again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec
import psycopg

from benchmarks.loopback import Reading, grown
from benchmarks.matrix.case import Case
from benchmarks.platform import Platform
from benchmarks.recorded import Mark, Stored
from benchmarks.rows import Gaps, Row, harm_of
from benchmarks.signs import Look, nothing_grows
from trade_platform.adapters.loopback import LoopbackError

LOOK_SECONDS: Final = 0.25
T = TypeVar("T")


class Track(msgspec.Struct, kw_only=True):
    """What is known of one exchange so far."""

    target: str
    low: Mark
    """Before the fault."""
    proof: Reading
    sign: Reading
    harm: Reading
    bound: Reading
    gaps: int
    """The newest gap row before it."""
    high: Mark | None = None
    """When the fault was over."""
    happened: str = ""
    noticed: str = ""
    harmed: str = ""
    excess: float = 0.0
    detect: float | None = None
    resume: float | None = None
    whole: float | None = None
    newest_gap: int | None = None
    stored: Stored | None = None


class Ordeal:
    """Does one case, look by look; ``bare``: its defences are switched off."""

    def __init__(self, platform: Platform, case: Case, *, bare: bool = False) -> None:
        self.case = case
        self._platform = platform
        self._bare = bare
        self._patience = case.patience_without if bare else case.patience
        self._began = 0.0
        self._over: float | None = None
        self._tracks: list[Track] = []

    def begin(self) -> None:
        """Prepare it and do it."""
        case, platform = self.case, self._platform
        self._tracks = [self._track(target) for target in case.targets]
        case.prepare(platform, case.targets)
        self._began = time.monotonic()
        with suppress(LoopbackError):  # what could not be ordered will not have happened
            case.inflict(platform, case.targets)

    def look(self) -> bool:
        """See what has changed; whether it has come to its end."""
        self._count()
        self._heal_in_time()
        for track in self._tracks:
            self._look(track)
        over = time.monotonic() > self._began + self.case.hold + self._patience
        return over or all(self._done(track) for track in self._tracks)

    def end(self) -> None:
        """Put back what was prepared."""
        self.case.clean_up(self._platform, self.case.targets)

    def rows(self) -> list[Row]:
        """What was measured; how the gaps end is asked for again when the run is over."""
        return [self._row(track) for track in self._tracks]

    def harms(self) -> list[str]:
        """For each target what its absent defence would have kept away."""
        pairs = zip(self.rows(), self._tracks, strict=True)
        return [harm_of(row, track.harmed) if row.happened else "" for row, track in pairs]

    def gaps(self) -> list[Gaps | None]:
        """How the gap rows of each target stand now."""
        return [self._gaps(track) for track in self._tracks]

    def _track(self, target: str) -> Track:
        case, bound = self.case, self.case.bound
        return Track(
            target=target,
            low=self._platform.mark(target),
            proof=self._read(case.proof, target),
            sign=self._read(case.sign or nothing_grows, target),
            harm=self._read(case.harm, target),
            bound=self._read(bound.count, target) if bound else {},
            gaps=self._platform.tables.last_gap(target),
        )

    def _heal_in_time(self) -> None:
        if self._over is None and time.monotonic() - self._began >= self.case.hold:
            self.case.heal(self._platform, self.case.targets)
            self._over = time.monotonic()

    def _count(self) -> None:
        """What may not be more than so much while the fault lasts."""
        bound = self.case.bound
        if bound is None or self._over is not None:
            return
        for track in self._tracks:
            now = self._read(bound.count, track.target)
            track.excess = max(track.excess, sum(now.values()) - sum(track.bound.values()))

    def _look(self, track: Track) -> None:
        case = self.case
        if not track.happened:
            track.happened = grown(track.proof, self._read(case.proof, track.target))
        if track.detect is None and case.sign is not None:
            track.noticed = grown(track.sign, self._read(case.sign, track.target))
            if track.noticed:
                track.detect = time.monotonic() - self._began
        if self._bare and not track.harmed:
            track.harmed = grown(track.harm, self._read(case.harm, track.target))
        if self._over is None:
            return
        if track.high is None:
            track.high = _unless_away(lambda: self._platform.mark(track.target))
        elif track.whole is None:
            self._look_into_tables(track, track.high)
        newest = _unless_away(lambda: self._platform.tables.last_gap(track.target))
        track.newest_gap = track.newest_gap if newest is None else newest

    def _look_into_tables(self, track: Track, high: Mark) -> None:
        assert self._over is not None
        stored = _unless_away(lambda: self._platform.tables.stored(track.target, track.low, high))
        if stored is None:
            return
        track.stored = stored
        since = time.monotonic() - self._over
        if stored.newer and track.resume is None:
            track.resume = since
        if stored.newer and not stored.missing:
            track.whole = since

    def _done(self, track: Track) -> bool:
        if self._bare and track.harmed:
            return bool(track.happened) and self._over is not None
        noticed = bool(track.noticed) or self.case.sign is None
        noted = not self.case.expects_gap or (track.newest_gap or 0) > track.gaps
        return bool(track.happened and noticed and track.whole is not None and noted)

    def _read(self, look: Look, target: str) -> Reading:
        """What cannot be asked now has not grown."""
        return _unless_away(lambda: look(self._platform, target)) or {}

    def _gaps(self, track: Track) -> Gaps | None:
        newest = track.newest_gap
        if newest is None:
            return None
        return _unless_away(lambda: self._platform.tables.ledger_of(track.target, track.gaps, newest))

    def _row(self, track: Track) -> Row:
        case, bound = self.case, self.case.bound
        excess = f"{track.excess:.0f} {bound.what}" if bound and track.excess > bound.most else ""
        return Row(
            fault=case.name,
            target=track.target,
            happened=track.happened,
            noticed=track.noticed,
            watched=case.sign is not None,
            detect=track.detect,
            resume=track.resume,
            whole=track.whole,
            waited=self._patience,
            gaps=self._gaps(track),
            lost=track.stored.missing if track.stored else None,
            duplicated=track.stored.duplicated if track.stored else None,
            detect_reach=case.detect_reach,
            resume_reach=case.resume_reach,
            expects_gap=case.expects_gap,
            expects_none=case.expects_none,
            beyond=case.beyond,
            outage=case.outage,
            excess=excess,
            harmless=case.harmless,
        )


def undergo(platform: Platform, ordeals: Sequence[Ordeal]) -> None:
    """Cases that touch different exchanges, at once. Raises RunFailed where the platform itself ends."""
    waiting = list(ordeals)
    for ordeal in ordeals:
        ordeal.begin()
    while waiting:
        looked = time.monotonic()
        waiting = [ordeal for ordeal in waiting if not ordeal.look()]
        platform.check()
        time.sleep(max(0.02, LOOK_SECONDS - (time.monotonic() - looked)))
    for ordeal in ordeals:
        ordeal.end()


def rounds(cases: Sequence[Case]) -> list[list[Case]]:
    """Who shares no exchange with another is tried together with it; the order is kept otherwise."""
    found: list[list[Case]] = []
    for case in cases:
        place = next((one for one in found if _fits(case, one)), None)
        if place is None:
            found.append([case])
        else:
            place.append(case)
    return found


def _fits(case: Case, others: Sequence[Case]) -> bool:
    taken = {target for other in others for target in other.targets}
    return not (case.shared or any(other.shared for other in others) or taken & set(case.targets))


def _unless_away(question: Callable[[], T]) -> T | None:
    """The answer; None where a process or a server does not answer just now."""
    try:
        return question()
    except (LoopbackError, psycopg.Error):
        return None
