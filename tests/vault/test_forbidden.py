from __future__ import annotations

import pytest

from trade_platform.exchanges.account import AccountExchange, KeyFacts, Known
from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES
from trade_platform.vault.forbidden import forbidden


@pytest.mark.parametrize(
    "text",
    [
        "symbol=LTCBTC&side=BUY&type=LIMIT&quantity=1&price=0.1&timestamp=1",
        "symbol=LTCBTC&%73ide=BUY&timestamp=1",
        "quoteOrderQty=10&symbol=BTCUSDT&timestamp=1",
        "coin=BTC&address=bc1q&amount=1&timestamp=1",
        "1576074319000\nnonce\nGET\n/api/v2/private/buy?amount=10&instrument_name=BTC-PERPETUAL\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/cancel_all?\n\n",
        '1576074319000\nnonce\nPOST\n/api/v2\n{"method":"private/sell"}\n'.replace("private", "/private"),
        "1576074319000\nnonce\nGET\n/api/v2/private%2Fwithdraw?currency=BTC\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/submit_transfer_to_user?currency=BTC\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/create_api_key?max_scope=trade:read_write\n\n",
    ],
)
def test_orders_and_withdrawals_are_not_signed(text: str) -> None:
    assert forbidden(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "timestamp=1499827319559",
        "apiKey=key&timestamp=1747385641636",
        "symbol=BTCUSDT&orderId=12&timestamp=1",
        "symbol=BTCUSDT&fromId=12&limit=1000&recvWindow=5000&timestamp=1",
        "incomeType=FUNDING_FEE&startTime=1&endTime=2&limit=1000&timestamp=1",
        "1576074319000\n1iqt2wls\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/get_open_orders?kind=any&type=all\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/get_transaction_log?currency=BTC&start_timestamp=1\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/get_withdrawals?currency=BTC\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/get_user_trades_by_currency_and_time?currency=BTC\n\n",
        "1576074319000\nnonce\nGET\n/api/v2/private/list_api_keys?\n\n",
    ],
)
def test_questions_are(text: str) -> None:
    assert forbidden(text) == ""


@pytest.mark.parametrize("exchange", ACCOUNT_EXCHANGES.values(), ids=ACCOUNT_EXCHANGES)
def test_every_question_of_ours_is(exchange: AccountExchange) -> None:
    """What we ask as a matter of fact: a rule that grew too wide would blind us."""
    now, key = 1_795_374_795_085_037, KeyFacts(key_id="key")
    known = Known(
        symbols=frozenset({"BTCUSDT", "BTC-PERPETUAL"}),
        assets=frozenset({"BTC", "USDT"}),
        last_fills={"BTCUSDT": "5"},
    )
    span = (now - 10**12, now)
    asks = [
        *exchange.open_orders(), *exchange.order("BTCUSDT", "12"), *exchange.balances(),
        *exchange.positions(), *exchange.orders(known, *span), *exchange.fills(known, *span),
        *exchange.movements(known, *span),
    ]  # fmt: skip
    requests = [ask.request for ask in asks] + [exchange.permissions().request]
    assert len(requests) > 5
    texts = [exchange.to_sign(request, key, now, "nonce") for request in requests]
    assert [text for text in texts if forbidden(text)] == []
