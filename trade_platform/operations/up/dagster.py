"""Dagster beside the platform: three processes that may end and begin again without a message being lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trade_platform.adapters.children import Child
from trade_platform.operations.up.plan import Display

CODE: Final = "dagster-code"
DAEMON: Final = "dagster-daemon"
WEB: Final = "dagster-web"
STOP_SECONDS: Final = 12.0
"""Each leaves by itself before; a run has five seconds of them."""


class Dagster:
    """The code server first: the two others ask it what there is."""

    def __init__(self, environment: Mapping[str, str], folder: Path, display: Display) -> None:
        self._display = display
        self._code, *self._others = (
            Child(name, ["-m", f"trade_platform.defs.{module}"], environment, folder)
            for name, module in ((CODE, "code"), (DAEMON, "daemon"), (WEB, "web"))
        )
        self._page = ""

    @property
    def children(self) -> list[Child]:
        """Those that were started."""
        return [child for child in (self._code, *self._others) if child.pid is not None]

    def look(self) -> None:
        """Start what can be started now, and again what died; say where the page is."""
        if self._code.pid is None:
            self._code.start()
        elif self._others[0].pid is None and self._code.ready():
            for child in self._others:
                child.start()
        for child in self.children:
            if sentence := child.keep_alive():
                self._display.say(sentence)
        self._show_page()

    def restart(self) -> None:
        """By what is installed now; ``look`` starts them again."""
        self._display.say("Dagster is started again: of its runs, those under way are repeated")
        for child in self.children:
            child.restart()

    def end(self) -> None:
        """Runs of Dagster end with it. Nobody else waits for it: whoever overstays is killed."""
        for child in self.children:
            child.terminate()
        for child in self.children:
            if child.wait(STOP_SECONDS) is None:
                self._display.say(f"{child.name} did not end within {STOP_SECONDS:.0f} s and was killed")

    def _show_page(self) -> None:
        record = self._others[-1].ready()
        page = record.urls.get("page", {}).get("http", "") if record else ""
        if page and page != self._page:
            self._page = page
            self._display.say(f"the web page: {page}")
