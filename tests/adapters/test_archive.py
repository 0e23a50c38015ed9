"""The same files from a web server: found, absent, refused, cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web

from tests.adapters.published import publish, trade_path, trade_row
from trade_platform.adapters.archive import ArchiveFolder, ArchiveHttp, archive_files
from trade_platform.adapters.archive_source import ArchiveSource
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.sources import NotThere, SourceError, Unreachable
from trade_platform.domain.model import Channel
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.binance import BinanceSpot

SATURDAY = date(2026, 11, 21)
DAY = trade_path(SATURDAY.isoformat())


class Host:
    """A web server above a folder; ``status`` and ``cut`` are what it shall do wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = 200
        self.cut = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        file = self.folder / request.match_info["path"]
        if self.status != 200:
            return web.Response(status=self.status)
        if not file.is_file():
            return web.Response(status=404)
        if not self.cut:
            return web.FileResponse(file)
        body = file.read_bytes()
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.abort()
        return response


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path)
    app = web.Application()
    app.router.add_get("/below/{path:.*}", host.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}/below/"
    yield host
    await runner.cleanup()


async def read(host: Host) -> list[int]:
    archive: Archive | None = BinanceSpot().archive
    assert archive is not None
    source = ArchiveSource(archive, ArchiveHttp(host.url), WallClock())
    batches = source.trades("BTCUSDT", Channel.TRADE, 1, 5, (SATURDAY,))
    return [trade.sequence async for batch in batches for trade in batch]


async def test_files_of_a_web_server(host: Host, tmp_path: Path) -> None:
    publish(tmp_path, DAY, map(trade_row, range(1, 6)))
    assert await read(host) == [1, 2, 3, 4, 5]


async def test_absent(host: Host) -> None:
    with pytest.raises(NotThere, match="is not there"):
        await read(host)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_refused(host: Host, tmp_path: Path, status: int) -> None:
    publish(tmp_path, DAY, map(trade_row, range(1, 6)))
    host.status = status
    with pytest.raises(Unreachable, match=str(status)):
        await read(host)


async def test_cut_off(host: Host, tmp_path: Path) -> None:
    publish(tmp_path, DAY, map(trade_row, range(1, 6)))
    host.cut = True
    with pytest.raises(Unreachable, match="gave no answer"):
        await read(host)


async def test_nobody_there(host: Host) -> None:
    host.url = "http://127.0.0.1:9/"
    with pytest.raises(SourceError, match="gave no answer"):
        await read(host)


@pytest.mark.parametrize("root", ["mistyped", "file"])
async def test_a_folder_that_is_not_there_is_not_a_file_that_was_not_published(
    tmp_path: Path, root: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match=rf"folder .*{root} is not there: correct ARCHIVE\."):
        await ArchiveFolder(tmp_path / root).text(DAY)
    with pytest.raises(NotThere):
        await ArchiveFolder(tmp_path).text(DAY)


def test_a_setting_names_a_folder_or_a_server(tmp_path: Path) -> None:
    assert isinstance(archive_files(str(tmp_path)), ArchiveFolder)
    assert isinstance(archive_files("https://example.org/data"), ArchiveHttp)
