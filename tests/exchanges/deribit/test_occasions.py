from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trade_platform.exchanges.deribit.occasions import occasion


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-05-19T09:00", "release"),
        ("2026-05-19T09:44", "release"),
        ("2026-05-19T09:45", ""),
        ("2026-05-19T08:59", ""),
        ("2026-05-20T09:10", ""),
        ("2026-05-19T08:00", "settlement"),
        ("2026-05-23T08:00", "settlement"),
        ("2026-05-23T08:01", ""),
    ],
)
def test_releases_are_on_tuesdays_and_settlement_is_every_day(text: str, said: str) -> None:
    time = datetime.fromisoformat(text).replace(tzinfo=UTC)
    found = occasion(int(time.timestamp()) * 1_000_000)
    assert found.startswith(said)
    assert bool(found) is bool(said)
