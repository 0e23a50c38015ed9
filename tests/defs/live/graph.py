"""The area alone, with what it needs to be resolved."""

from __future__ import annotations

from typing import Any

import dagster as dg

from trade_platform.defs.live import definitions
from trade_platform.defs.stores import KEY, Stores


def graph_of_live() -> Any:
    """Its assets and checks."""
    both = dg.Definitions.merge(definitions(), dg.Definitions(resources={KEY: Stores()}))
    return both.resolve_asset_graph()
