"""Dagster's web page as a person sees it: headless Chromium, driven by what stands on the screen."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, sync_playwright
from playwright.sync_api import Page as Tab

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS: Final = 180.0
"""It only ends a broken run: what is waited for is on the screen, not on the clock."""
SIZE: Final = (1800, 1100)
WHOLE: Final = 0.4
"""Scale at which a screen of twice the size holds the graph."""


def chromium() -> str:
    """Path of the browser; where it is missing the test is skipped, and fails in CI."""
    path = next(filter(None, map(shutil.which, NAMES)), "")
    if not path:
        say = pytest.fail if "CI" in os.environ else pytest.skip
        say("a browser is needed: apt-get install chromium")
    return path


class Page:
    """One tab; every look at it is kept as a picture."""

    def __init__(self, tab: Tab, url: str, folder: Path) -> None:
        self.tab = tab
        self.errors: list[str] = []
        """What the page's own program has thrown."""
        self._url = url
        self._folder = folder
        tab.set_default_timeout(PATIENCE_SECONDS * 1000)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))

    # --- moving about ---

    def open(self, path: str) -> None:
        """A page; what is on it comes later, and is waited for by ``sees``."""
        self.tab.goto(f"{self._url}{path}", wait_until="domcontentloaded")

    def graph(self, groups: Sequence[str]) -> None:
        """The lineage of everything, each of these groups opened, on a screen that has room for it."""
        width, height = SIZE
        self.tab.set_viewport_size({"width": width * 2, "height": height * 2})
        opened = ",".join(f"global@global:{group}" for group in groups)
        self.open(f"/asset-groups?expanded={quote(opened)}")

    def zoom_out(self) -> None:
        """Until the whole graph has room; its nodes then show a name and a colour."""
        slider, away = self.tab.get_by_role("slider"), self.tab.locator("button:has([aria-label='zoom_out'])")
        while (scale := float(slider.get_attribute("aria-valuenow") or 0)) > WHOLE:
            away.click()
            self.tab.wait_for_function(
                "([slider, scale]) => Number(slider.ariaValueNow) < scale",
                arg=[slider.element_handle(), scale],
            )

    def usual_size(self) -> None:
        """Again as large as a person's screen."""
        width, height = SIZE
        self.tab.set_viewport_size({"width": width, "height": height})

    def asset(self, key: Sequence[str], view: str = "overview", **query: str) -> None:
        """The page of one asset: overview, partitions, checks, events …"""
        words = "".join(f"&{name}={quote(value)}" for name, value in query.items())
        self.open(f"/assets/{'/'.join(map(quote, key))}?view={view}{words}")

    def run(self, run_id: str) -> None:
        """The page of one run."""
        self.open(f"/runs/{run_id}")

    # --- looking ---

    def sees(self, text: str | re.Pattern[str], *, exact: bool = False) -> Locator:
        """Wait until it stands on the screen."""
        found = self.tab.get_by_text(text, exact=exact).filter(visible=True).first
        found.wait_for()
        return found

    def show_picture(self, label: str) -> None:
        """Open the picture under this label in an asset's metadata, and wait until it is drawn."""
        row = self.tab.get_by_role("row").filter(has=self.tab.get_by_text(label, exact=True))
        row.get_by_text("[Show Markdown]").first.click()
        found = self.tab.locator("img[src^='data:image/png']").filter(visible=True).first
        found.wait_for()
        drawn = "image => image.complete && image.naturalWidth > 0"
        self.tab.wait_for_function(drawn, arg=found.element_handle())

    def keep(self, name: str) -> Path:
        """A picture of the screen, among the artefacts."""
        path = self._folder / f"{name}.png"
        self.tab.screenshot(path=path)
        return path

    # --- doing ---

    def press(self, name: str | re.Pattern[str]) -> None:
        """The button of this name."""
        self.tab.get_by_role("button", name=name).filter(visible=True).first.click()

    def backfill(self, key: Sequence[str], partition: str, first: str, last: str, count: int) -> None:
        """As a person asks for days of the instrument of this partition."""
        self.asset(key, "partitions", partition=partition)
        self.press(re.compile("Materialize"))
        dialog = self.tab.get_by_role("dialog")
        days = dialog.locator("input[type=text]").first
        days.fill(f"[{first}...{last}]")
        days.press("Enter")
        dialog.get_by_text(f"{count} partitions").wait_for()
        self.keep("backfill_asked_for")
        dialog.get_by_role("button", name="Launch backfill").click()
        dialog.wait_for(state="hidden")


@contextmanager
def browser(url: str, folder: Path) -> Iterator[Page]:
    """A browser on a running web server; ``folder`` takes the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZE
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=chromium(), headless=True, args=["--no-sandbox"])
        tab = program.new_page(viewport={"width": width, "height": height})
        yield Page(tab, url, folder)
        program.close()
