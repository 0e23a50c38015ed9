"""The leader's side of ``trade-platform upgrade``: takes the request, replaces lanes, tells how far it is."""

from __future__ import annotations

import time

from trade_platform.adapters.upgrade_desk import LaneState, Progress, Request, UpgradeDesk
from trade_platform.operations.up.processes import Processes
from trade_platform.operations.upgrade import Upgrade


class Upgrading:
    """At most one upgrade at a time."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._desk = UpgradeDesk(processes.folder)
        self._desk.clear()  # of an earlier run that was cut off
        self._upgrade: Upgrade | None = None
        self._whole = False
        """It is of every lane."""

    def step(self) -> bool:
        """Go on with the upgrade, or look for a request; True while there is one."""
        if self._upgrade is None:
            self._begin()
        if self._upgrade is None:
            return False
        before = self._upgrade.progress
        self._upgrade.step(time.monotonic())
        self._tell(before)
        return self._upgrade is not None

    def give_up(self) -> None:
        """The platform ends."""
        if self._upgrade is not None:
            before = self._upgrade.progress
            self._upgrade.abandon("the platform is being stopped")
            self._tell(before)

    def _begin(self) -> None:
        request = self._desk.asked()
        if request is None:
            return
        known = {lane.name: lane for lane in self._processes.lanes}
        unknown = [name for name in request.lanes if name not in known]
        if unknown:
            self._refuse(request, f"There is no lane {unknown[0]}: there are {', '.join(known)}.")
            return
        lanes = [lane for lane in known.values() if not request.lanes or lane.name in request.lanes]
        self._processes.display.say("an upgrade begins")
        self._whole = not request.lanes
        self._upgrade = Upgrade(request.identity, lanes, request.deadline_seconds)
        self._desk.tell(self._upgrade.progress)

    def _refuse(self, request: Request, why: str) -> None:
        self._desk.clear()
        self._desk.tell(Progress(identity=request.identity, verdict=why))

    def _tell(self, before: Progress) -> None:
        assert self._upgrade is not None
        progress = self._upgrade.progress
        if progress == before:
            return
        for old, new in zip(before.lanes, progress.lanes, strict=True):
            if old.state is not new.state and new.state is LaneState.REPLACED:
                self._processes.display.say(f"{new.new} has replaced {new.old}")
        if progress.verdict:
            self._processes.display.say(progress.verdict)
            self._upgrade = None
            if progress.good and self._whole and self._processes.dagster is not None:
                self._processes.dagster.restart()  # nothing passes through it: no second slot is needed
            self._desk.clear()  # first: who reads the verdict may ask again
        self._desk.tell(progress)
