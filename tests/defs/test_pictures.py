"""Pictures and tables as the web page takes them."""

from __future__ import annotations

import base64

import dagster as dg

from trade_platform.defs.pictures import MOST_BYTES, picture, table


def test_a_picture_travels_in_its_own_text() -> None:
    text = picture(b"\x89PNG...", "a chart").md_str
    head, _, data = text.partition("base64,")
    assert head == "![a chart](data:image/png;"
    assert base64.b64decode(data.removesuffix(")")) == b"\x89PNG..."


def test_a_picture_that_is_too_large_is_only_spoken_of() -> None:
    text = picture(b"x" * (MOST_BYTES + 1)).md_str
    assert "too large" in text
    assert len(text) < 100


def test_a_table_keeps_its_columns_and_rows() -> None:
    found = table([{"name": "a", "share": 0.5, "gaps": 2}, {"name": "b", "share": 1.0, "gaps": 0}])
    assert [column.name for column in found.schema.columns] == ["name", "share", "gaps"]
    assert [record.data["name"] for record in found.records] == ["a", "b"]
    assert isinstance(found, dg.TableMetadataValue)
