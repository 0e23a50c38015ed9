from __future__ import annotations

from streamers.account.memory import Memory
from tests.adapters.database.booking import balance, fill, movement, order, position
from trade_platform.domain.accounts import AccountNote, NoteKind


def test_all_that_was_ever_traded_and_held_is_known() -> None:
    memory = Memory()
    memory.note([fill(fill_id="9"), fill(fill_id="7"), order(symbol="ETHUSDT"), position(), balance()])
    memory.note([movement(), AccountNote(NoteKind.LOCK, "", 1, 1)])
    assert memory.known.symbols == {"BTCUSDT", "ETHUSDT", "BTC-PERPETUAL"}
    assert memory.known.assets == {"BTC", "USDT"}
    assert memory.known.last_fills == {"BTCUSDT": "9"}


def test_ids_that_redis_would_round_are_not_kept() -> None:
    memory = Memory()
    memory.note([fill(fill_id="9007199254740993"), fill(fill_id="ETH-1", symbol="ETH")])
    assert memory.known.last_fills == {}


def test_only_what_is_new_is_owed() -> None:
    memory = Memory()
    memory.note([fill()])
    memory.hear(5)
    assert memory.owed() == {"symbol|BTCUSDT": 1, "fill|BTCUSDT": 17, "heard": 5}
    memory.note([fill(fill_id="16")])
    memory.hear(4)
    assert memory.owed() == {}
    memory.owe_all()
    assert memory.owed() == {"symbol|BTCUSDT": 1, "fill|BTCUSDT": 17, "heard": 5}


def test_what_did_not_go_is_owed_again() -> None:
    memory = Memory()
    memory.note([fill()])
    marks = memory.owed()
    memory.note([fill(fill_id="18")])
    memory.owe(marks)
    assert memory.owed() == {"symbol|BTCUSDT": 1, "fill|BTCUSDT": 18}


def test_another_process_s_marks_are_learnt() -> None:
    first, second = Memory(), Memory()
    first.note([fill(), balance()])
    first.hear(7)
    second.hear(3)
    second.learn(first.owed())
    assert (second.known, second.heard) == (first.known, 7)


def test_a_position_is_held_until_it_is_closed() -> None:
    memory = Memory()
    memory.note([position(), position(position_side="SHORT")])
    memory.note([position(5, "0")])
    assert list(memory.positions) == [("BTC-PERPETUAL", "SHORT")]
