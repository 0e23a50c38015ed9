from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trade_platform.adapters.process import (
    CannotStart,
    Run,
    RunFile,
    birth_of,
    read_run,
    read_runs,
    stop_event,
    wait_for_end,
)


def test_a_run_file_says_who_runs_and_goes_when_the_process_does(tmp_path: Path) -> None:
    urls = {"deribit": {"websocket": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}}
    told = {"started": 5, "urls": urls, "market_clock": "1/2/5.0"}
    with RunFile(tmp_path, "simulator", metrics="http://127.0.0.1:9", **told) as file:  # type: ignore[arg-type]
        said = json.loads((tmp_path / "run" / "simulator.json").read_text())
        assert said == {
            "name": "simulator",
            "pid": os.getpid(),
            "metrics": "http://127.0.0.1:9",
            "birth": birth_of(os.getpid()),
            **told,
        }
        assert read_runs(tmp_path) == [file.run]
        assert file.run.alive
    assert list((tmp_path / "run").iterdir()) == []


def test_a_crash_leaves_the_run_file_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunFile(tmp_path, "here"):
        _ = 1 / 0
    assert [run.name for run in read_runs(tmp_path)] == ["here"]


def test_the_file_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "here.json"
    with RunFile(tmp_path, "here"):
        path.write_text('{"name": "here", "pid": 1}')
    assert path.exists()


def test_a_stranger_with_the_same_pid_is_not_taken_for_the_process() -> None:
    assert not Run(name="here", pid=os.getpid(), birth=1).alive
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        run = Run(name="child", pid=child.pid, birth=birth_of(child.pid))
        assert run.birth
        child.wait()
    assert not run.alive


def test_unreadable_run_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "half.json").write_text('{"name": "ha')
    assert read_runs(tmp_path) == []
    assert read_run(tmp_path / "run" / "none.json") is None


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file, not a folder")
    with pytest.raises(CannotStart, match=r"here\.json cannot be written .*: check the free space"):
        RunFile(tmp_path, "here").__enter__()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    stop = stop_event()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(10):
        await stop.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


STUBBORN = """
import asyncio, sys
from trade_platform.adapters.process import stop_event
async def main():
    stop = stop_event()
    print("ready", flush=True)
    await stop.wait()
    asyncio.get_running_loop().add_reader(0, lambda: print("still here", sys.stdin.readline(), flush=True))
    print("stopping", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_the_same_signal_again_ends_a_process_at_once_another_kind_does_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopping\n"
        child.send_signal(signal.SIGTERM)  # as from a parent that got the same Ctrl-C
        child.stdin.write("?\n")
        child.stdin.flush()
        assert child.stdout.readline() == "still here ?\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 128 + signal.SIGTERM


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.DEVNULL)
child.wait()
"""
CHILD = """
import os, signal
from trade_platform.adapters.process import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
signal.pause()
"""


def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not wait_for_end(pid, 0)
        parent.kill()
        assert wait_for_end(pid, 30)


def test_a_child_may_ask_for_an_end_that_it_cannot_put_off() -> None:
    deaf = CHILD.replace("die_with_parent()", "die_with_parent(death=signal.SIGKILL)")
    deaf = deaf.replace("print(", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(")
    with subprocess.Popen([sys.executable, "-c", PARENT, deaf], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
        assert wait_for_end(pid, 30)


def test_a_child_whose_parent_is_gone_already_leaves() -> None:
    code = "from trade_platform.adapters.process import die_with_parent\ndie_with_parent(2**22 + 1)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 128 + signal.SIGTERM
