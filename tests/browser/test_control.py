"""What can be done with runs on their page: hold and let go, rearrange the line, discard, delete, after a question."""

import os

import pytest
from playwright.sync_api import expect

from core.runs import queue
from core.runs.events import BUSY, Begun, HeldOut, Noted, Paused, Queued, Sampled, Started, Stepped, Stopped
from tests.conftest import bystander, quick, until


@pytest.fixture
def paused(app):
    """A run whose process is this one, so that it answers when the test says so."""
    run = app.store.create("tales", quick())
    step = Stepped(
        step=4, epoch=1, loss=2.0, learning_rate=1e-4, gradient_norm=1, tokens_per_second=9, memory_bytes=1, eta_seconds=9
    )  # fmt: skip
    warning = Noted(text="Overfitting since step 4.", warning=True, code="overfitting", step=4)
    for event in (
        Started(act="train", pid=os.getpid(), device="cpu"),
        Begun(total_steps=8),
        step,
        HeldOut(step=4, loss=2, token_accuracy=0.5),
        Sampled(step=4, question="Who?", answer="A fox."),
        warning,
        Paused(step=4),
    ):
        run.events.append(event)
    run.request_pause()
    with run.lock:
        yield run
        run.events.append(Stopped(act="train", step=4))


def test_a_paused_run_shows_its_answers_and_warnings_and_goes_on(app, paused, page):
    page.goto(f"{app.url}/runs/tales")
    expect(page.locator("#status")).to_contain_text("Paused after step 4 of 8")
    expect(page.locator("#samples")).to_contain_text("A fox.")
    expect(page.get_by_label("Warning at step 4: Overfitting since step 4.")).to_be_visible()
    page.click("#continue")
    until(lambda: not paused.pause_requested(), 10)
    expect(page.locator("#pause")).to_be_visible()
    page.click("#pause")
    until(paused.pause_requested, 10)


def test_a_run_is_discarded_only_after_a_question(app, paused, page):
    page.goto(f"{app.url}/runs/tales")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#discard")
    page.wait_for_timeout(1500)
    assert not paused.stop_requested()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#discard")
    until(paused.discard_requested, 10)
    expect(page.locator("#status")).to_contain_text("nothing is saved")


def test_the_line_is_rearranged_by_hand_and_the_hand_stays_where_it_is(app, page):
    for name in ("first", "second", "third"):
        run = app.store.create(name, quick())
        queue.line_up(run)
        run.events.append(Queued(act="train"))
        run.set_process(bystander())
    page.goto(f"{app.url}/runs")
    names = page.locator("ol.line a")
    expect(names).to_have_text(["first", "second", "third"])
    page.get_by_label("Move third up").focus()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["first", "third", "second"])
    expect(page.get_by_label("Move third up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["third", "first", "second"])
    page.get_by_label("Cancel first").click()
    until(app.store.get("first").stop_requested, 10)


def test_a_run_that_ended_is_deleted_after_a_question(app, page):
    run = app.store.create("old", quick())
    run.events.append(Stopped(act="train"))
    page.goto(f"{app.url}/runs/old")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#delete")
    page.wait_for_timeout(1500)
    assert run.folder.exists()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#delete")
    until(lambda: not run.folder.exists(), 10)
    expect(page.locator("#runs").get_by_text("There are no runs yet")).to_be_visible()
    expect(page).to_have_url(f"{app.url}/runs")
    assert run.progress().state not in BUSY
