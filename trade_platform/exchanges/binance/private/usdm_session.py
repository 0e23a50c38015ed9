"""USD-M's private conversation: a listenKey is had by REST, connected to, and kept alive.

The account has one key, whoever asks for it: it is extended here and never deleted, because a sibling may
listen to it. There is no sequence and no replay: what passes unheard is read by REST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from trade_platform.domain.accounts import AccountNote, AccountRecord, NoteKind, OrderEvent
from trade_platform.domain.model import MINUTE
from trade_platform.exchanges.account import AccountOutput, Obtain, PrivateRequest, Ready
from trade_platform.exchanges.binance.private import usdm_notes, usdm_records, wire
from trade_platform.exchanges.binance.private.asking import Asking
from trade_platform.exchanges.binance.private.parents import Parents
from trade_platform.exchanges.binance.private.refusals import (
    AGAIN_SECONDS,
    GONE,
    RATE,
    RATE_STATUS,
    outputs_of,
    refusal_of,
)
from trade_platform.exchanges.binance.private.signing import MILLISECOND
from trade_platform.exchanges.binance.wire import SHUTDOWN, Answer
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect
from trade_platform.exchanges.tally import Tally

LISTEN_KEY_PATH: Final = "/fapi/v1/listenKey"
RENEW_EVERY: Final = 30 * MINUTE
"""Market microseconds; a key lives for an hour, and "about every 60 minutes" is too late."""
RETRY_AFTER: Final = MINUTE
"""When a renewal failed."""
PROBE: Final = "LIST_SUBSCRIPTIONS"
EXPIRED: Final = "listenKeyExpired"
ALGO_UPDATE: Final = "ALGO_UPDATE"
ORDER: Final = "ORDER_TRADE_UPDATE"

EVENTS: Final[Mapping[str, Callable[[msgspec.Raw, int], Sequence[AccountRecord]]]] = {
    "ACCOUNT_UPDATE": usdm_records.account_update,
    "MARGIN_CALL": usdm_notes.margin_call,
    "ACCOUNT_CONFIG_UPDATE": usdm_notes.configuration,
}
READ: Final = (ORDER, "ACCOUNT_UPDATE", ALGO_UPDATE, "MARGIN_CALL", "ACCOUNT_CONFIG_UPDATE", EXPIRED)
"""Events that are asked for. TRADE_LITE is not: it says again, and less, what an order's update says."""
KNOWN: Final = frozenset({"TRADE_LITE", "STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT"})


class Key(msgspec.Struct, gc=False, rename={"text": "listenKey"}):
    text: str = ""


_key = msgspec.json.Decoder(Key).decode
_answer = msgspec.json.Decoder(Answer).decode
_plain = msgspec.json.Decoder(wire.Plain).decode


class UsdmAccountSession:
    """Implements ``exchanges.account.AccountSession``."""

    def __init__(self) -> None:
        tally = Tally()
        self.ignored: dict[str, int] = tally
        self.listen_key = ""
        self._tally = tally
        self._asking = Asking(PROBE)
        self._parents = Parents()
        self._live = False
        self._renew_at: int | None = None
        """Market time; None before the key is used."""

    @property
    def live(self) -> bool:
        return self._live

    def before(self, now: float, receive_time: int) -> Sequence[AccountOutput]:  # noqa: ARG002
        """A key that works already is told again, and extended."""

        def failed(sentence: str) -> Sequence[AccountOutput]:
            return outputs_of(refusal_of(sentence), "listenKey", receive_time)

        return (Obtain(request=_request("POST"), then=self._obtained, failed=failed),)

    def opened(self, now: float, receive_time: int) -> Sequence[AccountOutput]:  # noqa: ARG002
        """Whoever connects by a key is subscribed by that."""
        self._live = True
        self._renew_at = receive_time + RENEW_EVERY
        return (Ready(receive_time),)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[AccountOutput]:
        self._asking.heard()
        try:
            event = wire.event_of(text)
            if event is not None:
                return self._event(event, receive_time)
            if not self._asking.answered(_answer(text).id):
                self._tally.note("answer to nothing asked")
            return ()
        except wire.UNREADABLE as error:
            raise ProtocolViolation(f"not a message of an account: {error}"[:300]) from error

    def due(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        if self._renew_at is None:
            return ()
        outputs: list[AccountOutput] = [*self._asking.due(now)]
        if receive_time >= self._renew_at:
            self._renew_at = receive_time + RENEW_EVERY
            outputs.append(self._renewal(receive_time))
        return outputs

    # The key

    def _obtained(self, body: bytes) -> Sequence[AccountOutput]:
        text = _key_in(body)
        if not text:
            return (Reconnect(Reason.PROTOCOL, "an answer without a listenKey", AGAIN_SECONDS),)
        self.listen_key = text
        return ()

    def _renewal(self, receive_time: int) -> Obtain:
        def then(body: bytes) -> Sequence[AccountOutput]:
            """Newer servers tell the key; another than ours means that nothing comes by ours."""
            text = _key_in(body)
            return self._ended("another listenKey", receive_time) if text not in ("", self.listen_key) else ()

        def failed(sentence: str) -> Sequence[AccountOutput]:
            refusal = refusal_of(sentence)
            if refusal.code == GONE:
                return self._ended("no such listenKey", receive_time)
            if refusal.of_key:
                self._live = False
                return outputs_of(refusal, "listenKey", receive_time)
            quiet = refusal.code == RATE or refusal.status in RATE_STATUS
            self._renew_at = receive_time + (5 if quiet else 1) * RETRY_AFTER
            return ()

        return Obtain(request=_request("PUT"), then=then, failed=failed)

    def _ended(self, text: str, receive_time: int, event_time: int | None = None) -> Sequence[AccountOutput]:
        self._live = False
        at = receive_time if event_time is None else event_time
        return (AccountNote(NoteKind.ENDED, text, at, receive_time), Reconnect(Reason.CLOSED, text))

    # What is told

    def _event(self, event: wire.Event, receive_time: int) -> Sequence[AccountOutput]:
        if event.name == ORDER:
            return [
                self._parents.child(one) if isinstance(one, OrderEvent) else one
                for one in usdm_records.order_trade_update(event.body, receive_time)
            ]
        if event.name == ALGO_UPDATE:
            order, made = usdm_notes.algo_update(event.body, receive_time)
            return [order, *(self._parents.made(order, made, ALGO_UPDATE) if made else ())]
        if event.name == EXPIRED:
            if not self._live:
                return ()  # said already
            return self._ended(EXPIRED, receive_time, _plain(event.body).time * MILLISECOND)
        if event.name == SHUTDOWN:
            return (Reconnect(Reason.SHUTDOWN, SHUTDOWN),)
        read = EVENTS.get(event.name)
        if read is None:
            self._tally.note(event.name if event.name in KNOWN else f"{event.name} (unknown)")
            return ()
        return read(event.body, receive_time)


def _request(method: str) -> PrivateRequest:
    return PrivateRequest(path=LISTEN_KEY_PATH, method=method, signed=False)


def _key_in(body: bytes) -> str:
    """Empty where the answer names none."""
    try:
        return _key(body).text
    except wire.UNREADABLE:
        return ""
