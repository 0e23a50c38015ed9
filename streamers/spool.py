"""The spool: a bounded queue on disk for what Redis cannot take now, replayed in order.

Segments are files of frames: length and CRC-32 (little-endian, 4 bytes each), then the payload. A frame
that is cut off or damaged ends its segment: what follows in it is counted as torn and passed over.

When is a frame safe? At once against the end of the process, however it ends: it is in the kernel's
hands. Against the end of the machine once its descriptor from ``take_unsynced`` went through ``keep``,
which the publisher does every second while the spool is in use, in a thread. The position of a replay
is not stored: a segment is removed when all of it was confirmed, and a replay that was cut off repeats,
which readers recognise by ``n``. A segment that the disk does not give back is set aside as
``*.unreadable``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import structlog

SEGMENT_BYTES = 4 * 1024 * 1024
FRAME = struct.Struct("<II")
MAXIMUM_PAYLOAD = 64 * 1024 * 1024
FIRST_SEGMENT = 1000
"""Number of an empty spool's first segment; those below are for what is put in front."""

PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
"""Complaints that say nothing of the segment itself."""

Mark: TypeAlias = tuple[int, int]
"""(how many segments to leave behind, offset after the frame)."""

log = structlog.get_logger()


class SpoolUnusable(Exception):
    """The spool's folder cannot be used; the sentence says why and what to do."""


def keep(descriptors: list[int]) -> str:
    """Sync and close; the disk's complaint, if it has one. Blocks: call it in a thread."""
    complaint = ""
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        except OSError as error:
            complaint = error.strerror or str(error)
        finally:
            os.close(descriptor)
    return complaint


class Spool:
    """First in, first out, on disk. One process at a time per folder."""

    def __init__(self, folder: Path, limit_bytes: int, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.reserve_bytes = limit_bytes // 16
        """Beyond the limit, for events alone: what is shed must still be told."""
        self.bytes = 0
        self.high_water = 0
        self.torn = 0
        """Segments that ended in a frame cut off or damaged."""
        self.failing = ""
        """The disk's last complaint; empty when it takes what it is given."""
        self._segment_bytes = segment_bytes
        self._segments: deque[tuple[Path, int]] = deque()
        self._writing: BinaryIO | None = None
        self._written = 0
        self._unsynced: list[int] = []
        """Descriptors of ended segments that the disk was not yet asked to keep."""
        self._confirmed = 0
        """Offset in the first segment up to which everything was confirmed."""
        self._peeked: deque[Mark] = deque()
        """The end of each payload that ``peek`` handed out."""
        self._claimed: Mark | None = None
        self._lock: BinaryIO | None = None
        self._behind_refused = 0
        """The lowest number behind segments that could not even be set aside."""

    def open(self) -> None:
        """Take the folder and what an earlier process left in it; raises SpoolUnusable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in sorted(self.folder.glob("*.spool")):
                try:
                    size = path.stat().st_size
                except OSError as error:
                    self._set_aside(path, error)
                    continue
                self._segments.append((path, size))
                self.bytes += size
        except BlockingIOError as error:
            self._unlock()
            raise SpoolUnusable(
                f"{self.folder} is in use by another process of the same name: "
                "stop it, or give this one another PROCESS_NAME."
            ) from error
        except OSError as error:
            raise SpoolUnusable(
                f"{self.folder} cannot be used ({error.strerror}): "
                "check the free space and the permissions of DATA_FOLDER."
            ) from error
        self.high_water = self.bytes
        self._drop_empty()

    @property
    def empty(self) -> bool:
        return not self._segments

    def admits(self, payload_bytes: int, *, event: bool = False) -> bool:
        """Is there room for a payload? Events may use the reserve."""
        room = self.limit_bytes + (self.reserve_bytes if event else 0)
        return self.bytes + FRAME.size + payload_bytes <= room

    def append(self, payload: bytes) -> bool:
        """Add a payload at the end; False where the disk refuses, and then nothing was added."""
        frame = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            if self._writing is None or self._written >= self._segment_bytes:
                self._begin_segment()
            self._write(frame)
        except OSError as error:
            self.failing = error.strerror or str(error)
            if self._segments and self._segments[-1][1] == 0:
                self._drop_last()
            return False
        self.failing = ""
        self._written += len(frame)
        self._segments[-1] = (self._segments[-1][0], self._written)
        self.bytes += len(frame)
        self.high_water = max(self.high_water, self.bytes)
        return True

    def prepend(self, payloads: Iterable[bytes]) -> bool:
        """Put payloads in front of all the others, whatever the bound; False where the disk refuses."""
        number = int(self._segments[0][0].stem) - 1 if self._segments else FIRST_SEGMENT
        content = b"".join(FRAME.pack(len(one), zlib.crc32(one)) + one for one in payloads)
        path = self._path(number)
        if number < 0:
            return False
        try:
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.failing = error.strerror or str(error)
            return False
        self._segments.appendleft((path, len(content)))
        self._confirmed = 0
        self._peeked.clear()
        self._claimed = None
        self.bytes += len(content)
        return True

    def peek(self, limit_bytes: int) -> list[bytes]:
        """The oldest payloads that were not confirmed, at least one where there is any."""
        self._peeked.clear()
        self._claimed = None
        payloads: list[bytes] = []
        offset, size, behind = self._confirmed, 0, 0
        while behind < len(self._segments) and size < limit_bytes:
            try:
                with self._segments[behind][0].open("rb") as file:
                    file.seek(offset)
                    while size < limit_bytes:
                        payload = self._read_frame(file)
                        if payload is None:
                            break
                        offset += FRAME.size + len(payload)
                        size += len(payload)
                        payloads.append(payload)
                        self._peeked.append((behind, offset))
                    else:
                        break
            except OSError as error:
                if payloads:
                    break  # those first; the next peek meets the error again
                if error.errno in PASSING:
                    self.failing = error.strerror or str(error)
                    return []
                self._condemn(behind, error)
                behind -= 1
            behind, offset = behind + 1, 0
        if not payloads:  # nothing but damage was left
            self._leave(len(self._segments), 0)
        else:
            self._claimed = self._peeked[-1]
        return payloads

    def __iter__(self) -> Iterator[bytes]:
        """Everything that was not confirmed, oldest first, without a claim to confirm it."""
        offset = self._confirmed
        for path, _ in tuple(self._segments):
            with contextlib.suppress(OSError), path.open("rb") as file:  # ``peek`` says it
                file.seek(offset)
                while (payload := self._read_frame(file)) is not None:
                    yield payload
            offset = 0

    def confirm(self, count: int) -> None:
        """The first ``count`` payloads of the last ``peek`` are where they belong."""
        if count == 0:
            return
        self._claimed = None
        for _ in range(count):
            behind, offset = self._peeked.popleft()
        self._peeked = deque((later - behind, end) for later, end in self._peeked)
        self._leave(behind, offset)

    def claim(self) -> None:
        """All that was appended so far is being sent from elsewhere: ``confirm_claimed`` speaks of it."""
        self._claimed = (len(self._segments) - 1, self._written)

    def confirm_claimed(self) -> None:
        """All of the last ``peek``, or up to the ``claim``, is where it belongs."""
        claimed, self._claimed = self._claimed, None
        if claimed is not None:
            self._peeked.clear()
            self._leave(*claimed)

    def clear(self) -> None:
        """Nothing of it is needed."""
        self._claimed = None
        self._leave(len(self._segments), 0)

    def take_unsynced(self) -> list[int]:
        """Descriptors of what was written since the last call; the caller owes them ``keep``."""
        current = [] if self._writing is None else [os.dup(self._writing.fileno())]
        descriptors, self._unsynced = self._unsynced, []
        return descriptors + current

    def close(self) -> None:
        """Let go of the folder; what is in it stays for the next process."""
        self._end_segment()
        keep(self.take_unsynced())
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _begin_segment(self) -> None:
        self._end_segment()
        number = int(self._segments[-1][0].stem) + 1 if self._segments else FIRST_SEGMENT
        path = self._path(max(number, self._behind_refused))
        self._writing = path.open("xb", buffering=0)
        self._written = 0
        self._segments.append((path, 0))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.spool"

    def _end_segment(self) -> None:
        if self._writing is not None:
            self._unsynced.append(os.dup(self._writing.fileno()))
            self._writing.close()
            self._writing = None

    def _drop_last(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        path, _ = self._segments.pop()
        path.unlink(missing_ok=True)

    def _write(self, frame: bytes) -> None:
        assert self._writing is not None
        done = 0
        try:
            while done < len(frame):
                done += self._writing.write(frame[done:])
        except OSError:
            self._writing.truncate(self._written)  # a frame stands whole or not at all
            self._writing.seek(self._written)
            raise

    def _read_frame(self, file: BinaryIO) -> bytes | None:
        header = file.read(FRAME.size)
        if not header:
            return None
        if len(header) == FRAME.size:
            length, checksum = FRAME.unpack(header)
            if 0 < length <= MAXIMUM_PAYLOAD:  # a power cut may leave zeros behind
                payload = file.read(length)
                if len(payload) == length and zlib.crc32(payload) == checksum:
                    return payload
        self.torn += 1
        return None

    def _leave(self, segments: int, offset: int) -> None:
        for _ in range(segments):
            self._remove_first()
        self._confirmed = offset
        while self._segments and self._confirmed >= self._segments[0][1]:
            self._remove_first()

    def _condemn(self, index: int, error: OSError) -> None:
        path, size = self._segments[index]
        if index == len(self._segments) - 1 and self._writing is not None:
            self._writing.close()
            self._writing = None
        del self._segments[index]
        self.bytes -= size
        if index == 0:
            self._confirmed = 0
        self._set_aside(path, error)

    def _set_aside(self, path: Path, error: OSError) -> None:
        self.torn += 1
        log.error("A segment of the spool cannot be read: it is set aside.", path=str(path), error=str(error))
        try:
            path.rename(path.with_suffix(".unreadable"))
        except OSError:
            self._behind_refused = max(self._behind_refused, int(path.stem) + 1)

    def _drop_empty(self) -> None:
        while self._segments and self._segments[0][1] == 0:
            self._remove_first()

    def _remove_first(self) -> None:
        path, size = self._segments.popleft()
        if not self._segments and self._writing is not None:
            self._writing.close()
            self._writing = None
        path.unlink(missing_ok=True)
        self.bytes -= size
        self._confirmed = 0
