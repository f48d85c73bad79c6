"""Scripts and answers come in any order, late, or not at all: what is shown in the end is the same."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio
import pytest
from playwright.sync_api import Page, Request, Route, expect

from core.runs.events import Stopped
from tests.browser.test_runs import told
from tests.conftest import until

SCRIPTS = Path(gradio.__file__).parent / "templates/frontend/assets"


@contextmanager
def held(
    page: Page, address: str, wanted: Callable[[Request], bool] = lambda _: True
) -> Iterator[list[Route]]:
    """What the page asks for there, and gets when this is left."""
    routes, over = [], []

    def keep(route: Route) -> None:
        if wanted(route.request) and not over:
            routes.append(route)
        else:
            route.continue_()

    page.route(address, keep)
    yield routes
    over.append(True)
    for route in routes:
        route.continue_()


def answered(route: Route) -> Callable[[], None]:
    """The server has done what is asked; whoever asked hears of it when this is called."""
    response = route.fetch()
    return lambda: route.fulfill(response=response)


def asks(**values) -> Callable[[Request], bool]:
    """Whether a request is about these values, among others."""

    def is_so(request: Request) -> bool:
        data = request.post_data_json if request.post_data else {}
        return all(data.get(name) == value for name, value in values.items())

    return is_so


def opened(app, page: Page, name: str) -> None:
    page.goto(f"{app.url}/runs/{name}")
    expect(page.locator("#rename-it")).to_be_visible()


@pytest.mark.parametrize(
    "said_by", ["link_target", "unequal-height", "html_attributes"]
)  # buttons, rows, fields
def test_whichever_script_comes_last_all_of_the_run_is_shown(app, page, said_by):
    told(app, "tales", 3, 3, Stopped(act="train", step=3)).set_note("Half the rate")
    late = {path.name for path in SCRIPTS.glob("Index-*.js") if said_by in path.read_text("utf-8")}
    with held(page, "**/assets/Index-*.js", lambda request: request.url.rsplit("/", 1)[1] in late) as scripts:
        page.goto(f"{app.url}/runs/tales", wait_until="commit")
        until(lambda: page.locator("#console-box").count() and scripts, 30)
        page.wait_for_timeout(1500)
    for act in ("again", "rename-it", "delete"):
        expect(page.locator(f"#{act}")).to_be_visible()
    expect(page.locator("#note textarea")).to_have_value("Half the rate")
    expect(page.locator("[data-name=tales]")).to_be_visible()
    expect(page.locator("#status h2")).to_have_text("tales")
    expect(page.locator("#away")).to_be_hidden()


def test_the_buttons_are_for_the_run_that_is_shown_when_another_was_opened_just_before(app, page):
    runs = {name: told(app, name, 1, 1, Stopped(act="train")) for name in ("first", "second", "third")}
    for name, run in runs.items():
        run.set_note(f"of the {name}")
    opened(app, page, "first")
    with held(page, "**/run/predict", asks(event_data={"run": "second"})) as openings:
        page.locator("#runs a[data-run=second]").click()
        until(lambda: page.wait_for_timeout(20) or openings, 10)
        page.locator("#runs a[data-run=third]").click()
        expect(page.locator("#status h2")).to_have_text("third")
        expect(page.locator("#opened")).to_have_js_property("inert", True)
    expect(page.locator("#note textarea")).to_have_value("of the third")
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#delete").click()
    until(
        lambda: (
            page.wait_for_timeout(20) or sorted(run.name for run in app.store.all()) == ["first", "second"]
        ),
        10,
    )


def test_a_run_whose_opening_was_not_answered_is_opened_by_and_by(app, context):
    page = context.new_page()
    told(app, "tales", 3, 3, Stopped(act="train", step=3))
    with held(page, "**/run/predict", asks(event_data={"run": "tales"})) as openings:
        page.goto(f"{app.url}/runs/tales")
        until(lambda: page.wait_for_timeout(20) or openings, 30)
        openings.pop().fulfill(status=500, json={"error": "The server is being started anew."})
    expect(page.locator("#rename-it")).to_be_visible()
    page.locator("#rename-it").click()
    expect(page.locator("#new-name input")).to_have_value("tales")


def test_a_run_is_renamed_though_the_page_sees_it_gone_before_it_hears_of_the_new_name(app, page):
    told(app, "other", 1, 1, Stopped(act="train"))
    told(app, "tales", 3, 3, Stopped(act="train", step=3))
    told(app, "newest", 1, 1, Stopped(act="train"))
    opened(app, page, "tales")
    page.locator("#rename-it").click()
    page.locator("#new-name input").fill("stories")
    with held(page, "**/run/predict", asks(event_data={"run": ""})) as closings:
        with held(page, "**/queue/join*", asks(data=["tales", "stories"])) as asked:
            page.locator("#rename").click()
            until(lambda: page.wait_for_timeout(20) or asked, 10)
            tell = answered(asked.pop())
            until(lambda: page.wait_for_timeout(20) or closings, 10)
        tell()
        expect(page.locator("#status h2")).to_have_text("stories")
    expect(page.locator("#opened")).to_have_js_property("inert", False)
    assert page.url.endswith("/runs/stories")
    page.locator("#note textarea").fill("called anew")
    page.locator("#note textarea").blur()
    until(lambda: page.wait_for_timeout(20) or app.store.get("stories").note == "called anew", 10)


def test_words_that_are_added_while_a_note_is_being_kept_are_kept_too(app, page):
    run = told(app, "tales", 3, 3, Stopped(act="train", step=3))
    opened(app, page, "tales")
    note = page.locator("#note textarea")
    with held(page, "**/queue/join*", asks(data=["tales", "Half the rate"])) as asked:
        note.fill("Half the rate")
        note.blur()
        until(lambda: page.wait_for_timeout(20) or asked, 10)
        tell = answered(asked.pop())
        until(lambda: page.wait_for_timeout(20) or run.note == "Half the rate", 10)
        note.fill("Half the rate, twice the steps")
        note.blur()
        page.wait_for_timeout(500)
        tell()
    until(lambda: page.wait_for_timeout(20) or run.note == "Half the rate, twice the steps", 10)
    expect(note).to_have_value("Half the rate, twice the steps")


def test_of_examples_that_are_chosen_quickly_the_last_are_read(app, page):
    page.goto(app.url)
    expect(page.locator("#report")).to_contain_text("sample:fables-en")
    with held(page, "**/gradio_api/**", lambda request: '"own"' in (request.post_data or "")) as choices:
        page.locator("#source input[value=own]").check()
        until(lambda: page.wait_for_timeout(20) or choices, 10)
        page.locator("#source input[value='sample:fables-fr']").check()
    expect(page.locator("#report")).to_contain_text("sample:fables-fr")


def test_of_presets_that_are_chosen_quickly_the_form_shows_the_last(app, page):
    page.goto(f"{app.url}/train")
    expect(page.locator("#summary")).to_contain_text("--preset tiny")
    with held(page, "**/gradio_api/**", lambda request: '["small"]' in (request.post_data or "")) as choices:
        page.locator("#preset input[value=small]").check()
        until(lambda: page.wait_for_timeout(20) or choices, 10)
        page.locator("#preset input[value='3090']").check()
    expect(page.locator("#model-base textarea")).to_have_attribute("placeholder", re.compile("1.7B"))
    expect(page.locator("#summary")).to_contain_text("--preset 3090")


def test_nothing_is_filled_in_before_the_form_is_restored_which_would_take_it_back(app, page):
    with held(page, "**/gradio_api/queue/join*") as asked:
        page.goto(f"{app.url}/train")
        until(lambda: page.wait_for_timeout(20) or asked, 30)
        expect(page.locator("#fill")).to_be_disabled()
    expect(page.locator("#fill")).to_be_enabled()
