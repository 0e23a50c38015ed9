"""All exchanges that the suite is run over: the real ones, and one more by one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.exchanges.fictional.exchange import Fictional
from tests.exchanges.fictional.voice import FictionalVoice
from tests.exchanges.suite.binance import SpotVoice, UsdmVoice
from tests.exchanges.suite.deribit import DeribitVoice
from tests.exchanges.suite.voice import Voice
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange

ALL: Mapping[str, Exchange] = EXCHANGES | {"fictional": Fictional()}  # type: ignore[operator]

VOICES: Mapping[str, Callable[[Exchange], Voice]] = {
    "binance_spot": SpotVoice,
    "binance_usdm": UsdmVoice,
    "deribit": DeribitVoice,
    "fictional": FictionalVoice,
}


def voice_of(key: str) -> Voice:
    """The server half of a registered exchange."""
    return VOICES[key](ALL[key])
