"""One fault from its preparation to the moment when everything that was printed is stored again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import psycopg

from benchmarks.loopback import Reading, grown
from benchmarks.matrix import Case
from benchmarks.platform import Mark, Platform, Stored
from benchmarks.rows import Row
from benchmarks.signs import Look
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
    gaps: int
    high: Mark | None = None
    """When the fault was over."""
    happened: str = ""
    noticed: str = ""
    detect: float | None = None
    resume: float | None = None
    whole: float | None = None
    noted: int | None = None
    stored: Stored | None = None


class Ordeal:
    """Does one case; ``run`` answers with its rows."""

    def __init__(self, platform: Platform, case: Case) -> None:
        self._platform = platform
        self._case = case
        self._began = 0.0
        self._over: float | None = None

    def run(self) -> list[Row]:
        """Raises RunFailed where the platform itself ends."""
        case, platform = self._case, self._platform
        tracks = [self._begin(target) for target in case.targets]
        case.prepare(platform, case.targets)
        self._began = time.monotonic()
        case.inflict(platform, case.targets)
        end = self._began + case.hold + case.patience
        while time.monotonic() < end and not all(self._done(track) for track in tracks):
            looked = time.monotonic()
            self._heal_in_time()
            for track in tracks:
                self._look(track)
            platform.check()
            time.sleep(max(0.02, LOOK_SECONDS - (time.monotonic() - looked)))
        case.clean_up(platform, case.targets)
        return [self._row(track) for track in tracks]

    def _begin(self, target: str) -> Track:
        return Track(
            target=target,
            low=self._platform.mark(target),
            proof=self._read(self._case.proof, target),
            sign=self._read(self._case.sign, target),
            gaps=sum(self._platform.gaps(target).values()),
        )

    def _heal_in_time(self) -> None:
        if self._over is None and time.monotonic() - self._began >= self._case.hold:
            self._case.heal(self._platform, self._case.targets)
            self._over = time.monotonic()

    def _look(self, track: Track) -> None:
        if not track.happened:
            track.happened = grown(track.proof, self._read(self._case.proof, track.target))
        if track.detect is None:
            track.noticed = grown(track.sign, self._read(self._case.sign, track.target))
            if track.noticed:
                track.detect = time.monotonic() - self._began
        if self._over is None:
            return
        if track.high is None:
            track.high = _unless_away(lambda: self._platform.mark(track.target))
        elif track.whole is None:
            self._look_into_tables(track, track.high)
        self._count_gaps(track)

    def _look_into_tables(self, track: Track, high: Mark) -> None:
        assert self._over is not None
        stored = _unless_away(lambda: self._platform.stored(track.target, track.low, high))
        if stored is None:
            return
        track.stored = stored
        since = time.monotonic() - self._over
        if stored.newer and track.resume is None:
            track.resume = since
        if stored.newer and not stored.missing:
            track.whole = since

    def _count_gaps(self, track: Track) -> None:
        gaps = _unless_away(lambda: self._platform.gaps(track.target))
        if gaps is not None:
            track.noted = sum(gaps.values()) - track.gaps

    def _done(self, track: Track) -> bool:
        noted = bool(track.noted) or not self._case.expects_gap
        return bool(track.happened and track.noticed and track.whole is not None and noted)

    def _read(self, look: Look, target: str) -> Reading:
        """What cannot be asked now has not grown."""
        return _unless_away(lambda: look(self._platform, target)) or {}

    def _row(self, track: Track) -> Row:
        case = self._case
        return Row(
            fault=case.name,
            target=track.target,
            happened=track.happened,
            noticed=track.noticed,
            detect=track.detect,
            resume=track.resume,
            whole=track.whole,
            gaps=track.noted,
            lost=track.stored.missing if track.stored else None,
            duplicated=track.stored.duplicated if track.stored else None,
            detect_reach=case.detect_reach,
            resume_reach=case.resume_reach,
            expects_gap=case.expects_gap,
        )


def _unless_away(question: Callable[[], T]) -> T | None:
    """The answer; None where a process or a server does not answer just now."""
    try:
        return question()
    except (LoopbackError, psycopg.Error):
        return None
