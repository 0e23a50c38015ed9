"""The objects in which the exchanges list their instruments, from our own listings."""

from __future__ import annotations

from typing import Any

from streamers.simulator.figures import fixed, padded
from streamers.simulator.listing import MILLISECOND, Listing

FOREVER_USDM = 4_133_404_800_000
FOREVER_DERIBIT = 32_503_708_800_000
CREATED = 1_569_398_400_000


def spot_object(listing: Listing) -> dict[str, Any]:
    """A symbol of Binance spot's exchangeInfo."""
    tick = padded(fixed(listing.tick, listing.price_decimals))
    step = padded(fixed(listing.step, listing.quantity_decimals))
    return {
        "symbol": listing.symbol,
        "status": listing.status,
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def usdm_object(listing: Listing) -> dict[str, Any]:
    """A symbol of USD-M's exchangeInfo."""
    tick, step = fixed(listing.tick, listing.price_decimals), fixed(listing.step, listing.quantity_decimals)
    expires = listing.expiry is not None
    return {
        "symbol": listing.symbol,
        "pair": listing.base + listing.quote,
        "contractType": "CURRENT_QUARTER" if expires else "PERPETUAL",
        "deliveryDate": listing.expiry // MILLISECOND if listing.expiry is not None else FOREVER_USDM,
        "onboardDate": CREATED,
        "status": listing.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.settlement,
        "pricePrecision": listing.price_decimals,
        "quantityPrecision": listing.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "120000", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def deribit_object(listing: Listing) -> dict[str, Any]:
    """An instrument of public/get_instruments."""
    kind = {"perpetual": "future"}.get(listing.kind, listing.kind)
    expiry = listing.expiry // MILLISECOND if listing.expiry is not None else FOREVER_DERIBIT
    reversed_ = listing.inverse or (listing.kind == "option" and listing.settlement == listing.base)
    period = {"perpetual": "perpetual", "spot": None}.get(listing.kind, "month")
    common = {
        "price_index": listing.index,
        "kind": kind,
        "instrument_name": listing.symbol,
        "instrument_id": listing.number,
        "instrument_type": "reversed" if reversed_ else "linear",
        "state": listing.status,
        "is_active": listing.status == "open",
        "base_currency": listing.base,
        "quote_currency": listing.quote,
        "counter_currency": "USD" if listing.kind == "option" else listing.quote,
        "settlement_currency": listing.settlement or listing.quote,
        "creation_timestamp": CREATED,
        "expiration_timestamp": expiry,
        "tick_size": float(fixed(listing.tick, listing.price_decimals)),
        "tick_size_steps": [],
        "contract_size": float(listing.contract_size),
        "min_trade_amount": float(fixed(listing.step, listing.quantity_decimals)),
        "maker_commission": 0.0,
        "taker_commission": 0.0005,
        "max_leverage": 50,
        "max_liquidation_commission": 0.0075,
        "block_trade_commission": 0.00025,
        "block_trade_min_trade_amount": 200_000,
        "block_trade_tick_size": 0.01,
    }
    if period is not None:
        common["settlement_period"] = period
    if kind == "future":
        common["future_type"] = "reversed" if reversed_ else "linear"
    if listing.strike is not None:
        common |= {"option_type": listing.option_type, "strike": float(listing.strike)}
    return common


OBJECTS = {"binance_spot": spot_object, "binance_usdm": usdm_object, "deribit": deribit_object}
