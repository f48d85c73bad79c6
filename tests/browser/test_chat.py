"""The Chat page in Chromium, while a model writes."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW


@pytest.fixture
def room(shown, page):
    """The Chat page on a run, with answers that are short unless a test wants longer ones."""
    page.goto(f"{shown.url}/chat/full")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")
    expect(page.locator("#talk .nothing")).to_be_visible()
    page.get_by_role("button", name="How they answer").click()
    longest(page, 16)
    yield page
    page.goto(f"{shown.url}/chat/full")
    expect(page.locator("#memory")).to_contain_text(re.compile("Loaded: full|Not loaded yet"))
    if page.locator("#unload").is_enabled():
        page.click("#unload")
    expect(page.locator("#memory")).to_contain_text("Not loaded yet")


def longest(page: Page, tokens: int) -> None:
    page.get_by_label("number input for Longest answer").fill(str(tokens))
    page.get_by_label("number input for Longest answer").blur()


def answered(page: Page, turns: int) -> None:
    expect(page.locator(".turn")).to_have_count(turns)
    expect(page.locator("#ask")).to_have_text("Ask", timeout=60_000)
    expect(page.locator(".turn.growing")).to_have_count(0)


@contextmanager
def keeping(page: Page) -> Iterator[None]:
    """What is done meanwhile changes the conversation that the browser keeps; waits for that."""
    before = page.evaluate("localStorage['atelier.chat'] ?? null")
    yield
    page.wait_for_function("before => (localStorage['atelier.chat'] ?? null) !== before", arg=before)


def test_while_a_model_writes_nothing_else_can_be_asked_and_it_can_be_stopped_even_while_it_loads(room):
    page = room
    ask, stop, unload = (page.locator(name) for name in ("#ask", "#stop", "#unload"))
    question = page.locator("#question textarea")
    expect(stop).to_be_disabled()
    expect(unload).to_be_disabled()
    longest(page, 1024)
    question.fill("Who led Alice down the hole?")
    ask.click()
    expect(ask).to_have_text("Answering …")
    expect(ask).to_be_disabled()
    expect(page.locator(".turn section")).to_have_count(2)
    page.keyboard.press("Escape")  # it loads still
    expect(page.locator(".turn section.tuned")).to_contain_text("stopped by you", timeout=5_000)
    expect(page.locator(".turn section")).to_have_count(1)
    expect(ask).to_have_text("Ask")
    expect(unload).to_be_enabled()

    question.fill("Who led")
    question.press("Shift+Enter")
    page.keyboard.type("her?")
    expect(question).to_have_value("Who led\nher?")
    question.press("Enter")
    expect(page.locator(".turn")).to_have_count(2)
    question.fill("And then?")
    question.press("Enter")
    expect(question).to_have_value("And then?")
    expect(page.locator("#memory")).to_contain_text("Loaded: full", timeout=60_000)
    stop.click(force=True)  # it may have come to its end by itself just now
    answered(page, 2)
    expect(ask).to_be_enabled()
    expect(stop).to_be_disabled()
    expect(question).to_have_value("And then?")
    unload.click()
    expect(unload).to_be_disabled()
    question.fill("")
    ask.click()
    expect(page.locator("#message")).to_contain_text("There is nothing to answer yet")
    expect(ask).to_be_enabled()


def test_a_question_is_edited_answered_again_corrected_kept_as_a_file_and_learned_from(room, shown, tmp_path):
    page = room
    page.fill("#question textarea", "Who led Alice?")
    page.click("#ask")
    answered(page, 1)
    answer = page.locator("section.base > p")
    first = answer.inner_text()
    page.fill("#question textarea", "<b>And</b> then?")
    page.click("#ask")
    answered(page, 2)
    expect(page.locator(".question").last).to_have_text("<b>And</b> then?")

    page.locator(".turn").first.get_by_role("button", name="Edit").click()
    editor = page.get_by_label("Question", exact=True).and_(page.locator("form textarea"))
    expect(editor).to_have_value("Who led Alice?")
    editor.press("Enter")  # the same question and the same seed
    answered(page, 1)
    expect(answer).to_have_text(first)
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(".turn > .foot")).to_contain_text("Seed 43")
    answered(page, 1)
    expect(answer).not_to_have_text(first)

    section = page.locator("section.tuned")
    section.get_by_role("button", name="Correct").click()
    section.get_by_label("Corrected answer").fill("The White Rabbit.\n  He was <i>late</i>.")
    section.get_by_role("button", name="Add to").click()
    expect(page.locator("#message")).to_contain_text("Added to full-corrections, which has 1 row now.")
    expect(section.locator("p")).to_have_text("The White Rabbit.\n  He was <i>late</i>.", use_inner_text=True)
    expect(section).to_contain_text("corrected by you, in full-corrections")
    expect(section.locator("form")).to_have_count(0)
    kept = shown.store.root / ".data" / "sets" / "full-corrections.jsonl"
    messages = [
        {"role": "user", "content": "Who led Alice?"},
        {"role": "assistant", "content": "The White Rabbit.\n  He was <i>late</i>."},
    ]
    assert json.loads(kept.read_text()) == {"messages": messages}

    page.get_by_role("button", name="The conversation as a file").click()
    with page.expect_download() as download:
        page.click("#download")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "full-tuned.jsonl" and file.read_text() == kept.read_text()
    page.click("#clear")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator("#message")).to_be_empty()
    file.write_text(json.dumps({"messages": [{"role": "system", "content": "Be kind."}, *messages]}) + "\n")
    with page.expect_file_chooser() as chooser:
        page.click("#open")
    chooser.value.set_files(file)
    expect(page.locator("section.file")).to_contain_text("He was <i>late</i>.")
    expect(page.get_by_label("System prompt")).to_have_value("Be kind.")
    file.write_text(file.read_text() + "{")
    with page.expect_file_chooser() as chooser:
        page.click("#open")
    chooser.value.set_files(file)
    expect(page.locator("#message")).to_contain_text("full-tuned.jsonl, line 2: ")
    with keeping(page):
        page.fill("#question textarea", "Why?")
        page.click("#ask")
        answered(page, 2)
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator("section.file")).to_contain_text("He was <i>late</i>.")

    page.goto(shown.url)
    page.get_by_text("A saved data set").click()
    page.locator("#saved input").click()
    page.get_by_role("option", name="full-corrections").click()
    expect(page.locator("#examples")).to_contain_text("The White Rabbit.")


def test_a_second_question_is_answered_by_itself_where_the_examples_had_one_each_and_how_they_answer_is_kept(
    room,
):
    page = room
    alone, system = page.get_by_label("Answer each question by itself"), page.get_by_label("System prompt")
    temperature, seed = page.get_by_label("number input for Temperature"), page.locator("#seed input")
    expect(alone).to_be_checked()
    page.get_by_label("Tuned", exact=True).first.check()
    temperature.fill("0")
    temperature.blur()
    for number, question in enumerate(("Who led Alice?", "Who led Alice?"), start=1):
        page.fill("#question textarea", question)
        page.click("#ask")
        answered(page, number)
    first, second = page.locator("section.tuned > p").all_inner_texts()
    assert first == second  # or it would have heard the first
    expect(page.locator("section.base")).to_have_count(0)
    expect(page.locator(".turn").last).to_contain_text("Answered by itself")
    expect(page.locator(".turn").last).not_to_contain_text("Seed")  # nothing was drawn
    page.click("#new-seed")
    expect(seed).not_to_have_value("42")
    drawn = seed.input_value()
    system.fill("Be brief.")
    alone.uncheck()
    page.wait_for_function("localStorage['atelier.answering']")
    page.wait_for_timeout(300)
    page.reload()
    expect(page.locator(".turn")).to_have_count(2)
    page.get_by_role("button", name="How they answer").click()
    expect(system).to_have_value("Be brief.")
    expect(alone).not_to_be_checked()
    expect(temperature).to_have_value("0")
    expect(seed).to_have_value(drawn)
    expect(page.get_by_label("Tuned", exact=True).first).to_be_checked()


def test_a_form_keeps_what_is_typed_while_the_conversation_goes_on_and_a_correction_goes_where_one_says(
    room, shown
):
    page = room
    jars = shown.store.root / ".data" / "sets" / "answers.jsonl"
    jars.parent.mkdir(parents=True, exist_ok=True)
    jars.write_text(
        '{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}\n'
    )
    try:
        page.fill("#question textarea", "Who led Alice?")
        page.click("#ask")
        answered(page, 1)
        expect(page.locator("#sets option")).to_have_text(["full-corrections", "answers"])
        page.locator(".turn").first.get_by_role("button", name="Edit").click()
        page.locator(".asked form textarea").press("Escape")
        expect(page.locator(".asked form")).to_have_count(0)
        expect(page.locator(".question")).to_be_visible()

        tuned, base = (page.locator(f".turn section.{side}").first for side in ("tuned", "base"))
        base.get_by_role("button", name="Correct").click()
        tuned.get_by_role("button", name="Correct").click()
        tuned.locator("textarea").fill("The Rabbit.")
        page.fill("#question textarea", "And then?")
        page.click("#ask")
        answered(page, 2)
        expect(tuned.locator("textarea")).to_have_value("The Rabbit.")
        assert [each["id"] for each in Axe().run(page).response["violations"]] == []
        tuned.get_by_label("Data set for corrections").select_option("answers")
        with keeping(page):
            tuned.locator("textarea").press("Control+Enter")
        expect(page.locator("#message")).to_contain_text("Added to answers, which has 2 rows now.")
        expect(tuned.locator("form")).to_have_count(0)
        expect(base.locator("form")).to_have_count(1)
        assert json.loads(jars.read_text().splitlines()[1])["messages"][1]["content"] == "The Rabbit."
        page.reload()
        expect(tuned).to_contain_text("corrected by you, in answers")
        base.get_by_role("button", name="Correct").click()
        page.locator(".turn").first.get_by_role("button", name="Edit").click()
        page.locator(".asked form textarea").press("Enter")
        expect(page.locator("form.editing")).to_have_count(0)  # that answer is given anew
        answered(page, 1)
    finally:
        jars.unlink()


def test_a_question_asked_before_the_kept_conversation_is_recalled_goes_on_from_it(room):
    page = room
    with keeping(page):
        page.fill("#question textarea", "Who led Alice?")
        page.click("#ask")
        answered(page, 1)
    held, is_slow = [], True  # one of these requests brings the conversation back
    page.route("**/run/predict*", lambda route: held.append(route) if is_slow else route.continue_())
    page.reload()
    page.fill("#question textarea", "And then?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#ask")).to_be_disabled()
    page.wait_for_timeout(500)
    is_slow = False
    for each in held:
        each.continue_()
    answered(page, 2)
    expect(page.locator(".question")).to_have_text(["Who led Alice?", "And then?"])
    expect(page.locator("#question textarea")).to_have_value("")


def test_a_cleared_conversation_stays_so_one_from_a_file_stays_and_another_run_begins_anew(
    room, shown, tmp_path
):
    page = room
    file = tmp_path / "told.jsonl"
    file.write_text(
        '{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The Rabbit."}]}\n'
    )
    page.get_by_role("button", name="The conversation as a file").click()
    with keeping(page):
        with page.expect_file_chooser() as chooser:
            page.click("#open")
        chooser.value.set_files(file)
        expect(page.locator("section.file")).to_contain_text("The Rabbit.")
    page.reload()
    expect(page.locator("section.file")).to_contain_text("The Rabbit.")
    with keeping(page):
        page.click("#clear")
        expect(page.locator(".turn")).to_have_count(0)
    page.reload()
    expect(page.locator("#talk .nothing")).to_be_visible()

    page.get_by_role("button", name="How they answer").click()
    longest(page, 16)
    page.fill("#question textarea", "Who led Alice?")
    page.click("#ask")
    answered(page, 1)
    alone = page.get_by_label("Answer each question by itself")
    alone.uncheck()
    page.locator("#run input").click()
    page.get_by_role("option", name="lora").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page).to_have_url(f"{shown.url}/chat/lora")
    expect(alone).to_be_checked()  # as its examples are
    expect(page.locator("#memory")).to_contain_text("full is loaded.")
    expect(page.locator("#sets option").first).to_have_text("lora-corrections")


def test_on_a_telephone_the_sides_stack_what_grows_is_followed_and_who_scrolls_up_is_left_there(room):
    page = room
    page.set_viewport_size(NARROW)
    longest(page, 200)
    page.get_by_label("Seed").fill("7")
    page.evaluate("scrollTo(0, 0)")
    page.fill("#question textarea", "Who led Alice?")
    page.locator("#question textarea").press("Enter")
    answered(page, 1)
    tuned, base = (page.locator(f"section.{side}").bounding_box() for side in ("tuned", "base"))
    assert base["y"] >= tuned["y"] + tuned["height"] and base["x"] == tuned["x"]
    bottom, top = page.locator(".turn").bounding_box(), page.locator("#asking").bounding_box()
    assert bottom["y"] + bottom["height"] <= top["y"] + 1 and top["y"] + top["height"] <= NARROW["height"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.fill("#question textarea", "And then, what did the queen say about it all?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator(".turn")).to_have_count(2)
    page.mouse.move(200, 300)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(200)
    there = page.evaluate("scrollY")
    answered(page, 2)
    assert page.evaluate("scrollY") == there
