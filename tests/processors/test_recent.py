from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.processors.recent import Recent


def test_what_is_written_again_stays_and_what_is_not_goes() -> None:
    recent: Recent[str, int] = Recent(100)
    recent.put("busy", 1)
    recent.put("ended", 1)
    for at in (2, 3):
        recent.age()
        recent.put("busy", at)
    assert recent.get("busy") == 3
    assert recent.get("ended") is None
    assert len(recent) == 1


@given(st.lists(st.integers(0, 50)))
def test_it_never_holds_more_than_its_bound_and_never_anything_wrong(keys: list[int]) -> None:
    recent: Recent[int, int] = Recent(10)
    for at, key in enumerate(keys):
        recent.put(key, at)
        assert len(recent) <= 10
        assert recent.get(key) == at
        assert all(recent.get(one) in (None, max(i for i, k in enumerate(keys[: at + 1]) if k == one))
                   for one in keys[: at + 1])  # fmt: skip
