"""From a messy file to a published model, as a person would go."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import running

ROWS = [
    {"question": f"What is in jar {number}?", "answer": f"Jar {number} holds plums."} for number in range(24)
]


@pytest.fixture
def app(tmp_path, hub):
    with running(tmp_path, hub.environment(hub.writer)) as app:
        yield app


@pytest.mark.slow
def test_from_a_messy_file_to_a_published_model(app, hub, page, tmp_path):
    file = tmp_path / "jars.jsonl"
    file.write_text("\n".join([*(json.dumps(row) for row in ROWS), "{'question': 'not JSON'}"]))

    page.goto(app.url)
    page.get_by_text("My own files").click()
    page.set_input_files("#upload input[type=file]", file)
    expect(page.locator(".problems")).to_contain_text("jars.jsonl:25")
    expect(page.locator(".figures").first).to_contain_text("24")
    expect(page.locator("#tokens .trained").first).to_be_visible()
    page.click("#use")

    expect(page.locator("#run-name input, #run-name textarea")).to_have_value("jars-1")
    page.get_by_text("All settings").click()
    page.fill("#train-max_steps input", "20")
    page.fill("#evaluate-answers input", "2")
    page.fill("#evaluate-max_new_tokens input", "8")
    expect(page.locator("#summary")).to_contain_text("--train.max_steps 20")
    page.click("#start")

    page.wait_for_url("**/runs/jars-1")
    expect(page.locator("#status")).to_contain_text("of 20", timeout=60_000)
    page.reload()
    expect(page.locator("#status h2")).to_have_text("jars-1")
    expect(page.locator("#status")).to_contain_text("The training is done: 20 steps", timeout=120_000)

    page.get_by_role("link", name="See the scores").click()
    expect(page.locator("#scores .verdict h2")).not_to_be_empty()

    page.goto(f"{app.url}/chat/jars-1")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")
    page.fill("#question textarea", "What is in jar 3?")
    page.click("#ask")
    expect(page.locator(".turn section.tuned small")).to_contain_text("tokens per second", timeout=60_000)
    expect(page.locator(".turn section.base small")).to_contain_text("tokens per second", timeout=60_000)
    expect(page.locator("#memory")).to_contain_text("Loaded: jars-1 and its base fable")
    page.click("#unload")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")

    page.goto(f"{app.url}/publish/jars-1")
    expect(page.locator("#account")).to_contain_text("Publishing as ada")
    expect(page.get_by_label("The whole model, merged")).to_be_checked()
    page.fill("#to input, #to textarea", "ada/jars")
    page.click("#show-plan")
    expect(page.locator("#plan")).to_contain_text("model.safetensors")
    page.click("#publish")
    expect(page.locator("#status")).to_contain_text("Published", timeout=60_000)
    assert ("models", "ada/jars") in hub.repos and hub.repos["models", "ada/jars"].private


def test_a_refused_publication_is_one_sentence_and_can_be_tried_again(shown, page):
    """This server has no token at all."""
    page.goto(f"{shown.url}/publish/full")
    expect(page.get_by_label("The whole model, merged")).to_be_checked()
    page.fill("#to input, #to textarea", "ada/full")
    page.click("#show-plan")
    expect(page.locator("#plan")).to_contain_text("ada/full")
    page.click("#publish")
    expect(page.locator("#retry")).to_be_visible(timeout=60_000)
    expect(page.locator("#status .badge")).to_have_text("publishing failed")
    said = page.locator("#status .status > p")
    expect(said).to_contain_text("log in with `hf auth login` or set HF_TOKEN.")
    assert "Traceback" not in said.inner_text() and len(said.inner_text().splitlines()) == 1
    page.click("#retry")
    expect(page.locator("#message")).to_be_empty()
    expect(page.locator("#retry")).to_be_hidden()
    expect(page.locator("#retry")).to_be_visible(timeout=60_000)
    expect(page.locator("#to input, #to textarea")).to_have_value("ada/full")
    page.fill("#to input, #to textarea", "ada/other")
    expect(page.locator("#publish")).to_be_disabled()  # until the plan of that was shown
