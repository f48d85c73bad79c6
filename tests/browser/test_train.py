"""The Train page: what it says before a start is what the shell says, and everything can be found, changed and taken back."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, running, watch
from tests.conftest import until
from tests.warm import atelier
from webui.render.parts import size

SUMMARY, PLAN = "#summary", "#plan"
# With every weight of 1.7 billion parameters to train, 16 GB are not enough; a model of which the list of models knows the shape.
TOO_LARGE = "atelier train sample:fables-en --preset 3090 --method.kind full --compute.memory_gb 16"


def planned(*arguments: str) -> dict:
    """What the shell says of the same training."""
    return json.loads(atelier("plan", *arguments, "--json").stdout)


def command(page: Page) -> str:
    return page.locator(f"{SUMMARY} pre").first.inner_text().replace("\n", " ")


def paste(page: Page, words: str) -> None:
    page.fill("#pasted textarea", words)
    page.click("#fill")


def open_all_settings(page: Page) -> None:
    page.locator("#all-settings").get_by_text("All settings").click()
    expect(page.locator("#train-max_steps")).to_be_visible()


def test_the_card_says_what_the_plan_in_the_shell_says_and_a_reload_shows_it_at_once(shown, page):
    page.goto(f"{shown.url}/train")
    card = page.locator(PLAN)
    expect(card.locator(".fit h3")).to_have_text("It fits")
    expect(page.locator("#counting .waiting")).to_have_count(0)
    said = planned("sample:fables-en", "--runs", str(shown.store.root))
    parts = said["memory"]["training"]
    for words in (
        f"{said['examples']:,} to train on, {said['held_out']:,} held out",
        f"{said['tokens']:,} in each epoch",
        f"{said['total_steps']:,} steps of {said['batch_size']} examples",
        f"{size(said['disk_bytes'])} for checkpoints",
        said["stops"][0]["text"], "nowhere",
    ):  # fmt: skip
        expect(card).to_contain_text(words)
    for part in ("weights", "gradients", "optimizer", "activations"):
        row = card.locator(".memory dl > div", has=page.get_by_text(part, exact=True))
        expect(row.locator("dd")).to_have_text(size(parts[part]))
    card.get_by_text("automatic choice").click()
    for choice in said["choices"]:
        expect(card).to_contain_text(choice["reason"])
    page.add_init_script(
        """new MutationObserver(() => {
          if (document.querySelector('#counting .waiting')) window.waited = true;
        }).observe(document, {childList: true, subtree: true});"""
    )
    page.reload()
    expect(card.locator(".fit h3")).to_have_text("It fits")
    assert not page.evaluate("window.waited")


def test_a_change_that_the_card_offers_makes_it_fit(shown, page):
    page.goto(f"{shown.url}/train")
    paste(page, TOO_LARGE)
    verdict = page.locator(f"{PLAN} .fit h3")
    expect(verdict).to_have_text("It does not fit")
    expect(page.locator(PLAN)).to_contain_text("Training needs about")
    page.click("#start")
    expect(page.locator("#message")).to_contain_text("Training needs about")
    assert len(shown.store.all()) == 2
    page.locator(f"{PLAN} .changes button", has_text="Method: lora").click()
    expect(verdict).not_to_have_text("It does not fit")
    assert "--method.kind lora" in command(page)
    expect(page.locator("#method-kind .differs")).to_have_count(0)  # it is the preset's own


def test_hours_without_a_gpu_ask_for_a_tick_at_the_card(shown, page):
    page.goto(f"{shown.url}/train")
    paste(page, "train.epochs: 900\ntrain.batch_size: 1\ncompute.device: cpu")
    tick = page.locator(PLAN).get_by_label("Train for about")
    expect(tick).not_to_be_checked()
    expect(page.locator(PLAN)).to_contain_text("--force-cpu")
    tick.check()
    expect(page.locator(SUMMARY)).to_contain_text("--compute.force-cpu")
    expect(page.locator(PLAN)).not_to_contain_text("--force-cpu")
    expect(tick).to_be_checked()
    tick.uncheck()
    expect(page.locator(SUMMARY)).not_to_contain_text("--compute.force-cpu")
    expect(page.locator(PLAN)).to_contain_text("--force-cpu")


def test_settings_that_cannot_be_used_have_no_plan_and_nobody_waits_for_one(shown, page):
    page.goto(f"{shown.url}/train")
    expect(page.locator(f"{PLAN} .fit")).to_be_visible()
    page.fill("#train-epochs input", "2.75")  # which nobody has asked for yet
    expect(page.locator("#counting .waiting")).to_be_visible()
    page.fill("#train-epochs input", "0")
    expect(page.locator(PLAN)).to_contain_text("as soon as the settings can be used")
    expect(page.locator("#counting .waiting")).to_have_count(0)
    page.fill("#model-base textarea, #model-base input", "no/such-model")
    page.fill("#train-epochs input", "1")
    expect(page.locator(PLAN)).to_contain_text("cannot be looked at")


def test_a_word_narrows_all_settings_and_escape_shows_them_again(shown, page):
    page.goto(f"{shown.url}/train")
    open_all_settings(page)
    every, found = (
        page.locator("#all-settings .row.settings .block[id]:visible"),
        page.locator("#search output"),
    )
    whole = every.count()
    expect(found).to_have_text(f"{whole} of {whole} settings")
    field = page.get_by_label("Search the settings")
    field.fill("HELD-OUT loss")
    expect(page.locator("#train-early_stopping")).to_be_visible()
    expect(page.locator("#publish-to")).to_be_hidden()
    expect(page.locator("#all-settings").get_by_text("Publishing", exact=True)).to_be_hidden()
    expect(found).to_have_text(f"{every.count()} of {whole} settings")
    field.fill("train.max_steps")
    expect(every).to_have_count(1)
    field.press("Escape")
    expect(field).to_have_value("")
    expect(every).to_have_count(whole)


def test_a_field_that_differs_from_the_preset_says_so_and_can_be_set_back(shown, page):
    page.goto(f"{shown.url}/train")
    expect(page.locator(SUMMARY)).to_contain_text("atelier train")
    page.fill("#train-epochs input", "3")
    epochs = page.get_by_label("Epochs", exact=True)
    expect(epochs).to_have_accessible_description("differs from the preset")
    open_all_settings(page)
    page.fill("#train-max_steps input", "7")
    steps = page.get_by_label("Steps at most", exact=True)
    expect(steps).to_have_accessible_description("differs from the preset")
    page.get_by_role("button", name="Epochs: As the preset").click()
    expect(page.locator("#train-epochs .differs")).to_have_count(0)
    expect(page.locator(SUMMARY)).not_to_contain_text("--train.epochs")
    expect(page.locator(SUMMARY)).to_contain_text("--train.max_steps 7")
    page.reload()
    expect(page.locator(SUMMARY)).to_contain_text("--train.max_steps 7")
    open_all_settings(page)  # a field that is drawn after its mark was made
    expect(steps).to_have_accessible_description("differs from the preset")


def test_what_is_typed_while_the_page_is_still_loading_stays_and_is_marked(shown, page):
    page.goto(f"{shown.url}/train")
    page.fill("#train-epochs input", "3")
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator(SUMMARY)).to_contain_text("--train.epochs 3")
    expect(page.locator("#train-epochs .differs")).not_to_have_count(0)
    expect(page.locator("#train-epochs input")).to_have_value("3")


def test_a_pasted_command_fills_the_form_and_gives_the_same_command_back(shown, page):
    line = (
        "atelier train sample:fables-fr --preset small --method.rank 8 --template.system 'Answer in one line.' "
        "--train.epochs 2 --train.packing --evaluate.prompts 'Who are you?' --evaluate.prompts 'Where?'"
    )
    page.goto(f"{shown.url}/train")
    paste(page, line)
    expect(page.locator("#taken")).to_contain_text("The form is filled in: 5 settings.")
    expect(page.locator("#train-epochs input")).to_have_value("2")
    expect(page.locator("#preset input[value=small]")).to_be_checked()
    expect(page.locator("#run-name input, #run-name textarea")).to_have_value("fables-fr-1")
    expect(page.locator(SUMMARY)).to_contain_text("--method.rank 8")
    assert sorted(command(page).split(" --")) == sorted(line.split(" --"))
    yaml = page.locator(f"{SUMMARY} pre").nth(1).inner_text()
    paste(page, "lora_r: 4")
    expect(page.locator("#taken")).to_contain_text("lora_r: 4 -> method.rank: 4")
    paste(page, yaml)
    expect(page.locator(SUMMARY)).to_contain_text("--method.rank 8")


def test_what_cannot_be_taken_over_is_a_sentence_and_changes_nothing(shown, page):
    page.goto(f"{shown.url}/train")
    expect(page.locator(SUMMARY)).to_contain_text("--preset tiny")
    for words, said in (
        ("atelier train --train.epoch 3", "--train.epoch"),
        ("atelier train /etc/passwd", "/etc/passwd is not among the files brought to this page"),
        (
            "atelier train sample:fables-fr --data.against /etc/group",
            "/etc/group is not among the files brought to this page",
        ),
    ):
        paste(page, words)
        expect(page.locator("#taken [role=alert]")).to_contain_text(said)
        assert command(page) == "atelier train sample:fables-en --preset tiny"
    page.fill("#train-epochs input", "3")
    expect(page.locator(SUMMARY)).to_contain_text("--train.epochs 3")
    assert command(page) == "atelier train sample:fables-en --preset tiny --train.epochs 3"


def test_the_command_and_the_yaml_can_be_copied(shown, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shown.url)
    page = context.new_page()
    page.goto(f"{shown.url}/train")
    page.get_by_role("button", name="Copy the command").click()
    expect(page.locator(SUMMARY).get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "atelier train sample:fables-en --preset tiny"
    page.fill("#train-epochs input", "3")
    expect(page.locator(SUMMARY)).to_contain_text("epochs: 3")
    page.get_by_role("button", name="Copy the YAML").click()
    expect(page.locator(SUMMARY).get_by_text("Copied")).to_be_visible()
    yaml = "# Laid over --preset tiny\ntrain:\n  epochs: 3\n"
    assert page.evaluate("navigator.clipboard.readText()") == yaml


def test_what_only_hf_jobs_asks_for_is_asked_for_nowhere_else(shown, page):
    page.goto(f"{shown.url}/train")
    expect(page.locator(f"{PLAN} .fit")).to_be_visible()
    expect(page.locator("#compute-flavor")).to_have_count(0)
    paste(page, "compute.where: hf-jobs\ncompute.flavor: t4-small")
    expect(page.locator("#compute-flavor")).to_be_visible()
    expect(page.locator(PLAN).get_by_role("alert")).to_be_visible()  # nobody is signed in here


def test_a_machine_is_chosen_by_its_price_and_paid_for_only_at_a_second_press(hub, page, tmp_path):
    hub.job_command = ["sleep", "60"]
    with running(tmp_path, hub.environment(hub.writer)) as app:
        page.goto(f"{app.url}/train")
        expect(page.locator("#start")).to_be_enabled()
        page.click("#compute-where input")
        page.get_by_role("option", name="hf-jobs").click()
        expect(page.locator("#machines")).to_contain_text("t4-small")
        page.click("#compute-flavor input")
        page.get_by_role("option", name="t4-small: 1 x T4, 16 GB each, $0.40 an hour").click()
        expect(page.locator(f"{PLAN} .facts")).to_contain_text(
            "On t4-small (Nvidia T4 - small, $0.40 an hour)"
        )
        for epochs in ("2", "3"):  # what was agreed to for one training is not for another
            page.fill("#train-epochs input", epochs)
            expect(page.locator(SUMMARY)).to_contain_text(f"--train.epochs {epochs}")
            expect(page.locator("#message")).to_be_empty()
            page.click("#start")
            expect(page.locator("#message")).to_contain_text("$0.40 an hour")
            expect(page.locator("#message")).to_contain_text("Press again to agree and start.")
            expect(page.locator("#start")).to_have_text("Agree and start")
        assert not app.store.all() and not hub.jobs
        page.click("#start")
        page.wait_for_url("**/runs/fables-en-1")
        until(lambda: hub.jobs)
        assert [job.spec["flavor"] for job in hub.jobs.values()] == ["t4-small"]


def test_nothing_moves_when_the_card_arrives_even_where_the_form_is_below_it(shown, page):
    page.set_viewport_size(NARROW)
    page.add_init_script(
        """new MutationObserver(() => {
          if (document.querySelector('#what .plan')) window.held ??= document.getElementById('plan').offsetHeight;
        }).observe(document, {childList: true, subtree: true});"""
    )
    page.goto(f"{shown.url}/train")
    expect(page.locator(SUMMARY)).to_contain_text("atelier train")
    expect(page.locator("#what .plan")).to_be_visible()
    before = page.locator(SUMMARY).bounding_box()
    expect(page.locator(f"{PLAN} .fit")).to_be_visible()
    assert page.locator(SUMMARY).bounding_box()["y"] == before["y"]
    assert page.evaluate("window.held") > 0.75 * page.locator(PLAN).bounding_box()["height"]


def test_two_presses_lead_from_nothing_to_a_run_at_work(app, page):
    page.goto(app.url)
    page.click("#use")
    page.click("#start")
    page.wait_for_url("**/runs/fables-en-1")
    assert app.store.get("fables-en-1").progress().state in ("queued", "running")


@pytest.mark.parametrize("viewport", [NARROW, None])
def test_everything_is_in_french_for_who_reads_french(shown, chromium, viewport):
    context = chromium.new_context(locale="fr-FR", viewport=viewport or {"width": 1280, "height": 900})
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{shown.url}/train")
    expect(page.locator(f"{PLAN} .fit h3")).to_have_text("Cela tient en mémoire")
    expect(page.locator("h1")).to_have_text("Comment doit-il apprendre\u00a0?")
    expect(page.locator("#start")).to_have_text("Lancer l’entraînement")
    page.locator("#all-settings").get_by_text("Tous les réglages").click()
    page.get_by_label("Chercher un réglage").fill("echauffement")  # without its accent
    expect(page.locator("#train-warmup_fraction")).to_contain_text("Part des pas pendant lesquels")
    expect(page.locator("#search output")).to_contain_text("réglages sur")
    page.fill("#train-epochs input", "3")
    expect(page.get_by_label("Époques", exact=True)).to_have_accessible_description("diffère du préréglage")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert complaints == []
    context.close()
