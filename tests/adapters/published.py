"""Makes files as an exchange publishes them: a zip with one table, and its digest beside it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path

TABLE = "table.csv"


def publish(root: Path, path: str, rows: Iterable[str], *, tables: tuple[str, ...] = (TABLE,)) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        text = "".join(f"{row}\n" for row in rows)
        for table in tables:
            zipped.writestr(table, text)
    sign(file)
    return file


def sign(file: Path) -> None:
    """Publish the digest of what lies there now."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.CHECKSUM").write_text(f"{digest}  {file.name}\n", encoding="utf-8")


def trade_path(day: str, period: str = "daily") -> str:
    return f"data/spot/{period}/trades/BTCUSDT/BTCUSDT-trades-{day}.zip"


def trade_row(number: int, time: int = 1_795_219_200_000_000) -> str:
    return f"{number},1.5,2,3.0,{time + number},True,True"


def candle_path(day: str) -> str:
    return f"data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{day}.zip"


def candle_row(open_time: int) -> str:
    return f"{open_time},1,2,0.5,1.5,10,{open_time + 59_999_999},15,3,4,6,0"
