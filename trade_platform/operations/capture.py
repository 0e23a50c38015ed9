"""A recorded session as something to record again: what is in it, and the selection that asks for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec


class CaptureUnusable(Exception):
    """A recorded session cannot be replayed; the sentence says why."""


class Capture(msgspec.Struct, frozen=True):
    """What the simulator says of a recorded session (``--describe``)."""

    exchange: str
    symbols: list[str]
    channels: list[str]
    start: int
    """Receive time of the first frame, microseconds UTC."""
    end: int
    trades: int


def describe(path: Path) -> Capture:
    """Ask the simulator, which alone reads recorded sessions; raises CaptureUnusable."""
    if not path.is_file():
        raise CaptureUnusable(f"{path} is not a file: name a recorded session (.jsonl or .jsonl.gz).")
    answer = subprocess.run(
        [sys.executable, "-m", "streamers.simulator", "--describe", str(path)],
        capture_output=True,
        check=False,
    )
    try:
        capture = msgspec.json.decode(answer.stdout, type=Capture)
    except msgspec.DecodeError:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        raise CaptureUnusable(said[-1] if said else f"{path} is no recorded session.") from None
    if not capture.symbols or not capture.channels:
        raise CaptureUnusable(f"{path} holds no trades, candles, quotes or tickers that could be recorded.")
    return capture


def write_selection(captures: Sequence[Capture], path: Path) -> None:
    """An instruments file that asks for everything that the sessions can feed."""
    tables = [
        "[[record]]\n"
        f"exchange = {_quoted([capture.exchange])[1:-1]}\n"
        f"symbols = {_quoted([_literal(symbol) for symbol in capture.symbols])}\n"
        f"channels = {_quoted(capture.channels)}\n"
        for capture in captures
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["quote_interval_ms = 1000", *tables]), encoding="utf-8")
    except OSError as error:
        raise CaptureUnusable(
            f"{path} cannot be written ({error.strerror}): set DATA_FOLDER to a folder of yours."
        ) from error


def _quoted(words: Sequence[str]) -> str:
    return msgspec.json.encode(list(words)).decode()


def _literal(symbol: str) -> str:
    """A shell pattern that means the symbol itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in symbol)
