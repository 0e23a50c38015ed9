from __future__ import annotations

from trade_platform.adapters.database.accounts import Account, account_of, all_accounts
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.roles import ACCOUNTS, OPERATOR_TENANT, become


def test_an_account_is_found_by_its_key(connection: Connection, postgres_url: str) -> None:
    assert account_of(connection, "operator.main") is None
    connection.execute(
        """
        INSERT INTO account (account_id, tenant_id, key, exchange, name, state)
        VALUES (7, %s, 'operator.main', 'deribit', 'main', 'active'),
               (8, %s, 'operator.old', 'binance_spot', 'old', 'revoked')
        """,
        (OPERATOR_TENANT, OPERATOR_TENANT),
    )
    found = account_of(connection, "operator.main")
    assert found == Account(7, OPERATOR_TENANT, "operator.main", "deribit", testnet=False, state="active")
    assert [(one.key, one.active) for one in all_accounts(connection)] == [
        ("operator.main", True),
        ("operator.old", False),
    ]
    with connect(postgres_url, name="test") as other:  # also by one that stepped down
        become(other, ACCOUNTS)
        assert account_of(other, "operator.main") == found
        assert other.execute("SELECT * FROM account").fetchall() == []
