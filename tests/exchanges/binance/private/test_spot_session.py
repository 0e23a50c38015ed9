"""Spot's private conversation: in by both ways, out for every reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.exchanges.binance.private.talk import ED25519, HMAC, NOW, said, signed
from trade_platform.domain.accounts import AccountNote, NoteKind
from trade_platform.exchanges.account import AccountSession, KeyFacts, Ready, Sign
from trade_platform.exchanges.binance.private import SpotAccounts
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect


def opened(key: KeyFacts = HMAC) -> tuple[AccountSession, Sign]:
    session = SpotAccounts().session(key)
    assert session.before(0.0, NOW) == ()
    assert session.listen_key == ""
    (sign,) = session.opened(0.0, NOW)
    assert isinstance(sign, Sign)
    assert not session.live
    return session, sign


def answer(number: object, result: object = None, *, status: int = 200, error: object = None) -> str:
    body = {"error": error} if error else {"result": result}
    return json.dumps({"id": number, "status": status, **body, "rateLimits": []})


def fault(code: int, text: str = "no", **data: int) -> dict[str, object]:
    return {"code": code, "msg": text, **({"data": data} if data else {})}


def test_any_key_signs_its_subscription() -> None:
    session, sign = opened()
    text, outputs = signed(sign, HMAC)
    assert (sign.purpose, text) == ("subscribe", "apiKey=public-name&timestamp=1700000000000")
    (request,) = said(outputs)
    assert request == {
        "id": 1,
        "method": "userDataStream.subscribe.signature",
        "params": {"apiKey": "public-name", "timestamp": 1700000000000, "signature": "a+b/c="},
    }
    assert session.receive(answer(1, {"subscriptionId": 0}), NOW + 5) == (Ready(NOW + 5),)
    assert session.live


def test_a_key_of_ed25519_logs_on_first() -> None:
    session, sign = opened(ED25519)
    text, outputs = signed(sign, ED25519)
    assert (sign.purpose, text) == ("login", "apiKey=public-name&timestamp=1700000000000")
    (logon,) = said(outputs)
    assert logon["method"] == "session.logon"
    (subscribe,) = said(session.receive(answer(logon["id"], {"apiKey": "public-name"}), NOW))
    assert subscribe == {"id": 2, "method": "userDataStream.subscribe"}
    assert not session.live
    assert session.receive(answer(2, {"subscriptionId": 3}), NOW + 9) == (Ready(NOW + 9),)


def test_nobody_who_signs_is_no_refusal_of_the_key() -> None:
    _, sign = opened()
    (again,) = sign.failed("The vault does not answer.")
    assert (again.reason, again.detail) == (Reason.UNREACHABLE, "cannot sign: The vault does not answer.")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, fault(-2015, "Invalid API-key, IP, or permissions for action.")),
        (400, fault(-1022, "Signature for this request is not valid.")),
        (401, fault(-2014, "API-key format invalid.")),
        (401, fault(0, "")),
    ],
)
def test_a_refused_key_is_noted_and_left_alone_for_long(status: int, error: dict[str, object]) -> None:
    session, sign = opened()
    signed(sign, HMAC)
    note, end = session.receive(answer(1, status=status, error=error), NOW)
    assert isinstance(note, AccountNote)
    assert (note.kind, note.event_time) == (NoteKind.REFUSED, NOW)
    assert isinstance(end, Reconnect)
    assert (end.reason, end.after_seconds) == (Reason.SUBSCRIBE_REFUSED, 600.0)


def test_a_key_that_dies_later_is_told_of_without_a_number(spot: AccountSession) -> None:
    outputs = spot.receive(answer(None, status=401, error=fault(-2015)), NOW)
    assert [type(one) for one in outputs] == [AccountNote, Reconnect]
    assert not spot.live


@pytest.mark.parametrize(
    ("status", "error", "reason", "seconds"),
    [
        (418, fault(-1003, serverTime=1_000, retryAfter=301_000), Reason.RATE_LIMITED, 300.0),
        (418, fault(-1003), Reason.RATE_LIMITED, 120.0),
        (429, fault(-1003), Reason.RATE_LIMITED, 60.0),
        (429, fault(-1003, serverTime=1, retryAfter=253_402_300_799_999), Reason.RATE_LIMITED, 259_200.0),
        (503, fault(-1016), Reason.MAINTENANCE, 10.0),
        (400, fault(-1021), Reason.SUBSCRIBE_REFUSED, 5.0),
        (400, fault(-2035), Reason.SUBSCRIBE_REFUSED, 5.0),
        (500, None, Reason.SUBSCRIBE_REFUSED, 5.0),
    ],
)
def test_what_was_refused_is_tried_again_in_time(
    status: int, error: object, reason: Reason, seconds: float
) -> None:
    session, sign = opened()
    signed(sign, HMAC)
    (end,) = session.receive(answer(1, status=status, error=error), NOW)
    assert (end.reason, end.after_seconds) == (reason, seconds)


def test_an_error_without_a_number_belongs_to_the_open_request() -> None:
    session, sign = opened()
    signed(sign, HMAC)
    (end,) = session.receive(answer(None, status=400, error=fault(-1100)), NOW)
    assert "userDataStream.subscribe.signature" in end.detail


def test_a_stream_that_ends_while_the_socket_lives(spot: AccountSession) -> None:
    text = '{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1700000000123}}'
    note, end = spot.receive(text, NOW)
    assert note == AccountNote(NoteKind.ENDED, "eventStreamTerminated", 1_700_000_000_123_000, NOW)
    assert end.reason is Reason.CLOSED
    assert not spot.live


@pytest.mark.parametrize("text", ['{"event":{"e":"serverShutdown","E":1}}', '{"e":"serverShutdown","E":1}'])
def test_a_server_that_shuts_down(spot: AccountSession, text: str) -> None:
    assert spot.receive(text, NOW) == (Reconnect(Reason.SHUTDOWN, "serverShutdown"),)


def test_a_subscription_that_never_comes() -> None:
    session, _ = opened()
    assert session.due(30.0, NOW) == []
    (end,) = session.due(30.1, NOW)
    assert end.reason is Reason.NEVER_DELIVERED


def test_silence_is_asked_about_and_an_answer_excuses_it(spot: AccountSession) -> None:
    assert spot.due(0.0, NOW) == []
    assert spot.due(59.0, NOW) == []
    (probe,) = said(spot.due(60.0, NOW))
    assert probe == {"id": 2, "method": "session.subscriptions"}
    assert spot.due(61.0, NOW) == []
    assert spot.receive(answer(2, [{"subscriptionId": 0}]), NOW) == ()
    assert spot.due(62.0, NOW) == []
    assert spot.due(121.0, NOW) == []
    (probe,) = said(spot.due(122.0, NOW))
    spot.due(122.0, NOW)
    (end,) = spot.due(132.5, NOW)
    assert end == Reconnect(Reason.SESSION_SILENT, "no answer to session.subscriptions")


def test_what_is_heard_is_no_silence(spot: AccountSession) -> None:
    spot.due(0.0, NOW)
    spot.receive('{"e":"listStatus","E":1}', NOW)
    assert spot.due(59.0, NOW) == []
    assert spot.due(118.0, NOW) == []


def test_a_subscription_that_is_no_longer_listed(spot: AccountSession) -> None:
    spot.due(0.0, NOW)
    (probe,) = said(spot.due(60.0, NOW))
    note, end = spot.receive(answer(probe["id"], []), NOW)
    assert note.kind is NoteKind.ENDED
    assert end.reason is Reason.SESSION_SILENT


def test_a_probe_that_is_refused_proves_that_somebody_is_there(spot: AccountSession) -> None:
    spot.due(0.0, NOW)
    (probe,) = said(spot.due(60.0, NOW))
    assert spot.receive(answer(probe["id"], status=400, error=fault(-1020)), NOW) == ()
    assert spot.ignored == {"error -1020": 1}
    assert spot.live


def test_what_is_not_read_is_counted(spot: AccountSession, message: Callable[[str], str]) -> None:
    assert spot.receive(message("binance_spot/list_status_wrapped"), NOW) == ()
    assert spot.receive('{"subscriptionId":0,"event":{"e":"brandNew","E":1}}', NOW) == ()
    assert spot.receive('{"result":null,"id":77}', NOW) == ()
    assert spot.ignored == {"listStatus": 1, "brandNew (unknown)": 1, "answer to nothing asked": 1}


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"e":7}', '{"subscriptionId":0,"event":[]}', '{"e":"balanceUpdate"}']
)
def test_what_cannot_be_a_message(spot: AccountSession, text: str) -> None:
    with pytest.raises(ProtocolViolation):
        spot.receive(text, NOW)


def test_a_violation_does_not_repeat_what_came(spot: AccountSession) -> None:
    """It may hold what is nobody's business."""
    with pytest.raises(ProtocolViolation) as raised:
        spot.receive('{"e":"balanceUpdate","a":"secret-key","d":"x","T":1}', NOW)
    assert "secret-key" not in str(raised.value)
