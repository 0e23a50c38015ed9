"""A streamer process that knows one exchange more: ``python streamer.py --exchange fictional``."""

from __future__ import annotations

import sys

from streamers.__main__ import main
from tests.exchanges.suite.registry import ALL

if __name__ == "__main__":
    sys.exit(main(exchanges=ALL))
