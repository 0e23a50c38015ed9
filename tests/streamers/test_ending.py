from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from streamers.ending import refusal
from trade_platform.exchanges.session import Reason


@pytest.mark.parametrize(
    ("status", "retry_after", "reason", "seconds"),
    [
        (429, "33", Reason.RATE_LIMITED, 33),
        (429, "", Reason.RATE_LIMITED, 10),
        (418, "600", Reason.RATE_LIMITED, 600),
        (418, "soon", Reason.RATE_LIMITED, 120),
        (418, "9" * 12, Reason.RATE_LIMITED, 3 * 24 * 3600),
        (503, "1800", Reason.MAINTENANCE, 0),  # asked about until it is over
        (404, "60", Reason.UNREACHABLE, 0),
    ],
)
def test_a_refused_handshake_says_how_long_to_be_quiet(
    status: int, retry_after: str, reason: Reason, seconds: float
) -> None:
    response = Response(status, "", Headers({"Retry-After": retry_after} if retry_after else {}))
    ending = refusal(InvalidStatus(response), "wss://host:1/feed")
    assert (ending.reason, ending.after_seconds) == (reason, seconds)
    assert ending.banned is (status == 418)
    assert not ending.accepted
    assert str(status) in ending.sentence
