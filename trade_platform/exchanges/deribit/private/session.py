"""One private conversation with Deribit: log in, subscribe to all that the account does, keep both alive.

It asks for a login of ``connection`` scope (see ``permissions.SCOPE``): a signature for every socket, and no
token that would outlive it. Orders and money are told by notifications without a number, so nothing here can
know what did not arrive; whoever holds the session reads each interval of blindness again by REST.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from trade_platform.domain.accounts import AccountNote, NoteKind
from trade_platform.exchanges.account import AccountOutput, Ready, Sign, Signed
from trade_platform.exchanges.amounts import SHORT_TEXT, has_endless_number
from trade_platform.exchanges.deribit import wire as public
from trade_platform.exchanges.deribit.private import notifications, permissions, signing, wire
from trade_platform.exchanges.deribit.private.calls import Call, Calls
from trade_platform.exchanges.deribit.private.refusals import REFUSED_SECONDS, Do, Verdict, verdict_of
from trade_platform.exchanges.deribit.private.ties import Ties
from trade_platform.exchanges.deribit.session import (
    HEARTBEAT,
    HEARTBEAT_AGAIN_SECONDS,
    SILENT_SECONDS,
    TEST,
    WRONG_NETWORK_SECONDS,
)
from trade_platform.exchanges.deribit.subscribing import HEARTBEAT_ID, TEST_ID
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect, Send
from trade_platform.exchanges.tally import Tally

LOGIN_SECONDS: Final = 15.0
"""How long a signature may take."""
UNSIGNED_SECONDS: Final = 5.0
RENEW_SHARE: Final = 0.8
"""Of a login's lifetime."""
SHORTEST_RENEWAL_SECONDS: Final = 5.0
CHECK_SECONDS: Final = 30.0
"""So often is asked whether the login still counts."""
CHECKED_CURRENCY: Final = "BTC"
REFUSED_AGAIN_SECONDS: Final = 30.0


class DeribitAccountSession:
    """Logged in, subscribed and acknowledged is ``live``; whatever else happens ends in a Reconnect."""

    def __init__(
        self,
        *,
        testnet: bool | None = False,
        welcome: Sequence[str] = notifications.WELCOME,
    ) -> None:
        self._ignored = Tally()
        self.ignored: dict[str, int] = self._ignored
        self.listen_key = ""
        self._testnet = testnet
        self._channels = (*notifications.DEMANDED, *welcome)
        self._now = 0.0
        """Monotonic time as of the last ``opened`` or ``due``."""
        self._frames = 0
        self._frames_noted = 0
        self._heard_at = 0.0
        self._heartbeat_again: float | None = None
        self._signing_since: float | None = None
        self._calls = Calls()
        self._ties = Ties()
        self._again_logged_in = False
        self._refresh_token = ""
        self._renew_at: float | None = None
        self._check_at: float | None = None
        self._checked = 0
        """Market time at which the last question of that kind was said."""
        self.proven = 0
        """Market time until which all private messages were heard for sure: heartbeats need no login."""
        self._warned = False
        self._open = False
        self._ready = False
        self._ended = False

    @property
    def live(self) -> bool:
        return self._ready and not self._ended

    def before(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        """Nothing: who we are is said on the socket itself."""
        del now, receive_time
        return ()

    def opened(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        del receive_time
        self._open = True
        self._now = self._heard_at = now
        return [HEARTBEAT, self._sign()]

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[AccountOutput]:
        self._frames += 1
        if len(text) > SHORT_TEXT and has_endless_number(text):
            raise ProtocolViolation("a number that goes on and on")
        try:
            frame = public.read_frame(text)
            params = frame.params
            if params is not None and frame.method == "subscription":
                return self._told(params.channel, params.data, receive_time)
            if frame.method:
                return self._spoken_to(frame)
            return () if self._ended else self._answered(frame, receive_time)
        except public.UNREADABLE as error:
            raise ProtocolViolation(f"a message that cannot be read: {error}") from error

    def due(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        if self._ended or not self._open:
            return ()
        self._now = now
        end = self._overdue(now)
        if end is None:
            return list(self._calls_due(now, receive_time))
        doubtful = self._ready and end.reason is Reason.NEVER_DELIVERED
        return [*([self._lapse(end.detail, receive_time)] if doubtful else []), *self._end(end)]

    # --- what is said -----------------------------------------------------------------------------------

    def _sign(self) -> Sign:
        self._signing_since = self._now
        return Sign(
            purpose="login", prepare=signing.login_text, then=self._log_in, failed=self._login_not_signed
        )

    def _log_in(self, signed: Signed) -> Sequence[AccountOutput]:
        if self._ended:
            return ()
        self._signing_since = None
        number = self._calls.asked(Call.LOG_IN, self._now)
        return (Send(signing.login_call(number, signed, permissions.SCOPE)),)

    def _login_not_signed(self, sentence: str) -> Sequence[AccountOutput]:
        if self._ended:
            return ()
        return self._end(Reconnect(Reason.UNREACHABLE, f"no signature: {sentence}", UNSIGNED_SECONDS))

    def _say(self, call: Call) -> AccountOutput:
        if call is Call.LOG_IN:
            return self._sign()
        number = self._calls.asked(call, self._now)
        if call is Call.RENEW:
            return Send(signing.refresh_call(number, self._refresh_token))
        if call is Call.CHECK:
            return Send(public.call(number, call.value, currency=CHECKED_CURRENCY))
        return Send(public.call(number, call.value, channels=self._channels))

    def _calls_due(self, now: float, receive_time: int) -> Iterator[AccountOutput]:
        if self._heartbeat_again is not None and now >= self._heartbeat_again:
            self._heartbeat_again = None
            yield HEARTBEAT
        for call in self._calls.due(now):
            yield self._say(call)
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            yield self._say(Call.RENEW)
        if self._check_at is not None and now >= self._check_at:
            self._check_at = now + CHECK_SECONDS
            self._checked = receive_time
            yield self._say(Call.CHECK)

    def _overdue(self, now: float) -> Reconnect | None:
        if self._frames != self._frames_noted:
            self._frames_noted, self._heard_at = self._frames, now
        if now - self._heard_at > SILENT_SECONDS:
            return Reconnect(Reason.SESSION_SILENT, f"no frame for {now - self._heard_at:.0f} s")
        if self._signing_since is not None and now - self._signing_since > LOGIN_SECONDS:
            return Reconnect(Reason.UNREACHABLE, f"no signature for {LOGIN_SECONDS:.0f} s", UNSIGNED_SECONDS)
        late = self._calls.unanswered(now)
        return None if late is None else Reconnect(Reason.NEVER_DELIVERED, f"{late.value} was not answered")

    # --- what is heard ----------------------------------------------------------------------------------

    def _told(self, channel: str, data: msgspec.Raw, receive_time: int) -> Sequence[AccountOutput]:
        kind = notifications.kind_of(channel)
        reader = notifications.READERS.get(kind)
        if reader is None:
            self._ignored.note(kind or "subscription")
            return ()
        told = self._ties.broken(reader(data, receive_time))
        self.proven = receive_time
        return told

    def _spoken_to(self, frame: public.Frame) -> Sequence[AccountOutput]:
        if frame.method != "heartbeat":
            self._ignored.note(frame.method)
            return ()
        return (TEST,) if frame.params is not None and frame.params.type == "test_request" else ()

    def _answered(self, frame: public.Frame, receive_time: int) -> Sequence[AccountOutput]:
        if frame.testnet is not None and self._testnet is not None and frame.testnet != self._testnet:
            network = "test" if frame.testnet else "production"
            sentence = f"The {network} network answers, which is not the one that this account is on."
            return self._refused(sentence, receive_time, WRONG_NETWORK_SECONDS, reason=Reason.PROTOCOL)
        if frame.error is not None:
            return self._failed(frame.error, frame.id, receive_time)
        call = self._calls.waiting(frame.id)
        if call is None:
            if frame.id not in (TEST_ID, HEARTBEAT_ID):
                self._ignored.note("result")
            return ()
        # Read before it counts as answered: an answer that cannot be read is none.
        if call is Call.SUBSCRIBE:
            names = public.read_names(frame.result)
            self._calls.answered(frame.id)
            return self._subscribed(names, receive_time)
        if call is Call.CHECK:
            self._calls.answered(frame.id)
            self.proven = max(self.proven, self._checked)
            return ()
        granted = wire.read_granted(frame.result)
        self._calls.answered(frame.id)
        return self._granted(granted, call, receive_time)

    def _granted(self, granted: wire.Granted, call: Call, receive_time: int) -> Sequence[AccountOutput]:
        refusal = permissions.refusal(granted.scope)
        if refusal:
            return self._refused(f"{refusal} Granted is {granted.scope}.", receive_time, REFUSED_SECONDS)
        self._refresh_token = granted.refresh_token
        self._renew_at = self._now + max(SHORTEST_RENEWAL_SECONDS, RENEW_SHARE * granted.expires_in)
        self._calls.forgive()
        outputs: list[AccountOutput] = []
        warning = permissions.warning(granted.scope)
        if warning and not self._warned:
            self._warned = True
            outputs.append(AccountNote(NoteKind.SETTING, warning, receive_time, receive_time))
        if call is Call.LOG_IN:
            outputs.append(self._say(Call.SUBSCRIBE))
        return outputs

    def _subscribed(self, names: Sequence[str], receive_time: int) -> Sequence[AccountOutput]:
        left_out = [name for name in self._channels if name not in names]
        demanded = [name for name in left_out if name in notifications.DEMANDED]
        if demanded:
            if self._calls.again(Call.SUBSCRIBE, self._now):
                return ()
            what = f"{', '.join(demanded)} was not subscribed"
            return self._end(Reconnect(Reason.SUBSCRIBE_REFUSED, what, REFUSED_AGAIN_SECONDS))
        for name in left_out:
            self._ignored.note(f"refused.{name}")
        self._ready = True
        self.proven = receive_time
        self._check_at = self._now + CHECK_SECONDS
        return (Ready(receive_time),)

    # --- what goes wrong --------------------------------------------------------------------------------

    def _failed(self, error: public.Error, number: object, receive_time: int) -> Sequence[AccountOutput]:
        said = f"{error.code} {error.message}"
        verdict = verdict_of(error.code)
        call = self._calls.waiting(number)
        self._calls.answered(number)
        lapsed = call in (Call.RENEW, Call.CHECK) and verdict.note is not None
        lapse = [self._lapse(said, receive_time)] if lapsed else []
        if verdict.do is Do.GIVE_UP:
            return [*lapse, *self._give_up(verdict, said, receive_time)]
        self._ignored.note(f"error.{error.code}")
        if number == HEARTBEAT_ID:
            self._heartbeat_again = self._now + HEARTBEAT_AGAIN_SECONDS
        if call is None:
            return ()
        if lapse:  # what is left of the subscriptions is unknown: a new connection begins anew
            return [
                *lapse,
                *self._end(Reconnect(Reason.PROTOCOL, f"the login does not count any more: {said}")),
            ]
        if call is Call.CHECK:
            return ()
        if verdict.do is Do.LOG_IN:
            if self._again_logged_in:
                return self._give_up(verdict, said, receive_time)
            self._again_logged_in = True
            return (self._sign(),)
        if call is Call.SUBSCRIBE and verdict.do is Do.COUNT:  # one name that it does not know spoils all
            self._channels = notifications.DEMANDED
        if self._calls.again(call, self._now):
            return ()
        reason = Reason.SUBSCRIBE_REFUSED if call is Call.SUBSCRIBE else Reason.PROTOCOL
        return self._end(Reconnect(reason, f"{call.value}: {said}", REFUSED_AGAIN_SECONDS))

    def _lapse(self, what: str, receive_time: int) -> AccountNote:
        """The private stream may have ended, and that long ago."""
        sentence = f"Since then the login may not have counted ({what})."
        return AccountNote(NoteKind.ENDED, sentence, self.proven, receive_time)

    def _give_up(self, verdict: Verdict, said: str, receive_time: int) -> Sequence[AccountOutput]:
        if verdict.note is None:
            return self._end(Reconnect(verdict.reason, said, verdict.after_seconds))
        sentence = f"{verdict.sentence} ({said})."
        return self._refused(
            sentence, receive_time, verdict.after_seconds, kind=verdict.note, reason=verdict.reason
        )

    def _refused(
        self,
        sentence: str,
        receive_time: int,
        after_seconds: float,
        *,
        kind: NoteKind = NoteKind.REFUSED,
        reason: Reason = Reason.SUBSCRIBE_REFUSED,
    ) -> Sequence[AccountOutput]:
        note = AccountNote(kind, sentence, receive_time, receive_time)
        return [note, *self._end(Reconnect(reason, sentence, after_seconds))]

    def _end(self, reconnect: Reconnect) -> Sequence[AccountOutput]:
        self._ended = True
        self._refresh_token = ""
        return (reconnect,)
