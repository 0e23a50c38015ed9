"""``python -m trade_platform.adapters.embedded COMMAND…``: runs it with servers of its own.

The command finds them in DATABASE_URL and REDIS_URL; afterwards they are removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from trade_platform.adapters.embedded import EmbeddedError, start_postgres, start_redis


def main(command: list[str]) -> int:
    """Exit code of the command; 2 where there is none."""
    if not command:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory(prefix="tp-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as redis:
                environment = {**os.environ, "DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
                return subprocess.run(command, env=environment, check=False).returncode
        except EmbeddedError as error:
            print(error, file=sys.stderr)  # noqa: T201
            return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
