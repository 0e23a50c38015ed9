"""``python -m trade_platform …`` is ``trade-platform …``."""

from trade_platform.cli import main

if __name__ == "__main__":
    main()
