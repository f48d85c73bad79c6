"""Several people at one page, people with several tabs, a telephone, another language; and a server that is not always there."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from core.runs import RunStore
from tests.browser.conftest import App, running, watch
from tests.conftest import quick

TELEPHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[App]:
    """A server with two accounts; ada has a run."""
    folder = tmp_path_factory.mktemp("house")
    RunStore(folder / "runs" / "ada").create("secret", quick())
    with running(folder, {"ATELIER_AUTH": "ada:plums bob:jars"}) as app:
        yield app


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("username").fill(name)
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()


def test_each_of_two_people_has_runs_and_uploads_that_the_other_does_not_see(house, chromium, tmp_path):
    file = tmp_path / "diary.jsonl"
    file.write_text('{"question": "Where?", "answer": "In jar nine."}\n' * 8)
    ada, bob = chromium.new_context(), chromium.new_context()
    hers, his = ada.new_page(), bob.new_page()
    hers.goto(f"{house.url}/runs/secret")
    sign_in(hers, "ada", "plums")
    expect(hers.locator("#greeting")).to_contain_text("Signed in as ada")
    expect(hers.locator("#status h2")).to_have_text("secret")
    assert hers.url == f"{house.url}/runs/secret"
    hers.goto(house.url)
    hers.get_by_text("My own files").click()
    expect(hers.locator("#upload")).to_be_visible()
    hers.set_input_files("#upload input[type=file]", file)
    expect(hers.locator("#report")).to_contain_text("diary.jsonl")
    (kept,) = (house.store.root / "ada" / ".data").glob("*/diary.jsonl")

    his.goto(f"{house.url}/runs/secret")
    sign_in(his, "bob", "jars")
    expect(his.locator("#unknown")).to_contain_text("There is no run called")
    expect(his.locator("#runs")).not_to_contain_text("secret")
    asked = his.request.get(f"{house.url}/gradio_api/file={kept}")
    assert asked.status == 403
    his.get_by_role("link", name="Sign out").click()
    expect(his.get_by_label("password")).to_be_visible()
    for each in (ada, bob):
        each.close()


def test_without_a_password_nothing_is_shown_or_answered(house, page):
    page.goto(f"{house.url}/runs/secret")
    expect(page.get_by_label("password")).to_be_visible()
    assert "secret" not in page.content().replace("/runs/secret", "")
    sign_in_fails = page.request.post(f"{house.url}/login", form={"username": "ada", "password": "jars"})
    assert sign_in_fails.status == 400
    assert page.request.get(f"{house.url}/config").status == 401


@pytest.mark.parametrize(
    "language, words", [("en-US", "from whoever runs this page"), ("fr-FR", "qui gère cette page")]
)
def test_one_signs_in_at_a_page_that_looks_like_the_others(house, chromium, language, words):
    context: BrowserContext = chromium.new_context(
        locale=language, color_scheme="dark", viewport=TELEPHONE["viewport"]
    )
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{house.url}/chat")
    expect(page.locator(".auth")).to_contain_text(words)
    expect(page).to_have_title("Atelier")
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    expect(page.locator("body")).to_have_css("background-color", "rgb(18, 24, 27)")
    expect(page.locator("input[type=password]")).to_have_css("border-top-color", "rgb(102, 114, 118)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("input").first.fill("bob")
    page.locator("input[type=password]").fill("jars")
    page.locator("input[type=password]").press("Enter")
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("style", has_text=".auth .brand")).to_have_count(0)  # it is for that one alone
    assert complaints == []
    context.close()


def test_two_tabs_of_one_person_keep_their_own_runs_and_share_what_is_chosen(shown, context):
    first, second = context.new_page(), context.new_page()
    first.goto(f"{shown.url}/runs/full")
    second.goto(f"{shown.url}/runs/lora")
    for page, name in ((first, "full"), (second, "lora")):
        page.reload()
        expect(page.locator("#status h2")).to_have_text(name)
    first.goto(shown.url)
    first.get_by_text("Tales in French, built in").click()
    expect(first.locator("#report")).to_contain_text("sample:fables-fr")
    second.goto(f"{shown.url}/train")
    expect(second.locator("#summary")).to_contain_text("sample:fables-fr")


def test_an_open_page_goes_on_when_the_server_comes_back(trained_runs, context, tmp_path):
    shutil.copytree(trained_runs.root, tmp_path / "runs")
    with running(tmp_path) as app:
        page = context.new_page()
        page.goto(f"{app.url}/runs/full")
        expect(page.locator("#status h2")).to_have_text("full")
        app.kill()
        page.wait_for_timeout(1500)
        app.start()
        page.locator("#runs a", has_text="lora").click()
        expect(page.locator("#status h2")).to_have_text("lora")


def test_a_telephone_is_enough(shown, chromium):
    context = chromium.new_context(**TELEPHONE)
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{shown.url}/runs/full")
    page.locator("#runs a", has_text="lora").tap()
    expect(page.locator("#status h2")).to_have_text("lora")
    for link in page.locator(".top nav a").all():
        box = link.bounding_box()
        assert box["height"] >= 24 and box["x"] >= 0 and box["x"] + box["width"] <= 390, link.inner_text()
    page.locator(".top").get_by_role("link", name="Publish").tap()
    expect(page.locator("h1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []
    context.close()


@pytest.mark.parametrize(
    "path, name", [("", "Données"), ("runs/full", "Exécutions"), ("chat/full", "Discussion")]
)
def test_in_a_french_browser_the_frame_is_french(shown, chromium, path, name):
    context: BrowserContext = chromium.new_context(locale="fr-FR")
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{shown.url}/{path}")
    expect(page.locator(".top a[aria-current=page]")).to_have_text(name)
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.locator(".skip")).to_have_text("Aller au contenu")
    assert complaints == []
    context.close()
