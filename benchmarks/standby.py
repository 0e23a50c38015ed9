"""A second processor on a stream that has one: it waits, and takes over when the owner dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.loopback import Reading
from benchmarks.platform import Platform
from benchmarks.stage import STOP_SECONDS, RunFailed
from trade_platform.adapters.children import Child

READY_SECONDS: Final = 30.0


class Standby:
    """Of one stream; ``begin`` before the fault, ``end`` after it."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._first = f"processor-{stream.replace(':', '-')}"
        self._name = f"{self._first}-second"
        self._child: Child | None = None
        self._waited = 0.0

    def begin(self, platform: Platform, _targets: Sequence[str]) -> None:
        """Start it beside the owner, and wait until it says that it stands by."""
        arguments = ["-m", "trade_platform.processors", "--stream", self._stream]
        self._child = Child(self._name, arguments, platform.environment_of(self._first), platform.folder)
        self._child.start()
        platform.until(lambda: self._role(platform) in ("standby", "owner"), self._name, READY_SECONDS)
        self._waited = float(self._role(platform) == "standby")

    def waited(self, _platform: Platform, _target: str) -> Reading:
        """Before the fault it was no owner."""
        return {"standby beside an owner": self._waited and float(self._child is not None)}

    def owns(self, platform: Platform, _target: str) -> Reading:
        return {"standby took over": float(self._role(platform) == "owner")}

    def end(self, platform: Platform, _targets: Sequence[str]) -> None:
        """Stop it; the first one, started again by ``up``, is to have the stream back."""
        assert self._child is not None
        self._child.terminate()
        code = self._child.wait(STOP_SECONDS)
        if code != 0:
            raise RunFailed(f"{self._name} ended with {code}: {self._child.last_words()}")
        platform.until(
            lambda: platform.health(self._first)["details"]["role"] == "owner",
            f"{self._first} as owner again",
            READY_SECONDS,
        )

    def _role(self, platform: Platform) -> object:
        return platform.health(self._name)["details"]["role"]
