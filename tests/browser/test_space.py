"""A Space in a real browser: signing in at the Hub, working in one's own name, and leaving nothing behind."""

import os
import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from core.runs import RunStore
from tests.browser.conftest import NARROW, App, watch
from tests.conftest import until
from tests.hub import Hub
from webui.sessions import COOKIE

ROOMS = ("", "train", "runs", "evaluate", "compare", "chat", "publish")


@pytest.fixture(scope="module")
def space(trained_runs, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A Space with a trained demo, on whose disk and in whose output every token can be looked for."""
    folder = tmp_path_factory.mktemp("space")
    shutil.copytree(trained_runs.get("lora").folder, folder / "runs" / ".demo" / "demo")
    with Hub(home=folder / "hf-home") as hub:
        app = App(folder, {})
        registered = hub.register("guild/atelier", app.url)
        owner = hub.add_token("bob")
        kept = {name: str(folder / name) for name in ("ATELIER_CACHE", "GRADIO_TEMP_DIR", "TMPDIR")}
        (folder / "TMPDIR").mkdir()
        app.environment = registered.environment(hub) | kept | {"HF_TOKEN": owner}
        app.start()
        yield SimpleNamespace(app=app, hub=hub, folder=folder, owner=owner, url=app.url)
        for store in (RunStore(folder / "runs" / name) for name in ("ada", "bob")):
            for run in store.all():
                run.request_stop()
        app.close()


# Above a Space's pages gradio draws the Hub's own header, with the Hub's fonts; these tests reach neither.
HEADER = re.compile(
    r"fonts\.(googleapis|gstatic)\.com|huggingface\.co|ERR_NAME_NOT_RESOLVED|ERR_INTERNET|ERR_PROXY|ERR_TUNNEL|^Space not found"
)


@pytest.fixture
def page(context) -> Iterator[Page]:
    page = context.new_page()
    complaints = watch(page)
    yield page
    assert ours(complaints) == []


def ours(complaints: list[str]) -> list[str]:
    return [each for each in complaints if not HEADER.search(each)]


def sign_in(space, page: Page, who: str) -> None:
    page.locator("#sign-in").click()
    page.get_by_role("button", name=f"Sign in as {who}").click()
    expect(page.locator("#greeting")).to_contain_text(f"Signed in as {who}")


def test_without_signing_in_one_looks_around_and_talks_to_the_demo(space, page):
    page.goto(f"{space.url}/runs")
    expect(page.locator("#greeting")).to_contain_text("You are looking around")
    expect(page.locator("#forgetful")).to_contain_text("forgets everything when it restarts")
    expect(page.locator("#status h2")).to_have_text("demo")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#delete")
    expect(page.locator("#message")).to_contain_text("Sign in with your Hugging Face account first")
    page.goto(f"{space.url}/train")
    expect(page.locator("#summary")).to_contain_text("atelier train")
    page.click("#start")
    expect(page.locator("#message")).to_contain_text("Sign in with your Hugging Face account first")
    page.goto(f"{space.url}/publish/demo")
    expect(page.locator("#account")).to_contain_text("Sign in with your Hugging Face account first")
    page.goto(f"{space.url}/chat/demo")
    expect(page.locator("#run input")).to_have_value("demo")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")
    page.wait_for_timeout(500)
    page.fill("#question textarea", "Who are you?")
    page.click("#ask")
    expect(page.locator(".turn section.tuned small")).to_contain_text("tokens per second", timeout=90_000)


@pytest.mark.slow
def test_from_signing_in_to_a_repository_of_ones_own_and_out_again(space, page, chromium):
    page.goto(f"{space.url}/train")
    page.locator("#sign-in").click()
    expect(page.locator("li")).to_have_text(["openid", "profile", "contribute-repos", "read-repos", "jobs"])
    page.get_by_role("button", name="Sign in as ada").click()
    page.wait_for_url(re.compile("/train"))
    expect(page.locator("#greeting")).to_contain_text("Signed in as ada for another 24 hours · 0 of 20 runs")
    token = next(each for each in space.hub.tokens if each.startswith("hf_oauth_"))

    page.get_by_text("All settings").click()
    page.fill("#train-max_steps input", "3")
    page.fill("#evaluate-answers input", "1")
    page.fill("#evaluate-max_new_tokens input", "4")
    expect(page.locator("#summary")).to_contain_text("--train.max_steps 3")
    page.fill("#run-name input, #run-name textarea", "mine")
    page.click("#start")
    page.wait_for_url("**/runs/mine")
    expect(page.locator("#status")).to_contain_text("The training is done: 3 steps", timeout=120_000)
    run = RunStore(space.folder / "runs" / "ada").get("mine")
    assert RunStore(space.folder / "runs").all() == []

    page.goto(f"{space.url}/publish/mine")
    expect(page.locator("#account")).to_contain_text("ada")
    page.fill("#to input, #to textarea", "ada/tales")
    page.click("#show-plan")
    expect(page.locator("#plan")).to_contain_text("ada/tales")
    page.click("#publish")
    expect(page.locator("#status")).to_contain_text("Published", timeout=120_000)
    repo = space.hub.repos["models", "ada/tales"]
    assert repo.private and {entry.user for entry in space.hub.log if "/commit/" in entry.path} == {"ada"}

    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    cookies = page.context.cookies()
    assert token not in stored + str(cookies) + page.content()
    (cookie,) = [each for each in cookies if each["name"] == COOKIE]
    assert cookie["httpOnly"] and cookie["secure"] and cookie["expires"] == -1
    for secret in (token, space.owner):
        assert found_in(space.folder, secret) == []
        assert not any(secret.encode() in file.content for file in repo.head.tree.values())

    other = chromium.new_context().new_page()
    complaints = watch(other)
    other.goto(f"{space.url}/runs/mine")
    expect(other.locator("#unknown")).to_have_text("There is no run called mine; yours are: demo.")
    sign_in(space, other, "bob")
    expect(other.locator("#runs").get_by_text("There are no runs yet")).to_be_visible()
    for room in ROOMS:
        other.goto(f"{space.url}/{room and f'{room}/mine'}")
        expect(other.locator("#greeting")).to_contain_text("Signed in as bob")
        other.wait_for_timeout(500)
        assert not re.search(r"\bada\b", other.locator(".gradio-container").inner_text())
    assert ours(complaints) == []
    other.context.close()

    page.goto(f"{space.url}/runs/mine")
    expect(page.locator("#sign-in")).to_have_text("Sign out (ada)")
    page.locator("#sign-in").click()
    expect(page.locator("#greeting")).to_contain_text("You are looking around")
    expect(page.locator("#status h2")).to_have_text("demo")
    expect(page.locator("#runs")).not_to_contain_text("mine")
    assert run.progress().trained


def test_in_french_one_signs_in_and_out_and_stays_where_one_was(space, chromium):
    context = chromium.new_context(locale="fr-FR")
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{space.url}/chat/demo")
    expect(page.locator("#greeting")).to_contain_text("Vous êtes en visite")
    expect(page.locator("#forgetful")).to_contain_text("oublie tout à chaque redémarrage")
    button = page.locator("#sign-in")
    expect(button).to_have_text("Se connecter avec Hugging Face")
    button.click()
    page.get_by_role("button", name="Sign in as bob").click()
    expect(page.locator("#greeting")).to_contain_text("Connecté en tant que bob, encore 24")
    assert page.url == f"{space.url}/chat/demo"
    expect(button).to_have_text("Se déconnecter (bob)")
    page.goto(f"{space.url}/publish/demo")
    expect(page.locator("#account")).to_contain_text("bob")
    button.click()
    expect(page.locator("#greeting")).to_contain_text("Vous êtes en visite")
    expect(button).to_have_text("Se connecter avec Hugging Face")
    assert page.url == f"{space.url}/publish/demo"
    assert ours(complaints) == []
    context.close()


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_pages_of_a_space_fit_a_telephone(space, page, signed_in):
    page.set_viewport_size(NARROW)
    page.goto(space.url)
    expect(page.locator("#sign-in")).to_be_visible()
    if signed_in:
        sign_in(space, page, "bob")
    for room in ROOMS:
        page.goto(f"{space.url}/{room}")
        expect(page.locator("#greeting")).to_contain_text("bob" if signed_in else "You are looking around")
        for light in ("light", "dark"):
            page.emulate_media(color_scheme=light)
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
            if os.environ.get("SHOTS"):
                page.screenshot(path=f"{os.environ['SHOTS']}/{room or 'data'}-{light}-{signed_in}.png")


def found_in(folder, secret: str) -> list[str]:
    """The files below that hold the secret, in whatever they are."""
    return [
        str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_a_server_that_is_no_space_has_no_button(shown, page):
    page.goto(shown.url)
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("#sign-in, #greeting").count() == 0
    until(lambda: page.locator("#report .section").count() > 0, 30)
