"""Every page, for a person with a wide screen, a telephone, a dark room, and something to hide."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from core import presets
from tests.browser.conftest import WIDE, running, watch
from tests.browser.proxy import proxy


def test_every_page_is_a_click_away_and_says_where_one_is(shown, context):
    page = (
        context.new_page()
    )  # not watched: gradio reports what a page was still asking for when one leaves it
    page.goto(shown.url)
    for name in ("Train", "Runs", "Evaluate", "Compare", "Chat", "Publish", "Data"):
        page.locator(".top").get_by_role("link", name=name, exact=True).click()
        expect(page.locator(".top a[aria-current=page]")).to_have_text(name)


def test_the_chosen_data_and_settings_are_there_after_a_reload(shown, page, tmp_path):
    file = tmp_path / "poems.jsonl"
    file.write_text('{"question": "Who?", "answer": "Fable."}\n' * 4)
    page.goto(shown.url)
    page.get_by_text("My own files").click()
    page.set_input_files("#upload input[type=file]", file)
    expect(page.locator("#report")).to_contain_text("poems.jsonl")
    page.goto(f"{shown.url}/train")
    expect(page.locator("#run-name input, #run-name textarea")).to_have_value("poems-1")
    page.fill("#train-epochs input", "3")
    expect(page.locator("#summary")).to_contain_text("--train.epochs 3")
    page.reload()
    expect(page.locator("#train-epochs input")).to_have_value("3")
    expect(page.locator("#summary")).to_contain_text("poems.jsonl --preset tiny --train.epochs 3")


def test_a_setting_out_of_bounds_is_refused_beside_the_form(shown, page):
    page.goto(f"{shown.url}/train")
    expect(page.locator("#summary")).to_contain_text("atelier train")
    page.fill("#train-epochs input", "0")
    expect(page.locator("#message")).to_contain_text("train.epochs is 0")
    page.click("#start")
    page.wait_for_timeout(1000)
    assert page.url.endswith("/train") and len(shown.store.all()) == 2


def test_another_preset_shows_what_it_would_use(shown, page):
    page.goto(f"{shown.url}/train")
    for name in ("tiny", "3090"):
        page.locator("#preset label", has_text=name).click()
        epochs = f"{presets.resolve(name).train.epochs:g}"
        expect(page.locator("#train-epochs input")).to_have_attribute("placeholder", epochs)
        expect(page.locator("#summary")).to_contain_text(f"--preset {name}")


def test_an_address_opens_its_run_and_choosing_another_changes_the_address(shown, page):
    page.goto(f"{shown.url}/runs/full")
    expect(page.locator("#status h2")).to_have_text("full")
    page.locator("#runs a", has_text="lora").click()
    expect(page.locator("#status h2")).to_have_text("lora")
    expect(page).to_have_url(f"{shown.url}/runs/lora")
    page.reload()
    expect(page.locator("#status h2")).to_have_text("lora")
    page.locator(".top").get_by_role("link", name="Chat").click()
    expect(page).to_have_url(f"{shown.url}/chat")


@pytest.mark.parametrize("room", ["evaluate", "chat", "publish"])
def test_the_address_of_a_page_before_it_named_runs_by_itself_still_opens_one(shown, page, room):
    newest = shown.store.all()[0].name
    other = next(run.name for run in shown.store.all() if run.name != newest)
    page.goto(f"{shown.url}/{room}?__theme=light&run={other}")
    expect(page.locator("#run input")).to_have_value(other)
    assert page.url == f"{shown.url}/{room}/{other}?__theme=light"


def test_two_runs_are_compared_by_an_address(shown, page):
    page.goto(f"{shown.url}/compare?run=lora&run=full")
    expect(page).to_have_url(f"{shown.url}/compare/lora/full")
    expect(page.locator(".compared").first).to_contain_text("lora")


@pytest.mark.parametrize("room", ["runs", "chat"])
def test_an_address_of_no_run_says_so(shown, page, room):
    page.goto(f"{shown.url}/{room}/%3Cimg%20src=x%20onerror=alert(1)%3E")
    expect(page.locator("#unknown")).to_contain_text("There is no run called")
    expect(page.locator("#unknown")).to_contain_text("<img src=x onerror=alert(1)>")


def test_below_a_path_behind_a_proxy_that_strips_it_every_page_and_address_works(
    trained_runs, context, tmp_path
):
    shutil.copytree(trained_runs.root, tmp_path / "runs")
    with running(tmp_path, options=["--root-path", "/atelier"]) as app, proxy(app.url, "/atelier") as url:
        page = context.new_page()
        complaints = watch(page)
        page.on(
            "response",
            lambda answer: answer.status < 400 or complaints.append(f"{answer.status} {answer.url}"),
        )
        page.goto(f"{url}/atelier/runs?run=full")
        expect(page).to_have_url(f"{url}/atelier/runs/full")
        expect(page.locator("#status h2")).to_have_text("full")
        page.locator("#runs a", has_text="lora").click()
        expect(page).to_have_url(f"{url}/atelier/runs/lora")
        page.reload()
        expect(page.locator("#status h2")).to_have_text("lora")
        page.goto(f"{url}/atelier/")
        expect(page.locator("#report")).to_contain_text("sample:fables-en")
        assert complaints == []


def test_scores_are_shown_with_their_verdicts_and_wider_on_a_large_screen(shown, page):
    page.goto(f"{shown.url}/evaluate/full")
    expect(page.locator("#scores .verdict h2")).to_contain_text("Training helped")
    expect(page.locator(".score h3").first).to_have_text("Perplexity")
    names = page.locator(".row.asked .block > .container > span:first-child")
    assert len({round(name.bounding_box()["y"]) for name in names.all()}) == 1, "names of fields in one line"
    page.set_viewport_size({"width": 2560, "height": 1300})
    assert page.locator(".top").bounding_box()["width"] > 1400, "a large screen is used"


def test_a_finished_run_is_left_alone_while_nothing_happens(shown, page):
    page.set_viewport_size(WIDE)
    page.goto(f"{shown.url}/runs/full")
    expect(page.locator("#curves [data-chart=loss] path.ochre.line")).to_have_attribute("d", re.compile("L"))
    expect(page.locator("#opened[data-on]")).to_be_visible()
    page.evaluate(
        """() => { window.changes = [];
        const where = change => change.target.parentElement?.outerHTML.slice(0, 200);
        new MutationObserver(found => window.changes.push(...found.map(where)))
          .observe(document.body, {subtree: true, childList: true, characterData: true}); }"""
    )
    page.wait_for_timeout(3500)
    assert page.evaluate("window.changes") == []
