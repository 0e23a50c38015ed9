"""``trade-platform simulate``."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """The simulated exchanges alone; --help lists their options."""
    code = subprocess.call([sys.executable, "-m", "streamers.simulator", *arguments])
    sys.exit(code)
