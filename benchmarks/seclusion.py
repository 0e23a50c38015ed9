"""A network and a view of the disks that are ours alone, so that a fault of the machine hurts nobody else.

In a network of its own a process can have the traffic of one port vanish without a word, which no relay
can imitate: even the kernel acknowledges nothing any more. It all ends with the last process of the run;
nothing has to be put back. Where the kernel permits none of it, ``seclude`` says so, and rows fall back.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWNET: Final = 0x40000000
VOID: Final = "void0"
"""A tunnel that nobody reads: what is sent into it is gone."""
TABLE: Final = "77"
LOCALNET: Final = Path(f"/proc/sys/net/ipv4/conf/{VOID}/route_localnet")
PREPARATION: Final = (
    "ip link set lo up",
    f"ip tuntap add mode tun {VOID}",
    f"ip link set {VOID} up",
    f"ip route add default dev {VOID} table {TABLE}",
    "ip rule add pref 100 lookup local",  # behind the rules of single ports
    "ip rule del pref 0",
)


class Seclusion:
    """What this run may do to its own network and disks."""

    def __init__(self, *, network: bool, disks: bool) -> None:
        self.network = network
        self.disks = disks
        self._cut: set[int] = set()

    def cut(self, port: int) -> None:
        """From now on everything to and from this port vanishes; both sockets stay as they are."""
        self._cut.add(port)
        for side in ("dport", "sport"):
            _run(f"ip rule add pref 10 ipproto tcp {side} {port} lookup {TABLE}")

    def mend(self, port: int) -> None:
        """Let it through again; repeatable."""
        if port in self._cut:
            self._cut.discard(port)
            for side in ("dport", "sport"):
                _run(f"ip rule del pref 10 ipproto tcp {side} {port} lookup {TABLE}")

    @property
    def vanished(self) -> float:
        """Packets so far, of all ports."""
        if not self.network:
            return 0.0
        return float(_run(f"ip -s link show {VOID}").splitlines()[-1].split()[3])

    def small_disk(self, folder: Path, kilobytes: int) -> None:
        """Mount a disk of this size there, for the processes of this run alone."""
        folder.mkdir(parents=True, exist_ok=True)
        _run(f"mount -t tmpfs -o size={kilobytes}k none {folder}")

    def unmount(self, folder: Path) -> None:
        """Take it away again, whatever still holds it open."""
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def seclude() -> Seclusion:
    """Leave the machine's network and mounts for ones of our own, before anything is started."""
    return Seclusion(network=_own_network(), disks=_own_disks())


def _own_network() -> bool:
    if shutil.which("ip") is None or not Path("/dev/net/tun").exists() or not _unshare(CLONE_NEWNET):
        return False
    for command in PREPARATION:
        _run(command)
    LOCALNET.write_text("1", encoding="ascii")
    return True


def _own_disks() -> bool:
    if shutil.which("mount") is None or not _unshare(CLONE_NEWNS):
        return False
    _run("mount --make-rprivate /")
    return True


def _unshare(what: int) -> bool:
    if os.geteuid() != 0 or not hasattr(ctypes.CDLL(None), "unshare"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).unshare(what) == 0)


def _run(command: str) -> str:
    """Raises CalledProcessError: half a network would be worse than none."""
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout
