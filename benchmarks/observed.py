"""What the processes of a platform and its simulated exchanges say of themselves, and are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.samples import Sample

from benchmarks.loopback import ask, post, samples_of
from benchmarks.recorded import Mark
from benchmarks.stage import RunFailed
from trade_platform.adapters.loopback import LoopbackError, get_json
from trade_platform.adapters.process import Run, read_run
from trade_platform.domain.slots import other_slot


class Observed:
    """A data folder in which a platform runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- processes ---

    def run_of(self, name: str) -> Run | None:
        """The process of this lane, in either slot, once it is ready and while it lives."""
        runs = (read_run(self.folder / "run" / f"{one}.json") for one in (name, other_slot(name)))
        return next((run for run in runs if run is not None and run.alive), None)

    def pid_of(self, name: str) -> int:
        """Raises LoopbackError where there is no such process now."""
        run = self.run_of(name)
        if run is None:
            raise LoopbackError(f"{name} does not run just now")
        return run.pid

    def metrics(self, name: str) -> list[Sample]:
        """Raises LoopbackError."""
        return samples_of(ask(f"{self._told(name).metrics}/metrics").decode())

    def health(self, name: str) -> dict[str, Any]:
        """Raises LoopbackError."""
        return get_json(f"{self._told(name).metrics}/healthz")

    def environment_of(self, name: str) -> dict[str, str]:
        """What ``up`` told this process."""
        raw = Path(f"/proc/{self.pid_of(name)}/environ").read_bytes()
        return dict(line.split("=", 1) for line in raw.decode(errors="replace").split("\0") if "=" in line)

    def log_of(self, name: str) -> str:
        """What the processes of a lane have said so far."""
        paths = (self.folder / "logs" / f"{one}.log" for one in (name, other_slot(name)))
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.exists())

    # --- the simulated exchanges ---

    def mark(self, exchange: str) -> Mark:
        """How far the exchange is now; raises LoopbackError."""
        state = self.simulator(exchange)
        return Mark(state["market"], state["emitted"], state["delivered"])

    def simulator(self, exchange: str) -> dict[str, Any]:
        """What the simulated exchange tells of itself; raises LoopbackError."""
        return get_json(f"{self._control(exchange)}/state")

    def port_of(self, exchange: str) -> int:
        """Of the simulated exchange; raises LoopbackError."""
        port = urlsplit(self._control(exchange)).port
        assert port is not None
        return port

    def inflict(self, exchange: str, fault: str, **fields: object) -> None:
        """Have the exchange do something wrong at once; raises LoopbackError."""
        answer = post(f"{self._control(exchange)}/fault", {"fault": fault, "exchange": exchange, **fields})
        if "error" in answer:
            raise RunFailed(f"The simulator does not know the fault {fault}: {answer['error']}.")

    def _told(self, name: str) -> Run:
        run = self.run_of(name)
        if run is None:
            raise LoopbackError(f"{name} does not run just now")
        return run

    def _control(self, exchange: str) -> str:
        return f"{self._told('simulator').urls[exchange]['rest']}/simulator"
