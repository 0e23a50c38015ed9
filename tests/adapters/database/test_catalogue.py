import psycopg

from trade_platform.adapters.database.catalogue import known_instruments, trades_a_day
from trade_platform.domain.model import InstrumentKind


def test_the_catalogue_answers_per_exchange_and_counts_the_fuller_of_the_newest_days(
    postgres_url: str,
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            """insert into instrument (exchange, symbol, kind) values
               ('deribit', 'BTC-PERPETUAL', 'perpetual'), ('binance_spot', 'BTCUSDT', 'spot')"""
        )
        for day, held in (
            ("2023-11-01", "{[1,900)}"),
            ("2023-11-14", "{[1000,1500)}"),
            ("2023-11-15", "{[1500,1510)}"),
        ):
            connection.execute(
                """insert into coverage (instrument_id, channel, day, held)
                   select instrument_id, 'trade', %s, %s from instrument where exchange = 'deribit'""",
                (day, held),
            )
        (one,) = known_instruments(connection, "deribit")
        assert (one.symbol, one.kind) == ("BTC-PERPETUAL", InstrumentKind.PERPETUAL)
        assert trades_a_day(connection, "deribit") == {("BTC-PERPETUAL", "trade"): 500}
        assert trades_a_day(connection, "binance_spot") == {}
