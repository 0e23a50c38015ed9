"""Where an exchange's published files of the past lie: a folder of ours, or a web server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from trade_platform.adapters.sources import NotThere, Unreachable

BLOCK: Final = 1 << 20
LONGEST_TEXT: Final = 10_000
TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=60)
"""A month is a long file: the pace counts, not the length."""


class Files(Protocol):
    """A place with the archive's layout."""

    async def text(self, path: str) -> str:
        """A short file's content. Raises NotThere, Unreachable."""

    def whole(self, path: str) -> AbstractAsyncContextManager[Path]:
        """The file on this machine, for as long as the context lasts. Raises likewise."""


class ArchiveFolder:
    """Files that somebody has put below a folder, as they lie below the archive's root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def text(self, path: str) -> str:
        async with self.whole(path) as file:
            return file.read_bytes()[:LONGEST_TEXT].decode(errors="replace")

    @asynccontextmanager
    async def whole(self, path: str) -> AsyncIterator[Path]:
        file = self._folder / path
        try:
            there, root = file.is_file(), self._folder.is_dir()
        except OSError as error:
            raise Unreachable(f"{file} cannot be looked at ({error.strerror}).") from error
        if not root:
            raise Unreachable(f"The archive's folder {self._folder} is not there: correct ARCHIVE.")
        if not there:
            raise NotThere(f"{file} is not there.")
        yield file


class ArchiveHttp:
    """Files of a web server; each is kept in a temporary file while it is read."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    async def text(self, path: str) -> str:
        text = b""
        async for block in self._blocks(path):
            text += block
            if len(text) > LONGEST_TEXT:
                break
        return text.decode(errors="replace")

    @asynccontextmanager
    async def whole(self, path: str) -> AsyncIterator[Path]:
        with tempfile.TemporaryDirectory(prefix="archive-") as folder:
            file = Path(folder) / "file.zip"
            with file.open("wb") as kept:
                async for block in self._blocks(path):
                    await asyncio.to_thread(kept.write, block)
            yield file

    async def _blocks(self, path: str) -> AsyncIterator[bytes]:
        url = f"{self._base_url}/{path}"
        try:
            async with aiohttp.ClientSession(timeout=TIMEOUT) as http, http.get(url) as answer:
                if answer.status == 404:
                    raise NotThere(f"{url} is not there.")
                if answer.status != 200:
                    raise Unreachable(f"{url} is answered with the HTTP status {answer.status}.")
                async for block in answer.content.iter_chunked(BLOCK):
                    yield block
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{url} gave no answer ({str(error) or type(error).__name__}).") from error


def archive_files(location: str) -> Files:
    """A URL or the path of a folder, as a setting names it."""
    return ArchiveHttp(location) if "://" in location else ArchiveFolder(Path(location))
