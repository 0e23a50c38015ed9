"""What the simulated exchanges list: each instrument's grid, price and temper."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

import msgspec

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND

BINANCE_SPOT = "binance_spot"
BINANCE_USDM = "binance_usdm"
DERIBIT = "deribit"
INDICES = {"btc_usd": "BTC-PERPETUAL", "eth_usd": "ETH-PERPETUAL", "btc_usdc": "BTC_USDC-PERPETUAL"}
"""Deribit's price indices, and where each takes its price from."""
EXCHANGES = (BINANCE_SPOT, BINANCE_USDM, DERIBIT)


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. Prices and quantities are integers in units of 10^-decimals, on a grid."""

    symbol: str
    base: str
    quote: str
    kind: str = "spot"
    """spot | perpetual | future | option"""
    price_decimals: int
    tick: int = 1
    quantity_decimals: int
    step: int = 1
    price: float
    """Where the walk begins and what it leans back to."""
    orders_per_second: float
    spread: int = 1
    """Ticks between bid and ask in calm times."""
    swing: float = 1.0
    """Typical move between two orders, in ticks."""
    size: float = 10.0
    """Typical fill, in steps."""
    status: str = "TRADING"
    settlement: str = ""
    inverse: bool = False
    """Quantity counts quote currency; the base volume of a trade is quantity / price."""
    index: str = ""
    contract_size: str = ""
    expiry: int | None = None
    """Microseconds UTC."""
    strike: int | None = None
    option_type: str | None = None
    number: int = 0
    """The exchange's own number for it (Deribit's instrument_id)."""


def quarter_end(now: int) -> datetime:
    """The next quarterly expiry (last Friday, 08:00 UTC) that is at least two weeks away."""
    day = datetime.fromtimestamp(now / SECOND, UTC) + timedelta(days=14)
    year, month = day.year, (day.month + 2) // 3 * 3
    while True:
        last = datetime(year, month, calendar.monthrange(year, month)[1], 8, tzinfo=UTC)
        friday = last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7)
        if friday > day:
            return friday
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)


def listings(exchange: str, now: int) -> list[Listing]:
    """Everything that an exchange lists, given when its market opens."""
    return {BINANCE_SPOT: _spot, BINANCE_USDM: _usdm, DERIBIT: _deribit}[exchange](now)


def _spot(_now: int) -> list[Listing]:
    def pair(
        base: str, quote: str, decimals: tuple[int, int], price: float, rate: float, swing: float, size: float
    ) -> Listing:
        return Listing(
            symbol=base + quote,
            base=base,
            quote=quote,
            price_decimals=decimals[0],
            quantity_decimals=decimals[1],
            price=price,
            orders_per_second=rate,
            swing=swing,
            size=size,
            status="TRADING" if rate else "BREAK",
        )

    return [
        pair("BTC", "USDT", (2, 5), 92_000.0, 9.0, 150.0, 400.0),
        pair("ETH", "USDT", (2, 4), 3_100.0, 6.0, 12.0, 900.0),
        pair("SOL", "USDT", (2, 3), 140.0, 3.0, 1.5, 2_500.0),
        pair("BNB", "USDT", (2, 3), 880.0, 2.0, 4.0, 300.0),
        pair("XMR", "BTC", (6, 3), 0.004_5, 0.03, 2.0, 900.0),
        pair("NKN", "USDT", (4, 0), 0.021_4, 0.01, 1.0, 600.0),
        pair("币安人生", "USDT", (4, 0), 0.153_2, 0.1, 3.0, 800.0),
        pair("LUNC", "USDT", (8, 2), 0.000_061_2, 0.0, 1.0, 1.0),
    ]


def _usdm(now: int) -> list[Listing]:
    end = quarter_end(now)

    def contract(
        base: str,
        decimals: tuple[int, int],
        price: float,
        rate: float,
        swing: float,
        size: float,
        dated: str = "",
    ) -> Listing:
        return Listing(
            symbol=f"{base}USDT{dated}",
            base=base,
            quote="USDT",
            settlement="USDT",
            kind="future" if dated else "perpetual",
            price_decimals=decimals[0],
            quantity_decimals=decimals[1],
            price=price,
            orders_per_second=rate,
            swing=swing,
            size=size,
            expiry=_microseconds(end) if dated else None,
        )

    return [
        contract("BTC", (1, 3), 92_030.0, 9.0, 14.0, 30.0),
        contract("ETH", (2, 3), 3_101.0, 6.0, 11.0, 800.0),
        contract("SOL", (2, 2), 140.05, 3.0, 1.5, 900.0),
        contract("BTC", (1, 3), 92_700.0, 0.3, 20.0, 12.0, f"_{end:%y%m%d}"),
    ]


def _deribit(now: int) -> list[Listing]:
    end = quarter_end(now)
    futures = [
        Listing(
            symbol="BTC-PERPETUAL",
            base="BTC",
            quote="USD",
            settlement="BTC",
            kind="perpetual",
            inverse=True,
            price_decimals=1,
            tick=5,
            quantity_decimals=0,
            step=10,
            contract_size="10.0",
            price=92_020.0,
            orders_per_second=4.0,
            swing=3.0,
            size=60.0,
            status="open",
            index="btc_usd",
            number=124_972,
        ),
        Listing(
            symbol="ETH-PERPETUAL",
            base="ETH",
            quote="USD",
            settlement="ETH",
            kind="perpetual",
            inverse=True,
            price_decimals=2,
            tick=5,
            quantity_decimals=0,
            step=1,
            contract_size="1.0",
            price=3_100.5,
            orders_per_second=3.0,
            swing=2.0,
            size=400.0,
            status="open",
            index="eth_usd",
            number=124_973,
        ),
        Listing(
            symbol="BTC_USDC-PERPETUAL",
            base="BTC",
            quote="USDC",
            settlement="USDC",
            kind="perpetual",
            price_decimals=1,
            tick=5,
            quantity_decimals=4,
            contract_size="0.0001",
            price=92_010.0,
            orders_per_second=0.5,
            swing=4.0,
            size=150.0,
            status="open",
            index="btc_usdc",
            number=250_001,
        ),
        Listing(
            symbol=f"BTC-{_day(end)}",
            base="BTC",
            quote="USD",
            settlement="BTC",
            kind="future",
            inverse=True,
            price_decimals=1,
            tick=25,
            quantity_decimals=0,
            step=10,
            contract_size="10.0",
            price=92_700.0,
            orders_per_second=0.3,
            swing=2.0,
            size=40.0,
            status="open",
            index="btc_usd",
            expiry=_microseconds(end),
            number=300_001,
        ),
        Listing(
            symbol="BTC_USDC",
            base="BTC",
            quote="USDC",
            settlement="USDC",
            price_decimals=1,
            tick=5,
            quantity_decimals=4,
            contract_size="0.0001",
            price=92_015.0,
            orders_per_second=0.2,
            swing=4.0,
            size=100.0,
            status="open",
            index="btc_usdc",
            number=350_001,
        ),
    ]
    options = [
        Listing(
            symbol=f"BTC-{_day(end)}-{strike}-{letter}",
            base="BTC",
            quote="BTC",
            settlement="BTC",
            kind="option",
            price_decimals=4,
            tick=5,
            quantity_decimals=1,
            contract_size="1.0",
            price=0.0,
            orders_per_second=0.03,
            size=12.0,
            status="open",
            index="btc_usd",
            expiry=_microseconds(end),
            strike=strike,
            option_type={"C": "call", "P": "put"}[letter],
            number=400_001 + 2 * place + (letter == "P"),
        )
        for place, strike in enumerate((80_000, 90_000, 95_000, 100_000, 120_000))
        for letter in "CP"
    ]
    return futures + options


def _day(moment: datetime) -> str:
    """Deribit's day: no leading zero, English month."""
    months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    return f"{moment.day}{months[moment.month - 1]}{moment:%y}"


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
