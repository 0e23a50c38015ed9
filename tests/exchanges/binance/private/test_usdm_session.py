"""USD-M's private conversation: a listenKey obtained, used, kept alive, lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.exchanges.binance.private.talk import HMAC, NOW, said
from trade_platform.domain.accounts import AccountNote, NoteKind, OrderEvent, OrderState
from trade_platform.domain.model import MINUTE
from trade_platform.exchanges.account import AccountSession, Obtain, Ready
from trade_platform.exchanges.binance.private import UsdmAccounts
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect


def obtaining() -> tuple[AccountSession, Obtain]:
    session = UsdmAccounts().session(HMAC)
    (obtain,) = session.before(0.0, NOW)
    assert isinstance(obtain, Obtain)
    return session, obtain


def renewal(session: AccountSession) -> Obtain:
    """What is due half an hour later."""
    assert session.due(1.0, NOW + 30 * MINUTE - 1) == []
    (obtain,) = session.due(2.0, NOW + 30 * MINUTE)
    assert isinstance(obtain, Obtain)
    return obtain


def test_a_key_is_had_before_the_socket_and_is_in_its_path() -> None:
    session, obtain = obtaining()
    request = obtain.request
    assert (request.method, request.path, request.query) == ("POST", "/fapi/v1/listenKey", {})
    assert not request.signed
    assert obtain.then(b'{"listenKey":"pq/ia"}') == ()
    assert UsdmAccounts().path(session.listen_key) == (
        "/private/ws?listenKey=pq%2Fia&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE/ALGO_UPDATE/"
        "MARGIN_CALL/ACCOUNT_CONFIG_UPDATE/listenKeyExpired"
    )
    assert not session.live
    assert session.opened(0.0, NOW) == (Ready(NOW),)
    assert session.live


@pytest.mark.parametrize("body", [b"{}", b'{"listenKey":""}', b"<html>", b'{"listenKey":7}'])
def test_an_answer_without_a_key_opens_nothing(body: bytes) -> None:
    session, obtain = obtaining()
    (end,) = obtain.then(body)
    assert end.reason is Reason.PROTOCOL
    assert session.listen_key == ""


def test_a_refused_key_is_noted_and_left_alone_for_long() -> None:
    _, obtain = obtaining()
    note, end = obtain.failed("-2015: Invalid API-key, IP, or permissions for action.")
    assert note.kind is NoteKind.REFUSED
    assert (end.reason, end.after_seconds) == (Reason.SUBSCRIBE_REFUSED, 600.0)
    (end,) = obtain.failed("Binance gave no answer (connection refused).")
    assert (end.reason, end.after_seconds) == (Reason.SUBSCRIBE_REFUSED, 5.0)
    (end,) = obtain.failed("-1003: Too many requests.")
    assert end.reason is Reason.RATE_LIMITED


def test_the_key_is_kept_alive_by_the_market_s_clock_and_never_deleted(usdm: AccountSession) -> None:
    for half_hour in range(1, 50):
        (obtain,) = (
            one
            for one in usdm.due(float(half_hour), NOW + half_hour * 30 * MINUTE)
            if isinstance(one, Obtain)
        )
        assert (obtain.request.method, obtain.request.query) == ("PUT", {})
        assert obtain.then(b"{}") == ()
        assert obtain.then(b'{"listenKey":"abc"}') == ()
    assert usdm.live


def test_a_renewal_that_fails_is_repeated_within_the_key_s_life(usdm: AccountSession) -> None:
    obtain = renewal(usdm)
    assert obtain.failed("Binance gave no answer (it took too long).") == ()
    assert usdm.live
    assert usdm.due(3.0, NOW + 31 * MINUTE - 1) == []
    assert len(usdm.due(4.0, NOW + 31 * MINUTE)) == 1


@pytest.mark.parametrize("lost", ["gone", "another"])
def test_a_key_that_is_no_more_ends_the_connection(usdm: AccountSession, lost: str) -> None:
    obtain = renewal(usdm)
    if lost == "gone":
        note, end = obtain.failed("-1125: This listenKey does not exist.")
    else:
        note, end = obtain.then(b'{"listenKey":"another"}')
    assert note.kind is NoteKind.ENDED
    assert end.reason is Reason.CLOSED
    assert not usdm.live


def test_a_key_that_is_refused_at_its_renewal(usdm: AccountSession) -> None:
    note, end = renewal(usdm).failed("-2015: Invalid API-key, IP, or permissions for action.")
    assert note.kind is NoteKind.REFUSED
    assert end.after_seconds == 600.0


def test_a_key_that_expires_ends_the_stream_though_the_socket_lives(usdm: AccountSession) -> None:
    note, end = usdm.receive('{"e":"listenKeyExpired","E":1736996475556,"listenKey":"abc"}', NOW)
    assert note == AccountNote(NoteKind.ENDED, "listenKeyExpired", 1_736_996_475_556_000, NOW)
    assert end == Reconnect(Reason.CLOSED, "listenKeyExpired")
    assert not usdm.live
    assert usdm.receive('{"e":"listenKeyExpired","E":1736996475556,"listenKey":"abc"}', NOW) == (), "once"


def test_silence_is_asked_about_where_it_is_answered_at_all(usdm: AccountSession) -> None:
    usdm.due(0.0, NOW)
    (probe,) = said(usdm.due(60.0, NOW))
    assert probe == {"id": 1, "method": "LIST_SUBSCRIPTIONS"}
    assert usdm.due(60.0, NOW) == []
    assert usdm.due(75.0, NOW) == [], "it never answered one: that proves nothing"
    (probe,) = said(usdm.due(120.0, NOW))
    assert usdm.receive(f'{{"result":[],"id":{probe["id"]}}}', NOW) == ()
    usdm.due(121.0, NOW)
    said(usdm.due(181.0, NOW))
    usdm.due(181.0, NOW)
    (end,) = usdm.due(192.0, NOW)
    assert end.reason is Reason.SESSION_SILENT


@pytest.mark.parametrize("wrapped", [False, True])
def test_events_come_plain_or_wrapped(
    usdm: AccountSession, message: Callable[[str], str], wrapped: bool
) -> None:
    text = message("binance_usdm/order_update_trade")
    if wrapped:
        text = json.dumps({"stream": "abc", "data": json.loads(text)})
    assert [type(one).__name__ for one in usdm.receive(text, NOW)] == ["OrderEvent", "Fill"]


def test_a_fill_that_is_told_twice_counts_once(usdm: AccountSession, message: Callable[[str], str]) -> None:
    assert usdm.receive(message("binance_usdm/trade_lite"), NOW) == ()
    for event in ("STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT", "BRAND_NEW"):
        assert usdm.receive(f'{{"e":"{event}","E":1}}', NOW) == ()
    assert usdm.ignored == {
        "TRADE_LITE": 1,
        "STRATEGY_UPDATE": 1,
        "GRID_UPDATE": 1,
        "CONDITIONAL_ORDER_TRIGGER_REJECT": 1,
        "BRAND_NEW (unknown)": 1,
    }


def algo(status: str, made: str) -> str:
    order = {
        "caid": "mine", "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL",
        "ps": "BOTH", "f": "GTC", "q": "0.01", "X": status, "ai": made, "tp": "750", "p": "0", "R": True,
        "rm": "",
    }  # fmt: skip
    return json.dumps({"e": "ALGO_UPDATE", "T": 1_700_000_000_500, "E": 1_700_000_000_501, "o": order})


@pytest.mark.parametrize("parent_first", [True, False])
def test_an_order_names_the_conditional_one_that_made_it(
    usdm: AccountSession, message: Callable[[str], str], parent_first: bool
) -> None:
    child = message("binance_usdm/order_update_new")
    told: list[OrderEvent] = []
    for text in (
        [algo("TRIGGERED", "8886774"), child] if parent_first else [child, algo("TRIGGERED", "8886774")]
    ):
        told += [one for one in usdm.receive(text, NOW) if isinstance(one, OrderEvent)]
    last = {one.order_id: one for one in told}
    assert last["8886774"].parent_id == "algo-2148719"
    assert last["algo-2148719"].state is OrderState.TRIGGERED
    assert len(told) == (2 if parent_first else 3)
    assert len({(one.order_id, one.event) for one in told}) == len(told), "each is a record of its own"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"e":"ORDER_TRADE_UPDATE"}', '{"e":"ACCOUNT_UPDATE","T":1,"a":[]}']
)
def test_what_cannot_be_a_message(usdm: AccountSession, text: str) -> None:
    with pytest.raises(ProtocolViolation):
        usdm.receive(text, NOW)
