"""The server half of USD-M's private streams: what a listenKey hears, whole or some events only.

A key that works no more is accepted all the same, and hears nothing. Events of an account wait in the hub
under its listenKey, and under ``key/EVENT`` for those who asked for some events only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from streamers.simulator.accounts.listen_keys import ListenKeys
from streamers.simulator.binance import USDM_RULES, BinanceConversation, Path, Rules
from streamers.simulator.floor import Floor
from streamers.simulator.hub import Frame, Instruction

PRIVATE: Final = "private"
EXPIRED: Final = "listenKeyExpired"


def private_path(url: str) -> Path | None:
    """The route, and as streams the keys that a handshake names; None where it is no private one."""
    parts = urlsplit(url)
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if steps[:1] != [PRIVATE] or steps[1:2] not in (["ws"], ["stream"]):
        return None
    streams = list(steps[2:])
    for name, value in parse_qsl(parts.query):
        if name == "streams":
            streams += value.split("/")
        elif name == "listenKey":
            streams.append(value)
        elif name == "events" and streams:
            key = streams.pop()
            streams += [f"{key}/{event}" for event in value.split("/") if event]
    return Path(PRIVATE, steps[1] == "stream", tuple(stream for stream in streams if stream))


class UsdmPrivateConversation(BinanceConversation):
    """One connection."""

    def __init__(
        self, keys: ListenKeys, clock: Callable[[], int], path: Path, rules: Rules = USDM_RULES
    ) -> None:
        """``clock`` tells the exchange's time in microseconds UTC."""
        super().__init__(rules, path)
        self._keys = keys
        self._clock = clock

    def wrap(self, frame: Frame) -> str:
        key = frame.stream.partition("/")[0]
        return f'{{"stream":"{key}","data":{frame.data}}}' if self.combined else frame.data

    def _subscribe(self, streams: tuple[str, ...]) -> list[Instruction]:
        for stream in streams:
            key = stream.partition("/")[0]
            self.streams[stream] = self._keys.owner(key, self._clock()) is not None
        return []


class Teller(Protocol):
    """Who says something of an account, unless a fault is at work: the desk."""

    floor: Floor

    def say(self, account: str, stream: str, text: str) -> None: ...


class UsdmFeed:
    """Says what happens to accounts to those who hold their listenKeys."""

    def __init__(self, teller: Teller, keys: ListenKeys) -> None:
        self.keys = keys
        self._teller = teller

    def say(self, account: str, event: str, text: str) -> None:
        """Say one event; nobody hears it where the account has no key."""
        key = self.keys.of(account)
        for stream in self._streams(key or "", event):
            self._teller.say(account, stream, text)

    def lapse(self, now: int) -> None:
        """Say goodbye to the keys whose hour is over."""
        for _, key in self.keys.lapsed(now):
            self._goodbye(key, now)

    def end(self, account: str, now: int) -> bool:
        """Take an account's key away before its time; whether there was one."""
        key = self.keys.end(account)
        if key is not None:
            self._goodbye(key, now)
        return key is not None

    def _goodbye(self, key: str, now: int) -> None:
        for stream in self._streams(key, EXPIRED):
            text = f'{{"e":"{EXPIRED}","E":{now // 1000},"listenKey":"{key}"}}'
            self._teller.floor.hub.say(stream, text)

    def _streams(self, key: str, event: str) -> list[str]:
        """The key's end is told to everybody, whatever events they asked for."""
        told = []
        for stream in self._teller.floor.hub.heard():
            name, _, wanted = stream.partition("/")
            if name == key and (not wanted or event in (wanted, EXPIRED)):
                told.append(stream)
        return told
