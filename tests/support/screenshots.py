"""`make screenshots`: the status page as it is, wide, on a phone and in the dark, with a link that is broken.

python -m support.screenshots FOLDER
"""

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, expect
from support.browsers import DARK, PHONE, WIDE, chromium, running_browser, visiting
from support.shownsite import ShownSite, shown_site
from support.sites import STAFF_BADGE, free_port

WITHIN_MS: Final = 15_000
SCREENS: Final[dict[str, dict[str, Any]]] = {
    "wide": {**WIDE, "viewport": {"width": 1000, "height": 820}},
    "phone": {**PHONE, "viewport": {"width": 360, "height": 780}, "device_scale_factor": 1.5},
    "dark": {**DARK, "viewport": {"width": 1000, "height": 820}},
}


def main(folder: Path) -> None:
    """Write the screenshots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"acme": free_port(), "volt": free_port()}
    with tempfile.TemporaryDirectory() as state, shown_site(Path(state), ports) as site, running_browser() as browser:
        site.charge("STAFF-1")
        site.cut("GATE-2")
        for name, screen in SCREENS.items():
            with visiting(browser, **screen) as visitor:
                visitor.sign_in(site.url, site.read_token)
                expect(visitor.page.locator("#map .link.broken")).to_have_count(1, timeout=WITHIN_MS)
                visitor.page.screenshot(path=folder / f"{name}.png")
        _station_page(site, browser, folder / "station.png")


def _station_page(site: ShownSite, browser: Browser, path: Path) -> None:
    with visiting(browser, **SCREENS["wide"]) as visitor:
        visitor.sign_in(site.url, site.read_token)
        visitor.page.goto(f"{site.url}/stations/GATE-1")
        site.say("GATE-1", "Authorize", {"idTag": STAFF_BADGE})
        expect(visitor.page.locator("#messages")).to_contain_text("Authorize", timeout=WITHIN_MS)
        visitor.page.screenshot(path=path)


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("screenshots need a Chromium (Debian: apt install chromium)")
    main(Path(sys.argv[1]))
