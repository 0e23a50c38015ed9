"""What is said of a fault's row, how a sign is told from what was there before, and the list of faults."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import get_args, get_type_hints

import pytest
from msgspec.structs import replace

from benchmarks.faults import complaints, summary
from benchmarks.loopback import add_up, ask, gauges_of, grown, post, samples_of
from benchmarks.matrix import ALL, cases
from benchmarks.rows import COLUMNS, Row, cells, failures, line, remarks, style, verdict
from streamers.simulator.faults import Fault
from trade_platform.adapters.database.proof import Finding, TradeProof
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.operations.verify import InstrumentProof, Verification

ROW = Row(
    fault="half_open", target="deribit", happened="kernel", noticed="reconnect", detect=15.0, resume=9.0,
    whole=9.5, gaps=1, lost=0, duplicated=0, detect_reach=20.0, resume_reach=10.0,
)  # fmt: skip
PAGE = """# TYPE streamer_reconnects_total counter
streamer_reconnects_total{connection="a",reason="closed"} 2.0
streamer_reconnects_total{connection="b",reason="closed"} 1.0
streamer_reconnects_total{connection="b",reason="rotation"} 4.0
# TYPE streamer_buffer_high_water gauge
streamer_buffer_high_water 17.0
# TYPE processor_lag_entries gauge
processor_lag_entries{stream="state"} 3.0
# TYPE processor_entries_created gauge
processor_entries_created{stream="state"} 1.7e9
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 9.0
"""
TRADES = TradeProof(
    exchange="deribit", symbol="BTC-PERPETUAL", channel="trade", expected=1200, rows=1199, missing=1,
    duplicated=0, altered=0, extra=0,
)  # fmt: skip


def test_a_row_within_its_reaches_is_good_and_names_them() -> None:
    assert verdict(ROW) == "good: noticed ≤ 20 s, resumed ≤ 10 s"
    assert (failures(ROW), remarks(ROW), style(ROW)) == ([], [], None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"happened": ""}, "did not happen"),
        ({"lost": 1200}, "1,200 lost"),
        ({"duplicated": 3}, "3 twice"),
        ({"lost": None}, "could not be counted"),
    ],
)
def test_a_fault_that_did_not_happen_or_cost_something_fails_the_run(
    change: dict[str, object], said: str
) -> None:
    row = replace(ROW, **change)
    assert failures(row) == [said]
    assert style(row) == "red"
    assert said in verdict(row)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"detect": None}, "not noticed"),
        ({"detect": 20.1}, "noticed late (≤ 20 s)"),
        ({"resume": None}, "did not resume"),
        ({"resume": 10.1}, "resumed late (≤ 10 s)"),
        ({"expects_gap": True, "gaps": 0}, "no gap row"),
    ],
)
def test_a_deadline_is_judged_in_words_alone(change: dict[str, object], said: str) -> None:
    row = replace(ROW, **change)
    assert (remarks(row), failures(row), style(row)) == ([said], [], "yellow")
    assert verdict(row) == said


def test_a_row_has_a_cell_for_each_column_and_a_line_while_it_runs() -> None:
    assert len(cells(ROW)) == len(COLUMNS)
    assert cells(replace(ROW, detect=None, lost=None))[4:9] == ("–", "9.0", "9.5", "1", "?")
    assert line(2, 9, [ROW]).startswith("[2/9] half_open: deribit 15.0/9.0 s, good")


def test_only_what_grew_is_a_sign() -> None:
    assert grown({"closed": 2.0, "rotation": 1.0}, {"closed": 2.0, "rotation": 2.0}) == "rotation"
    assert grown({}, {"closed": 1.0}) == "closed"
    assert grown({"closed": 2.0}, {"closed": 2.0}) == grown({"closed": 2.0}, {}) == ""


def test_a_page_of_metrics_is_added_up_by_label_and_gauges_are_told_apart() -> None:
    found = add_up(samples_of(PAGE), "streamer_reconnects_total", lambda labels: labels["reason"])
    assert found == {"closed": 3.0, "rotation": 4.0}
    assert gauges_of(PAGE) == {"streamer_buffer_high_water": 17.0, "processor_lag_entries": 3.0}


def test_each_fault_says_by_what_it_is_seen_and_stands_once_for_each_place() -> None:
    found = [(case.name, target) for case in cases() for target in case.targets]
    assert len(found) == len(set(found))
    for name in ("streamer_kill", "processor_kill", "redis_stop", "postgres_kill", "silence", "close_1006"):
        assert {target for one, target in found if one == name} == set(ALL), name


def test_every_fault_that_the_simulator_can_do_is_done() -> None:
    told: dict[str, set[str]] = {}

    class Recorder:
        def inflict(self, exchange: str, fault: str, **_fields: float) -> None:
            told.setdefault(exchange, set()).add(fault)

    for case in cases():
        if case.name != "half_open" and not any(word in case.name for word in ("kill", "stop", "two")):
            case.inflict(Recorder(), case.targets)  # type: ignore[arg-type]
    known = set(get_args(get_type_hints(Fault)["fault"]))
    assert told == dict.fromkeys(ALL, known)


def test_the_proof_is_summed_up_and_its_findings_are_named() -> None:
    finding = Finding(exchange="deribit", symbol="BTC-PERPETUAL", what="missing", detail="sequence 7")
    proof = Verification(
        instruments=[InstrumentProof(trades=TRADES, candles=4, candles_missing=1)],
        findings=[finding] * 12,
        against="ledger",
    )
    assert "1,200 trades of 1 instruments, lost 1, twice 0" in summary(proof)
    assert "4 closed candles, of which 1 different or missing" in summary(proof)
    said = complaints(proof)
    assert said[0] == "deribit BTC-PERPETUAL missing: sequence 7"
    assert (len(said), said[-1]) == (11, "… and 2 more.")


def test_nothing_proven_is_not_good() -> None:
    nothing = Verification(instruments=[], findings=[], against="ledger")
    assert complaints(nothing) == ["The final proof is not good."]
    assert "0 trades" in summary(nothing)


def test_a_fault_is_posted_as_json_and_who_is_away_is_an_error_of_one_sentence() -> None:
    with echo() as url:
        assert post(f"{url}/simulator/fault", {"fault": "abort"}) == {"fault": "abort"}
        assert ask(f"{url}/metrics") == b"ok"
        with pytest.raises(LoopbackError, match="not answer with JSON"):
            post(f"{url}/text", {})
    with pytest.raises(LoopbackError, match="does not answer"):
        ask(f"{url}/metrics")


@contextmanager
def echo() -> Iterator[str]:
    """Gives a POST back, and says ok to a GET."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"ok")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(b"?" if self.path == "/text" else body)

        def log_message(self, *_: object) -> None:
            """Nothing is said of it."""

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
