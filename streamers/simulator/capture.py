"""Recorded sessions: reading one, and saying what it can feed."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, DERIBIT, EXCHANGES


class UnusableCapture(Exception):
    """A recorded session cannot be played; the sentence says why."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One frame of a session."""

    time: int
    """When it was received, microseconds UTC."""
    stream: str
    data: str


class Session(msgspec.Struct, frozen=True):
    """A whole recording of one exchange, in order of receipt."""

    exchange: str
    frames: list[Recorded]
    instruments: list[dict[str, Any]]
    """As the session's own REST answers list them; empty where it has none."""


class Described(msgspec.Struct, frozen=True):
    """What ``--describe`` prints."""

    exchange: str
    symbols: list[str]
    channels: list[str]
    """By the platform's words, of what it can feed."""
    start: int
    end: int
    trades: int


class _Line(msgspec.Struct, frozen=True):
    t: int
    dir: str
    url: str | None = None
    text: str | None = None


class _Combined(msgspec.Struct, frozen=True):
    stream: str
    data: msgspec.Raw


class _Params(msgspec.Struct, frozen=True):
    channel: str
    data: msgspec.Raw


class _Notification(msgspec.Struct, frozen=True):
    params: _Params


_line = msgspec.json.Decoder(_Line)
_combined = msgspec.json.Decoder(_Combined)
_notification = msgspec.json.Decoder(_Notification)
HOSTS = {"stream.binance.com": BINANCE_SPOT, "fstream.binance.com": BINANCE_USDM, "www.deribit.com": DERIBIT}
REST_HOSTS = {"api.binance.com": BINANCE_SPOT, "fapi.binance.com": BINANCE_USDM}
CHANNELS = {
    "trade": "trade",
    "aggTrade": "aggregate_trade",
    "kline_1m": "candle",
    "bookTicker": "quote",
    "ticker": "ticker",
    "markPrice": "mark",
    "markPrice@1s": "mark",
    "forceOrder": "liquidation",
}
DERIBIT_CHANNELS = {
    "trades": "trade",
    "chart": "candle",
    "quote": "quote",
    "ticker": "ticker",
    "deribit_price_index": "index",
    "deribit_volatility_index": "volatility",
}


def exchange_of(path: Path) -> str:
    """Whose session it is: by the addresses in it, else by its folder, else by its frames."""
    lines = list(itertools.islice(_lines(path), 200))
    for line in lines:
        host = urlsplit(line.url or "").hostname or ""
        if host in HOSTS or host in REST_HOSTS:
            return HOSTS.get(host) or REST_HOSTS[host]
    if path.parent.name in EXCHANGES:
        return path.parent.name
    texts = [line.text or "" for line in lines if line.dir == "in"]
    if any('"jsonrpc"' in text for text in texts):
        return DERIBIT
    if any('"stream"' in text for text in texts):
        futures = any(
            '"pu":' in text or '"X":"MARKET"' in text or '"e":"bookTicker"' in text for text in texts
        )
        return BINANCE_USDM if futures else BINANCE_SPOT
    raise UnusableCapture(
        f"{path} does not say which exchange it was recorded from, and its frames do not show it."
    )


def read_session(path: Path) -> Session:
    """The whole session; raises UnusableCapture."""
    exchange = exchange_of(path)
    frames: list[Recorded] = []
    instruments: list[dict[str, Any]] = []
    for line in _lines(path):
        if line.text is None:
            continue
        if line.dir == "in" and (frame := _frame(exchange, line)) is not None:
            frames.append(frame)
        elif line.dir == "http":
            instruments += _instruments(line)
    return Session(exchange, frames, instruments)


def describe(path: Path) -> Described:
    """What a session holds."""
    session = read_session(path)
    symbols: dict[str, None] = {}
    channels: dict[str, None] = {}
    trades = 0
    for frame in session.frames:
        symbol, kind = split(session.exchange, frame.stream)
        table = DERIBIT_CHANNELS if session.exchange == DERIBIT else CHANNELS
        if symbol:
            symbols[symbol] = None
        if kind in table:
            channels[table[kind]] = None
        if kind in ("trade", "aggTrade"):
            trades += 1
        elif kind == "trades":
            trades += len(msgspec.json.decode(frame.data, type=list[msgspec.Raw]))
    return Described(
        session.exchange,
        sorted(symbols),
        sorted(channels),
        session.frames[0].time if session.frames else 0,
        session.frames[-1].time if session.frames else 0,
        trades,
    )


def split(exchange: str, stream: str) -> tuple[str, str]:
    """(symbol, kind) of a stream's name; the symbol is empty where it names none."""
    if exchange == DERIBIT:
        kind, _, rest = stream.partition(".")
        parts = rest.split(".")
        name = parts[1] if kind == "chart" and len(parts) > 1 else parts[0]
        return ("" if kind.startswith(("deribit_", "instrument", "platform")) else name), kind
    name, _, kind = stream.partition("@")
    return ("" if name.startswith("!") else name.upper()), kind


def _lines(path: Path) -> Iterator[_Line]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    yield _line.decode(text)
                except msgspec.DecodeError as error:
                    raise UnusableCapture(
                        f"{path} line {number} is not of a recorded session: {error}."
                    ) from error
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnusableCapture(f"The recorded session {path} cannot be read: {why}.") from error


def _frame(exchange: str, line: _Line) -> Recorded | None:
    """A frame that a stream said; None for answers to requests and the like."""
    text = line.text or ""
    try:
        if exchange == DERIBIT:
            said = _notification.decode(text).params
            return Recorded(line.t // 1000, said.channel, bytes(said.data).decode())
        combined = _combined.decode(text)
        return Recorded(line.t // 1000, combined.stream, bytes(combined.data).decode())
    except msgspec.MsgspecError:
        return None


def _instruments(line: _Line) -> list[dict[str, Any]]:
    """The rows of a recorded exchangeInfo or get_instruments."""
    path = urlsplit(line.url or "").path
    if not path.endswith(("exchangeInfo", "get_instruments")):
        return []
    body = msgspec.json.decode(line.text or "{}")
    rows = body.get("symbols") or body.get("result") or []
    return [row for row in rows if isinstance(row, dict)]
