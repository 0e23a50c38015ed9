"""The one error of embedded servers, and the sentences that a server's own words become."""

from __future__ import annotations

import re
from pathlib import Path


class EmbeddedError(Exception):
    """An embedded server cannot run; the sentence says why and what to do."""


_REMEDIES = (
    ("No space left on device", "the disk is full: free some space, or set DATA_FOLDER to another disk"),
    ("Disk quota exceeded", "the disk quota is used up: free some space, or set DATA_FOLDER to another disk"),
    (
        "Read-only file system",
        "the file system is read-only: set DATA_FOLDER to a folder that can be written",
    ),
    ("Permission denied", "a file may not be touched: check the owner and the permissions of the folder"),
    ("Cannot allocate memory", "there is not enough memory: free some"),
    ("could not map anonymous shared memory", "there is not enough memory: free some"),
    (
        "RDB format version",
        "the data were written by a newer server: install the one that wrote them, or move the folder away",
    ),
    (
        "Bad file format reading the append only file",
        "its log is damaged: move the folder away; what PostgreSQL holds is not touched by that",
    ),
)
_WORDS = re.compile(r"(?:FATAL|PANIC|error|Fatal error|cannot launch)[^:\n]*: *(.*)")


def sentence(server: str, log: Path, since: int) -> str:
    """Why the server did not start, from what it logged after position ``since``."""
    with log.open("rb") as file:
        file.seek(since)
        said = file.read()[-20_000:].decode(errors="replace")
    for words, remedy in _REMEDIES:
        if words in said:
            return f"{server} cannot run: {remedy} ({log} has the details)."
    found = _WORDS.findall(said) or said.strip().splitlines()[-1:] or ["it said nothing"]
    return f"{server} cannot run: {found[-1].strip().rstrip('.')} ({log} has the details)."


def unwritable(folder: Path, error: OSError) -> EmbeddedError:
    """For a data folder that we cannot make or write."""
    for words, remedy in _REMEDIES:
        if error.strerror == words and words != "Permission denied":
            return EmbeddedError(f"{folder} cannot be written: {remedy}.")
    return EmbeddedError(
        f"{folder} cannot be written ({error.strerror}): set DATA_FOLDER to a folder that you may write."
    )
