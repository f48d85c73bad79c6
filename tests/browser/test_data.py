"""The Data page, as people with messy files meet it."""

import json

import pytest
from playwright.sync_api import Page, expect

from core.runs import RunStore
from webui.shared import Shared

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> ${7*7} {{7*7}} \x1b[31m'
ROWS = [
    {"question": f"What is in jar {n}?", "answer": f"Jar {n} holds {n + 2} ripe plums."} for n in range(12)
]


@pytest.fixture
def data(shown, page) -> Page:
    """The page, with what it begins with read."""
    page.goto(shown.url)
    expect(page.locator("#report")).to_contain_text("sample:fables-en")
    return page


def bring(page: Page, *files) -> None:
    page.get_by_text("My own files").click()
    page.set_input_files("#upload input[type=file]", files)
    expect(page.locator("#report .section")).to_contain_text(files[0].name)


def lines(path, rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def mean(page: Page, name: str, column: str) -> None:
    page.click(f"#column-{name} input")
    page.get_by_role("option", name=column).click()
    expect(page.get_by_role("listbox")).to_have_count(0)


def test_a_table_with_odd_column_names_is_understood_once_somebody_says_what_they_mean(data, tmp_path):
    file = tmp_path / "sums.csv"
    file.write_text(
        "Spalte A,Zeug B,Level\n" + "".join(f"Was ist {n}+1?,{n + 1} ist es.,{n}\n" for n in range(12))
    )
    bring(data, file)
    expect(data.locator("#message .alert")).to_contain_text("Say below what the columns mean")
    expect(data.locator("#sample")).to_contain_text("Was ist 0+1?")
    expect(data.locator("#use")).to_be_disabled()
    mean(data, "question", "Spalte A")
    expect(data.locator("#columns .hint")).to_contain_text("Now choose the column of the answers")
    mean(data, "answer", "Zeug B")
    expect(data.locator("#examples .example").first).to_contain_text("1 ist es.")
    expect(data.locator("#use")).to_be_enabled()
    data.reload()
    expect(data.locator("#examples .example").first).to_contain_text("1 ist es.")
    expect(data.locator("#column-question input")).to_have_value("Spalte A")
    data.click("#use")
    expect(data.locator("#summary")).to_contain_text("--data.columns.question 'Spalte A'")


def test_columns_that_were_guessed_are_shown_as_a_guess_and_confirmed_with_a_click(data, tmp_path):
    file = tmp_path / "faq.csv"
    file.write_text("QUESTIONS,ANSWERS\n" + "".join(f"Was ist {n}+1?,{n + 1} ist es.\n" for n in range(12)))
    bring(data, file)
    expect(data.locator("#report .guess")).to_contain_text("A guess.")
    expect(data.locator("#column-answer input")).to_have_value("ANSWERS")
    data.click("#confirm")
    expect(data.locator("#report .guess")).to_have_count(0)
    expect(data.locator("#column-answer input")).to_have_value("ANSWERS")


def test_every_line_that_cannot_be_used_is_shown_with_what_to_do(data, tmp_path):
    bring(
        data,
        lines(
            tmp_path / "bad.jsonl",
            ["{'question': 'single quotes'}", '{"question": "Who?", "answer": ""}', "{"],
        ),
    )
    expect(data.locator("#message .alert")).to_contain_text("Nothing in bad.jsonl can be used")
    found = data.locator("#problems .problems > li")
    expect(found).to_have_count(3)
    for line in (1, 2, 3):
        expect(found.filter(has_text=f"bad.jsonl:{line}")).to_have_count(1)
    expect(data.locator("#use")).to_be_disabled()


def test_duplicates_are_left_out_at_a_click_and_lengths_follow_the_maximum(data, tmp_path):
    bring(data, lines(tmp_path / "jars.jsonl", [*ROWS, ROWS[3], ROWS[3]]))
    data.locator("#drop label", has_text="duplicate (2)").click()
    expect(data.locator("#report .figures")).to_contain_text("Left out")
    data.fill("#max-length input", "24")
    data.press("#max-length input", "Enter")
    expect(data.locator("#lengths .caution")).to_contain_text("12 examples are cut")
    assert data.locator("#lengths rect.long").count() > 0
    data.reload()
    expect(data.locator("#lengths .caution")).to_contain_text("12 examples are cut")
    expect(data.locator("#drop input").first).to_be_checked()


def test_several_files_are_weighed_against_each_other(data, tmp_path):
    bring(data, lines(tmp_path / "few.jsonl", ROWS[:4]), lines(tmp_path / "more.jsonl", ROWS[4:]))
    expect(data.locator("#weights")).to_contain_text("more.jsonl")
    data.fill("#weight-0 input", "3")
    data.press("#weight-0 input", "Enter")
    expect(data.locator("#weights")).to_contain_text("times each")


def test_a_saved_set_is_there_after_a_reload_and_on_the_train_page(app, page, tmp_path):
    page.goto(app.url)
    expect(page.locator("#report")).to_contain_text("sample:fables-en")
    bring(page, lines(tmp_path / "jars.jsonl", [*ROWS, "no JSON"]))
    for name, answer in (("../jars", "cannot name a data set"), ("my-jars", "Saved as my-jars")):
        page.fill("#set-name input, #set-name textarea", name)
        page.click("#save")
        expect(page.locator("#saved-as")).to_contain_text(answer)
    page.click("#make")
    with page.expect_download() as download:
        page.locator("#downloads a").first.click()
    assert len(download.value.path().read_text().splitlines()) == len(ROWS)
    page.goto(f"{app.url}/train")
    page.click("#data-set input")
    page.get_by_role("option", name="my-jars").click()
    expect(page.locator("#what")).to_contain_text("my-jars.jsonl")
    page.reload()
    expect(page.locator("#data-set input")).to_have_value("my-jars")
    page.goto(app.url)
    expect(page.locator("#report")).to_contain_text("my-jars.jsonl")
    expect(page.locator("#saved input")).to_have_value("my-jars")
    assert Shared(RunStore(app.store.root)).sets.names() == ["my-jars"]


def test_markup_in_names_and_texts_is_shown_as_text_and_runs_nothing(data, tmp_path):
    rows = [{"question": f"{HOSTILE} {n}", "answer": HOSTILE, HOSTILE: "x"} for n in range(3)]
    file = lines(tmp_path / "<b onclick=alert(1)>tales.jsonl", [*rows, {"question": HOSTILE, "answer": ""}])
    data.get_by_text("My own files").click()
    data.set_input_files("#upload input[type=file]", file)
    expect(data.locator("#examples")).to_contain_text("{{7*7}}")
    expect(data.locator("#tokens .tokens")).to_contain_text("onerror")
    places = ("#report", "#columns", "#examples", "#problems", "#lengths", "#tokens", "#drop")
    for place in places:
        assert data.locator(f"{place} :is(img, script, [onclick])").count() == 0
    data.click("#columns button.label-wrap")
    expect(data.locator("#sample")).to_contain_text("document.title=1")
    assert data.title() == "Atelier"


def test_one_person_does_not_see_what_another_brought(data, chromium, shown, tmp_path):
    bring(data, lines(tmp_path / "diary.jsonl", ROWS))
    other = chromium.new_context().new_page()
    other.goto(shown.url)
    expect(other.locator("#report")).to_contain_text("sample:fables-en")
    assert "diary" not in other.content()
    other.context.close()


def test_a_name_that_is_none_on_the_hub_is_told_beside_the_form(data):
    data.get_by_text("A data set on the Hub").click()
    data.fill("#repo input, #repo textarea", "../../etc/passwd")
    data.click("#fetch")
    expect(data.locator("#message")).to_contain_text("names no data set on the Hub")
    expect(data.locator("#report")).to_contain_text("sample:fables-en")


def test_what_cannot_be_had_is_a_sentence_and_nothing_of_the_examples_before_is_left(data):
    """This server may not ask the Hub."""
    data.get_by_text("A data set on the Hub").click()
    data.fill("#repo input, #repo textarea", "owner/none")
    data.click("#fetch")
    expect(data.locator("#message .alert")).to_contain_text("The data set owner/none on the Hub")
    expect(data.locator("#report")).not_to_contain_text("What was read")
    expect(data.locator("#use")).to_be_disabled()
    expect(data.locator("#use")).to_have_text("Use these examples")
    data.get_by_text("Tales in French, built in").click()
    expect(data.locator("#report")).to_contain_text("sample:fables-fr")
    expect(data.locator("#message .alert")).to_have_count(0)


def test_what_was_not_chosen_yet_cannot_be_used_by_mistake(data, tmp_path):
    expect(data.locator("#use")).to_be_enabled()
    data.get_by_text("My own files").click()
    expect(data.locator("#message")).to_contain_text(
        "Nothing chosen here yet; still in use: Tales in English"
    )
    expect(data.locator("#use")).to_be_disabled()
    data.locator("#source").get_by_text(
        "Tales in English"
    ).click()  # the same as before: nothing is read again
    expect(data.locator("#use")).to_be_enabled()
    expect(data.locator("#message")).not_to_contain_text("Nothing chosen")
    bring(data, lines(tmp_path / "jars.jsonl", ROWS))
    expect(data.locator("#use")).to_be_enabled()
    data.get_by_text("A data set on the Hub").click()
    expect(data.locator("#message")).to_contain_text("still in use: jars.jsonl")
    expect(data.locator("#use")).to_be_disabled()
    data.get_by_text("My own files").click()
    expect(data.locator("#use")).to_be_enabled()
