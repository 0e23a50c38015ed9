from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.processors.feeding import NOON, STREAM, entry, raw, trade
from trade_platform.adapters.database.positions import Progress
from trade_platform.domain.model import MICROSECONDS
from trade_platform.processors.producers import Screened, screen
from trade_platform.processors.reading import read_entry


def screened(*numbers: int, known: dict[str, Progress] | None = None) -> Screened:
    entries = [entry([trade(n, NOON + n * MICROSECONDS)], n, since=NOON - 5) for n in numbers]
    readings = [read_entry(f"{n}-0", raw(one)) for n, one in enumerate(entries, 1)]
    return screen(STREAM, readings, known or {})


def test_contiguous_batches_are_taken() -> None:
    result = screened(1, 2, 3)
    assert [one.entry.n for one in result.accepted] == [1, 2, 3]
    assert result.progress == {"streamer:1": Progress(3, NOON + 3 * MICROSECONDS + 1500)}
    assert (result.gaps, result.repeated) == ([], 0)


def test_after_a_jump_nothing_is_unbroken_across_it() -> None:
    """Also for batches to come, and after a restart: the progress carries it."""
    result = screened(1, 3, 4)
    arrived = NOON + 3 * MICROSECONDS + 1500
    assert [one.since for one in result.accepted] == [NOON - 5, arrived, arrived]
    assert result.progress["streamer:1"].unbroken_since == arrived
    later = screened(5, known=result.progress)
    assert later.accepted[0].since == arrived


def test_what_is_known_is_not_changed() -> None:
    known = {"streamer:1": Progress(1, NOON)}
    screened(2, 3, known=known)
    assert known == {"streamer:1": Progress(1, NOON)}


@given(st.lists(st.integers(1, 20), max_size=30))
def test_every_batch_is_taken_at_most_once_and_every_loss_is_a_gap(numbers: list[int]) -> None:
    result = screened(*numbers)
    taken = [one.entry.n for one in result.accepted]
    assert taken == sorted(set(taken))
    assert len(taken) + result.repeated == len(numbers)
    lost = set(range(1, max(numbers, default=0) + 1)) - set(taken)
    assert bool(lost) == bool(result.gaps)


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(0, 30))
def test_where_the_batches_are_cut_does_not_matter(numbers: list[int], cut: int) -> None:
    whole = screened(*numbers)
    first = screened(*numbers[:cut])
    second = screened(*numbers[cut:], known=first.progress)
    assert first.gaps + second.gaps == whole.gaps
    assert first.progress | second.progress == whole.progress
    assert [one.since for one in first.accepted + second.accepted] == [one.since for one in whole.accepted]
