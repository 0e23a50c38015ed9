"""listenKeys: one per account, an hour long."""

from __future__ import annotations

import pytest

from streamers.simulator.accounts.listen_keys import LIFE, ListenKeys
from streamers.simulator.binance_parameters import Refused


def test_a_key_is_shared_and_extended_until_its_hour_is_over() -> None:
    keys = ListenKeys()
    key = keys.obtain("main", 0)
    assert keys.obtain("main", LIFE - 1) == key
    assert keys.extend("main", 2 * LIFE - 2) == key
    assert keys.obtain("other", 0) != key
    assert keys.owner(key, 3 * LIFE - 3) == "main"
    assert keys.owner(key, 3 * LIFE - 2) is None
    assert ("main", key) in list(keys.lapsed(3 * LIFE - 2))
    assert list(keys.lapsed(4 * LIFE)) == []
    assert keys.obtain("main", 4 * LIFE) != key


def test_whoever_asks_when_the_hour_is_over_gets_another_key() -> None:
    keys = ListenKeys()
    key = keys.obtain("main", 0)
    with pytest.raises(Refused):
        keys.extend("main", LIFE)
    assert keys.obtain("main", LIFE) != key


def test_a_key_that_ended_cannot_be_extended() -> None:
    keys = ListenKeys()
    assert keys.end("main") is None
    key = keys.obtain("main", 0)
    assert keys.end("main") == key
    assert keys.owner(key, 0) is None
    with pytest.raises(Refused) as refused:
        keys.extend("main", 0)
    assert refused.value.code == -1125
