"""Dagster: what feeds what, what ran, what is missing. It schedules, repairs and checks; no live message
passes through it.

One folder an area, each with ``definitions()``; ``trade_platform.definitions`` puts them together.
"""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", r"(?s).* is currently in beta", Warning)  # its version is pinned
