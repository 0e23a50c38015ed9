"""What a key may do, from the words of its scope."""

from __future__ import annotations

import json

import pytest

from trade_platform.exchanges.account import KeyFacts, Permissions
from trade_platform.exchanges.deribit.private import permissions, rest
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.session import ProtocolViolation

READ = "account:read connection mainaccount trade:read wallet:read"
KEYS = [
    {"client_id": "OTHER", "max_scope": "trade:read_write wallet:read_write", "ip_whitelist": []},
    {"client_id": "AMANDA", "max_scope": READ, "enabled": True, "ip_whitelist": ["1.2.3.4"], "name": "x"},
]


@pytest.mark.parametrize(
    ("scope", "read", "trade", "withdraw"),
    [
        (READ, True, False, False),
        ("account:read_write trade:read_write wallet:read_write", True, True, True),
        ("account:read trade:none wallet:none", False, False, False),
        ("account:read trade:read wallet:a_new_one", True, False, True),
        ("", False, False, False),
    ],
)
def test_a_scope_in_the_words_of_all_exchanges(scope: str, read: bool, trade: bool, withdraw: bool) -> None:
    expected = Permissions(read=read, trade=trade, withdraw=withdraw, ip_restricted=None, words=scope)
    assert permissions.of_scope(scope) == expected


@pytest.mark.parametrize(
    ("scope", "refused", "warned"),
    [
        (READ, "", ""),
        ("account:read trade:read_write wallet:read", "", "may trade"),
        ("account:read trade:read wallet:read_write", "may withdraw", ""),
        ("account:read trade:read wallet:unheard_of", "may withdraw", ""),
        ("account:read trade:read", "lacks wallet:read", ""),
    ],
)
def test_what_is_refused_and_what_is_warned_of(scope: str, refused: str, warned: str) -> None:
    for said, words in ((permissions.refusal(scope), refused), (permissions.warning(scope), warned)):
        assert words in said
        assert bool(said) == bool(words)


def test_a_login_s_scope_says_what_a_key_may_do() -> None:
    body = json.dumps({"result": {"scope": READ, "expires_in": 900, "refresh_token": "t"}}).encode()
    assert rest.granted_permissions().read(body).read is True
    with pytest.raises(ProtocolViolation):
        rest.granted_permissions().read(b'{"result": {}}')


def test_one_question_leads_to_the_other() -> None:
    further = DeribitAccounts().permissions().further
    assert further is not None
    asked = further(KeyFacts(key_id="AMANDA"))
    assert asked.request.path == "/api/v2/private/list_api_keys"
    assert asked.read(json.dumps({"result": KEYS}).encode()).ip_restricted is True


def test_the_list_of_keys_says_whether_ours_is_bound_to_addresses() -> None:
    body = json.dumps({"result": KEYS}).encode()
    assert rest.listed_permissions("AMANDA").read(body) == Permissions(
        read=True, trade=False, withdraw=False, ip_restricted=True, words=READ
    )
    assert rest.listed_permissions("OTHER").read(body).ip_restricted is False
    assert rest.listed_permissions("NOBODY").read(body) == Permissions()
