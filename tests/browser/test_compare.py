"""The Compare page in Chromium: runs side by side, and a run held against retrieval by dropping documents."""

import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, running


@pytest.fixture
def app(trained_runs, tmp_path):
    shutil.copytree(trained_runs.root, tmp_path / "runs")
    with running(tmp_path) as app:
        yield app


@pytest.mark.slow
def test_runs_are_compared_and_one_is_held_against_retrieval(app, page, tmp_path):
    document = tmp_path / "tales.md"
    document.write_text("# Tales\n\nThe White Rabbit led Alice down the hole. What did it say? Who was it?\n")

    page.goto(f"{app.url}/compare?run=full&run=lora")
    expect(page.locator("#scores .compared").first).to_contain_text("full")
    for scored in page.locator("#scores .compared .table").all():
        assert scored.evaluate("each => each.scrollWidth <= each.clientWidth"), "no column is out of sight"
    expect(page.locator("#rest")).to_contain_text("method.kind")
    page.get_by_label("by time").check()
    expect(page.locator("#curves figcaption")).to_contain_text("Loss by time at work")

    page.get_by_role("button", name="Compare with retrieval").click()
    expect(page.locator("#message")).to_contain_text("Drop the documents first")
    page.set_input_files("#upload-documents input[type=file]", document)
    expect(page.locator("#documents")).to_contain_text("tales.md")
    page.get_by_role("button", name="Compare with retrieval").click()
    expect(page.locator("#found .decision")).to_be_visible(timeout=180_000)
    expect(page.locator("#found")).to_contain_text("Tuned with passages")

    with page.expect_download() as downloaded:
        page.locator("#download").click()
    assert "fine-tune, retrieve, or both?" in downloaded.value.path().read_text("utf-8")
    page.reload()
    expect(page.locator("#found .decision")).to_be_visible()
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
