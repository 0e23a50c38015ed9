from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from trade_platform.vault.secret import HIDDEN, Secret

CANARY = "canary-4f1d"


@pytest.mark.parametrize(
    "shown",
    [repr, str, lambda secret: f"{secret}", lambda secret: f"{secret!r:>40}", lambda secret: f"{[secret]}"],
)
def test_no_way_of_printing_shows_it(shown: object) -> None:
    text = shown(Secret(CANARY))  # type: ignore[operator]
    assert CANARY not in text
    assert HIDDEN in text


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode])
def test_it_is_not_copied_to_another_place(taken: object) -> None:
    with pytest.raises(TypeError):
        taken(Secret(CANARY))  # type: ignore[operator]


def test_neither_a_log_nor_a_traceback_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("test").warning("with %s and %r", secret, {"secret": secret})
    assert CANARY not in caplog.text
    with pytest.raises(TypeError) as caught:
        secret + secret
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "Secret(***)" in "".join(told.format())
    assert CANARY not in "".join(told.format())


def test_it_is_given_to_who_asks_by_name_and_overwritten_when_it_is_left() -> None:
    with Secret(CANARY) as secret:
        assert secret.reveal() == CANARY.encode()
        held = secret._bytes
    assert (len(secret), bytes(held)) == (0, b"")
    secret.forget()


def test_secrets_are_compared_and_never_a_dictionary_s_key() -> None:
    assert Secret("one") == Secret(b"one") != Secret("other")
    assert Secret("one") != "one"
    with pytest.raises(TypeError):
        hash(Secret("one"))
