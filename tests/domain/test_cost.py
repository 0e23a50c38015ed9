import pytest

from trade_platform.domain.cost import rows_a_day
from trade_platform.domain.model import Channel, InstrumentKind
from trade_platform.domain.selection import Wanted


@pytest.mark.parametrize(
    ("exchange", "channel", "kind", "interval", "trades", "expected"),
    [
        ("binance_spot", Channel.CANDLE, InstrumentKind.SPOT, 1000, None, 1440),
        ("binance_spot", Channel.QUOTE, InstrumentKind.SPOT, 1000, None, 4 * 86_400),
        ("binance_spot", Channel.QUOTE, InstrumentKind.SPOT, 2000, None, 2 * 86_400),
        ("binance_usdm", Channel.MARK, InstrumentKind.PERPETUAL, 1000, None, 4 * 86_400),
        ("deribit", Channel.TICKER, InstrumentKind.OPTION, 1000, None, 18 * 86_400),
        ("binance_spot", Channel.TRADE, InstrumentKind.SPOT, 1000, 1_234, 1_234),
        ("binance_spot", Channel.TRADE, InstrumentKind.SPOT, 1000, None, None),
        ("binance_usdm", Channel.LIQUIDATION, InstrumentKind.PERPETUAL, 1000, None, None),
    ],
)
def test_each_channel_costs_what_it_sends(
    exchange: str,
    channel: Channel,
    kind: InstrumentKind,
    interval: int,
    trades: int | None,
    expected: int | None,
) -> None:
    wanted = Wanted("X", channel)
    assert (
        rows_a_day(wanted, exchange=exchange, kind=kind, quote_interval_ms=interval, trades_a_day=trades)
        == expected
    )
