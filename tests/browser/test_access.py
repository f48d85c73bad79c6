"""Every page for whoever cannot see it well, or at all, or uses no mouse, or a very wide screen."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import NARROW, WIDE, App, watch

PAGES = ["", "train", "runs/full", "evaluate/full", "compare/full/lora", "chat/full", "publish/full"]
VAST = {"width": 2560, "height": 1300}
# Of every block of words: how many characters stand in one of its lines.
LONG_LINES = """() => [...document.querySelectorAll('p, li, dd, figcaption, summary, h1, h2, h3')].flatMap(each => {
  if (!each.checkVisibility() || each.querySelector('p, li')) return [];
  const range = document.createRange();
  range.selectNodeContents(each);
  const lines = new Set([...range.getClientRects()].map(box => Math.round(box.bottom / 8))).size;
  const letters = each.innerText.length / Math.max(lines, 1);
  return letters > 90 ? [each.className + ': ' + each.innerText] : [];
})"""


def opened(shown: App, page: Page, path: str) -> None:
    page.goto(f"{shown.url}/{path}")
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".waiting")).to_have_count(0)
    page.wait_for_timeout(500)


@pytest.fixture(scope="module")
def telephone(chromium) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=NARROW)
    yield context
    context.close()


@pytest.fixture(scope="module", params=PAGES)
def visited(shown, telephone, request) -> Iterator[tuple[Page, list[str]]]:
    """A page that was opened on a telephone, for all that only look at it; and what it complains of."""
    page = telephone.new_page()
    complaints = watch(page)
    opened(shown, page, request.param)
    yield page, complaints
    page.close()


def in_both_lights(page: Page) -> Iterator[str]:
    for light in ("light", "dark"):
        page.emulate_media(color_scheme=light)
        expect(page.locator("body.dark")).to_have_count(int(light == "dark"))
        page.wait_for_timeout(300)  # colours pass slowly from one light to the other
        yield light


def test_a_page_opens_without_complaint_and_fits_a_telephone(visited):
    page, complaints = visited
    page.set_viewport_size(NARROW)
    for _ in in_both_lights(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert complaints == []


def test_axe_finds_nothing_in_light_and_dark_on_a_wide_screen_and_a_telephone(visited):
    page, complaints = visited
    found = []
    for light in in_both_lights(page):
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            page.wait_for_timeout(300)
            found += [
                (light, size["width"], each["id"], node["target"], node["html"][:200])
                for each in Axe().run(page).response["violations"]
                for node in each["nodes"]
            ]
    assert found == [] and complaints == []


def test_no_line_is_too_long_to_read_on_a_vast_screen(visited):
    page, complaints = visited
    page.set_viewport_size(VAST)
    page.wait_for_timeout(300)
    assert page.evaluate(LONG_LINES) == [] and complaints == []


def test_the_first_key_leads_past_the_navigation_and_the_next_through_it_in_order(shown, page):
    opened(shown, page, "runs/full")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()
    page.locator(".brand").focus()
    for name in ("Data", "Train", "Runs", "Evaluate", "Compare", "Chat", "Publish"):
        page.keyboard.press("Tab")
        here = page.locator(".top a:focus")
        expect(here).to_have_text(name)
        assert here.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    assert page.url == f"{shown.url}/runs/full"
