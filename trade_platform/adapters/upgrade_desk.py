"""How ``trade-platform upgrade`` reaches whoever keeps the processes alive: two files of the data folder.

The request is there from the asking until the upgrade's end, so that there is never more than one; the
progress is written anew with each change. Who may write into the data folder may ask.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec


class UpgradeUnderWay(Exception):
    """Somebody else asked first."""


class LaneState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    """The successor runs and is not live yet."""
    LIVE = "live"
    """Both work; the old one was asked to stop."""
    REPLACED = "old stopped"
    FAILED = "failed"
    """The successor was stopped again; the old one works on."""


class LaneProgress(msgspec.Struct, frozen=True, kw_only=True):
    lane: str
    old: str
    """Name of the process that works when the upgrade begins."""
    new: str
    state: LaneState = LaneState.WAITING
    detail: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    identity: str
    """Tells this upgrade's progress from an earlier one's."""
    lanes: tuple[str, ...] = ()
    """Empty: all of them."""
    deadline_seconds: float


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    identity: str
    lanes: tuple[LaneProgress, ...] = ()
    verdict: str = ""
    """The final sentence; empty while it goes on."""
    good: bool = False


class UpgradeDesk:
    """The two files, seen from both sides."""

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder / "run" / "upgrade"
        self._request = self._folder / "request.json"
        self._progress = self._folder / "progress.json"

    def ask(self, request: Request) -> None:
        """Leave a request; raises UpgradeUnderWay."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"request.{os.getpid()}.part"
        draft.write_bytes(msgspec.json.encode(request) + b"\n")
        try:
            os.link(draft, self._request)  # whole at once, and only where there is none
        except FileExistsError as error:
            raise UpgradeUnderWay from error
        finally:
            draft.unlink()

    def asked(self) -> Request | None:
        """What is asked for, if anything is."""
        try:
            return msgspec.json.decode(self._request.read_bytes(), type=Request)
        except (OSError, msgspec.DecodeError):
            return None

    def tell(self, progress: Progress) -> None:
        """How far it is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._progress.with_suffix(".part")
        draft.write_bytes(msgspec.json.encode(progress) + b"\n")
        draft.replace(self._progress)

    def told(self, identity: str) -> Progress | None:
        """What was told of this upgrade."""
        try:
            progress = msgspec.json.decode(self._progress.read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None
        return progress if progress.identity == identity else None

    def clear(self) -> None:
        """The upgrade is over, or whoever was to do it is gone: the next may be asked for."""
        self._request.unlink(missing_ok=True)
