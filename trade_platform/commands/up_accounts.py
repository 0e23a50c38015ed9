"""Whose accounts ``up`` hears: those of the vault, or of a simulated market some that are made here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from trade_platform.settings import Settings

if TYPE_CHECKING:
    from trade_platform.vault.keeper import Keeper

SIMULATED: Final[Mapping[str, Mapping[str, str]]] = {
    "deribit": {"BTC": "10", "ETH": "100", "USDC": "100000"},
    "binance_usdm": {"USDT": "100000"},
    "binance_spot": {"USDT": "100000", "BTC": "2", "ETH": "20"},
}
"""What a simulated account of each exchange begins with."""
MOST_SIMULATED: Final = 2
FILE: Final = Path("accounts") / "simulated.json"


class SimulatedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """As the simulator's file of accounts has it."""

    exchange: str
    name: str
    key_id: str
    secret: str
    algorithm: str = "hmac_sha256"
    balances: Mapping[str, str] = {}
    seed: int = 1

    @property
    def account(self) -> str:
        """Its key in the vault."""
        return f"operator.{self.name}"


def simulated_accounts(data_folder: Path, exchanges: Sequence[str]) -> tuple[Path, list[SimulatedAccount]]:
    """Those of an earlier run of this data folder, or new ones; and the file that tells the simulator."""
    path = data_folder.absolute() / FILE
    chosen = [one for one in SIMULATED if one in exchanges][:MOST_SIMULATED]
    try:
        held = msgspec.json.decode(path.read_bytes(), type=list[SimulatedAccount])
    except (OSError, msgspec.DecodeError):
        held = []
    known = {one.exchange: one for one in held}
    accounts = [known.get(one) or _made(one, seed) for seed, one in enumerate(chosen, 1)]
    if accounts != held:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(msgspec.json.encode(accounts))
    return path, accounts


def _made(exchange: str, seed: int) -> SimulatedAccount:
    return SimulatedAccount(
        exchange=exchange,
        name=f"simulated-{exchange.replace('_', '-')}",
        key_id=f"simulated-{secrets.token_hex(8)}",
        secret=secrets.token_urlsafe(32),
        balances=SIMULATED[exchange],
        seed=seed,
    )


def enrol_simulated(keeper: Keeper, accounts: Sequence[SimulatedAccount]) -> None:
    """Their keys into the vault; one whose key is there already is left alone."""
    from trade_platform.exchanges.account import Algorithm  # noqa: PLC0415 (only where accounts are heard)
    from trade_platform.vault.enrolment import Enrolment, enrol, replace  # noqa: PLC0415
    from trade_platform.vault.secret import Secret  # noqa: PLC0415
    from trade_platform.vault.signing import secret_from  # noqa: PLC0415

    held = {told.account: told.key_id for told in keeper.accounts()}
    actor = f"user {os.getuid()}, trade-platform up --simulated"
    for one in accounts:
        if held.get(one.account) == one.key_id:
            continue
        algorithm = Algorithm(one.algorithm)
        secret = secret_from(algorithm, Secret(one.secret))
        enrolment = Enrolment(key_id=one.key_id, algorithm=algorithm, secret=secret)
        if one.account in held:
            replace(keeper, one.account, enrolment, actor=actor)
        else:
            enrol(keeper, one.account, one.exchange, enrolment, actor=actor)
        secret.forget()


def accounts_to_hear(
    settings: Settings, exchanges: Sequence[str], *, simulated: bool
) -> tuple[Path | None, tuple[tuple[str, str], ...]]:
    """(the simulator's file, pairs of exchange and account). ``settings`` names the database.

    A simulated exchange knows nobody's real key: its own accounts alone are heard. Raises CannotStart.
    """
    from trade_platform.commands.account_desk import keeping  # noqa: PLC0415 (only where accounts are heard)

    with keeping(settings) as keeper:
        if not simulated:
            told = [one for one in keeper.accounts() if one.exchange in exchanges]
            return None, tuple((one.exchange, one.account) for one in told)
        path, accounts = simulated_accounts(settings.data_folder, exchanges)
        enrol_simulated(keeper, accounts)
    return path, tuple((one.exchange, one.account) for one in accounts)
