"""Instrument objects for a replay: as the session recorded them, else made up from its symbols."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from streamers.simulator.capture import Recorded, split
from streamers.simulator.exchange_objects import OBJECTS
from streamers.simulator.listing import BINANCE_USDM, DERIBIT, SECOND, Listing

QUOTES = (
    "USDT",
    "BUSD",
    "USDC",
    "FDUSD",
    "TUSD",
    "BTC",
    "ETH",
    "BNB",
    "TRY",
    "EUR",
    "BRL",
    "AUD",
    "GBP",
    "RUB",
)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


def derive_instruments(
    exchange: str, symbols: list[str], recorded: list[dict[str, Any]], frames: list[Recorded]
) -> dict[str, dict[str, Any]]:
    """Symbol → object, for every symbol of the session."""
    key = "instrument_name" if exchange == DERIBIT else "symbol"
    known = {row[key]: row for row in recorded if row.get(key) in set(symbols)}
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        decimals = {} if exchange == DERIBIT else _decimals(exchange, frames)
        known |= {symbol: OBJECTS[exchange](_listing(exchange, symbol, decimals)) for symbol in missing}
    return {symbol: known[symbol] for symbol in symbols}


def _listing(exchange: str, symbol: str, decimals: dict[str, tuple[int, int]]) -> Listing:
    if exchange == DERIBIT:
        return _deribit_listing(symbol)
    quote = next((one for one in QUOTES if symbol.endswith(one)), "")
    price_decimals, quantity_decimals = decimals.get(symbol, (8, 8))
    return Listing(
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        kind="perpetual" if exchange == BINANCE_USDM else "spot",
        settlement=quote if exchange == BINANCE_USDM else "",
        price_decimals=price_decimals,
        quantity_decimals=quantity_decimals,
        price=0.0,
        orders_per_second=0.0,
    )


def _deribit_listing(symbol: str) -> Listing:
    """By the grammar of Deribit's names; a name out of grammar becomes a future."""
    base = re.split(r"[-_]", symbol)[0]
    option = re.fullmatch(r"[A-Z0-9]+-(\d+)([A-Z]{3})(\d\d)-(\d+)-([CP])", symbol)
    dated = option or re.fullmatch(r"[A-Z0-9_]+-(\d+)([A-Z]{3})(\d\d)", symbol)
    expiry = None
    if dated and dated[2] in MONTHS:
        moment = datetime(2000 + int(dated[3]), MONTHS.index(dated[2]) + 1, int(dated[1]), 8, tzinfo=UTC)
        expiry = int(moment.timestamp()) * SECOND
    linear = "_" in symbol
    kind = (
        "option"
        if option
        else "perpetual"
        if symbol.endswith("-PERPETUAL")
        else "future"
        if dated
        else "spot"
    )
    quote = "USDC" if linear else base if option else "USD"
    return Listing(
        symbol=symbol,
        base=base,
        quote=quote,
        settlement="USDC" if linear else base,
        kind=kind,
        inverse=not linear and not option,
        price_decimals=4 if option else 2,
        tick=5,
        quantity_decimals=1,
        contract_size="1.0",
        price=0.0,
        orders_per_second=0.0,
        status="open",
        index=f"{base.lower()}_usd",
        expiry=expiry,
        strike=int(option[4]) if option else None,
        option_type={"C": "call", "P": "put"}[option[5]] if option else None,
    )


def _decimals(exchange: str, frames: list[Recorded]) -> dict[str, tuple[int, int]]:
    """(price, quantity) decimals that a symbol's trades and quotes show."""
    seen: dict[str, tuple[int, int]] = {}
    for frame in frames:
        symbol, kind = split(exchange, frame.stream)
        if kind not in ("trade", "aggTrade", "bookTicker"):
            continue
        read = msgspec.json.decode(frame.data)
        pairs = [("p", "q")] if kind != "bookTicker" else [("b", "B"), ("a", "A")]
        for price, quantity in pairs:
            p, q = seen.get(symbol, (0, 0))
            seen[symbol] = max(p, _places(read[price])), max(q, _places(read[quantity]))
    return seen


def _places(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))
