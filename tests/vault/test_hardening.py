from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource
from trade_platform.vault.hardening import keep_memory_private
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
keep_memory_private()
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process's memory to itself")
def test_no_dump_is_written_and_no_neighbour_looks_in() -> None:
    outcome = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert outcome.stdout.splitlines() == ["1", "0 (0, 0)"]
