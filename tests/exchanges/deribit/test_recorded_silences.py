"""Recorded tickers of options: thin ones are not given up, and one that moves is, cut at any moment."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.replay import Frame, Replay, Shown
from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.session import ConnectionPlan, Reason, Reconnect, Request, Send, Session

SESSIONS = ["2021-04-05_ten_options_ticker_book", "2021-07-22_ten_options_ticker_book"]
HEARTBEAT = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'
TOLD = ("best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount")


def acknowledge(session: Session, outputs: Sequence[Any]) -> None:
    """Every subscribe call among the outputs is granted."""
    for output in outputs:
        call = json.loads(output.text) if isinstance(output, Send) else {}
        if call.get("method") == "public/subscribe":
            answer = {"jsonrpc": "2.0", "id": call["id"], "result": call["params"]["channels"]}
            session.receive(json.dumps(answer), 0)


class Recorded:
    """One session of the captures, and what REST would have said meanwhile."""

    def __init__(self, path: Path) -> None:
        self.shown: dict[str, Shown] = defaultdict(lambda: Shown([], []))
        frames: list[Frame] = []
        start = 0
        with gzip.open(path, "rt", encoding="utf-8") as file:
            recorded = [json.loads(line) for line in file]
        for line in recorded:
            if line["dir"] != "in" or '"ticker.' not in line["text"]:
                continue
            start = start or line["t"]
            at = (line["t"] - start) / 1e9
            message = json.loads(line["text"])
            if "params" not in message:
                continue
            symbol, data = message["params"]["data"]["instrument_name"], message["params"]["data"]
            text = line["text"].replace(f"ticker.{symbol}.raw", f"ticker.{symbol}.100ms")
            frames.append((at, line["t"] // 1000, f"ticker.{symbol}.100ms", text))
            self.shown[symbol].times.append(at)
            self.shown[symbol].bodies.append(json.dumps({"jsonrpc": "2.0", "result": data}).encode())
        self.seconds = frames[-1][0]
        beats = [(8.0 * n, start // 1000, "", HEARTBEAT) for n in range(200)]
        self.frames = sorted([*frames, *beats])

    def answer(self, request: Request, now: float) -> bytes:
        """The newest by then; before the first message, the first."""
        shown = self.shown[str(request.query["instrument_name"])]
        return shown.at(now) or shown.bodies[0]

    def replay(self, **options: Any) -> Replay:
        wanted = tuple(Wanted(symbol, Channel.TICKER) for symbol in self.shown)
        plan = ConnectionPlan(name="market-0", path="/ws/api/v2", wanted=wanted)
        session = Deribit(testnet=None).session(plan, quote_interval=1_000_000)
        acknowledge(session, session.opened(0.0))
        return Replay(session, self.frames, self.answer, say=acknowledge, **options)

    def told(self, symbol: str, now: float) -> list[Any]:
        """What a ticker tells of its market at a time."""
        data = json.loads(self.shown[symbol].at(now) or self.shown[symbol].bodies[0])["result"]
        return [data[name] for name in TOLD]

    def moves(self, symbol: str, since: float, until: float) -> bool:
        """Whether another book than the last that was told stood whenever REST may be asked."""
        last = self.told(symbol, since)
        looks = [since + quarter / 4 for quarter in range(1, int(4 * (until - since)))]
        return until < self.seconds and all(self.told(symbol, at) != last for at in looks[4:])


@cache
def _recorded(path: Path) -> Recorded:
    return Recorded(path)


@pytest.fixture
def recorded(captures: Path) -> Callable[[str], Recorded]:
    return lambda name: _recorded(captures / "deribit" / f"{name}.jsonl.gz")


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("answer_seconds", [0.0, 2.0])
def test_no_recorded_session_is_given_up_and_none_when_its_market_rests_afterwards(
    name: str, answer_seconds: float, recorded: Callable[[str], Recorded]
) -> None:
    one = recorded(name)
    replay = one.replay(answer_seconds=answer_seconds)
    assert replay.run(one.seconds + 300.0) is None
    assert replay.looks
    assert replay.session.live


def test_a_ticker_that_moves_is_found_by_its_own_rhythm_at_whatever_moment_it_is_cut(
    recorded: Callable[[str], Recorded],
) -> None:
    """None of the recorded is busy: they speak every three seconds or less, so that this is their limit."""
    one = recorded(SESSIONS[0])
    found = 0
    for cut_at in range(20, 90, 5):
        for symbol in one.shown:
            hung = f"ticker.{symbol}.100ms"
            replay = one.replay(cut=frozenset((hung,)), cut_at=float(cut_at))
            assert replay.run(cut_at) is None
            doubt = replay.session.subscriptions[hung].doubt_seconds
            assert doubt is not None
            until = cut_at + doubt + 7.0
            if one.moves(symbol, cut_at, until):
                end = replay.run(until)
                assert isinstance(end, Reconnect)
                assert (end.reason, end.detail.startswith(hung)) == (Reason.CHANNEL_SILENT, True)
                found += 1
    assert found >= 4
