from __future__ import annotations

from trade_platform.vault.quota import Quota


def test_a_tenant_s_signatures_of_a_minute_are_counted_and_come_back_steadily() -> None:
    now = [0.0]
    quota = Quota(lambda: now[0])
    assert [quota.take("one", 3) for _ in range(4)] == [True, True, True, False]
    assert quota.take("other", 3), "one tenant's thirst is not another's"
    now[0] = 20.0
    assert [quota.take("one", 3) for _ in range(2)] == [True, False]
    now[0] = 10_000.0
    assert [quota.take("one", 3) for _ in range(4)] == [True, True, True, False]


def test_a_quota_of_none_allows_none_and_one_that_was_lowered_counts_at_once() -> None:
    quota = Quota(lambda: 0.0)
    assert not quota.take("one", 0)
    assert quota.take("two", 100)
    assert quota.take("two", 1)
    assert not quota.take("two", 1)
