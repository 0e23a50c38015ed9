"""Deribit's private methods: parameters in, result out, with the limits and the split of its histories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from streamers.simulator.accounts import deribit_objects as objects
from streamers.simulator.accounts.deribit_histories import Histories
from streamers.simulator.accounts.deribit_parameters import (
    ENDLESS,
    Params,
    allows,
    count,
    integer,
    needed,
    truth,
)
from streamers.simulator.accounts.deribit_wallet import currencies, standing
from streamers.simulator.deribit_rest import Answered, Refused, refusal

if TYPE_CHECKING:
    from streamers.simulator.accounts.desk import Account, Desk
    from streamers.simulator.deribit_floor import DeribitFloor


class PrivateMethods:
    """What a key may ask of its account."""

    def __init__(self, desk: Desk, floor: DeribitFloor) -> None:
        self.desk = desk
        self.histories = histories = Histories(desk, floor)
        self._methods: dict[str, tuple[str, Callable[[Account, Params], object]]] = {
            "get_open_orders": ("trade:read", histories.open_orders),
            "get_open_orders_by_currency": ("trade:read", histories.open_orders),
            "get_open_orders_by_instrument": ("trade:read", histories.open_orders),
            "get_open_orders_by_label": ("trade:read", histories.open_orders),
            "get_order_state": ("trade:read", histories.order_state),
            "get_order_history_by_currency": ("trade:read", histories.order_history),
            "get_order_history_by_instrument": ("trade:read", histories.order_history),
            "get_trigger_order_history": ("trade:read", histories.trigger_history),
            "get_user_trades_by_currency": ("trade:read", histories.trades),
            "get_user_trades_by_currency_and_time": ("trade:read", histories.trades),
            "get_user_trades_by_instrument": ("trade:read", histories.trades),
            "get_user_trades_by_instrument_and_time": ("trade:read", histories.trades),
            "get_user_trades_by_order": ("trade:read", histories.trades_of_order),
            "get_positions": ("trade:read", self._positions),
            "get_position": ("trade:read", self._position),
            "get_account_summary": ("account:read", self._summary),
            "get_account_summaries": ("account:read", self._summaries),
            "get_transaction_log": ("account:read", self._log),
            "get_settlement_history_by_currency": ("trade:read", self._settlements),
            "get_settlement_history_by_instrument": ("trade:read", self._settlements),
            "get_deposits": ("wallet:read", partial(self._funds, "deposit")),
            "get_withdrawals": ("wallet:read", partial(self._funds, "withdrawal")),
            "get_transfers": ("wallet:read", partial(self._funds, "transfer")),
            "list_api_keys": ("account:read", self._keys),
        }

    def call(self, account: Account, scope: str, name: str, params: Params) -> Answered:
        """Answer one method for a key with this scope."""
        known = self._methods.get(name.removeprefix("private/"))
        if known is None:
            return refusal(-32601, "Method not found")
        wanted, method = known
        if not allows(scope, wanted):
            return refusal(13403, "scope_exceeded", {"required_scope": wanted})
        try:
            return Answered(objects.dumps(method(account, params)))
        except Refused as refused:
            return refused.answered

    # --- what is held -----------------------------------------------------------------------------------

    def _positions(self, account: Account, params: Params) -> object:
        wanted, book = self.histories.filter(params), self.desk.shown(account)
        return [
            self.histories.position_object(book, one.symbol)
            for one in book.positions.values()
            if (one.quantity or one.session_realized) and wanted(one.symbol)
        ]

    def _position(self, account: Account, params: Params) -> object:
        return self.histories.position_object(self.desk.shown(account), self.histories.symbol(params))

    def _summary(self, account: Account, params: Params) -> object:
        book, currency = self.desk.shown(account), str(needed(params, "currency"))
        summary = objects.summary_object(standing(book, currency, self.histories.mark))
        return summary | objects.owner_object(account.name) if truth(params.get("extended")) else summary

    def _summaries(self, account: Account, params: Params) -> object:
        book = self.desk.shown(account)
        summaries = [
            objects.summary_object(standing(book, currency, self.histories.mark))
            for currency in currencies(book)
        ]
        return (objects.owner_object(account.name) if truth(params.get("extended")) else {}) | {
            "summaries": summaries
        }

    # --- money ------------------------------------------------------------------------------------------

    def _log(self, account: Account, params: Params) -> object:
        currency = str(needed(params, "currency"))
        needed(params, "start_timestamp"), needed(params, "end_timestamp")
        since, until = (
            integer(params, "start_timestamp", 0),
            integer(params, "end_timestamp", 0),
        )
        before = integer(params, "continuation", ENDLESS)
        query = str(params.get("query") or "")
        rows = [
            one
            for one in reversed(self.desk.shown(account).movements)
            if currency in ("any", one.asset)
            and since <= one.time // 1000 <= until
            and objects.log_id(one) <= before
            and query in ("", one.kind)
        ]
        page, further = self.histories.page(account, rows, count(params, 100, 250))
        logs = [objects.log_object(one, account.name) for one in page]
        follows = rows[len(page)] if further else None
        return {
            "logs": logs,
            "continuation": None if follows is None else objects.log_id(follows),
        }

    def _settlements(self, account: Account, params: Params) -> object:
        wanted = self.histories.filter(params)
        kind = str(params.get("type") or "settlement")
        until = integer(params, "search_start_timestamp", ENDLESS)
        rows = [
            one
            for one in reversed(self.desk.shown(account).movements)
            if one.kind == kind and wanted(one.symbol) and one.time // 1000 <= until
        ]
        start = integer(params, "continuation", 0)
        page, further = self.histories.page(account, rows[start:], count(params, 20, 1000))
        shown = [objects.settlement_object(one, self.histories.index(one.symbol)) for one in page]
        return {"settlements": shown, "continuation": str(start + len(page)) if further else None}

    def _funds(self, kind: str, account: Account, params: Params) -> object:
        currency = str(needed(params, "currency"))
        rows = [
            one
            for one in reversed(self.desk.shown(account).movements)
            if one.kind == kind and currency in ("any", one.asset)
        ]
        start = integer(params, "offset", 0)
        page, _ = self.histories.page(account, rows[start:], count(params, 10, 1000))
        return {"count": len(rows), "data": [objects.funds_object(one) for one in page]}

    def _keys(self, account: Account, params: Params) -> object:
        _ = params
        spec = account.spec
        return [
            {
                "client_id": spec.key_id,
                "id": 1,
                "name": spec.name,
                "enabled": not account.revoked,
                "default": True,
                "max_scope": spec.scope,
                "timestamp": 1_700_000_000_000,
                "ip_whitelist": ["127.0.0.1"] if spec.permissions.ip_restricted else [],
                "enabled_features": ["restricted_block_trades"],
                "public_key": spec.public_key,
            }
        ]
