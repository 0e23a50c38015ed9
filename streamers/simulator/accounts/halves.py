"""Which half speaks for which exchange."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.deribit import DeribitHalf
from streamers.simulator.accounts.desk import Desk, Half
from streamers.simulator.accounts.spot_half import SpotHalf
from streamers.simulator.accounts.usdm_half import UsdmHalf
from streamers.simulator.floor import Floor
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, DERIBIT

HALVES: dict[str, Callable[[], Half]] = {
    BINANCE_SPOT: SpotHalf,
    BINANCE_USDM: UsdmHalf,
    DERIBIT: DeribitHalf,
}


def open_desk(floor: Floor, specs: list[AccountSpec], folder: Path | None) -> Desk | None:
    """The accounts of this exchange; None where there are none. Raises OSError, msgspec.DecodeError."""
    own = [spec for spec in specs if spec.exchange == floor.exchange]
    return Desk(floor, HALVES[floor.exchange](), own, folder) if own and floor.exchange in HALVES else None
