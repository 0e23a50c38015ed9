from __future__ import annotations

import pytest

from trade_platform.adapters.passwords import hide_password


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        ("postgresql://me:p@ss@host/x", "cannot resolve 'ss@host'", "cannot resolve '***@host'"),
        ("postgresql://me:se/cret@host/x", "invalid port 'se'", "invalid port '***'"),
        ("postgresql://me:a?b@host/x", "no option 'b@host/x'", "no option '***@host/x'"),
        ("postgresql://me:a%20b@host/x", "wrong: a b, a%20b", "wrong: ***, ***"),
        ("postgresql://me@host/x?password=deep&port=1", "wrong: deep", "wrong: ***"),
        ("redis://:hid#den@host:1/0", "no port 'hid'", "no port '***'"),
        ("postgresql://me:host@host/x", "the hosts do not answer", "the hosts do not answer"),
        ("postgresql://me@host:5432/x", "host:5432 is away", "host:5432 is away"),
        ("redis://host:1/0", "Error 111 connecting to host:1", "Error 111 connecting to host:1"),
        ("", "No such file", "No such file"),
    ],
)
def test_no_piece_of_a_password_is_shown(url: str, said: str, shown: str) -> None:
    assert hide_password(said, url) == shown
