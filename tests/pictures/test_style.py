"""The common look."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import pytest

from trade_platform.pictures.style import SERIES, look, short


def test_a_program_s_own_look_comes_back_after_a_picture() -> None:
    before = dict(mpl.rcParams)
    with look():
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def seen_without_red(colour: str) -> tuple[float, float, float]:
    """How a deuteranope sees it (Machado and others, 2009, full severity), linear RGB."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return (
        0.367322 * r + 0.860646 * g - 0.227968 * b,
        0.280085 * r + 0.672501 * g + 0.047413 * b,
        -0.011820 * r + 0.042940 * g + 0.968881 * b,
    )


def test_rising_and_falling_and_the_first_lines_are_told_apart_without_red_and_green() -> None:
    for one, other in itertools.combinations(SERIES[:4], 2):
        a, b = seen_without_red(one), seen_without_red(other)
        assert max(abs(x - y) for x, y in zip(a, b, strict=True)) > 0.1, (one, other)


@pytest.mark.parametrize(
    ("number", "words"), [(0.5, "0.5"), (1234, "1.23 k"), (2_500_000, "2.5 M"), (-3e9, "-3 G")]
)
def test_large_numbers_are_short(number: float, words: str) -> None:
    assert short(number) == words
