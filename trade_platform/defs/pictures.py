"""Pictures and tables as metadata, which the web page shows beside an asset."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

MOST_BYTES: Final = 100_000
"""Of a picture: it is kept in Dagster's own tables with every event."""


def picture(png: bytes, words: str = "") -> dg.MarkdownMetadataValue:
    """A picture that needs no server of its own; one that is too large is only spoken of."""
    if len(png) > MOST_BYTES:
        return dg.MetadataValue.md(f"The picture is too large to be kept here ({len(png):,} bytes).")
    return dg.MetadataValue.md(f"![{words}](data:image/png;base64,{b64encode(png).decode()})")


def table(rows: Sequence[Mapping[str, str | float | int | bool | None]]) -> dg.TableMetadataValue:
    """One record a row; all have the same columns, and there is one at least."""
    return dg.MetadataValue.table(records=[dg.TableRecord(dict(row)) for row in rows])
