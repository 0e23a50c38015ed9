"""The private conversation: each path of it, and each error's outcome."""

from __future__ import annotations

import pytest

from tests.exchanges.deribit.private.talking import (
    CHANNELS,
    CHECK,
    KEY,
    MARKET,
    Conversation,
    call,
    calls,
    only,
)
from trade_platform.domain.accounts import AccountNote, Balance, NoteKind, OrderEvent
from trade_platform.exchanges.account import Ready, Sign
from trade_platform.exchanges.deribit.private import wire
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect

NARROW = "account:read connection trade:none wallet:read"
ORDER = {
    "order_id": "3398016",
    "order_state": "open",
    "instrument_name": "BTC-PERPETUAL",
    "direction": "buy",
    "amount": 10.0,
    "price": 1.5,
    "order_type": "limit",
    "last_update_timestamp": 1766000000000,
}


def end_of(outputs: object) -> Reconnect:
    (found,) = only(outputs, Reconnect)  # type: ignore[arg-type]
    return found


def note_of(outputs: object) -> AccountNote:
    (found,) = only(outputs, AccountNote)  # type: ignore[arg-type]
    return found


def test_it_asks_for_heartbeats_and_a_signature(talk: Conversation) -> None:
    outputs = talk.open()
    assert call(outputs, "public/set_heartbeat")["params"] == {"interval": 10}
    (sign,) = only(outputs, Sign)
    assert sign.purpose == "login"
    assert sign.prepare(KEY, 1576074319000_999, "1iqt2wls") == "1576074319000\n1iqt2wls\n"


def test_it_logs_in_by_signature_for_this_connection_alone(talk: Conversation) -> None:
    asked = call(talk.sign(talk.open()), "public/auth")["params"]
    assert asked == {
        "grant_type": "client_signature",
        "client_id": "AMANDA",
        "timestamp": MARKET // 1000,
        "nonce": "1iqt2wls",
        "data": "",
        "signature": "ab" * 32,
        "scope": "connection account:read trade:read wallet:read",
    }


def test_it_subscribes_to_all_that_the_account_does_and_is_live_when_that_is_acknowledged(
    talk: Conversation,
) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    assert asked["params"] == {"channels": CHANNELS}
    assert not talk.session.live
    outputs = talk.say(id=asked["id"], result=CHANNELS[::-1])
    assert outputs == (Ready(talk.market),)
    assert talk.session.live
    assert talk.idle(60.0) == []


def test_what_is_told_before_the_acknowledgement_is_not_lost(talk: Conversation) -> None:
    talk.log_in()
    assert len(only(talk.tell("user.changes.any.any.raw", {"orders": [ORDER]}), OrderEvent)) == 1


def test_a_demanded_channel_that_is_left_out_is_asked_for_again_and_then_given_up(talk: Conversation) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    for _ in range(2):
        assert talk.say(id=asked["id"], result=CHANNELS[1:]) == ()
        assert not talk.session.live
        asked = call(talk.idle(5.5), "private/subscribe")
    end = end_of(talk.say(id=asked["id"], result=CHANNELS[1:]))
    assert end.reason is Reason.SUBSCRIBE_REFUSED
    assert "user.changes.any.any.raw" in end.detail


def test_a_welcome_channel_that_is_left_out_keeps_nobody_from_being_live(talk: Conversation) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    assert only(talk.say(id=asked["id"], result=CHANNELS[:2]), Ready)
    assert talk.session.ignored == {"refused.user.lock": 1, "refused.user.access_log": 1}


def test_one_channel_that_the_exchange_does_not_know_spoils_not_the_others(talk: Conversation) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    talk.refuse(asked["id"], -32602, "Invalid params")
    again = call(talk.idle(5.5), "private/subscribe")
    assert again["params"] == {"channels": CHANNELS[:2]}
    assert only(talk.say(id=again["id"], result=CHANNELS[:2]), Ready)


def test_a_test_request_is_answered_at_once_whatever_else_goes_on(talk: Conversation) -> None:
    talk.open()
    outputs = talk.say(method="heartbeat", params={"type": "test_request"})
    assert [one["method"] for one in calls(outputs)] == ["public/test"]
    assert talk.say(id=8, result={"version": "1.2.26"}) == ()
    assert talk.session.ignored == {}


def test_a_refused_heartbeat_is_asked_for_again(live: Conversation) -> None:
    live.refuse(9, 10040, "retry")
    assert call(live.idle(5.5), "public/set_heartbeat")


def test_twenty_seconds_without_a_frame_end_it(live: Conversation) -> None:
    live.after(0.25)
    assert live.after(20.0) == []
    assert end_of(live.after(0.5)).reason is Reason.SESSION_SILENT
    assert not live.session.live
    assert live.after(100.0) == ()


def test_an_answer_after_the_end_begins_nothing(talk: Conversation) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    talk.after(0.25)
    assert end_of(talk.after(20.5))
    assert talk.say(id=asked["id"], result=CHANNELS) == ()
    assert not talk.session.live


def test_a_login_that_is_not_answered_ends_it(talk: Conversation) -> None:
    talk.sign(talk.open())
    end = end_of(talk.idle(15.0))
    assert end.reason is Reason.NEVER_DELIVERED
    assert "public/auth" in end.detail


def test_a_subscription_that_is_not_answered_ends_it(talk: Conversation) -> None:
    talk.log_in()
    assert end_of(talk.idle(15.0)).detail == "private/subscribe was not answered"


def test_an_answer_that_cannot_be_read_is_none(talk: Conversation) -> None:
    number = call(talk.sign(talk.open()), "public/auth")["id"]
    with pytest.raises(ProtocolViolation):
        talk.say(id=number, result={"scope": 5})
    assert end_of(talk.idle(15.0)).reason is Reason.NEVER_DELIVERED


def test_no_signature_ends_it(talk: Conversation) -> None:
    (sign,) = only(talk.open(), Sign)
    end = end_of(sign.failed("The vault does not answer."))
    assert (end.reason, end.detail) == (Reason.UNREACHABLE, "no signature: The vault does not answer.")
    assert end.after_seconds > 0


def test_a_signature_that_never_comes_ends_it_and_one_that_comes_late_is_not_used(talk: Conversation) -> None:
    outputs = talk.open()
    assert end_of(talk.idle(20.0)).reason is Reason.UNREACHABLE
    assert talk.sign(outputs) == ()


def test_the_login_is_renewed_at_four_fifths_of_its_life(talk: Conversation) -> None:
    talk.start(expires_in=900)
    assert talk.idle(719.0) == []
    asked = call(talk.idle(2.0), "public/auth")
    assert asked["params"]["grant_type"] == "refresh_token"
    first = asked["params"]["refresh_token"]
    assert talk.grant(asked["id"], expires_in=100) == []
    assert talk.session.live
    assert talk.idle(79.0) == []
    again = call(talk.idle(2.0), "public/auth")
    assert again["params"]["refresh_token"] == f"refresh-{asked['id']}" != first


def test_a_renewal_is_tried_again_and_then_ends_it(talk: Conversation) -> None:
    talk.start(expires_in=100)
    number = call(talk.idle(81.0), "public/auth")["id"]
    talk.refuse(number, 13028, "temporarily_unavailable")
    assert talk.session.live
    number = call(talk.idle(5.5), "public/auth")["id"]
    outputs = talk.refuse(number, 13009, "unauthorized")
    end = end_of(outputs)
    assert (end.reason, end.after_seconds) == (Reason.PROTOCOL, 0.0)
    assert "13009 unauthorized" in end.detail
    assert note_of(outputs).kind is NoteKind.ENDED


def test_renewals_that_are_put_off_once_each_are_counted_one_by_one(talk: Conversation) -> None:
    talk.start(expires_in=100)
    for _ in range(4):
        talk.refuse(call(talk.idle(81.0), "public/auth")["id"], 10041, "settlement_in_progress")
        talk.grant(call(talk.idle(5.5), "public/auth")["id"], expires_in=100)
        assert talk.session.live


def test_a_renewal_that_is_not_answered_ends_it(talk: Conversation) -> None:
    talk.start(expires_in=100)
    assert call(talk.idle(81.0), "public/auth")
    assert end_of(talk.idle(15.0)).reason is Reason.NEVER_DELIVERED


def test_a_login_that_lapsed_in_silence_is_found_out(live: Conversation) -> None:
    live.idle(25.0)
    live.say(method="heartbeat", params={"type": "heartbeat"})
    asked = call(live.after(5.0), CHECK)
    outputs = live.refuse(asked["id"], 13009, "unauthorized")
    assert note_of(outputs).kind is NoteKind.ENDED
    assert end_of(outputs).after_seconds == 0.0
    assert not live.session.live


def test_it_says_until_when_the_login_counted_for_sure(live: Conversation) -> None:
    """Heartbeats go on without a login: what passed since then may be missing."""

    def lapsed() -> int:
        asked = call(live.after(5.0), CHECK)
        return note_of(live.refuse(asked["id"], 13009)).event_time

    live.market += 1_000_000
    live.idle(29.0)
    live.market += 1_000_000
    checked = live.market
    asked = call(live.after(1.0), CHECK)
    live.market += 7_000
    live.say(id=asked["id"], result={})
    live.idle(25.0)
    live.market += 5_000_000
    live.say(method="heartbeat", params={"type": "heartbeat"})
    assert lapsed() == checked

    other = Conversation().start()
    other.idle(25.0)
    other.tell("user.portfolio.any", {"currency": "BTC", "balance": 1})
    told = other.market
    asked = call(other.after(5.0), CHECK)
    assert note_of(other.refuse(asked["id"], 13009)).event_time == told


@pytest.mark.parametrize("code", [10041, 13028, 99999])
def test_another_error_of_that_question_says_nothing_about_the_login(live: Conversation, code: int) -> None:
    live.idle(25.0)
    asked = call(live.after(5.0), CHECK)
    for _ in range(5):
        assert live.refuse(asked["id"], code) == ()
        assert live.session.live
        assert live.idle(25.0) == []
        asked = call(live.after(5.0), CHECK)


def test_that_question_not_answered_ends_it(live: Conversation) -> None:
    live.idle(25.0)
    assert call(live.after(5.0), CHECK)
    outputs = live.idle(15.0)
    assert end_of(outputs).detail == f"{CHECK} was not answered"
    assert note_of(outputs).kind is NoteKind.ENDED


def test_a_key_that_is_revoked_meanwhile_ends_it_from_when_it_was_last_proven(live: Conversation) -> None:
    proven = live.session.proven
    live.idle(25.0)
    outputs = live.refuse(call(live.after(5.0), CHECK)["id"], 13004)
    ended, refused = only(outputs, AccountNote)
    assert (ended.kind, ended.event_time) == (NoteKind.ENDED, proven)
    assert (refused.kind, refused.event_time) == (NoteKind.REFUSED, live.market)
    assert end_of(outputs).after_seconds == 300.0


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (NARROW, "lacks trade:read"),
        ("connection", "lacks account:read and trade:read and wallet:read"),
        ("account:read trade:read wallet:read_write", "may withdraw"),
    ],
)
def test_a_scope_that_is_too_narrow_or_may_withdraw_is_refused(
    talk: Conversation, scope: str, words: str
) -> None:
    number = call(talk.sign(talk.open()), "public/auth")["id"]
    outputs = talk.grant(number, scope=scope)
    note = note_of(outputs)
    assert note.kind is NoteKind.REFUSED
    assert words in note.text
    end = end_of(outputs)
    assert end.after_seconds == 300.0
    assert not calls(outputs)


def test_a_key_that_may_trade_is_warned_of_once_and_used(talk: Conversation) -> None:
    number = call(talk.sign(talk.open()), "public/auth")["id"]
    scope = "account:read trade:read_write wallet:read"
    outputs = talk.grant(number, scope=scope, expires_in=100)
    note = note_of(outputs)
    assert note.kind is NoteKind.SETTING
    assert "may trade" in note.text
    asked = call(outputs, "private/subscribe")
    talk.say(id=asked["id"], result=CHANNELS)
    number = call(talk.idle(81.0), "public/auth")["id"]
    assert talk.grant(number, scope=scope) == []


@pytest.mark.parametrize("configured", [True, False])
def test_the_wrong_network_is_refused(configured: bool) -> None:
    talk = Conversation(testnet=configured)
    number = call(talk.sign(talk.open()), "public/auth")["id"]
    outputs = talk.grant(number, testnet=not configured)
    assert note_of(outputs).kind is NoteKind.REFUSED
    assert "network answers" in note_of(outputs).text
    assert end_of(outputs).reason is Reason.PROTOCOL


def test_either_network_may_answer_where_none_is_configured() -> None:
    assert Conversation(testnet=None).start().session.live


@pytest.mark.parametrize("code", [10000, 13009, 13778])
def test_who_is_not_let_in_logs_in_once_more_and_is_refused_then(talk: Conversation, code: int) -> None:
    number = call(talk.sign(talk.open()), "public/auth")["id"]
    again = talk.refuse(number, code, "unauthorized")
    assert not only(again, Reconnect)
    number = call(talk.sign(again), "public/auth")["id"]
    outputs = talk.refuse(number, code, "unauthorized")
    assert note_of(outputs).kind is NoteKind.REFUSED
    assert note_of(outputs).text.endswith(f"({code} unauthorized).")
    assert end_of(outputs).after_seconds == 300.0


def test_a_second_login_may_do(talk: Conversation) -> None:
    asked = call(talk.log_in(), "private/subscribe")
    number = call(talk.sign(talk.refuse(asked["id"], 13009)), "public/auth")["id"]
    asked = call(talk.grant(number), "private/subscribe")
    assert only(talk.say(id=asked["id"], result=CHANNELS), Ready)


@pytest.mark.parametrize(
    ("code", "kind", "seconds"),
    [
        (13004, NoteKind.REFUSED, 300.0),
        (13403, NoteKind.REFUSED, 300.0),
        (11042, NoteKind.REFUSED, 300.0),
        (13021, NoteKind.REFUSED, 300.0),
        (13668, NoteKind.REFUSED, 300.0),
        (11098, NoteKind.LOCK, 300.0),
        (12003, NoteKind.REFUSED, 900.0),
    ],
)
@pytest.mark.parametrize("at", ["login", "subscribe", "live"])
def test_what_a_person_must_put_right_is_said_and_tried_again_rarely(
    talk: Conversation, code: int, kind: NoteKind, seconds: float, at: str
) -> None:
    number: object = 4711
    if at == "login":
        number = call(talk.sign(talk.open()), "public/auth")["id"]
    elif at == "subscribe":
        number = call(talk.log_in(), "private/subscribe")["id"]
    else:
        talk.start()
    outputs = talk.refuse(number, code, "its_words")
    note, end = note_of(outputs), end_of(outputs)
    assert note.kind is kind
    assert f"({code} its_words)." in note.text
    assert end.after_seconds == seconds
    assert end.detail == note.text
    assert not talk.session.live
    assert talk.idle(1000.0) == []


@pytest.mark.parametrize("number", [None, 10, 11, 4711])
@pytest.mark.parametrize(("code", "reason"), [(10028, Reason.RATE_LIMITED), (11051, Reason.MAINTENANCE)])
def test_too_many_requests_and_maintenance_end_it_for_a_while(
    talk: Conversation, number: int | None, code: int, reason: Reason
) -> None:
    talk.log_in()
    outputs = talk.refuse(number, code, "words")
    assert list(outputs) == [Reconnect(reason, f"{code} words", 10.0)]


def test_the_end_of_the_subscriptions_is_said(live: Conversation) -> None:
    outputs = live.say(id=None, error={"code": 11052, "message": "subscribe_error_unsubscribed"})
    assert note_of(outputs).kind is NoteKind.ENDED
    assert end_of(outputs).after_seconds == 0.0


@pytest.mark.parametrize("code", [10040, 10041, 10047, 10050, 10066, 11094, 13028, 13503, 13888, 4711])
def test_what_passes_is_asked_again_three_times(talk: Conversation, code: int) -> None:
    outputs = talk.sign(talk.open())
    for _ in range(2):
        number = call(outputs, "public/auth")["id"]
        assert talk.refuse(number, code) == ()
        assert talk.idle(4.5) == []
        outputs = talk.sign(talk.idle(1.0))
    number = call(outputs, "public/auth")["id"]
    assert end_of(talk.refuse(number, code)).reason is Reason.PROTOCOL


def test_an_error_that_nobody_knows_and_that_answers_nothing_is_counted(live: Conversation) -> None:
    assert live.refuse(4711, 99999) == ()
    assert live.session.ignored == {"error.99999": 1}
    assert live.session.live


def test_channels_and_methods_that_nobody_asked_for_are_counted(live: Conversation) -> None:
    assert live.tell("trades.BTC-PERPETUAL.100ms", []) == ()
    assert live.say(method="news", params={}) == ()
    assert live.say(id=4711, result={}) == ()
    assert live.session.ignored == {"trades.BTC-PERPETUAL": 1, "news": 1, "result": 1}


def test_what_cannot_be_read_is_a_violation(live: Conversation) -> None:
    with pytest.raises(ProtocolViolation):
        live.tell("user.changes.any.any.raw", {"orders": [{**ORDER, "direction": "up"}]})
    with pytest.raises(ProtocolViolation):
        live.session.receive(b"{" + b"1" * 20_000, 1)
    assert live.session.live


def test_money_that_arrives_after_the_end_is_still_read(live: Conversation) -> None:
    live.after(0.25)
    live.after(30.0)
    assert not live.session.live
    (told,) = live.tell("user.portfolio.any", {"currency": "BTC", "balance": 1.5})
    assert isinstance(told, Balance)


def test_no_token_is_in_what_a_session_shows_of_itself(live: Conversation) -> None:
    assert "refresh" not in repr(live.session)
    granted = wire.Granted(scope="account:read", expires_in=1.0, refresh_token="refresh-10")
    assert repr(granted) == "Granted(scope='account:read')"
