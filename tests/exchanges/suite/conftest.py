from __future__ import annotations

import pytest

from tests.exchanges.suite.registry import ALL, voice_of
from tests.exchanges.suite.talk import Talk
from tests.exchanges.suite.voice import Voice


@pytest.fixture(params=ALL)
def voice(request: pytest.FixtureRequest) -> Voice:
    """The server half of each exchange in turn."""
    return voice_of(request.param)


@pytest.fixture
def talk(voice: Voice) -> Talk:
    """One symbol's trades on a connection that is not open yet."""
    return Talk(voice)
