from __future__ import annotations

from streamers.account.sight import OVERLAP, Sight
from trade_platform.domain.accounts import Blindness

T = 1_790_000_000_000_000


def test_it_begins_with_the_last_message_that_was_heard() -> None:
    sight = Sight()
    sight.heard(T)
    sight.heard(T - 5)
    assert sight.lost("closed", T + 900) == Blindness(T - OVERLAP, "closed", T + 900)
    assert sight.blind


def test_it_goes_on_through_further_losses() -> None:
    sight = Sight()
    sight.heard(T)
    sight.lost("closed", T + 1)
    assert sight.lost("closed again", T + 2) is None
    assert (sight.since, sight.reason) == (T - OVERLAP, "closed")


def test_it_ends_when_all_of_it_was_read_again() -> None:
    sight = Sight()
    sight.begin(T, "started", T + 1)
    assert sight.restored(T + 5, T + 9, T + 10) is None, "not from its beginning"
    assert sight.restored(T, T + 9, T + 10, "a remark") == Blindness(T, "started; a remark", T + 10, T + 9)
    assert not sight.blind
    assert sight.restored(T, T + 9, T + 10) is None


def test_what_was_lost_after_the_reading_began_is_not_covered_by_it() -> None:
    sight = Sight()
    sight.begin(T, "started", T)
    sight.lost("unreadable", T + 9)
    assert sight.restored(T, T + 8, T + 10) is None
    assert sight.restored(T, T + 10, T + 11) is not None


def test_nothing_heard_means_since_now() -> None:
    assert Sight().lost("closed", T) == Blindness(T - OVERLAP, "closed", T)


def test_what_is_known_to_have_ended_earlier_begins_there() -> None:
    """The socket lived on, and messages that prove nothing came by it."""
    sight = Sight()
    sight.heard(T)
    blindness = sight.lost("the stream ended", T + 5, T - 3_000)
    assert blindness is not None
    assert blindness.since == T - 3_000 - OVERLAP
