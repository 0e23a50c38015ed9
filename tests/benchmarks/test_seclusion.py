"""A network of one's own, in which the traffic of a port can vanish; tried in a process that ends with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.seclusion import Seclusion

HALF_OPEN = """
import socket, sys
from benchmarks.seclusion import seclude
own = seclude()
if not own.network:
    sys.exit(77)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
client = socket.create_connection(("127.0.0.1", port))
server, _ = listener.accept()
own.cut(port)
before = own.vanished
server.send(b"data")
client.settimeout(0.3)
try:
    sys.exit(f"heard {client.recv(10)!r}")
except TimeoutError:
    pass
assert own.vanished > before
own.mend(port)
own.mend(port)
client.settimeout(30)
assert client.recv(10) == b"data"
"""
DISK = """
import sys
from pathlib import Path
from benchmarks.seclusion import seclude
own = seclude()
if not own.disks:
    sys.exit(77)
folder = Path(sys.argv[1])
own.small_disk(folder, 64)
try:
    (folder / "file").write_bytes(bytes(1_000_000))
    sys.exit("it was not full")
except OSError:
    pass
own.unmount(folder)
assert list(folder.iterdir()) == []
"""


@pytest.mark.parametrize("script", [HALF_OPEN, DISK], ids=["network", "disk"])
def test_what_it_takes_away_is_gone_for_its_own_processes_alone(
    repository: Path, tmp_path: Path, script: str
) -> None:
    folder = tmp_path / "disk"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode == 77:
        pytest.skip("this kernel permits no network or mounts of one's own")
    assert ran.returncode == 0, ran.stderr
    assert not folder.exists() or list(folder.iterdir()) == []


def test_where_it_is_not_permitted_nothing_has_vanished() -> None:
    assert Seclusion(network=False, disks=False).vanished == 0.0
