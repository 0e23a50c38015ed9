"""The whole run: options, its end, how a sign is told from what was there before, and the short cut."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks.campaign import Proof, joined
from benchmarks.faults import Beside, chosen, complaints, forget_settings, harmless, options, summary
from benchmarks.loopback import add_up, ask, gauges_of, grown, post, samples_of
from benchmarks.matrix import QUICK
from benchmarks.rows import Absence
from tests.benchmarks.test_rows import ROW
from trade_platform.adapters.database.proof import Finding, TradeProof
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.operations.verify import InstrumentProof, Verification

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


def test_only_what_grew_is_a_sign() -> None:
    assert grown({"closed": 2.0, "rotation": 1.0}, {"closed": 2.0, "rotation": 2.0}) == "rotation"
    assert grown({}, {"closed": 1.0}) == "closed"
    assert grown({"closed": 2.0}, {"closed": 2.0}) == grown({"closed": 2.0}, {}) == ""


def test_a_page_of_metrics_is_added_up_by_label_and_gauges_are_told_apart() -> None:
    found = add_up(samples_of(PAGE), "streamer_reconnects_total", lambda labels: labels["reason"])
    assert found == {"closed": 3.0, "rotation": 4.0}
    assert gauges_of(PAGE) == {"streamer_buffer_high_water": 17.0, "processor_lag_entries": 3.0}


def test_the_proof_is_summed_up_and_its_findings_are_named() -> None:
    finding = Finding(exchange="deribit", symbol="BTC-PERPETUAL", what="missing", detail="sequence 7")
    proof = Verification(
        instruments=[InstrumentProof(trades=TRADES, candles=4, candles_missing=1)],
        findings=[finding] * 12,
        against="ledger",
    )
    assert "1,200 trades of 1 instruments, lost 1, twice 0" in summary(proof)
    assert "4 closed candles, of which 1 different or missing" in summary(proof)
    said = complaints(Proof("plain", proof, forgiven=0))
    assert said[0] == "deribit BTC-PERPETUAL missing: sequence 7"
    assert (len(said), said[-1]) == (11, "… and 2 more.")


def test_nothing_proven_is_not_good() -> None:
    nothing = Verification(instruments=[], findings=[], against="ledger")
    assert complaints(Proof("plain", nothing, forgiven=0)) == ["The final proof is not good."]
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


def test_what_the_ledger_calls_unrepairable_is_forgiven_where_the_row_is_about_that() -> None:
    finding = Finding(exchange="deribit", symbol="BTC-PERPETUAL", what="missing", detail="sequence 7")
    proof = Verification(instruments=[InstrumentProof(trades=TRADES)], findings=[finding], against="ledger")
    assert complaints(Proof("horizon", proof, forgiven=1)) == []
    assert complaints(Proof("horizon", proof, forgiven=0)) != []
    assert complaints(Proof("horizon", proof, forgiven=1, complaint="it broke")) == ["it broke"]


def test_options_choose_by_name_by_group_or_the_short_cut() -> None:
    assert [case.name for case in chosen(options(["--only", "skip", "abort"]))] == ["abort", "skip"]
    assert {case.kind for case in chosen(options(["--group", "postgres"]))} == {"postgres"}
    assert {case.name for case in chosen(options(["--quick"]))} == set(QUICK)
    assert len(chosen(options(["--group", "pairs", "--pairs", "3"]))) == 3
    everything = chosen(options([]))
    assert len({case.stage for case in everything}) > 5
    assert sum(case.kind == "pair" for case in everything) == 6


@pytest.mark.parametrize("wrong", [["--only", "nothing"], ["--without", "--no-without"], ["--group", "all"]])
def test_wrong_options_end_it_with_a_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(wrong)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_row_is_told_what_happened_without_its_defence() -> None:
    absence = Absence(("spool",), "7 lost")
    other = Absence(("spool",), "")
    found = joined([ROW], {("half_open", "deribit"): absence, ("half_open", "binance_spot"): other})
    assert [row.absence for row in found] == [absence]
    assert joined([ROW], {})[0].absence is None


def test_a_defence_that_was_not_missed_is_named() -> None:
    found = {
        ("skip", "deribit"): Absence(("catch_up", "repair"), "7 lost"),
        ("redis_kill", "deribit"): Absence(("reconnection",), ""),
    }
    assert harmless(found) == ["redis_kill at deribit: no harm without reconnection."]
    found["redis_kill", "binance_spot"] = Absence(("reconnection",), "7 lost")
    assert harmless(found, ["redis_kill"]) == []


def test_where_no_fault_has_a_defence_nothing_is_run_beside() -> None:
    some = [case for case in chosen(options([])) if case.harmless]
    broken: list[str] = []
    with Beside(some, seed=1) as beside:
        assert beside.absences(broken) == {}
    assert broken == []


def test_what_the_shell_has_set_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WITHOUT", "spool")
    monkeypatch.setenv("DERIBIT_REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HARMLESS", "1")
    forget_settings()
    assert not {"WITHOUT", "DERIBIT_REST_URL"} & set(os.environ)
    assert os.environ["HARMLESS"] == "1"


@pytest.mark.timeout(300)
def test_the_short_cut_of_the_matrix_loses_nothing(repository: Path) -> None:
    """Real processes and servers: every fault happens, nothing is lost, nothing comes twice."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--quick"],
        cwd=repository, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "lost 0, twice 0" in ran.stdout
