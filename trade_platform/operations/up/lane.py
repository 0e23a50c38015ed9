"""A lane of ``up``: the child process that works and, in an upgrade, the one that is to replace it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trade_platform.adapters.children import Child
from trade_platform.adapters.loopback import LoopbackError, get_json
from trade_platform.domain.slots import other_slot
from trade_platform.operations.upgrade import Fitness

DISMISS_SECONDS = 15.0
PREDECESSOR = "PREDECESSOR"
"""Setting of a successor: the process that delivers until it is live."""


class Lane:
    """One place of work."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        restarts: bool = True,
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._folder = folder
        self._restarts = restarts
        self.child = Child(name, arguments, environment, folder, restarts=restarts)
        """The one that works."""
        self.successor: Child | None = None

    @property
    def process(self) -> str:
        return self.child.name

    @property
    def idle(self) -> str:
        return other_slot(self.child.name)

    @property
    def children(self) -> list[Child]:
        """Both, where there are two."""
        return [self.child] if self.successor is None else [self.child, self.successor]

    def keep_alive(self) -> str | None:
        """A successor that dies is no successor; the old one is kept until it is asked to stop."""
        return self.child.keep_alive()

    # --- what an upgrade does with it ---

    def start_successor(self) -> None:
        environment = {**self._environment, PREDECESSOR: self.child.name}
        self.successor = Child(self.idle, self._arguments, environment, self._folder, restarts=self._restarts)
        self.successor.start()

    def fitness(self) -> tuple[Fitness, str]:
        """As the successor's /healthz tells it."""
        assert self.successor is not None
        code = self.successor.exited()
        if code is not None:
            return Fitness.DEAD, f"ended with exit code {code}: {self.successor.last_words()}"
        return fitness_of(health_of(self.successor))

    def ask_old_to_stop(self) -> None:
        self.child.terminate()

    def old_has_stopped(self) -> bool:
        return self.child.exited() is not None

    def kill_old(self) -> None:
        self.child.wait(0.0)

    def promote(self) -> str:
        assert self.successor is not None
        old, self.child, self.successor = self.child, self.successor, None
        self.child.forget(PREDECESSOR)  # started again, it follows nobody
        code = old.exited()
        return "" if code == 0 else f"{old.name} ended with exit code {code}: {old.last_words()}"

    def dismiss_successor(self) -> None:
        if self.successor is not None:
            self.successor.terminate()
            self.successor.wait(DISMISS_SECONDS)
            self.successor = None


def health_of(child: Child) -> dict[str, object]:
    """What /healthz of a child says; nothing where it does not answer."""
    record = child.ready()
    try:
        return get_json(f"{record.metrics}/healthz") if record else {}
    except LoopbackError:
        return {}


def fitness_of(health: Mapping[str, object]) -> tuple[Fitness, str]:
    """A processor and the repair tell their role, a streamer whether everything is live."""
    details = health.get("details")
    if not isinstance(details, dict):
        return Fitness.STARTING, ""
    match details.get("role"):
        case "owner" | "leader":
            return Fitness.WORKING, ""
        case "standby":
            return Fitness.LIVE, ""
        case None if details.get("live"):
            return Fitness.WORKING, ""
    return Fitness.STARTING, str(health.get("reason") or details.get("waiting_for") or "")
