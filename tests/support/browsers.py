"""A real browser, the one that is installed: pages, what they complain of, and what keeps people from using them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

AXE: Final = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
WIDE: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 800}}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DARK: Final[dict[str, Any]] = {**WIDE, "color_scheme": "dark"}


def chromium() -> str | None:
    """Return the Chromium that is installed; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run the browser until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        yield browser
        browser.close()


class Visitor:
    """One who looks, in a browser of their own. `complaints` is what the browser found wrong, `asked` every URL."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.asked: list[str] = []
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", lambda request: self.asked.append(request.url))
        self.page: Page = context.new_page()

    def sign_in(self, url: str, token: str) -> None:
        """Show the token, and come to the overview."""
        self.page.goto(url)
        self.page.get_by_label("Token of this controller").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{url}/")

    def faults(self) -> list[str]:
        """Return what axe finds wrong on the page as it is."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run()")
        return [
            f"{each['impact']}: {each['help']}: {[node['html'] for node in each['nodes']]}"
            for each in found["violations"]
        ]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def visiting(browser: Browser, **settings: Any) -> Iterator[Visitor]:
    """Let somebody look until the block ends; nothing must have been wrong by then."""
    context = browser.new_context(**settings)
    try:
        visitor = Visitor(context)
        yield visitor
        assert visitor.complaints == []
    finally:
        context.close()
