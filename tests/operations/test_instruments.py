from trade_platform.domain.model import Channel, Instrument, InstrumentKind
from trade_platform.domain.selection import Rule, Selection
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.instruments import recorded_instruments

LISTED = [
    Instrument(symbol="BTCUSDT", kind=InstrumentKind.SPOT),
    Instrument(symbol="ETHUSDT", kind=InstrumentKind.SPOT),
]


def test_each_instrument_is_listed_with_channels_and_cost() -> None:
    selection = Selection(
        record=(Rule(exchange="binance_spot", symbols=("BTC*",), channels=(Channel.TRADE, Channel.CANDLE)),)
    )
    exchange = EXCHANGES["binance_spot"]
    (one,) = recorded_instruments(selection, exchange, LISTED, {("BTCUSDT", "trade"): 1000})
    assert (one.symbol, one.kind, one.channels) == ("BTCUSDT", "spot", ("candle", "trade"))
    assert one.rows_a_day == 1000 + 1440
    assert one.unknown == ()


def test_a_channel_without_a_known_rate_is_named_instead_of_guessed() -> None:
    selection = Selection(
        record=(Rule(exchange="binance_spot", symbols=("ETHUSDT",), channels=(Channel.TRADE,)),)
    )
    (one,) = recorded_instruments(selection, EXCHANGES["binance_spot"], LISTED, {})
    assert (one.rows_a_day, one.unknown) == (0, ("trade",))


def test_what_an_exchange_cannot_deliver_costs_nothing() -> None:
    selection = Selection(
        record=(Rule(exchange="binance_spot", symbols=("*",), channels=(Channel.VOLATILITY,)),)
    )
    assert recorded_instruments(selection, EXCHANGES["binance_spot"], LISTED, {}) == []
