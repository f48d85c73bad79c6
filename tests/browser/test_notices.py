"""The notice when a run is done: asked for by a click and by nothing else, given once, also to who looks at another tab."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs import Run
from core.runs.events import Begun, Finished, Started, Trained
from tests.browser.conftest import App, launched, running, watch
from tests.conftest import quick, until

# What Chromium answers is its own; what it would show is written down. `away()` is as if the tab were not looked at.
RECORDER = """
window.notices = [];
window.asked = [];
const real = window.Notification;
let answer = null;
window.Notification = class {
  static get permission() { return answer ?? real.permission; }
  static async requestPermission() {
    window.asked.push(navigator.userActivation.isActive);
    return answer = await real.requestPermission();
  }
  constructor(title, more) { window.notices.push(`${title}: ${more.body}`); }
};
window.away = () => {
  Object.defineProperty(document, 'hidden', {get: () => true});
  Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'});
  document.dispatchEvent(new Event('visibilitychange'));
};
"""


@pytest.fixture(scope="module")
def chromium(playwright) -> Iterator[Browser]:
    """The whole one: its shell shows no notices."""
    with launched(playwright, "chromium") as browser:
        yield browser


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[App]:
    with running(tmp_path_factory.mktemp("house")) as app:
        yield app


@pytest.fixture(params=["tales"])
def working(house, request) -> Iterator[Run]:
    """A run at work, whose process is this one."""
    run = house.store.create(request.param, quick())
    run.events.append(Started(act="train", pid=os.getpid(), device="cpu"))
    run.events.append(Begun(total_steps=12))
    with run.lock:
        yield run


def finish(run: Run) -> None:
    for event in (Trained(), Finished(act="train", output="final")):
        run.events.append(event)


@pytest.fixture
def page(chromium, house, working) -> Iterator[Page]:
    """The run's page, in French."""
    context = chromium.new_context(locale="fr-FR")
    context.add_init_script(RECORDER)
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{house.url}/runs/{working.name}")
    expect(page.locator(".tell")).to_have_text(" Me prévenir quand c’est terminé")
    yield page
    context.close()
    assert complaints == []


def test_who_allows_it_gets_one_notice_in_their_language_also_in_another_tab(house, working, page):
    page.context.grant_permissions(["notifications"], origin=house.url)
    page.locator("#tell").check()
    page.evaluate("window.away()")
    page.wait_for_timeout(1500)  # the look that was due while the tab was still looked at
    finish(working)
    until(lambda: page.evaluate("window.notices.length"), 20)
    page.wait_for_timeout(3500)  # it asks every three seconds there
    assert page.evaluate("window.notices") == ["Atelier: tales: terminée. L’entraînement est terminé."]
    assert page.evaluate("window.asked") == []
    expect(page.locator("#told")).to_be_empty()


@pytest.mark.parametrize("working", ["poems"], indirect=True)
def test_the_browser_is_asked_by_the_click_alone_and_after_its_no_the_page_tells(working, page):
    assert page.evaluate("[window.asked, Notification.permission]") == [[], "default"]
    page.locator("#tell").check()
    expect(page.locator("#told")).to_contain_text("Le navigateur n’autorise pas les notifications")
    assert page.evaluate("[window.asked, Notification.permission]") == [[True], "denied"]
    page.locator("#told button").click()
    finish(working)
    expect(page.locator("#told")).to_contain_text("poems: terminée. L’entraînement est terminé.")
    assert page.evaluate("window.notices") == []


@pytest.mark.parametrize("working", ["stories"], indirect=True)
def test_who_did_not_wish_for_it_is_neither_asked_nor_told(house, working, page):
    page.context.grant_permissions(["notifications"], origin=house.url)
    finish(working)
    expect(page).to_have_title("stories · Atelier")
    page.wait_for_timeout(1500)
    assert page.evaluate("[window.asked, window.notices]") == [[], []]
    expect(page.locator("#told")).to_be_empty()
