"""A run lives in its folder: no tab and no server is needed to keep it, and any can show it."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import begin, watch
from tests.conftest import until

STEP = re.compile(r"step (\d+) of 400")


def step_shown(page) -> int:
    found = STEP.search(page.locator("#status").inner_text())
    return int(found[1]) if found else 0


def test_tabs_reloads_and_a_killed_server_leave_a_run_as_it_is(app, context):
    run = begin(app, "tales", steps=400)
    first, second = context.new_page(), context.new_page()
    complaints = watch(first)
    first.goto(f"{app.url}/runs/tales")
    expect(first.locator("#status")).to_contain_text(STEP)
    second.goto(f"{app.url}/runs")
    expect(second.locator("#status h2")).to_have_text("tales")
    expect(second.locator("#status")).to_contain_text(STEP)
    before = step_shown(first)
    first.reload()
    expect(first.locator("#status")).to_contain_text(STEP)
    assert step_shown(first) >= before
    assert complaints == []

    app.kill()
    at_death = run.progress().step
    until(lambda: run.progress().step > at_death, 60)
    app.start()
    first.goto(f"{app.url}/runs/tales")
    expect(first.locator("#status")).to_contain_text(STEP)
    assert step_shown(first) > at_death

    first.click("#stop")
    expect(first.locator("#status")).to_contain_text("Stopped at step", timeout=60_000)
    expect(second.locator("#resume")).to_be_visible(timeout=60_000)
    assert run.progress().saved_step == run.progress().step
