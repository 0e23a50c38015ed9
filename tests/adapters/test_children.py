import os
import signal
from pathlib import Path

import pytest

from trade_platform.adapters import children
from trade_platform.adapters.children import Child, Kept, running, stop_leftovers

READY = """
import os, signal, sys
from pathlib import Path
from trade_platform.adapters.process import RunFile
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
with RunFile(Path(os.environ["DATA_FOLDER"]), os.environ["PROCESS_NAME"]):
    signal.sigwait({WAIT})
print("last words")
""".replace("WAIT", "signal.SIGTERM")
DEAF = READY.replace("sigwait({signal.SIGTERM})", "sigwait({signal.SIGUSR1})")


def child(folder: Path, *, program: str = READY) -> Child:
    return Child("worker", ["-c", program], {"DATA_FOLDER": str(folder)}, folder)


def until_ready(one: Child) -> None:
    while one.ready() is None:
        assert one.exited() is None, one.last_words()


def test_a_child_is_ready_once_it_says_so_and_ends_when_asked(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    until_ready(one)
    assert [run.name for run in running(tmp_path)] == ["worker"]
    one.terminate()
    assert one.wait(30) == 0
    assert one.last_words() == "last words"
    assert running(tmp_path) == []


def test_a_killed_child_is_started_again_and_the_sentence_says_how_it_died(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    until_ready(one)
    first = one.pid
    assert first is not None
    assert one.keep_alive() is None
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    sentence = one.keep_alive()
    assert sentence is not None
    assert "SIGKILL" in sentence
    until_ready(one)
    assert one.pid != first
    one.terminate()
    assert one.wait(30) == 0


def test_a_child_that_is_to_be_another_is_asked_to_stop_and_comes_back(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    until_ready(one)
    first = one.pid
    assert first is not None
    one.restart()
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert "started again" in (one.keep_alive() or "")
    until_ready(one)
    assert one.pid != first
    one.terminate()
    assert one.wait(30) == 0


def test_a_child_that_was_asked_to_stop_is_not_started_again(tmp_path: Path) -> None:
    one = child(tmp_path, program="raise SystemExit(3)")
    one.start()
    one.terminate()
    assert one.wait(30) in (3, -signal.SIGTERM)
    assert one.keep_alive() is None


def test_a_child_that_is_not_kept_stays_dead(tmp_path: Path) -> None:
    one = Child("worker", ["-c", "raise SystemExit(3)"], {}, tmp_path, restarts=False)
    one.start()
    assert one.wait(30) == 3
    assert one.keep_alive() is None
    assert one.exited() == 3


def test_a_child_that_overstays_is_killed(tmp_path: Path) -> None:
    one = child(tmp_path, program=DEAF)
    one.start()
    until_ready(one)
    one.terminate()
    assert one.wait(0.1) is None
    assert one.exited() == -signal.SIGKILL


def test_last_words_are_a_sentence_also_where_the_log_is_json(tmp_path: Path) -> None:
    one = child(
        tmp_path, program='print(\'{"event": "No way.", "exception": "Traceback\\\\nOSError: why"}\')'
    )
    one.start()
    assert one.wait(30) == 0
    assert one.last_words() == "No way. OSError: why"


def test_a_log_that_has_grown_large_is_begun_anew_and_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LARGEST_LOG", 4)
    one = child(tmp_path, program="print('first words')")
    for _ in range(2):
        one.start()
        assert one.wait(30) == 0
    assert one.log_path.read_text() == "first words\n"
    assert one.log_path.with_suffix(".log.1").read_text() == "first words\n"


def test_leftovers_are_stopped_by_their_run_files(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    until_ready(one)
    assert stop_leftovers(tmp_path) == ["worker"]
    assert one.wait(30) == 0
    assert running(tmp_path) == []


def test_a_server_that_died_is_started_again_on_its_data() -> None:
    class Mortal:
        name = "server"
        url = "somewhere"

        def __init__(self) -> None:
            self.alive = True

        def stop(self) -> None:
            self.alive = False

    started: list[Mortal] = []

    def start() -> Mortal:
        started.append(Mortal())
        return started[-1]

    kept = Kept(start)  # type: ignore[arg-type]
    assert kept.keep_alive() is None
    started[0].alive = False
    assert kept.keep_alive() == "server died and was started again"
    assert len(started) == 2
    kept.stop()
    assert not started[1].alive
