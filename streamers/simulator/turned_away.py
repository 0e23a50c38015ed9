"""REST answers that a fault gives in place of the true ones."""

from __future__ import annotations

import json

from streamers.simulator.deribit_rest import envelope, refusal
from streamers.simulator.door import retry_header
from streamers.simulator.faults import Fault
from streamers.simulator.listing import BINANCE_SPOT, DERIBIT
from streamers.simulator.rest import Answer
from streamers.simulator.troubles import Troubles

STATUS_PATH = "/sapi/v1/system/status"
UNSETTLED = ("public/get_time", "public/test", "public/hello", "public/status")
"""Methods that settlement does not touch."""
DERIBIT_ERRORS = {429: (10028, "too_many_requests"), 500: (11094, "internal_server_error")}
BINANCE_ERRORS = {
    500: (-1000, "An unknown error occurred while processing the request."),
    502: (-1006, "An unexpected response was received from the message bus. Execution status unknown."),
    503: (-1008, "Request throttled by system-level protection. Please try again."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown."),
}


def turn_away(exchange: str, path: str, troubles: Troubles, market: int, now: float) -> Answer | None:
    """The answer of the fault that is in force, if one is; ``market`` in microseconds UTC."""
    if troubles.calm:
        return None
    fault = troubles.latest("rest_refuse", now)
    if fault:
        troubles.count("rest_refuse")
        return _refuse(exchange, fault, market)
    if troubles.latest("maintenance", now) and path != STATUS_PATH:
        troubles.count("maintenance")
        if exchange == DERIBIT:
            return _error(11051, "system_maintenance", market)
        return Answer(503, '{"code":-1016,"msg":"This service is no longer available."}')
    if troubles.latest("too_many_requests", now):
        troubles.count("too_many_requests")
        return _error(10028, "too_many_requests", market)
    if troubles.latest("settlement", now) and not path.endswith(UNSETTLED):
        troubles.count("settlement")
        return _error(10041, "settlement_in_progress", market)
    return None


def _error(code: int, message: str, market: int) -> Answer:
    answered = refusal(code, message)
    return Answer(answered.status, envelope(None, answered, market))


def _refuse(exchange: str, fault: Fault, market: int) -> Answer:
    status, headers = fault.status or 429, retry_header(fault)
    if exchange == DERIBIT:
        code, message = DERIBIT_ERRORS.get(status, (13503, "unavailable"))
        return Answer(status, envelope(None, refusal(code, message), market), headers)
    if status in (429, 418):
        until = market // 1000 + (fault.retry_after or 60) * 1000
        limit = 6000 if exchange == BINANCE_SPOT else 2400
        text = (
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
            if status == 429
            else f"Way too much request weight used; IP banned until {until}."
        )
        return Answer(status, json.dumps({"code": -1003, "msg": text}), headers)
    code, text = BINANCE_ERRORS[status]
    return Answer(status, json.dumps({"code": code, "msg": text}), headers)
