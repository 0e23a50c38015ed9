"""exchangeInfo: which instruments there are. Ticks and steps come from filters, never from precisions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.model import Instrument, InstrumentKind
from trade_platform.exchanges import amounts
from trade_platform.exchanges.binance import wire
from trade_platform.exchanges.binance.records import MILLISECOND
from trade_platform.exchanges.binance.rest import reading
from trade_platform.exchanges.page import Page, page_of

NEVER: Final = 4_133_404_800_000
"""The delivery date (milliseconds) of what has none."""
DATED: Final = ("CURRENT_", "NEXT_")
"""How the contract types of futures with an end begin, whatever state is appended."""


class Filter(msgspec.Struct):
    filterType: str = ""  # noqa: N815  Binance's own names
    tickSize: Decimal | None = None  # noqa: N815
    stepSize: Decimal | None = None  # noqa: N815


class Symbol(
    msgspec.Struct,
    rename={
        "base": "baseAsset", "quote": "quoteAsset", "margin": "marginAsset",
        "contract_type": "contractType", "delivery": "deliveryDate",
    },
):  # fmt: skip
    symbol: wire.Word
    status: str = ""
    base: str = ""
    quote: str = ""
    filters: list[Filter] = []
    margin: str = ""
    contract_type: str = ""
    delivery: wire.Milliseconds | None = None


class ExchangeInfo(msgspec.Struct):
    symbols: list[msgspec.Raw]


_symbol = msgspec.json.Decoder(Symbol)
_exchange_info = msgspec.json.Decoder(ExchangeInfo)


@reading
def spot_instruments(body: bytes) -> Page[Instrument]:
    """Whatever its state: the status says whether it trades."""
    return _instruments(body, lambda _symbol: InstrumentKind.SPOT)


@reading
def futures_instruments(body: bytes) -> Page[Instrument]:
    """Likewise, with the kind by contract type."""
    return _instruments(body, _contract_kind)


def _instruments(body: bytes, kind_of: Callable[[Symbol], InstrumentKind]) -> Page[Instrument]:
    def read(row: msgspec.Raw) -> Instrument:
        symbol = _symbol.decode(row)
        return _instrument(symbol, kind_of(symbol))

    return page_of(_exchange_info.decode(body).symbols, read, wire.UNREADABLE)


def _instrument(symbol: Symbol, kind: InstrumentKind) -> Instrument:
    ticks = [one.tickSize for one in symbol.filters if one.filterType == "PRICE_FILTER"]
    steps = [one.stepSize for one in symbol.filters if one.filterType == "LOT_SIZE"]
    dated = symbol.delivery is not None and symbol.delivery != NEVER
    return Instrument(
        symbol=symbol.symbol,
        kind=kind,
        status=symbol.status,
        base=symbol.base,
        quote=symbol.quote,
        settlement=symbol.margin,
        tick_size=_size(ticks),
        quantity_step=_size(steps),
        expiry=symbol.delivery * MILLISECOND if dated and symbol.delivery else None,
    )


def _size(sizes: list[Decimal | None]) -> Decimal | None:
    """The first that rules; 0 means that the rule is switched off."""
    return next((amounts.checked_unsigned(size) for size in sizes if size), None)


def _contract_kind(symbol: Symbol) -> InstrumentKind:
    """TRADIFI_PERPETUAL and PERPETUAL_DELIVERING are perpetuals too; an empty type is not decided yet."""
    if "PERPETUAL" in symbol.contract_type:
        return InstrumentKind.PERPETUAL
    if symbol.contract_type.startswith(DATED):
        return InstrumentKind.FUTURE
    return InstrumentKind.UNKNOWN
