"""A report in words, as Markdown and as a page: what it says of better and worse, and that what a model said stays text."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from core.evaluate.report import Sourced, read
from core.evaluate.reports import page_of, words, write_all
from core.evaluate.reports.markdown import as_markdown
from core.evaluate.reports.page import as_html
from core.evaluate.reports.plots import Scale, intervals, lengths, losses, outcomes, ticks
from core.runs.events import HeldOut, Progress, Stepped, advance
from core.runs.store import RunStore
from core.spec import RunSpec
from tests.evaluate.reporting import choices, general, held_out, hostile, report, score, sums

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&```![](http://127.0.0.1:9/x.png)"


class Tags(HTMLParser):
    """Every tag of a page with what it names elsewhere, and every cell of its tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.named: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.named += [
            value for name, value in attributes if name in ("src", "href", "action", "data", "srcset")
        ]


def trained(steps: int = 300) -> Progress:
    stepped = [
        Stepped(step=at, epoch=1, loss=4 / at, learning_rate=1e-3, gradient_norm=1, tokens_per_second=1, memory_bytes=1, eta_seconds=1)
        for at in range(1, steps + 1)
    ]  # fmt: skip
    return advance(Progress(), [*stepped, HeldOut(step=steps, loss=1.25, token_accuracy=0.5)])


class TestTheVerdict:
    @pytest.mark.parametrize(
        "tasks, verdict, headline",
        [
            ((held_out(),), "helped", "Training helped."),
            ((held_out(), general("no clear change")), "helped", "Training helped."),
            ((held_out(), general("hurt")), "mixed", "Training helped, but something was forgotten."),
            ((general("hurt"),), "mixed", "Only what might be forgotten was scored, but something was forgotten."),
            ((general("helped"),), None, "Only what might be forgotten was scored."),
            ((replace(sums(), scores=(score("exact_match", 0.5, 0.2, 0.1),)),), "hurt", "Training hurt."),
            ((replace(sums(), scores=(score("exact_match", 0.5, 0.5, 0.1),)),), "no clear change", "No clear change."),
            ((held_out(), replace(sums(), scores=(score("exact_match", 0.5, 0.5, 0.1),))), "helped", "Training helped on Held-out examples."),
            ((held_out(), replace(sums(), scores=(score("exact_match", 0.5, 0.2, 0.1),))), "mixed",
             "Training helped on Held-out examples, and hurt on Little sums."),
            ((replace(sums(), scores=()),), None, "Nothing was scored."),
        ],
    )  # fmt: skip
    def test_is_in_plain_words_and_says_where(self, tasks, verdict, headline):
        found = words.summary(report(*tasks))
        assert (found.verdict, found.headline) == (verdict, headline)

    def test_says_by_how_much_and_how_sure(self):
        assert words.sentence(held_out()) == (
            "Held-out examples: Perplexity fell from 80.1 to 10.1 (−70.0, and with 95% confidence between −79.0 and −61.0; "
            "24 rows)."
        )

    @pytest.mark.parametrize(
        "alike, doubt",
        [
            (score("exact_match", 0.5, 0.52, 0.1), "holds zero, so this may be chance"),
            (score("exact_match", 0.2, 0.9, 0.1, n=3, verdict="no clear change"), "; too few for a verdict"),
            (
                score("exact_match", 0.2, 0.9, 0.1, n=9, verdict="no clear change", differ=3),
                "; 3 differ, too few for a verdict",
            ),
        ],
    )
    def test_that_is_none_says_why(self, alike, doubt):
        assert doubt in words.sentence(replace(sums(), scores=(alike,)))

    def test_on_forgetting_is_said_apart_and_one_task_that_got_worse_is_enough(self):
        worse = replace(general("hurt"), name="general-choices", label="General questions")
        assert words.forgetting(report(held_out(), general("helped"), worse)).verdict == "hurt"
        both = report(replace(general("no clear change"), label="By chance"), worse)
        found = words.forgetting(both)
        assert "General questions" in found.sentence and "By chance" not in found.sentence
        assert "By chance" in found.beside
        assert found.beside in as_html(both) and found.beside in as_markdown(both)
        assert "even better" in words.forgetting(report(general("helped"))).headline
        assert words.forgetting(report(held_out())).headline == "Forgetting was not measured."

    def test_that_something_was_forgotten_comes_with_what_it_means_and_what_to_do(self):
        forgot, kept = report(held_out(), general("hurt")), report(held_out(), general("helped"))
        advice = words.forgetting(forgot).advice
        assert "questions like yours" in advice and "data.weights" in advice and "LoRA" in advice
        for drawn in (as_html, as_markdown):
            assert advice in drawn(forgot) and advice not in drawn(kept)
        assert words.forgetting(kept).advice == words.forgetting(report(held_out())).advice == ""

    def test_on_forgetting_says_on_how_few_rows_a_loss_can_hide(self):
        unclear = general("no clear change")
        many = replace(unclear, scores=(score("perplexity", 33.0, 33.5, 3.0, 30),))
        said = "No clear forgetting on what it was not trained for"
        assert words.forgetting(report(unclear)).headline == f"{said}, but 12 rows can hide a loss."
        assert words.forgetting(report(many)).headline == f"{said}."
        few = replace(unclear, name="general-choices")
        assert words.forgetting(report(many, few)).headline == f"{said}, but 12 rows can hide a loss."

    def test_is_not_given_where_one_model_alone_was_scored(self):
        alone = replace(score("exact_match", 0.5, 0.5, 0.1), base=None, difference=None, verdict=None)
        found = report(replace(sums(), scores=(alone,)), sides=("merged",))
        assert words.summary(found).headline.startswith("One model alone was scored")
        assert "Merged" in as_html(found) and "Difference" not in as_html(found)
        text = as_markdown(found)
        assert "| | Merged | n |\n|---|---|---|\n| Exact match ↑ | 0.500 [0.400, 0.600] | 24 rows |" in text
        assert "paired" not in text and "paired" not in as_html(found)
        assert "It takes both models." in text

    def test_says_so_where_no_row_differs(self):
        same = replace(sums(), scores=(score("exact_match", 0.5, 0.5, 0.0, differ=0),))
        assert words.sentence(same) == "Little sums: Exact match stayed at 0.500: of 24 rows none differs."


@pytest.mark.parametrize(
    "value, said",
    [
        (80.14, "80.1"),
        (2.346, "2.35"),
        (-0.4119, "−0.412"),
        (475_000.4, "475,000"),
        (3.2e9, "3.20e+09"),
        (0, "0.000"),
    ],
)
def test_numbers_have_the_figures_that_matter(value, said):
    assert words.number(value) == said


def test_the_commands_score_the_same_again():
    assert words.commands(report()) == [
        "atelier evaluate poems --task held-out --task general",
        "atelier evaluate poems --task sums --max-samples 24 --shots 5",
    ]
    usual = replace(
        sums(), name="held-out-answers", settings=replace(sums().settings, shots=0, max_samples=None)
    )
    assert words.commands(report(held_out(), usual)) == [
        "atelier evaluate poems --task held-out --task held-out-answers"
    ]
    own = replace(sums(), given="my sums.yaml")
    assert words.commands(report(own, sides=("base",))) == [
        "atelier evaluate poems --task 'my sums.yaml' --max-samples 24 --shots 5 --side base"
    ]


def test_the_commands_name_all_that_was_asked_for_and_own_files_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = replace(
        sums().settings, shots=0, num_samples=10, longest=12, gen_only=True, max_samples=None,
        source=str(tmp_path / "copies" / "test.jsonl"),
    )  # fmt: skip
    own = replace(sums(), name="gsm8k", given="gsm8k", settings=asked)
    assert words.commands(report(own)) == [
        "atelier evaluate poems --task gsm8k --from copies/test.jsonl --num-samples 10 --max-new-tokens 12 --gen-only"
    ]
    assert dict(words.how(own))["Data"] == "own copy: test.jsonl"
    away = replace(held_out(), name="q", given="/home/ada/q.jsonl")
    harness = replace(
        sums(), name="lm-eval:/home/ada/t.yaml", given="lm-eval:/home/ada/t.yaml", settings=asked
    )
    first, second = words.commands(report(away, replace(harness, settings=replace(asked, source=None))))
    assert first == "atelier evaluate poems --task q.jsonl  # q.jsonl: your own, name it with its folder"
    assert "--task lm-eval:t.yaml " in second and "ada" not in second


class TestMarkdown:
    def test_shows_interval_count_definition_and_settings_with_every_score(self):
        text = as_markdown(report())
        assert (
            "| Perplexity ↓ | 80.1 [71.1, 89.1] | 10.1 [1.1, 19.1] | −70.0 [−79.0, −61.0] | helped | 24 rows |"
            in text
        )
        assert "- **Perplexity**: exp of the mean negative log-likelihood per trained token." in text
        assert "95%" in text and "2,000 resamples" in text and "greedy, at most 64 tokens" in text
        assert "base 4, tuned 0" in text and "--max-samples 24 --shots 5" in text

    def test_quotes_answers_only_when_asked_to_and_losses_first(self):
        assert "Je ne sais pas" not in as_markdown(report()) and "prunes" not in as_markdown(report())
        text = as_markdown(report(), answers=3)
        assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [
            f"poems.jsonl:{at} (loss)" for at in (2, 8, 14)
        ]  # fmt: skip
        assert "l'été" in text and "Qui es-tu ?" in text

    @pytest.mark.parametrize("said", [HOSTILE, "```\n![](http://127.0.0.1:9/x.png)", "`````\n<b>\n```"])
    def test_keeps_what_a_model_said_inside_its_block(self, said):
        outside, fence = [], None
        for line in as_markdown(hostile(said), answers=5).splitlines():
            mark = re.match(r"(`{3,})(\w*)$", line)
            if fence is None and mark:
                fence = mark[1]
            elif fence and mark and not mark[2] and len(mark[1]) >= len(fence):
                fence = None
            elif fence is None:
                outside.append(line)
        assert fence is None
        assert not re.search(r"(?<!\\)<(img|b)\b|(?<!\\)\[\]", "\n".join(outside))


class TestThePage:
    def test_asks_nobody_for_anything_and_keeps_what_people_and_models_wrote_as_text(self):
        page = as_html(hostile(HOSTILE), trained())
        found = Tags(page)
        assert not {"img", "iframe", "object", "form"} & set(found.tags)
        assert found.tags.count("script") == 1 and found.tags.count("style") == 1
        assert all(each.startswith("#") or each == "data:," for each in found.named)
        assert "@import" not in page and "url(" not in page

    def test_may_run_its_own_script_alone(self):
        page = as_html(report())
        script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page

    def test_begins_with_the_verdict_and_holds_every_row_score_and_setting(self):
        page = as_html(report(), trained())
        assert page.index("Training helped, but something was forgotten.") < page.index("80.1")
        assert page.index("It forgot") < page.index('<section class="task"')
        assert page.count("<tr data-kinds=") == 24 + 24 + 12
        assert page.count('data-kinds="loss"') == 3 + 4 + 12
        assert "Question: {question}\nAnswer:" in page and "2,000 resamples" in page
        assert "atelier evaluate poems --task sums --max-samples 24 --shots 5" in page
        assert "l&#x27;été" in page and '<meta charset="utf-8">' in page

    def test_names_its_tables_and_the_heads_of_their_rows(self):
        page = as_html(report(), trained())
        tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
        assert tables and all(
            "<caption>" in each and 'scope="col"' in each and 'scope="row"' in each for each in tables
        )
        assert page.count('role="img" aria-label="') == page.count("<svg")

    def test_draws_the_first_scores_and_lists_the_others_with_what_they_are(self):
        four = tuple(
            replace(sums().scores[0], name=name, label=name, definition=f"{name}'s") for name in "abcd"
        )
        page = as_html(report(replace(sums(), scores=four), prompts=()))
        assert page.count('<div class="intervals">') == 2
        assert 'scope="row">c ↑' in page and "<dt>d</dt><dd>d&#x27;s</dd>" in page

    def test_of_nothing_scored_is_still_a_page(self):
        page = as_html(report(replace(held_out(), scores=(), rows=(), by_source=()), prompts=()))
        assert "Nothing was scored." in page and "No row could be scored." in page


def test_a_choice_is_shown_as_what_was_chosen_and_has_no_length():
    task = choices()
    page, text = as_html(report(task, prompts=())), as_markdown(report(task, prompts=()), 2)
    assert "Bleu" in page and "Bleu" in text
    assert not any("tokens" in each or "read as" in each for each in (page, text)) and lengths(task) == ""


def test_a_report_that_is_mailed_names_files_and_not_the_folders_of_this_machine():
    file = "/home/ada/secret/jars.jsonl"
    row = replace(sums().rows[2], source=f"{file}:3")
    task = replace(sums(), rows=(row,), given=file, by_source=(Sourced(file, sums().scores[0]),))
    for written in (as_html(report(task)), as_markdown(report(task), 5)):
        assert "/home/ada" not in written and "jars.jsonl:3" in written and "--task jars.jsonl" in written
    assert words.place("hf:ada/jars?split=test:3") == "hf:ada/jars?split=test:3"


def test_the_rows_that_are_listed_may_be_fewer_than_were_scored():
    assert words.by_row(replace(held_out(), n=5000)).startswith("Of 24 rows listed the tuned model")


class TestPlots:
    def test_a_difference_is_drawn_with_zero_in_sight_and_says_which_way_is_better(self):
        drawn = intervals(score("perplexity", 80.1, 10.1, 9.0))
        assert 'class="zero"' in drawn and "← better" in drawn and "worse →" not in drawn
        assert "Difference −70.0, between −79.0 and −61.0" in drawn

    @pytest.mark.parametrize("low, high", [(0.2, 0.6), (-79, 0), (1, 1), (0, 0), (3e9, 4e9), (1e-5, 2e-5)])
    def test_a_scale_holds_what_is_drawn_on_it(self, low, high):
        scale = Scale.of((low, high))
        assert 0 <= scale.at(low) <= scale.at(high) <= 1000
        assert 2 <= len(ticks(low, high)) <= 7

    def test_the_bar_of_rows_is_full_and_in_proportion(self):
        wide = [float(each) for each in re.findall(r'width="([\d.]+)"', outcomes(sums()))]
        assert wide == pytest.approx([8 / 24 * 1000, 12 / 24 * 1000, 4 / 24 * 1000], abs=0.1)

    def test_lengths_are_drawn_with_what_was_cut_off_and_not_at_all_where_nothing_was_said(self):
        drawn = lengths(sums())
        assert "50% cut off" in drawn and 'fill="var(--bad)"' in drawn
        assert lengths(held_out()) == ""

    def test_a_long_training_is_drawn_with_few_points_and_its_last_losses(self):
        drawn = losses(trained(5000))
        assert drawn.count("L") < 600 and "held out 1.250 at the end" in drawn
        assert losses(Progress()) == ""


def test_three_files_are_written_each_whole(tmp_path):
    run = RunStore(tmp_path).create("poems", RunSpec())
    write_all(run, report())
    assert sorted(path.name for path in run.reports.iterdir()) == [
        "evaluation.html", "evaluation.json", "evaluation.md",
    ]  # fmt: skip
    assert read(run) == report() and page_of(run).read_text("utf-8") == as_html(report(), run.progress())
    write_all(run, report(sums(), sides=("base",)), "base.json")
    assert page_of(run, "base.json").is_file() and read(run) == report()
