from __future__ import annotations

from trade_platform.domain.defences import Defence
from trade_platform.settings import settings_from


def test_each_can_be_named_in_the_setting() -> None:
    assert settings_from({"WITHOUT": ",".join(Defence)}).without == set(Defence)
