"""Becomes a server: takes on an account, ties its life to its starter's, then executes the server.

Run as a script by ``server.py``, never imported: between fork and exec of a process that may have
threads nothing is safe but exec itself. What the kernel is told must be told in this order: a change of
account clears the death signal.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
EXIT_CANNOT_LAUNCH = 111


def become(account: dict[str, int | str]) -> None:
    """Drop to another user, or map ours to another inside a user namespace of our own."""
    uid, gid = int(account["uid"]), int(account["gid"])
    if account["kind"] == "drop":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    elif account["kind"] == "map":
        own_uid, own_gid = os.geteuid(), os.getegid()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "unshare")
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {own_uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {own_gid} 1", encoding="ascii")


def follow(parent: int, signal: int) -> None:
    """Have the kernel signal us when our starter ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew
        raise SystemExit(EXIT_CANNOT_LAUNCH)


def main() -> None:
    """Arguments: one JSON object, then the command."""
    plan = json.loads(sys.argv[1])
    command = sys.argv[2:]
    try:
        become(plan["account"])
        follow(plan["parent"], plan["signal"])
        os.umask(0o077)
        os.chdir(plan["folder"])
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot launch {command[0]}: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CANNOT_LAUNCH) from error


if __name__ == "__main__":
    main()
