"""The status page in a real browser, against a running agent with stations: what breaks is seen, without a reload."""

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browsers import AXE, DARK, PHONE, WIDE, Visitor, chromium, running_browser, visiting
from support.shownsite import STATIONS, ShownSite, shown_site
from support.sites import STAFF_BADGE, free_port

SEEN_WITHIN_MS = 2000
"""From a link that breaks to the map that shows it."""
WITHIN_MS = 15_000

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed (Debian: chromium)")


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"acme": free_port(), "volt": free_port()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[ShownSite]:
    with shown_site(tmp_path_factory.mktemp("shown"), ports) as site:
        yield site


@pytest.fixture(scope="module")
def browser(site: ShownSite) -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def visitor(browser: Browser, site: ShownSite) -> Iterator[Visitor]:
    """One who has signed in, sees that all is well, and is never sent elsewhere."""
    with visiting(browser, **WIDE) as visitor:
        visitor.sign_in(site.url, site.read_token)
        expect_all_well(visitor.page)
        yield visitor
        assert [url for url in visitor.asked if not url.startswith(site.url)] == []


def expect_all_well(page: Page) -> None:
    expect(page.locator("#map-words")).to_have_text("No link is broken.", timeout=WITHIN_MS)


def shown_stations(page: Page) -> list[str]:
    """Return the stations that the filter leaves."""
    return [link.inner_text() for link in page.locator("#stations tr[id]:visible a").all()]


def test_a_station_that_breaks_away_shows_on_the_map_in_two_seconds_without_a_reload(
    visitor: Visitor, site: ShownSite
) -> None:
    page = visitor.page
    page.evaluate("window.stays = true")
    assert page.locator("#map .link.broken").count() == 0

    site.cut("GATE-2")
    expect(page.locator("#map .link.broken .cross")).to_have_count(1, timeout=SEEN_WITHIN_MS)
    expect(page.locator("#map-words")).to_have_text("Broken: GATE-2 → visitors.")
    expect(page.locator("[id='station:GATE-2'] .state")).to_have_text("not connected")
    expect(page.locator("#headline")).to_contain_text("6 of 7 stations connected")

    site.start_station("GATE-2")
    expect_all_well(page)
    expect(page.locator("#map .link.broken")).to_have_count(0)
    assert page.evaluate("window.stays")


def test_a_supervision_that_is_lost_shows_on_the_map_and_in_its_row(
    visitor: Visitor, site: ShownSite, ports: dict[str, int]
) -> None:
    page = visitor.page

    site.cut("volt")
    expect(page.locator("#map .link.broken").first).to_be_attached(timeout=SEEN_WITHIN_MS)
    expect(page.locator("#map-words")).to_contain_text("volt is not reachable", timeout=WITHIN_MS)
    expect(page.locator("#supervisions tr", has_text="volt")).to_contain_text("not reachable")
    expect(page.locator("#headline .badge")).to_have_text("degraded")
    expect(page.locator("#supervisions tr", has_text="acme")).not_to_contain_text("not reachable")

    site.start_supervision("volt", ports["volt"])
    expect_all_well(page)


def test_stations_are_searched_and_filtered_and_the_address_keeps_it(visitor: Visitor, site: ShownSite) -> None:
    page = visitor.page
    assert shown_stations(page) == sorted(STATIONS)

    page.get_by_label("Search").fill("visitors gate")
    assert shown_stations(page) == ["GATE-1", "GATE-2", "GATE-3"]
    expect(page.locator("#shown")).to_have_text("3 of 7 stations")

    site.cut("GATE-1")
    page.get_by_label("Show").select_option("not connected")
    expect(page.locator("#shown")).to_have_text("1 of 7 stations", timeout=WITHIN_MS)
    assert shown_stations(page) == ["GATE-1"]

    page.reload()
    assert page.get_by_label("Search").input_value() == "visitors gate"
    assert shown_stations(page) == ["GATE-1"]
    site.start_station("GATE-1")
    expect(page.locator("#shown")).to_have_text("0 of 7 stations", timeout=WITHIN_MS)


def test_the_page_of_a_station_shows_what_it_is_and_its_messages_without_badges(
    visitor: Visitor, site: ShownSite
) -> None:
    page = visitor.page
    page.get_by_role("link", name="GATE-3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GATE-3")
    expect(page.locator("#inventory")).to_contain_text("Gleis 11")
    expect(page.locator("#inventory")).to_contain_text("Connector 1")

    site.say("GATE-3", "Authorize", {"idTag": STAFF_BADGE})
    expect(page.locator("#messages")).to_contain_text("Authorize", timeout=WITHIN_MS)
    expect(page.locator("#messages li").first).to_contain_text("operator →")
    assert STAFF_BADGE.lower() not in page.content().lower()

    site.cut("GATE-3")
    expect(page.locator("#facts")).to_contain_text("not connected", timeout=WITHIN_MS)
    site.start_station("GATE-3")
    expect(page.locator("#facts")).not_to_contain_text("not connected", timeout=WITHIN_MS)


def test_transactions_are_shown_and_downloaded(visitor: Visitor, site: ShownSite, tmp_path: Path) -> None:
    page = visitor.page
    site.charge("STAFF-1")
    page.get_by_role("link", name="Transactions").click()
    expect(page.locator("tbody tr").first).to_contain_text("STAFF-1")

    with page.expect_download() as found:
        page.get_by_role("link", name="Download all as CSV").click()
    found.value.save_as(tmp_path / "saved.csv")

    assert found.value.suggested_filename == "transactions-lyon-part-dieu.csv"
    rows = list(csv.DictReader(StringIO((tmp_path / "saved.csv").read_text(), newline="")))
    assert (rows[-1]["station"], rows[-1]["badge"].lower()) == ("STAFF-1", STAFF_BADGE)


def test_all_is_reached_by_keyboard_and_focus_stays_where_it_was(visitor: Visitor, site: ShownSite) -> None:
    page = visitor.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    link = page.get_by_role("link", name="DECK-1")
    link.focus()
    site.cut("DECK-1")
    expect(page.locator("[id='station:DECK-1']")).to_contain_text("not connected", timeout=WITHIN_MS)
    expect(link).to_be_focused()
    site.start_station("DECK-1")
    expect_all_well(page)
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("DECK-1")


def test_who_signs_out_sees_no_more(visitor: Visitor, site: ShownSite) -> None:
    page = visitor.page
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site.url}/login")
    page.goto(f"{site.url}/stations/GATE-1")

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_browser_whose_session_is_gone_is_shown_where_to_sign_in(visitor: Visitor, site: ShownSite) -> None:
    """As after a restart of the agent."""
    visitor.context.clear_cookies()
    visitor.page.evaluate("leave(), follow()")
    visitor.page.wait_for_url(f"{site.url}/login", timeout=WITHIN_MS)
    assert all("401" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()


def test_a_page_that_nobody_sees_follows_nothing_and_goes_on_when_it_is_seen(visitor: Visitor, site: ShownSite) -> None:
    page = visitor.page
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate("source === null")
    site.cut("STAFF-2")

    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#map-words")).to_contain_text("STAFF-2 → staff", timeout=WITHIN_MS)
    site.start_station("STAFF-2")
    expect_all_well(page)


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_page_is_wider_than_its_screen(width: int, browser: Browser, site: ShownSite) -> None:
    with visiting(browser, viewport={"width": width, "height": 700}) as visitor:
        visitor.sign_in(site.url, site.read_token)
        for path in ("/", "/stations/GATE-1", "/transactions"):
            visitor.page.goto(site.url + path)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there (npm ci --prefix tests/support/axe)")
@pytest.mark.parametrize("screen", [WIDE, DARK, PHONE], ids=["light", "dark", "phone"])
def test_nothing_keeps_people_from_using_a_page(screen: dict[str, object], browser: Browser, site: ShownSite) -> None:
    with visiting(browser, **screen) as visitor:
        page = visitor.page
        page.goto(f"{site.url}/login")
        assert visitor.faults() == []
        visitor.sign_in(site.url, site.read_token)
        assert visitor.faults() == []
        site.cut("GATE-1")
        expect(page.locator("#map .link.broken").first).to_be_attached(timeout=WITHIN_MS)
        assert visitor.faults() == []
        site.start_station("GATE-1")
        for path in ("/stations/GATE-2", "/transactions"):
            page.goto(site.url + path)
            assert visitor.faults() == []
