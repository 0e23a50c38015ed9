"""Spot's private conversation over the WebSocket API, in which one subscribes by signature or logs on.

There is no sequence and no replay: what passes while nobody is subscribed is read by REST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from trade_platform.domain.accounts import AccountNote, AccountRecord, Movement, NoteKind
from trade_platform.exchanges.account import AccountOutput, Algorithm, KeyFacts, Ready, Sign, Signed
from trade_platform.exchanges.binance.private import spot_records, wire
from trade_platform.exchanges.binance.private.asking import Asking
from trade_platform.exchanges.binance.private.explaining import Explaining
from trade_platform.exchanges.binance.private.refusals import AGAIN_SECONDS, Refusal, outputs_of
from trade_platform.exchanges.binance.private.signing import MILLISECOND, api_text
from trade_platform.exchanges.binance.wire import SHUTDOWN
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect
from trade_platform.exchanges.tally import Tally

LOGON: Final = "session.logon"
SUBSCRIBE: Final = "userDataStream.subscribe"
SUBSCRIBE_SIGNED: Final = "userDataStream.subscribe.signature"
LIST: Final = "session.subscriptions"
BALANCE_UPDATE: Final = "balanceUpdate"
ENDED: Final = "eventStreamTerminated"
LIVE_SECONDS: Final = 30.0
"""Longest way from the open socket to a subscription."""
SAID_TWICE: Final = frozenset({"listStatus", "outboundAccountInfo"})
"""Each order of a list speaks for itself; the other is gone since 2020."""

EVENTS: Final[Mapping[str, Callable[[msgspec.Raw, int], Sequence[AccountRecord]]]] = {
    "executionReport": spot_records.execution_report,
    "outboundAccountPosition": spot_records.account_position,
    BALANCE_UPDATE: spot_records.balance_update,
    "externalLockUpdate": spot_records.external_lock,
}


class Subscribed(msgspec.Struct, gc=False, rename={"number": "subscriptionId"}):
    number: int | None = None


_answer = msgspec.json.Decoder(wire.ApiAnswer).decode
_rate = msgspec.json.Decoder(wire.RateFault).decode
_subscribed = msgspec.json.Decoder(Subscribed).decode
_list = msgspec.json.Decoder(list[Subscribed]).decode
_plain = msgspec.json.Decoder(wire.Plain).decode


class SpotAccountSession:
    """Implements ``exchanges.account.AccountSession``."""

    def __init__(self, key: KeyFacts) -> None:
        tally = Tally()
        self.ignored: dict[str, int] = tally
        self.listen_key = ""
        self._tally = tally
        self._key = key
        self._asking = Asking(LIST)
        self._explaining = Explaining()
        self._live = False
        self._subscription: int | None = None
        self._opened: float | None = None

    @property
    def live(self) -> bool:
        return self._live

    def before(self, now: float, receive_time: int) -> Sequence[AccountOutput]:  # noqa: ARG002
        return ()

    def opened(self, now: float, receive_time: int) -> Sequence[AccountOutput]:  # noqa: ARG002
        """Only keys of Ed25519 can log on; any key can sign a subscription."""
        self._opened = now
        method = LOGON if self._key.algorithm is Algorithm.ED25519 else SUBSCRIBE_SIGNED
        purpose = "login" if method == LOGON else "subscribe"

        def prepare(key: KeyFacts, at: int, nonce: str) -> str:  # noqa: ARG001
            return api_text(_params(key, at))

        def then(signed: Signed) -> Sequence[AccountOutput]:
            params = {**_params(signed.key, signed.at), "signature": signed.signature}
            return (self._asking.ask(method, params),)

        return (Sign(purpose=purpose, prepare=prepare, then=then, failed=_unsigned),)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[AccountOutput]:
        self._asking.heard()
        try:
            event = wire.event_of(text)
            if event is not None:
                return self._event(event, receive_time)
            return self._answered(_answer(text), receive_time)
        except wire.UNREADABLE as error:
            raise ProtocolViolation(f"not a message of an account: {error}"[:300]) from error

    def due(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        if self._opened is None:
            return ()
        if not self._live and now - self._opened > LIVE_SECONDS:
            return (Reconnect(Reason.NEVER_DELIVERED, "no subscription to the account"),)
        return [*self._asking.due(now), *self._explaining.due(receive_time)]

    def _event(self, event: wire.Event, receive_time: int) -> Sequence[AccountOutput]:
        if event.name == ENDED:
            self._live = False
            time = _plain(event.body).time * MILLISECOND
            note = AccountNote(NoteKind.ENDED, ENDED, time, receive_time)
            return (note, Reconnect(Reason.CLOSED, ENDED))
        if event.name == SHUTDOWN:
            return (Reconnect(Reason.SHUTDOWN, SHUTDOWN),)
        read = EVENTS.get(event.name)
        if read is None:
            self._tally.note(event.name if event.name in SAID_TWICE else f"{event.name} (unknown)")
            return ()
        records = read(event.body, receive_time)
        if event.name == BALANCE_UPDATE:
            return [
                output
                for one in records
                if isinstance(one, Movement)
                for output in self._explaining.explain(one)
            ]
        return records

    def _answered(self, answer: wire.ApiAnswer, receive_time: int) -> Sequence[AccountOutput]:
        method = self._asking.answered(answer.id)
        if answer.error is not None or answer.status >= 400:
            fault = answer.error or wire.ApiFault()
            return self._refused(method, answer, fault, receive_time)
        if method == LOGON:
            return (self._asking.ask(SUBSCRIBE),)
        if method in (SUBSCRIBE, SUBSCRIBE_SIGNED):
            self._subscription = _subscribed(answer.result).number if answer.result else None
            self._live = True
            return (Ready(receive_time),)
        if method == LIST:
            return self._listed(answer.result, receive_time)
        self._tally.note("answer to nothing asked")
        return ()

    def _listed(self, result: msgspec.Raw, receive_time: int) -> Sequence[AccountOutput]:
        """An open socket proves nothing: the subscription itself must still be there."""
        held = {one.number for one in _list(result)} if result else set()
        if not self._live or self._subscription in held or (self._subscription is None and held):
            return ()
        self._live = False
        note = AccountNote(NoteKind.ENDED, "no longer subscribed", receive_time, receive_time)
        return (note, Reconnect(Reason.SESSION_SILENT, "the subscription is not listed any more"))

    def _refused(
        self, method: str, answer: wire.ApiAnswer, fault: wire.ApiFault, receive_time: int
    ) -> Sequence[AccountOutput]:
        """An error without a number is about the key, or belongs to the oldest open request."""
        rate = _rate(fault.data) if bytes(fault.data)[:1] == b"{" else wire.RateFault()
        refusal = Refusal(
            code=fault.code,
            status=answer.status,
            text=f"{fault.code}: {fault.msg}",
            wait_seconds=max(0, rate.retryAfter - rate.serverTime) / 1000 if rate.serverTime else 0.0,
        )
        if not refusal.of_key:
            method = method or self._asking.oldest()
            if method in ("", LIST):  # nothing hangs on it, and somebody answered
                self._tally.note(f"error {fault.code}")
                return ()
        self._live = False
        return outputs_of(refusal, method or "account", receive_time)


def _params(key: KeyFacts, at: int) -> dict[str, str | int]:
    return {"apiKey": key.key_id, "timestamp": at // MILLISECOND}


def _unsigned(sentence: str) -> Sequence[AccountOutput]:
    """Nobody refused the key: there is nobody just now who signs."""
    return (Reconnect(Reason.UNREACHABLE, f"cannot sign: {sentence}"[:300], AGAIN_SECONDS),)
