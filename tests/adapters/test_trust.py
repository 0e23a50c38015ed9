"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from streamers.simulator.certificate import server_context
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.trust import trust


def test_an_extra_authority_is_believed_beside_the_others(tmp_path: Path) -> None:
    server_context(tmp_path)
    context = trust(str(tmp_path / "certificate.pem"))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert "localhost" in str(context.get_ca_certs())


def test_without_one_nothing_is_changed() -> None:
    assert trust("") is None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_is_none_is_said(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CannotStart, match="TLS_CA_FILE names"):
        trust(str(file))
