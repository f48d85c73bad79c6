import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.data.select import select
from core.errors import RunError, SpecError, TrainError
from core.evaluate.job import evaluate
from core.evaluate.likelihood import likelihoods
from core.evaluate.metrics import exact_match, rouge_l
from core.evaluate.report import Both, read
from core.runs.events import Noted, Staged
from core.runs.store import Run, RunStore
from core.spec import RunSpec, merge
from core.text.encode import encode
from core.text.load import load_text
from core.train.model import load_base, open_pair
from tests.evaluate.making import tuned_run

QUICK = {"evaluate": {"answers": 4, "max_new_tokens": 6, "prompts": ["Who are you?"]}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    return tuned_run(tmp_path_factory.mktemp("evaluate"), QUICK)


@pytest.fixture
def variant(trained, tmp_path):
    """The same models in a run with other settings."""

    def make(*layers: dict) -> Run:
        values = trained.spec.model_dump(mode="json")
        for layer in layers:
            values = merge(values, layer)
        run = RunStore(tmp_path).create("variant", RunSpec.from_dict(values))
        shutil.copytree(trained.final, run.final)
        return run

    return make


@pytest.fixture(scope="module")
def report(trained):
    assert evaluate(trained) == "reports/evaluation.json"
    return read(trained)


def events_of(run: Run, kind: type) -> list:
    return [event for event in run.events.read()[0] if isinstance(event, kind)]


def test_the_scores_are_those_of_the_models_on_disk_on_the_rows_that_training_held_out(report, trained):
    spec, pair = trained.spec, open_pair(trained)
    held_out = select(spec.data).held_out
    rows = encode(
        held_out, pair.text.tokenizer, pair.text.template, spec.train.max_length, spec.train.overlong
    ).rows
    assert report.held_out == len(rows) > 20
    perplexity, accuracy, *_ = report.scores
    for side in ("base", "tuned"):
        with pair.side(side) as model:
            found = likelihoods(model, rows)
        tokens = sum(each.tokens for each in found)
        assert getattr(perplexity, side).value == pytest.approx(
            math.exp(sum(each.nll for each in found) / tokens)
        )
        assert getattr(accuracy, side).value == pytest.approx(sum(each.first for each in found) / tokens)
    assert perplexity.base.value != pytest.approx(perplexity.tuned.value, rel=0.01)


def test_every_score_has_its_definition_its_interval_and_what_it_counts(report):
    assert [(each.name, each.n, each.of) for each in report.scores] == [
        ("perplexity", report.held_out, "rows"),
        ("token_accuracy", report.held_out, "rows"),
        ("exact_match", 4, "answers"),
        ("rouge_l", 4, "answers"),
    ]
    for each in report.scores:
        assert each.definition and each.verdict in ("better", "worse", "no clear change")
        assert each.base.low <= each.base.value <= each.base.high
        assert each.difference.value == pytest.approx(each.tuned.value - each.base.value)
    assert report.settings.decoding == "greedy" and report.settings.max_new_tokens == 6


def test_both_models_answer_held_out_questions_spread_over_all_of_them(report, trained):
    held_out = [str(example.source) for example in select(trained.spec.data).held_out]
    places = [held_out.index(each.source) for each in report.answers]
    assert places == [place * len(held_out) // 4 for place in range(4)]
    for each in report.answers:
        assert each.question and each.reference
        assert each.exact_match == Both(
            *(exact_match(side.text, each.reference) for side in (each.base, each.tuned))
        )
        assert each.rouge_l == Both(*(rouge_l(side.text, each.reference) for side in (each.base, each.tuned)))
    assert any(each.base != each.tuned for each in report.answers)


def test_the_users_own_questions_are_answered(report):
    (prompt,) = report.prompts
    assert prompt.question == "Who are you?" and prompt.base.text != prompt.tuned.text


def test_the_run_hears_how_far_each_side_is(report, trained):
    stages = [(event.stage, event.done, event.total) for event in events_of(trained, Staged)]
    for side in ("Base", "Tuned"):
        assert (f"{side} answers held-out questions", 0, 4) in stages
        assert (f"{side} answers held-out questions", 4, 4) in stages
        assert (f"{side} reads held-out examples", report.held_out, report.held_out) in stages


def test_a_stop_writes_nothing_and_says_so(variant):
    run = variant()
    run.request_stop()
    assert evaluate(run) is None
    assert read(run) is None


def test_without_held_out_rows_nothing_is_scored_and_the_prompts_are_still_answered(variant):
    run = variant({"data": {"held_out_fraction": 0.0}})
    evaluate(run)
    found = read(run)
    assert found.held_out == 0 and found.scores == () and found.answers == ()
    assert len(found.prompts) == 1
    (note,) = events_of(run, Noted)
    assert note.warning and "data.held_out_fraction" in note.text


def test_a_model_answers_before_it_is_called_done_even_if_nobody_asks(variant):
    run = variant({"data": {"held_out_fraction": 0.0}, "evaluate": {"prompts": []}})
    evaluate(run)
    assert "Tuned answers a first question" in [event.stage for event in events_of(run, Staged)]
    assert read(run).prompts == ()


def test_options_are_settings_for_this_time_only(variant):
    run = variant()
    evaluate(run, answers=1, prompts=["a?", "b?"], max_new_tokens=2)
    found = read(run)
    assert (len(found.answers), len(found.prompts), found.settings.max_new_tokens) == (1, 2, 2)
    assert run.spec.evaluate.answers == 4
    with pytest.raises(SpecError, match=r"evaluate\.answers is -1"):
        evaluate(run, answers=-1)


def test_a_few_rows_are_scored_with_a_warning(variant, tmp_path):
    file = tmp_path / "held.jsonl"
    long = {"question": "Who " * 600 + "?", "answer": "Nobody."}
    file.write_text(
        "".join(json.dumps(row) + "\n" for row in ({"question": "Who?", "answer": "The Queen."}, long))
    )
    run = variant({"data": {"held_out_files": [str(file)]}, "train": {"max_length": 512}})
    evaluate(run)
    warnings = [note.text for note in events_of(run, Noted)]
    assert any("Fewer than 6 rows are held out (1)" in text for text in warnings)
    assert any("1 of 2 questions fill the model's context" in text for text in warnings)
    assert [each.verdict for each in read(run).scores] == ["no clear change"] * 4


def test_a_conversation_of_several_turns_shows_who_said_what(variant, tmp_path):
    file = tmp_path / "held.jsonl"
    turns = [("user", "Who?"), ("assistant", "The Queen."), ("user", "Why?"), ("assistant", "Because.")]
    file.write_text(
        json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n"
    )
    run = variant({"data": {"held_out_files": [str(file)]}})
    evaluate(run)
    (answered,) = read(run).answers
    assert answered.question == "user: Who?\n\nassistant: The Queen.\n\nuser: Why?"
    assert answered.reference == "Because."


def test_a_model_that_diverged_is_a_sentence_and_no_report(variant):
    run = variant()
    file = run.final / "adapter_model.safetensors"
    save_file({name: weight * math.nan for name, weight in load_file(file).items()}, file)
    with pytest.raises(TrainError, match=r"tuned model .* its training diverged.* train\.learning_rate"):
        evaluate(run)
    assert read(run) is None


def test_a_fully_trained_model_is_scored_beside_its_base(variant):
    run = variant({"method": {"kind": "full"}})
    shutil.rmtree(run.final)
    text = load_text(run.spec)
    model = load_base(run.spec, text, torch.float32)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.5)
    model.save_pretrained(run.final)
    evaluate(run)
    perplexity = read(run).scores[0]
    assert perplexity.tuned.value < perplexity.base.value
    assert perplexity.verdict == "better"


def test_a_run_that_was_not_trained_cannot_be_evaluated(tmp_path):
    run = RunStore(tmp_path).create("new", RunSpec.from_dict({"data": {"files": ["sample:fables-en"]}}))
    with pytest.raises(RunError, match="no final model yet"):
        evaluate(run)
