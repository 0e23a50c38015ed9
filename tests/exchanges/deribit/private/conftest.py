"""A private conversation, its exchange played by hand."""

from __future__ import annotations

import pytest

from tests.exchanges.deribit.private.talking import Conversation


@pytest.fixture
def talk() -> Conversation:
    """Not opened yet."""
    return Conversation()


@pytest.fixture
def live() -> Conversation:
    """Logged in, subscribed and acknowledged."""
    return Conversation().start()
