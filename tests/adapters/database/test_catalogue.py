import psycopg

from trade_platform.adapters.database.catalogue import known_instruments, trades_a_day
from trade_platform.domain.model import InstrumentKind


def test_the_catalogue_answers_per_exchange_and_scales_a_day_that_was_recorded_in_part(
    postgres_url: str,
) -> None:
    """500 numbers in a quarter of a day are 2,000 a day; the newer day lasted a minute and says less."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            """insert into instrument (exchange, symbol, kind) values
               ('deribit', 'BTC-PERPETUAL', 'perpetual'), ('binance_spot', 'BTCUSDT', 'spot')"""
        )
        for day, held, first, last in (
            ("2023-11-14", "{[1000,1500)}", "2023-11-14 06:00+00", "2023-11-14 12:00+00"),
            ("2023-11-15", "{[1500,1510)}", "2023-11-15 00:00+00", "2023-11-15 00:01+00"),
        ):
            name = day.replace("-", "")
            connection.execute(
                f"create table trade_{name} partition of trade for values from ('{day} 00:00+00') "
                f"to ('{day} 23:59:59+00')"
            )
            connection.execute(
                """insert into coverage (instrument_id, channel, day, held)
                   select instrument_id, 'trade', %s, %s from instrument where exchange = 'deribit'""",
                (day, held),
            )
            for number, moment in enumerate((first, last)):
                connection.execute(
                    """insert into trade (instrument_id, event_time, sequence, price, quantity, side,
                                          first_id, last_id, flags, receive_time)
                       select instrument_id, %s, %s, 1, 1, 'buy', 1, 1, 0, now()
                       from instrument where exchange = 'deribit'""",
                    (moment, number),
                )
        (one,) = known_instruments(connection, "deribit")
        assert (one.symbol, one.kind) == ("BTC-PERPETUAL", InstrumentKind.PERPETUAL)
        assert trades_a_day(connection, "deribit") == {("BTC-PERPETUAL", "trade"): 2000}
        assert trades_a_day(connection, "binance_spot") == {}
