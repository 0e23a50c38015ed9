"""What we ask the server for and what it answers: paced requests, answers compared with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from trade_platform.exchanges.binance.wire import Answer
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Output, Reason, Reconnect, Send
from trade_platform.exchanges.tally import Tally

BATCH: Final = 100
"""Streams named in one request."""
ANSWER_SECONDS: Final = 10.0

SUBSCRIBE: Final = "SUBSCRIBE"
UNSUBSCRIBE: Final = "UNSUBSCRIBE"
LIST: Final = "LIST_SUBSCRIPTIONS"

_names = msgspec.json.Decoder(list[str])


class _Asked(msgspec.Struct, frozen=True):
    method: str
    names: tuple[str, ...]
    at: float


class Conversation:
    """Subscribes and unsubscribes within the exchange's message rate, and proves that it was done.

    Every request is numbered and must be answered. After the last SUBSCRIBE the server is asked for
    its list, which must name all that it acknowledged: it acknowledges anything.
    """

    def __init__(
        self, subscriptions: Mapping[str, Subscription], tally: Tally, interval_seconds: float
    ) -> None:
        self._subscriptions = subscriptions
        self._tally = tally
        self._interval = interval_seconds
        self._joining: dict[str, None] = {}
        self._leaving: dict[str, None] = {}
        self._asked: dict[int, _Asked] = {}
        self._streams: dict[str, None] = {}
        """Acknowledged as subscribed; what is polled by REST is none of the server's streams."""
        self._unlisted = False
        self._free_at = 0.0
        self._last_id = 0

    def subscribe(self, names: Iterable[str]) -> None:
        """Names that are to be asked for; what was to be left is not left."""
        for name in names:
            self._leaving.pop(name, None)
            self._joining[name] = None

    def unsubscribe(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._joining:
                del self._joining[name]
            else:
                self._leaving[name] = None

    def speak(self, now: float) -> Sequence[Output]:
        """The next request, if there is one and the message rate allows it."""
        for asked in self._asked.values():
            if now - asked.at > ANSWER_SECONDS:
                return (Reconnect(Reason.NEVER_DELIVERED, f"no answer to {asked.method}"),)
        if now < self._free_at:
            return ()
        if self._leaving:
            names = _take(self._leaving)
            for name in names:
                self._streams.pop(name, None)
            return self._ask(UNSUBSCRIBE, names, now)
        if self._joining:
            names = _take(self._joining)
            for name in names:
                self._subscriptions[name].requested(now)
            return self._ask(SUBSCRIBE, names, now)
        if self._unlisted and not self._asked:
            self._unlisted = False
            return self._ask(LIST, tuple(self._streams), now)
        return ()

    def answer(self, answer: Answer) -> Sequence[Output]:
        """Compare an answer with the request that it belongs to."""
        asked = self._asked.pop(answer.id, None) if isinstance(answer.id, int) else None
        if answer.error is not None:
            return self._refused(asked, answer.error.code, answer.error.msg)
        if answer.code is not None:
            return self._refused(asked, answer.code, answer.msg)
        if asked is None:
            self._tally.note("answer to nothing asked")
            return ()
        if asked.method == LIST:
            return self._listed(asked, bytes(answer.result))
        if bytes(answer.result) != b"null":
            return (_refusal(asked, f"answered {bytes(answer.result)[:80]!r}"),)
        if asked.method == SUBSCRIBE:
            self._unlisted = True
            self._streams.update(dict.fromkeys(asked.names))
            for name in asked.names:
                if name in self._subscriptions:
                    self._subscriptions[name].acknowledged = True
        return ()

    def _ask(self, method: str, names: tuple[str, ...], now: float) -> Sequence[Output]:
        self._last_id += 1
        self._free_at = now + self._interval
        self._asked[self._last_id] = _Asked(method, names, now)
        request: dict[str, object] = {"method": method, "id": self._last_id}
        if method != LIST:
            request["params"] = names
        return (Send(msgspec.json.encode(request).decode()),)

    def _refused(self, asked: _Asked | None, code: int, message: str) -> Sequence[Output]:
        """An error without an id belongs to the oldest request that waits for its answer."""
        if asked is None and self._asked:
            asked = self._asked.pop(next(iter(self._asked)))
        if asked is None or asked.method == LIST:
            # Nothing hangs on it: the first data of each channel is demanded in any case.
            self._tally.note(f"error {code}")
            return ()
        return (_refusal(asked, f"{code}: {message}"),)

    def _listed(self, asked: _Asked, result: bytes) -> Sequence[Output]:
        held = set(_names.decode(result))
        missing = [name for name in asked.names if name not in held and name in self._subscriptions]
        if not missing:
            return ()
        return (Reconnect(Reason.SUBSCRIBE_REFUSED, f"acknowledged but not listed: {_some(missing)}"[:300]),)


def _refusal(asked: _Asked, detail: str) -> Reconnect:
    return Reconnect(Reason.SUBSCRIBE_REFUSED, f"{asked.method} {_some(asked.names)}: {detail}"[:300])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _take(names: dict[str, None]) -> tuple[str, ...]:
    """Remove and return the first batch."""
    batch = tuple(names)[:BATCH]
    for name in batch:
        del names[name]
    return batch
