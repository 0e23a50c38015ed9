"""Decodes pictures, to judge what is in them."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

MOST_BYTES = 100_000


def decoded(png: bytes) -> Image.Image:
    """The picture itself, which fits into what Dagster keeps."""
    assert len(png) < MOST_BYTES
    image = Image.open(io.BytesIO(png))
    image.load()
    return image.convert("RGB")


def dots(image: Image.Image, colour: str, within: int = 12) -> int:
    """Dots of about this colour (#rrggbb)."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    found = image.getcolors(maxcolors=1 << 24) or []
    near = [n for n, rgb in found if all(abs(a - b) <= within for a, b in zip(rgb, wanted, strict=True))]
    return sum(near)


def labelled(axes: Any, label: str) -> list[Any]:
    """The artists of this name."""
    return [one for one in axes.collections if one.get_label() == label]


def words(figure: Any) -> str:
    """Everything that is written on it."""
    from matplotlib.text import Text

    return "\n".join(one.get_text() for one in figure.findobj(Text) if one.get_text())
