"""The Chat page in Chromium, while a model writes."""

from playwright.sync_api import expect


def test_while_a_model_writes_nothing_else_can_be_asked_and_it_can_be_stopped(shown, page):
    page.goto(f"{shown.url}/chat?run=full")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")
    ask, stop, unload = (page.locator(name) for name in ("#ask", "#stop", "#unload"))
    expect(stop).to_be_disabled()
    expect(unload).to_be_disabled()
    page.get_by_role("button", name="How they answer").click()
    page.get_by_label("number input for Longest answer").fill("1024")
    page.fill("#question textarea", "Who led Alice down the hole?")
    ask.click()
    expect(ask).to_have_text("Answering …")
    expect(ask).to_be_disabled()
    expect(stop).to_be_enabled()
    expect(page.locator(".turn section")).to_have_count(2)
    page.fill("#question textarea", "And then?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#question textarea")).to_have_value("And then?")
    expect(page.locator("#memory")).to_contain_text("Loaded: full", timeout=60_000)
    stop.click(force=True)  # it may have come to its end by itself just now
    expect(ask).to_have_text("Ask")
    expect(ask).to_be_enabled()
    expect(stop).to_be_disabled()
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.locator("#question textarea")).to_have_value("And then?")
    expect(unload).to_be_enabled()
    unload.click()
    expect(unload).to_be_disabled()
    page.fill("#question textarea", "")
    ask.click()
    expect(page.locator("#message")).to_contain_text("There is nothing to answer yet")
    expect(ask).to_be_enabled()
