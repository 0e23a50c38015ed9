"""The seam of the fault script, and a handful of faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.faults import (
    NAMES,
    Fault,
    FaultScript,
    UnusableScript,
    objection,
    possible,
    read_faults,
)
from streamers.simulator.hub import Abort, Close
from streamers.simulator.listing import EXCHANGES
from streamers.simulator.upheaval import DEEDS, LASTING, OWED, strike


def run(one: Any, start: int, faults: Any, seconds: int = 20, now_step: Any = 1.0) -> None:
    one.exchange.faults = FaultScript(faults)
    for second in range(seconds):
        one.run(start + (second + 1) * 1_000_000, now=second * now_step)


def sequences(one: Any) -> Any:
    return [data["t"] for data in one.data("btcusdt@trade")]


@pytest.fixture
def one(wire: Any) -> Any:
    one = wire("binance_spot")
    one.subscribe("btcusdt@trade")
    return one


@pytest.mark.parametrize(
    ("name", "content"), [("a.toml", '[[exchange]]\nkey = "deribit"\n'), ("a.jsonl", "\n")]
)
def test_a_script_without_a_fault_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UnusableScript, match="holds no fault"):
        read_faults(tmp_path / name)


def test_skipped_frames_stay_in_the_ledger(one: Any, entries: Any, start: int) -> None:
    run(one, start, [Fault(fault="skip", at=5, count=4)])
    written = [e["sequence"] for e in entries(one.exchange, "trade")]
    assert len(written) - len(sequences(one)) == 4
    assert set(sequences(one)) < set(written)


def test_duplicated_frames_are_said_twice(one: Any, entries: Any, start: int) -> None:
    run(one, start, [Fault(fault="duplicate", at=5, count=3)])
    assert len(sequences(one)) - len(entries(one.exchange, "trade")) == 3
    assert len(set(sequences(one))) == len(entries(one.exchange, "trade"))


def test_silence_says_nothing_for_a_while(one: Any, entries: Any, start: int) -> None:
    run(one, start, [Fault(fault="silence", at=3, seconds=5)])
    times = [data["T"] * 1000 - start for data in one.data("btcusdt@trade")]
    assert not [time for time in times if 4_000_000 < time < 8_000_000]
    assert [time for time in times if time > 9_000_000]
    assert len(entries(one.exchange, "trade")) > len(times)


@pytest.mark.parametrize(
    ("fault", "instruction"),
    [(Fault(fault="close", at=2, code=1012), Close(1012, "fault")), (Fault(fault="abort", at=2), Abort())],
)
def test_connections_end(one: Any, start: int, fault: Any, instruction: Any) -> None:
    run(one, start, [fault], seconds=4)
    assert one.instructions == [instruction]


def test_after_so_many_messages(one: Any, start: int) -> None:
    run(one, start, [Fault(fault="abort", after=10)])
    assert one.instructions == [Abort()]


def test_another_exchange_is_left_alone(one: Any, start: int) -> None:
    run(one, start, [Fault(fault="abort", at=1, exchange="deribit")])
    assert one.instructions == []


def test_new_connections_are_refused_for_a_while(one: Any, start: int) -> None:
    run(one, start, [Fault(fault="refuse", at=2, seconds=5)], seconds=4)
    assert one.exchange.converse("/stream", 5.0) is None
    assert one.exchange.converse("/stream", 8.0) is not None


def test_a_server_says_goodbye_before_it_closes(one: Any, start: int) -> None:
    run(one, start, [Fault(fault="server_shutdown", at=2)], seconds=5)
    assert [message for message in one.heard if message.get("stream") == "!serverShutdown"]
    assert one.instructions == [Close(1001, "server shutdown")]


def test_maintenance_says_so_everywhere_and_ends(wire: Any, start: int) -> None:
    one = wire("deribit")
    one.subscribe("platform_state", "trades.BTC-PERPETUAL.100ms")
    run(one, start, [Fault(fault="maintenance", at=1, seconds=5)], seconds=4)
    assert one.data("platform_state") == [{"maintenance": True}]
    assert one.instructions == [Close(1001, "server shutdown")]
    answer = one.exchange.answer("GET", "/api/v2/public/get_time", {}, 4.0)
    assert answer.status == 503
    assert "11051" in answer.body
    assert one.exchange.converse("/ws/api/v2", 4.0) is None
    for second in range(4, 9):
        one.run(start + (second + 1) * 1_000_000, now=float(second))
    assert one.exchange.answer("GET", "/api/v2/public/get_time", {}, 9.0).status == 200
    assert one.exchange.converse("/ws/api/v2", 9.0) is not None


def test_scripts_are_toml_or_json_lines(tmp_path: Path) -> None:
    toml, lines = tmp_path / "a.toml", tmp_path / "a.jsonl"
    toml.write_text('[[fault]]\nfault = "close"\nat = 3\nexchange = "deribit"\n')
    lines.write_text('{"fault":"close","at":3,"exchange":"deribit"}\n\n')
    assert read_faults(toml) == read_faults(lines) == [Fault(fault="close", at=3.0, exchange="deribit")]


@pytest.mark.parametrize("text", ['{"fault":"explode"}', "nonsense", '{"fault":"close","when":1}'])
def test_a_bad_script_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(UnusableScript, match="not usable"):
        read_faults(path)
    with pytest.raises(UnusableScript, match="cannot be read"):
        read_faults(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("exchange", "fault", "sentence"),
    [
        ("binance_spot", Fault(fault="settlement"), "settlement cannot happen to binance_spot: only deribit"),
        ("deribit", Fault(fault="wrong_route"), "only binance_usdm"),
        ("deribit", Fault(fault="rest_refuse", status=418), "never answers 418"),
        ("binance_spot", Fault(fault="refuse", status=200), "refuse knows no status 200"),
        ("binance_spot", Fault(fault="close", code=99), "99 is no close code"),
        ("binance_spot", Fault(fault="skip", count=0), "count must be 1 or more"),
        ("deribit", Fault(fault="partial_lock", index="x_usd"), "There is no index x_usd"),
        ("deribit", Fault(fault="abort", exchange="binance_spot"), "meant for binance_spot"),
    ],
)
def test_what_cannot_happen_is_refused_with_a_sentence(exchange: str, fault: Fault, sentence: str) -> None:
    said = objection(fault, exchange)
    assert sentence in said
    assert said.endswith(".")


def test_every_fault_can_happen_somewhere_and_is_done(wire: Any) -> None:
    assert set(NAMES) == {*LASTING, *OWED, *DEEDS}
    assert set(NAMES) == {name for exchange in EXCHANGES for name in possible(exchange)}
    for exchange in EXCHANGES:
        one = wire(exchange)
        for name in possible(exchange):
            assert not one.exchange.objection(Fault(fault=name)), name
            list(strike(one.exchange, Fault(fault=name), 0.0))


def test_an_unknown_instrument_cannot_expire(wire: Any) -> None:
    said = wire("binance_spot").exchange.objection(Fault(fault="expiry", symbol="NOSUCH"))
    assert said == "binance_spot lists no NOSUCH."


def test_a_script_for_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"fault":"skip","count":0}')
    with pytest.raises(UnusableScript, match="count must be 1 or more"):
        read_faults(path)
