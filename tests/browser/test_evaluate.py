"""The Evaluate page and the report that it hands out, as a person reads them."""

import json
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from core.evaluate.reports import page_of, write_all
from core.runs.events import Begun, Finished, HeldOut, Queued, Started, Stepped, Trained
from tests.browser.conftest import NARROW, WIDE, running
from tests.conftest import quick
from tests.evaluate.reporting import general, held_out, report, sums

STEP = {
    "epoch": 1, "learning_rate": 1e-3, "gradient_norm": 1, "tokens_per_second": 1, "memory_bytes": 1, "eta_seconds": 1,
}  # fmt: skip


def scored(store, name: str, found):
    """A run that seems to be trained, with a report."""
    run = store.create(name, quick())
    run.final.mkdir()
    for event in (
        Queued(act="train"), Started(act="train", pid=1), Begun(total_steps=2), Stepped(step=1, loss=3, **STEP),
        Stepped(step=2, loss=2, **STEP), HeldOut(step=2, loss=2.5, token_accuracy=0.3), Trained(), Finished(act="train"),
    ):  # fmt: skip
        run.events.append(event)
    write_all(run, found)
    return run


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server whose run `poems` helped and forgot; `other` did neither."""
    with running(tmp_path_factory.mktemp("evaluate")) as app:
        scored(app.store, "other", report(held_out(), general("no clear change"), run="other"))
        scored(app.store, "poems", report())
        yield app


def test_the_verdict_comes_first_and_forgetting_is_said_beside_it(app, page):
    page.goto(f"{app.url}/evaluate?run=poems")
    expect(page.locator(".verdict h2")).to_have_text("Training helped, but something was forgotten.")
    expect(page.locator(".forgetting")).to_contain_text("Perplexity rose from 33.0 to 44.0")
    expect(page.locator("article.task")).to_have_count(3)
    first, figures = (
        page.locator(".verdict").bounding_box(),
        page.locator("article.task").first.bounding_box(),
    )
    assert first["y"] + first["height"] <= figures["y"]
    page.locator("#run input").fill("other")
    page.locator("#run input").press("Enter")
    expect(page.locator(".verdict h2")).to_have_text("Training helped.")


def test_the_filter_shows_only_losses_and_both_answers_beside_the_reference(app, page):
    page.goto(f"{app.url}/evaluate?run=poems")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(24)  # of the task in which something was said
    page.locator("#kind").get_by_text("Losses").click()
    expect(rows).to_have_count(4)
    expect(page.locator("#rows .badge")).to_have_text(["lost"] * 4)
    for who, said in (("Reference", "Il y en a 2."), ("Base", "#### 2"), ("Tuned", "Peut-être 3 ?")):
        expect(rows.first.locator(f"td[data-head={who}]")).to_contain_text(said)
    page.locator("#kind").get_by_text("Not parsed").click()
    expect(page.locator("#rows .missed")).to_have_text(["a number was not found"] * 4)


def test_of_many_rows_a_few_are_shown_and_more_when_asked_until_others_are_looked_for(app, page):
    long = scored(app.store, "long", report(sums(186), run="long"))
    try:
        page.goto(f"{app.url}/evaluate/long")
        rows, more = page.locator("#rows tbody tr"), page.get_by_role("button", name="Show more")
        expect(rows).to_have_count(30)
        expect(page.locator("#rows .hint")).to_have_text("30 of 186 rows")
        more.click()
        expect(rows).to_have_count(60)
        page.locator("#kind").get_by_text("Losses").click()
        expect(rows).to_have_count(30)
        more.click()
        expect(rows).to_have_count(31)
        expect(more).to_be_hidden()
    finally:
        app.store.remove(long)


def test_the_report_can_be_taken_away(app, page, tmp_path):
    page.goto(f"{app.url}/evaluate?run=poems")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "evaluation.html"
    download.value.save_as(tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text("utf-8") == page_of(app.store.get("poems")).read_text("utf-8")


def test_what_is_asked_for_is_what_the_scoring_is_told(app, page):
    page.goto(f"{app.url}/evaluate?run=poems")
    expect(page.locator(".verdict")).to_be_visible()
    page.locator("#tasks input").fill("GSM8K")
    page.locator("#tasks input").press("Enter")
    page.fill("#max-samples input", "20")
    page.fill("#shots input", "2")
    with page.expect_request(
        lambda request: "/queue/join" in request.url and '"poems"' in (request.post_data or "")
    ) as asked:
        page.click("#evaluate")
    assert json.loads(asked.value.post_data)["data"] == ["poems", ["held-out", "general", "gsm8k"], 20, 2]


@pytest.fixture
def opened(app, chromium):
    """The file as it lies on the disk, and everything that it asked for."""
    path = page_of(app.store.get("poems"))
    contexts = []

    def open_it(**options):
        context = chromium.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        asked, complaints = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(path.as_uri())
        return tab, asked, complaints

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_file_asks_nobody_for_anything_and_shows_the_verdict(opened, light, size):
    tab, asked, complaints = opened(viewport=size, color_scheme=light)
    expect(tab.locator("#verdict h2")).to_have_text("Training helped, but something was forgotten.")
    tab.wait_for_timeout(300)
    assert [url for url in asked if not url.startswith("data:")] == [tab.url] and complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
    paper = "rgb(246, 247, 246)" if light == "light" else "rgb(18, 24, 27)"
    expect(tab.locator("body")).to_have_css("background-color", paper)


@pytest.mark.parametrize("script", [True, False])
def test_the_file_filters_its_rows_with_its_script_and_without(opened, script):
    tab, _, complaints = opened(java_script_enabled=script)
    rows = tab.locator("section.rows").nth(1)
    rows.get_by_text("Losses").click()
    expect(rows.locator("tbody tr").filter(visible=True)).to_have_count(4)
    expect(rows.locator("tbody tr").filter(visible=True).locator(".badge")).to_have_text(["lost"] * 4)
    if script:
        expect(rows.locator("output")).to_have_text("4 of 24 rows")
        rows.get_by_label("Search").fill("n° 14")
        expect(rows.locator("tbody tr").filter(visible=True)).to_have_count(1)
        expect(rows.locator("output")).to_have_text("1 of 24 rows")
    else:
        expect(rows.get_by_label("Search")).to_be_hidden()
    assert complaints == []


def test_what_a_model_said_is_never_run(app, opened):
    """Even where a reader's browser is asked: an answer that is a page of its own stays words."""
    said = "<img src=http://127.0.0.1:9/x onerror=document.title='taken'></table></script><script>document.title='taken'</script>"
    row = sums().rows[0]
    task = replace(sums(), rows=(replace(row, tuned=replace(row.tuned, text=said)),))
    run = scored(app.store, "hostile", report(task, run="hostile"))
    try:
        tab, asked, complaints = opened()
        tab.goto(page_of(run).as_uri())
        expect(tab.locator("section.rows tbody td").last).to_contain_text("document.title='taken'")
        assert tab.title() == "Evaluation of hostile"
        assert not [url for url in asked if "127.0.0.1" in url] and complaints == []
    finally:
        app.store.remove(run)
