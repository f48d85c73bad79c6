"""The Runs page as its readers use it: curves looked at closely, the table sorted, a run renamed, noted, cloned."""

import math
import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from core.runs.events import Begun, Finished, HeldOut, Noted, Started, Stepped, Stopped, Trained
from core.runs.store import Run
from tests.browser.conftest import begin
from tests.conftest import pid_of, quick, until

MEASURE = """names => Object.fromEntries(names.map(name => {
  const box = document.querySelector(name).getBoundingClientRect();
  return [name, [box.x, box.y, box.width, box.height]];
}))"""


def step(number: int, total: int, loss: float | None = None) -> Stepped:
    return Stepped(
        step=number, epoch=1, loss=loss or 5 * math.exp(-number / total), learning_rate=1e-3, gradient_norm=1,
        tokens_per_second=900, memory_bytes=10**9, eta_seconds=total - number,
    )  # fmt: skip


def told(app, name: str, steps: int, total: int, *more) -> Run:
    """A run as a trainer would have told of it."""
    run = app.store.create(name, quick())
    run.events.append(Started(act="train", pid=os.getpid(), device="cpu"))
    run.events.append(Begun(total_steps=total))
    for number in range(1, steps + 1):
        run.events.append(step(number, total))
    for event in more:
        run.events.append(event)
    return run


@pytest.fixture
def live(app):
    """A run of 40 steps that has made 12, whose process is this one."""
    run = told(app, "tales", 12, 40, HeldOut(step=12, loss=3.9, token_accuracy=0.4))
    with run.lock:
        yield run
        run.events.append(Stopped(act="train"))


def drawn(page: Page, look: str = "line prussian", chart: str = "loss") -> str:
    return page.locator(f'[data-chart={chart}] path[class="{look}"]').get_attribute("d") or ""


def loss_chart(page: Page):
    chart = page.locator("[data-chart=loss]")
    expect(chart).to_have_attribute("aria-label", re.compile("falls from"))
    return chart


def drag(page: Page, chart, begin: float, end: float) -> None:
    box = chart.bounding_box()
    page.mouse.move(box["x"] + begin * box["width"], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 110, steps=4)
    page.mouse.up()


def test_a_span_is_drawn_larger_and_stays_so_over_a_reload_until_one_goes_back(app, live, page):
    page.goto(f"{app.url}/runs/tales")
    chart = loss_chart(page)
    back = page.locator("#whole-run")
    expect(back).to_be_disabled()
    drag(page, chart, 0.05, 0.20)
    expect(chart).to_have_attribute("aria-valuemin", "2")
    expect(chart).to_have_attribute("aria-valuemax", "8")
    page.reload()
    expect(loss_chart(page)).to_have_attribute("aria-valuemax", "8")
    chart.dblclick()
    expect(chart).to_have_attribute("aria-valuemax", "40")
    expect(back).to_be_disabled()


def test_the_keyboard_reads_values_looks_closer_and_goes_back(app, live, page):
    page.goto(f"{app.url}/runs/tales")
    chart = loss_chart(page)
    page.locator("#log-scale").focus()
    page.keyboard.press("Tab")  # the way back has nothing to go back to, so the chart is next
    expect(chart).to_be_focused()
    expect(chart).to_have_attribute("aria-valuetext", "step 12, training 3.7, held out 3.9")
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", "step 11, training 3.8")
    expect(page.locator("[data-chart=loss] .tip")).to_be_visible()
    page.keyboard.press("+")
    expect(chart).not_to_have_attribute("aria-valuemax", "40")
    page.keyboard.press("Escape")
    expect(chart).to_have_attribute("aria-valuemax", "40")


def test_smoothing_and_the_log_scale_are_the_readers_and_stay(app, live, page):
    page.goto(f"{app.url}/runs/tales")
    loss_chart(page)
    raw = drawn(page)
    assert drawn(page, "line raw prussian") == ""
    page.locator("#smoothing").fill("0.9")
    expect(page.locator('[data-chart=loss] path[class="line raw prussian"]')).to_have_attribute("d", raw)
    smoothed = drawn(page)
    assert smoothed != raw
    page.locator("#log-scale").check()
    until(lambda: drawn(page) != smoothed, 5)
    live.events.append(step(13, 40))
    expect(page.locator("[data-part=status]")).to_contain_text("step 13 of 40")
    page.reload()
    loss_chart(page)
    assert page.locator("#smoothing").input_value() == "0.9" and page.locator("#log-scale").is_checked()


def test_values_are_shown_at_the_pointer_and_warnings_at_their_step(app, live, page):
    live.events.append(Noted(text="Overfitting since step 10.", warning=True, code="overfitting", step=10))
    page.goto(f"{app.url}/runs/tales")
    chart = loss_chart(page)
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 90)
    expect(chart.locator(".tip")).to_have_text(re.compile("step 4.*training 4.52"))
    expect(chart.locator(".tip")).to_be_visible()
    expect(page.get_by_label("Warning at step 10: Overfitting since step 10.")).to_be_visible()


def test_nothing_moves_and_nothing_is_made_anew_while_numbers_change(app, live, page):
    page.goto(f"{app.url}/runs/tales")
    loss_chart(page)
    page.evaluate("""() => { window.before = document.querySelector('[data-chart=loss] svg');
      window.made = 0; window.moved = 0;
      new MutationObserver(all => { window.made += all.filter(each => [...each.addedNodes].some(
        node => node.tagName)).length }).observe(document.querySelector('#charts .area'), {childList: true, subtree: true});
      const scale = node => node?.parentElement?.closest('.y, .x');  // an axis may take in a new value
      new PerformanceObserver(list => list.getEntries().forEach(each => {
        window.moved += each.sources.filter(({node}) => !scale(node)).length })).observe({type: 'layout-shift'}); }""")
    names = [
        "#status",
        "#pause",
        "#charts",
        "[data-chart=loss]",
        "[data-chart=memory_bytes]",
        "#note",
        "#console",
        "#runs",
    ]
    first = page.evaluate(MEASURE, names)
    for number in (13, 14):
        live.events.append(step(number, 40))
        expect(page.locator("[data-part=status]")).to_contain_text(f"step {number} of 40")
        expect(page.locator("[data-name=tales]")).to_contain_text(f"{number} of 40")
        assert page.evaluate(MEASURE, names) == first
    until(lambda: drawn(page).count("L") == 13, 5)
    assert page.evaluate("[window.before.isConnected, window.made, window.moved]") == [True, 0, 0]


def test_the_tab_says_how_far_it_is_and_the_page_tells_when_it_is_done(app, live, page):
    page.goto(f"{app.url}/runs/tales")
    expect(page).to_have_title("30 % tales · Atelier")
    page.locator("#tell").check()
    expect(page.locator("#told")).to_contain_text("does not allow notices")
    page.get_by_label("Close").click()
    for event in (step(40, 40), Trained(), Finished(act="train", output="final")):
        live.events.append(event)
    expect(page.locator("#told")).to_contain_text("tales: finished. The training is done: 40 steps.")
    expect(page).to_have_title("tales · Atelier")


def test_where_the_browser_allows_notices_it_gets_one(app, live, context, page):
    context.grant_permissions(["notifications"], origin=app.url)
    page.add_init_script("""window.notices = [];
      window.Notification = class { static permission = 'granted';
        constructor(title, more) { window.notices.push(`${title}: ${more.body}`) } };""")
    page.goto(f"{app.url}/runs/tales")
    page.locator("#tell").check()
    live.events.append(Stopped(act="train", step=12))
    until(lambda: page.evaluate("window.notices.length"), 10)
    assert page.evaluate("window.notices")[0].startswith("Atelier: tales: stopped.")
    expect(page.locator("#told")).to_be_hidden()


def test_the_log_is_filtered_and_taken_away_whole(app, live, page, tmp_path):
    lines = [f"{'warning' if n % 100 == 7 else 'line'} {n} é" for n in range(60_000)]
    live.console.write_text("\n".join(lines))
    page.goto(f"{app.url}/runs/tales")
    page.locator("#console-box summary").click()
    printed = page.locator("#console-box pre")
    expect(printed).to_contain_text("line 59999")
    page.locator("#filter-log").fill("warning")
    expect(page.locator("#lines")).to_have_text("4 of 400 lines")
    assert all(line.startswith("warning") for line in printed.inner_text().splitlines())
    for words, path in (("Download the log", live.console), ("Download the events", live.events.path)):
        with page.expect_download() as waited:
            page.get_by_text(words).click()
        assert waited.value.suggested_filename == f"tales-{path.name}"
        waited.value.save_as(tmp_path / "taken")
        assert (tmp_path / "taken").read_bytes() == path.read_bytes()


def test_a_run_is_renamed_and_its_notes_are_kept_with_it(app, page):
    run = told(app, "tales", 3, 3, Stopped(act="train", step=3))
    page.goto(f"{app.url}/runs/tales")
    note = page.locator("#note textarea")
    note.fill("Half the rate <b>next</b> time")
    note.blur()
    until(lambda: run.note == "Half the rate <b>next</b> time", 10)
    expect(page.locator("[data-name=tales] .noted")).to_have_text("Half the rate <b>next</b> time")
    page.locator("#rename-it").click()
    page.locator("#new-name input").fill("stories")
    page.locator("#rename").click()
    expect(page.locator("#status h2")).to_have_text("stories")
    assert page.url.endswith("/runs/stories") and not run.folder.exists()
    page.reload()
    expect(page.locator("#status h2")).to_have_text("stories")
    expect(page.locator("#note textarea")).to_have_value("Half the rate <b>next</b> time")


def test_a_name_that_is_taken_is_refused_beside_the_field(app, page):
    told(app, "first", 1, 1, Stopped(act="train"))
    told(app, "second", 1, 1, Stopped(act="train"))
    page.goto(f"{app.url}/runs/second")
    page.locator("#rename-it").click()
    page.locator("#new-name input").fill("first")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("There is already a run called 'first'")
    expect(page.locator("#status h2")).to_have_text("second")


def test_run_again_with_changes_fills_the_train_page_like_the_run(app, page):
    settings = {"train": {"learning_rate": 0.0123, "epochs": 3}, "method": {"kind": "lora"}}
    run = app.store.create("tales", quick(settings, {"data": {"files": ["sample:fables-fr"]}}))
    run.events.append(Stopped(act="train"))
    page.goto(f"{app.url}/runs/tales")
    page.locator("#again").click()
    page.wait_for_url(re.compile("/train$"))
    expect(page.locator("#train-learning_rate input")).to_have_value("0.0123")
    name = page.locator("#run-name :is(input, textarea)")
    expect(name).to_have_value(re.compile("fables-fr"))
    page.locator("#start").click()
    page.wait_for_url(re.compile("/runs/fables-fr"))
    (made,) = [each for each in app.store.all() if each.name != "tales"]
    assert made.spec == run.spec


def test_the_table_is_sorted_searched_and_ticked_and_leads_to_a_comparison(app, page):
    for number, name in enumerate(("alpha", "beta", "gamma"), start=1):
        told(app, name, number, 5, step(4, 5, loss=[2.0, 1.0, 3.0][number - 1]), Stopped(act="train"))
    page.goto(f"{app.url}/runs")
    names = page.locator("#runs tbody tr:visible a")
    expect(names).to_have_text(["gamma", "beta", "alpha"])
    head = page.locator("#runs th").filter(has_text=re.compile("^Loss"))
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(names).to_have_text(["gamma", "alpha", "beta"])
    head.get_by_role("button").click()
    expect(names).to_have_text(["beta", "alpha", "gamma"])
    page.get_by_label("Compare gamma with others").check()
    page.get_by_label("Compare beta with others").check()
    told(app, "delta", 5, 5, Stopped(act="train"))  # the table is drawn anew
    expect(page.locator("#runs")).to_contain_text("delta")
    expect(page.get_by_label("Compare gamma with others")).to_be_checked()
    expect(head).to_have_attribute("aria-sort", "ascending")
    page.locator("#search-runs").fill("alp")
    expect(names).to_have_text(["alpha"])
    page.locator("#search-runs").fill("nobody")
    expect(page.locator("#runs")).to_contain_text("No run is like that.")
    page.locator("#search-runs").fill("")
    page.locator("#compare-runs").click()
    page.wait_for_url(re.compile("/compare/"))
    assert sorted(page.url.split("/compare/")[1].split("/")) == ["beta", "gamma"]


def test_a_trainer_that_is_killed_in_the_middle_is_told_to_be_lost(app, page):
    run = begin(app, "tales", steps=400)
    page.goto(f"{app.url}/runs/tales")
    expect(page.locator("#status")).to_contain_text("of 400", timeout=90_000)
    os.kill(pid_of(run), signal.SIGKILL)
    expect(page.locator("#status .badge")).to_have_text("lost")
    expect(page.locator("#status")).to_contain_text("The process ended without a word")
    expect(page.locator("#resume")).to_be_visible()


def test_on_a_telephone_the_table_and_the_curves_fit(shown, chromium):
    page = chromium.new_page(viewport={"width": 400, "height": 800})
    page.goto(f"{shown.url}/runs/lora")
    loss_chart(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    frame = page.locator("#runs .table").bounding_box()
    for cell in page.locator("[data-name=lora] td:visible").all():
        assert cell.bounding_box()["x"] + cell.bounding_box()["width"] <= frame["x"] + frame["width"] + 1
    page.close()


def test_in_french_every_word_of_the_room_is(shown, chromium):
    context = chromium.new_context(locale="fr-FR")
    page = context.new_page()
    page.goto(f"{shown.url}/runs/lora")
    chart = page.locator("[data-chart=loss]")
    expect(chart).to_have_attribute("aria-label", re.compile("Perte\u00a0?: descend de \\d,"))
    expect(page.locator("#status")).to_contain_text("L’entraînement est terminé\u00a0: 12")
    for english in (
        "Smoothing",
        "Log scale",
        "Learning rate",
        "Rename",
        "Your notes",
        "held out",
        "finished",
        "Step",
    ):
        assert english not in page.locator("body").inner_text(), english
    context.close()


def test_a_server_that_comes_back_is_noticed_without_a_reload(app, context):
    run = told(app, "tales", 2, 2, Stopped(act="train", step=2))
    page = context.new_page()
    page.goto(f"{app.url}/runs/tales")
    expect(page.locator("#status h2")).to_have_text("tales")
    app.kill()
    expect(page.locator("#away")).to_contain_text("does not answer")
    run.set_note("while it was away")
    app.start()
    expect(page.locator("[data-name=tales]")).to_contain_text("while it was away")
    expect(page.locator("#away")).to_be_hidden()
