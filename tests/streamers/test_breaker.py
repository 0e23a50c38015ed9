from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from streamers.backoff import Backoff
from streamers.breaker import STANDING_SECONDS, Breaker

TICK = 0.05


class Host:
    """Feeds of one host on a clock of their own; ``fate``: how a connection opened at a time fares."""

    def __init__(self, feeds: int, jitter: float) -> None:
        self.breaker = Breaker(Backoff(lambda: jitter))
        self.own = {f"feed-{number}": Backoff(lambda: jitter) for number in range(feeds)}
        self.not_before = dict.fromkeys(self.own, 0.0)
        self.up: dict[str, float] = {}
        self.attempts: list[tuple[float, str]] = []

    def play(self, seconds: float, *, lives: float, well_from: float = float("inf")) -> None:
        now = 0.0
        while now < seconds:
            for name in self.own:
                self._step(name, now, lives=lives, well=now >= well_from)
            now += TICK

    def _step(self, name: str, now: float, *, lives: float, well: bool) -> None:
        if name in self.up:
            if not well and now - self.up[name] >= lives:
                self._end(name, now, lived=now - self.up.pop(name))
        elif now >= self.not_before[name] and not self.breaker.pause(name, now):
            self.attempts.append((now, name))
            self.up[name] = now
            if well:
                self.breaker.delivers(name)
            elif not lives:
                del self.up[name]
                self._end(name, now, lived=0.0)

    def _end(self, name: str, now: float, *, lived: float) -> None:
        self.breaker.ended(name, now, delivered=False, lived_seconds=lived)
        self.not_before[name] = now + self.own[name].delay_after(delivered=False, lived_seconds=lived)


@given(st.integers(1, 6), st.floats(0, 1))
def test_a_host_that_accepts_and_closes_sees_six_attempts_of_all_feeds_in_the_first_minute(
    feeds: int, jitter: float
) -> None:
    host = Host(feeds, jitter)
    host.play(60, lives=0.0)
    assert 4 <= len(host.attempts) <= 6
    assert len({name for _, name in host.attempts}) == min(feeds, len(host.attempts))  # each has its turn


@given(st.integers(2, 6), st.floats(0, 1), st.floats(0, 20))
def test_all_feeds_are_back_soon_after_the_host_is(feeds: int, jitter: float, well_from: float) -> None:
    host = Host(feeds, jitter)
    host.play(well_from + 32, lives=0.0, well_from=well_from)
    assert set(host.up) == set(host.own)


def test_a_host_that_is_well_lets_all_in_at_once() -> None:
    breaker = Breaker()
    assert breaker.pause("a", 0.0) == 0
    assert breaker.pause("b", 0.0) > 0
    breaker.delivers("a")
    assert breaker.pause("b", 0.1) == 0
    assert breaker.pause("c", 0.1) == 0


def test_a_feed_that_stands_without_data_keeps_the_others_for_a_moment_only() -> None:
    breaker = Breaker()
    assert breaker.pause("a", 0.0) == 0
    assert breaker.pause("b", STANDING_SECONDS - 0.1) > 0
    assert breaker.pause("b", STANDING_SECONDS) == 0
    assert breaker.pause("c", STANDING_SECONDS) > 0


def test_one_feed_s_trouble_is_its_own_while_another_delivers() -> None:
    breaker = Breaker()
    for name in ("a", "b"):
        breaker.pause(name, 0.0)
        breaker.delivers(name)
    for turn in range(10):
        breaker.ended("a", float(turn), delivered=False, lived_seconds=0.0)
        assert breaker.pause("a", float(turn)) == 0
    breaker.ended("b", 20.0, delivered=True, lived_seconds=20.0)
    assert breaker.pause("b", 21.0) == 0  # half a second, not what ten endings come to


def test_a_feed_that_is_stopped_keeps_nobody_waiting() -> None:
    breaker = Breaker()
    breaker.pause("a", 0.0)
    breaker.pause("b", 0.0)
    breaker.ended("a", 0.0, delivered=False, lived_seconds=0.0)
    breaker.forget("b")
    assert breaker.pause("c", 10.0) == 0


def test_hurry_ends_the_pause_and_still_lets_one_go_first() -> None:
    breaker = Breaker()
    names: Sequence[str] = ("a", "b")
    for _ in range(6):
        breaker.ended("a", 0.0, delivered=False, lived_seconds=0.0)
    assert all(breaker.pause(name, 1.0) for name in names)
    breaker.hurry()
    assert [breaker.pause(name, 1.0) == 0 for name in names] == [True, False]
