"""Every page for a reader of French has no English left, and for a reader of English no French."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDE, watch
from webui.render.parts import address

# What people, models and code wrote is in no language of ours; the card is in English, for the Hub.
THEIRS = "#card, code, pre, textarea, script, style, noscript, [translate=no], .notranslate"
COLLECT = """theirs => {
  document.querySelectorAll('details').forEach(each => each.open = true);
  const found = new Set();
  const seen = each => each && each.checkVisibility({visibilityProperty: true}) && !each.closest(theirs);
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const within = nodes.currentNode.parentElement;
    if (seen(within.closest('svg') ? within.closest('svg').parentElement : within)) found.add(nodes.currentNode.data);
  }
  for (const name of ['title', 'aria-label', 'placeholder', 'alt', 'data-head'])
    for (const each of document.querySelectorAll(`[${name}]`)) if (seen(each)) found.add(each.getAttribute(name));
  return [...found].map(each => each.trim()).filter(each => each);
}"""
OPEN = "document.querySelectorAll('button.label-wrap:not(.open)').forEach(each => each.click())"
ENGLISH = re.compile(
    r"\b(the|of|and|is|with|your|yours|this|these|that|from|which|not|when|where|its|it|are|was|were|be|been|has|have|had|to|"
    r"in|for|by|at|than|then|them|they|their|there|what|how|who|does|did|will|can|cannot|each|every|all|only|after|before|"
    r"more|most|less|left|none|nothing|yet|still|no|yes|start|started|stop|stopped|pause|resume|run|runs|row|rows|training|trained|loss|"
    r"losses|held|step|steps|token|tokens|model|models|setting|settings|data|learning|rate|memory|tuned|merged|saved|save|"
    r"answer|answers|read|written|file|files|size|name|time|choose|press|click|show|drop|here|higher|lower|better|worse|"
    r"finished|failed|queued|running|lost|created|state|search|delete|rename|download|upload|send|system|preset|epoch|epochs)\b",
    re.IGNORECASE,
)
FRENCH = re.compile(
    r"[éèàùçêîôûœ«»]|\b(le|la|les|des|une|du|est|sont|avec|dans|pas|ce|cette|ces|qui|que|ne|sur|vous|votre|vos|aux|jeton|"
    r"jetons|ligne|lignes|perte|modèle|réglage)\b",
    re.IGNORECASE,
)
# The same in both: names of things, values of settings, code, and what is quoted.
SAME = re.compile(
    r"Atelier|Hugging Face Hub|GitHub|[\w.-]+\.(?:jsonl?|csv|md|html|yaml|safetensors|jinja)\b|sample:[\w-]+|https?://\S+|"
    r"\b[\w-]+(?:\.[\w-]+)+\b|\.model\b|\bpull request\b|nrefs:\S+|all-linear|\([\w-]+\)|None, True|«[^»]*»|`[^`]*`",
    re.IGNORECASE,
)
MESSY = """{"question": "Who led Alice?", "answer": "The White Rabbit."}
{"question": "Who led Alice?", "answer": "The White Rabbit."}
{"question": "Who was it?", "answer": ""}
{'question': 'single quotes'}
{"question": "What is it?", "answer": "As an AI language model, I cannot answer that."}
""" + "".join(
    f'{{"question": "What is in jar {n}?", "answer": "Jar {n} holds {n + 2} plums."}}\n' for n in range(12)
)


def data(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#report .figures")).to_be_visible()
    for shown in ("hub", "saved", "own", "sample:fables-fr"):
        page.locator(f"#source input[value='{shown}']").check()
    expect(page.locator("#report")).to_contain_text("sample:fables-fr")
    expect(page.locator("#tokens article").first).to_be_visible()


def messy(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#report .figures")).to_be_visible()
    page.locator("#source input[value='own']").check()
    page.set_input_files(
        "#upload input[type=file]", {"name": "jars.jsonl", "mimeType": "text/plain", "buffer": MESSY.encode()}
    )
    expect(page.locator("#problems .problems > li")).not_to_have_count(0)
    expect(page.locator("#lengths svg")).to_be_visible()
    expect(page.locator("#busy .waiting")).to_have_count(0)


def train(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('train')}")
    expect(page.locator("#summary")).to_contain_text("atelier train")


def runs(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('runs', 'full')}")
    expect(page.locator("#status h2")).to_have_text("full")
    expect(page.locator("#curves svg").first).to_be_visible()


def no_run(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('runs', 'none')}")
    expect(page.get_by_role("alert").first).to_be_visible()


def evaluate(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('evaluate', 'full')}")
    expect(page.locator("article.task").first).to_be_visible()


def compare(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('compare')}")
    expect(page.locator("#rest .table").first).to_be_visible()
    page.click("#compare")
    expect(page.locator("#message .alert")).to_be_visible()


def chat(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('chat', 'full')}")
    expect(page.locator("#run input")).to_have_value("full")


def publish(page: Page, url: str) -> None:
    page.goto(f"{url}/{address('publish', 'full')}")
    expect(page.locator("#run input")).to_have_value("full")
    page.click("#show-plan")
    expect(page.locator("#message .alert")).to_be_visible()


def plan(page: Page, url: str) -> None:
    publish(page, url)
    page.locator("#what input[value=merged]").check()
    page.fill("#to input, #to textarea", "owner/poems")
    page.click("#show-plan")
    expect(page.locator("#plan .table")).to_be_visible()


ROOMS = (data, messy, train, runs, no_run, evaluate, compare, chat, publish, plan)


@pytest.fixture
def reading(shown, chromium):
    """What a person who reads this language sees of a room, when all that can be opened is open."""
    contexts = []

    def read(language: str, room: Callable[[Page, str], None]) -> list[str]:
        context = chromium.new_context(viewport=WIDE, locale=language)
        contexts.append(context)
        page = context.new_page()
        complaints = watch(page)
        room(page, shown.url)
        page.evaluate(OPEN)
        page.wait_for_timeout(400)
        assert complaints == []
        return page.evaluate(COLLECT, THEIRS)

    yield read
    for context in contexts:
        context.close()


@pytest.mark.parametrize("room", ROOMS)
def test_a_reader_of_french_meets_no_english(reading, room):
    said = reading("fr-FR", room)
    assert any(FRENCH.search(each) for each in said)
    assert left_in(said, ENGLISH) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_reader_of_english_meets_no_french(reading, room):
    assert left_in(reading("en-US", room), FRENCH) == []


def left_in(said: list[str], words: re.Pattern) -> list[str]:
    return [each for each in said if words.search(SAME.sub("", each))]
