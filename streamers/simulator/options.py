"""What an option is worth: Black's formula, enough of it to make tickers that hang together."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt
from typing import NamedTuple

YEAR = 365 * 24 * 60 * 60 * 1_000_000


class Worth(NamedTuple):
    """Of one option on one coin; ``price`` in coin, greeks in US dollars as Deribit shows them."""

    price: float
    volatility: float
    """Percent."""
    delta: float
    gamma: float
    rho: float
    theta: float
    vega: float


def worth(forward: float, strike: int, expiry: int, now: int, *, call: bool) -> Worth:
    """Value at ``now`` (microseconds UTC) with a smile that is dearer away from the money."""
    years = max(expiry - now, 60_000_000) / YEAR
    moneyness = log(strike / forward)
    sigma = 0.45 + 0.5 * moneyness * moneyness - 0.05 * moneyness
    root = sigma * sqrt(years)
    d1 = -moneyness / root + root / 2
    d2 = d1 - root
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    sign = 1 if call else -1
    dollars = sign * (forward * _normal(sign * d1) - strike * _normal(sign * d2))
    return Worth(
        price=max(dollars / forward, 0.0),
        volatility=round(sigma * 100, 2),
        delta=round(sign * _normal(sign * d1), 5),
        gamma=round(density / (forward * root), 5),
        rho=round(sign * strike * years * _normal(sign * d2) / 100, 5),
        theta=round(-forward * density * sigma / (2 * sqrt(years)) / 365, 5),
        vega=round(forward * density * sqrt(years) / 100, 5),
    )


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2
