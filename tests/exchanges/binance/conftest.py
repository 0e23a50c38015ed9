"""Recorded frames, and sessions that were opened and acknowledged as a server would."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import ConnectionPlan, Send

EXCHANGES = {"binance_spot": BinanceSpot(), "binance_usdm": BinanceUsdm()}


@pytest.fixture(scope="session")
def frames(captures: Path) -> Callable[[str], list[tuple[int, str]]]:
    """(receive time in µs, text) of all frames that a recorded session received."""

    def read(name: str) -> list[tuple[int, str]]:
        return [(line["t"] // 1000, line["text"]) for line in lines(captures / name) if line["dir"] == "in"]

    return read


@pytest.fixture(scope="session")
def answers(captures: Path) -> Callable[[str, str], list[bytes]]:
    """Bodies of a recorded session's REST answers whose address contains a word."""

    def read(name: str, word: str) -> list[bytes]:
        return [
            line["text"].encode()
            for line in lines(captures / name)
            if line["dir"] == "http" and word in (line["url"] or "")
        ]

    return read


def lines(path: Path) -> Iterator[dict]:
    with gzip.open(path.with_name(path.name + ".jsonl.gz"), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


@pytest.fixture
def session() -> Callable[..., BinanceSession]:
    """A session that wants these, not opened yet: ``session("binance_spot", ("BTCUSDT", Channel.TRADE))``."""

    def make(key: str, *wanted: tuple[str, Channel], quote_interval: int = 0) -> BinanceSession:
        plan = ConnectionPlan(name="all-0", path="/", wanted=tuple(Wanted(*one) for one in wanted))
        return EXCHANGES[key].session(plan, quote_interval=quote_interval)

    return make


@pytest.fixture
def subscribed(session: Callable[..., BinanceSession]) -> Callable[..., BinanceSession]:
    """The same, opened at 0.0 and acknowledged by a server that lists all it was asked for."""

    def make(key: str, *wanted: tuple[str, Channel], quote_interval: int = 0) -> BinanceSession:
        made = session(key, *wanted, quote_interval=quote_interval)
        acknowledge(made, made.opened(0.0))
        return made

    return make


def acknowledge(session: BinanceSession, outputs: Iterable[object]) -> list[dict]:
    """Answer every request among the outputs as the exchange does; the requests are returned."""
    requests = [json.loads(output.text) for output in outputs if isinstance(output, Send)]
    for request in requests:
        streams = [name for name in session.subscriptions if not name.endswith("@openInterest")]
        result = streams if request["method"] == "LIST_SUBSCRIPTIONS" else None
        assert session.receive(json.dumps({"result": result, "id": request["id"]}), 0) == ()
    return requests


@pytest.fixture
def acknowledging() -> Callable[[BinanceSession, Iterable[object]], list[dict]]:
    return acknowledge
