import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.data.select import select
from core.errors import DataError, RunError, SpecError, TrainError, UserError
from core.evaluate.job import evaluate
from core.evaluate.likelihood import likelihoods
from core.evaluate.metrics import exact_match, rouge
from core.evaluate.report import LATEST, Both, read
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
    task = report.task("held-out")
    assert task.n == task.available == len(rows) > 20
    perplexity, accuracy = task.scores
    for side in ("base", "tuned"):
        with pair.side(side) as model:
            found = likelihoods(model, list(rows))
        tokens = sum(each.tokens for each in found)
        assert getattr(perplexity, side).value == pytest.approx(
            math.exp(sum(each.nll for each in found) / tokens)
        )
        assert getattr(accuracy, side).value == pytest.approx(sum(each.first for each in found) / tokens)
        of_rows = [getattr(row.marks["perplexity"], side) for row in task.rows]
        assert of_rows == pytest.approx([math.exp(each.nll / each.tokens) for each in found])
    assert perplexity.base.value != pytest.approx(perplexity.tuned.value, rel=0.01)


def test_every_score_has_its_definition_its_interval_and_what_it_counts(report):
    assert [(task.name, task.n, task.kind) for task in report.tasks] == [
        ("held-out", 30, "likelihood"),
        ("held-out-answers", 4, "generation"),
        ("general", 50, "likelihood"),
        ("general-choices", 50, "choice"),
    ]
    for task in report.tasks:
        for each in task.scores:
            assert each.definition and each.verdict in ("helped", "hurt", "no clear change")
            assert each.n == task.n
            assert each.base.low <= each.base.value <= each.base.high
            assert each.difference.value == pytest.approx(each.tuned.value - each.base.value)
    answers = report.task("held-out-answers")
    assert answers.settings.decoding == "greedy" and answers.settings.max_new_tokens == 6
    assert [each.name for each in answers.scores] == [
        "rouge_l", "exact_match", "f1", "rouge_1", "rouge_2", "bleu", "chrf",
    ]  # fmt: skip
    assert answers.tokens == sum(side.tokens for row in answers.rows for side in (row.base, row.tuned))


def test_both_models_answer_held_out_questions_spread_over_all_of_them(report, trained):
    held_out = [str(example.source) for example in select(trained.spec.data).held_out]
    rows = report.task("held-out-answers").rows
    assert [held_out.index(each.source) for each in rows] == [
        place * len(held_out) // 4 for place in range(4)
    ]
    for each in rows:
        assert each.question and each.reference
        said = (each.base, each.tuned)
        assert each.marks["exact_match"] == Both(*(exact_match(side.text, each.reference) for side in said))
        assert each.marks["rouge_l"] == Both(*(rouge(side.text, each.reference) for side in said))
    assert any(each.base != each.tuned for each in rows)


def test_a_choice_is_the_option_that_the_model_finds_likeliest_as_it_is_and_per_byte(report, trained):
    pair, task = open_pair(trained), report.task("general-choices")
    tokenizer, differ = pair.text.tokenizer, 0
    for row in task.rows[:20]:
        question, *listed = row.question.splitlines()
        asked = f"Question: {question}\nAnswer:"  # the French ones come later
        found = {}
        for option in (line[3:] for line in listed):
            ids = tokenizer(f"{asked} {option}").input_ids
            with pair.side("base") as model, torch.no_grad():
                likely = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            begin = len(tokenizer(asked).input_ids)
            found[option] = sum(float(likely[at - 1, ids[at]]) for at in range(begin, len(ids)))
        likeliest = max(found, key=found.get)
        per_byte = max(found, key=lambda option: found[option] / len(option.encode()))
        assert row.base.found == per_byte
        assert row.marks["accuracy_norm"].base == float(per_byte == row.reference)
        assert row.marks["accuracy"].base == float(likeliest == row.reference)
        differ += likeliest != per_byte
    assert differ  # or the test could not tell one from the other


def test_the_users_own_questions_are_answered(report):
    (prompt,) = report.prompts
    assert prompt.question == "Who are you?" and prompt.base.text != prompt.tuned.text


def test_the_run_hears_how_far_each_side_is(report, trained):
    stages = [(event.stage, event.done, event.total) for event in events_of(trained, Staged)]
    for side in ("Base", "Tuned"):
        assert (f"{side} answers Held-out answers", 0, 4) in stages
        assert (f"{side} answers Held-out answers", 4, 4) in stages
        assert (f"{side} reads Held-out examples", 30, 30) in stages


def test_a_stop_writes_nothing_and_says_so(variant):
    run = variant()
    run.request_stop()
    assert evaluate(run) is None
    assert read(run) is None


def test_without_held_out_rows_the_general_set_is_scored_and_the_prompts_are_still_answered(variant):
    run = variant({"data": {"held_out_fraction": 0.0}})
    evaluate(run)
    found = read(run)
    assert [task.n for task in found.tasks] == [0, 0, 50, 50]
    assert found.task("held-out").scores == () and len(found.prompts) == 1
    (note,) = events_of(run, Noted)
    assert note.warning and "data.held_out_fraction" in note.text


def test_a_model_answers_before_it_is_called_done_even_if_nobody_asks(variant):
    run = variant({"evaluate": {"prompts": [], "tasks": ["general"]}})
    evaluate(run)
    assert "Tuned answers a first question" in [event.stage for event in events_of(run, Staged)]
    assert read(run).prompts == ()


def test_what_was_said_is_known_the_next_time_unless_weights_or_settings_differ(variant, monkeypatch):
    run = variant()
    evaluate(run, tasks=["held-out"])
    before = read(run)
    monkeypatch.setattr("core.evaluate.bench.answer", lambda *_: pytest.fail("it answered again"))
    monkeypatch.setattr("core.evaluate.bench.likelihoods", lambda *_: pytest.fail("it read again"))
    evaluate(run, tasks=["held-out"])
    again = read(run)
    assert again.tasks == before.tasks and again.prompts == before.prompts
    with pytest.raises(pytest.fail.Exception, match="it answered again"):
        evaluate(run, tasks=["held-out"], max_new_tokens=5)
    file = run.final / "adapter_model.safetensors"
    save_file({name: weight * 0.5 for name, weight in load_file(file).items()}, file)
    with pytest.raises(pytest.fail.Exception, match="it read again"):
        evaluate(run, tasks=["held-out"])


def test_another_task_joins_the_report_and_the_same_again_is_replaced(variant):
    run = variant({"evaluate": {"prompts": []}})
    evaluate(run, tasks=["general-choices"], max_samples=10)
    evaluate(run, tasks=["held-out-answers"])
    found = [(task.name, task.n) for task in read(run).tasks]
    assert found == [("general-choices", 10), ("held-out-answers", 4)]
    evaluate(run, tasks=["general-choices"])
    assert [(task.name, task.n) for task in read(run).tasks] == [
        ("general-choices", 50),
        ("held-out-answers", 4),
    ]


def test_scores_of_other_weights_are_never_mixed(variant):
    run = variant({"evaluate": {"prompts": []}})
    evaluate(run, tasks=["general"])
    file = run.final / "adapter_model.safetensors"
    save_file({name: weight * 0.5 for name, weight in load_file(file).items()}, file)
    evaluate(run, tasks=["general-choices"])
    assert [task.name for task in read(run).tasks] == ["general-choices"]


@pytest.mark.parametrize("side", ["base", "tuned"])
def test_one_side_alone_has_a_report_of_its_own_with_the_same_scores(report, trained, variant, side):
    run = variant()
    assert evaluate(run, side=side) == f"reports/{side}.json"
    assert read(run) is None
    alone = read(run, f"{side}.json")
    other = "tuned" if side == "base" else "base"
    assert alone.sides == (side,)
    for task in alone.tasks:
        both = report.task(task.name)
        for mine, theirs in zip(task.scores, both.scores, strict=True):
            assert getattr(mine, side) == getattr(theirs, side)
            assert getattr(mine, other) is mine.difference is mine.verdict is None
        assert getattr(task.rows[0], other) is None


def test_a_merged_model_alone_says_what_the_tuned_one_says(report, variant):
    run = variant()
    with pytest.raises(RunError, match="no merged model yet: make it with `atelier merge variant`"):
        evaluate(run, side="merged")
    with open_pair(run).side("tuned") as model:
        model.merge_and_unload().save_pretrained(run.folder / "merged")
    assert evaluate(run, side="merged", tasks=["held-out-answers"]) == "reports/merged.json"
    merged, tuned = read(run, "merged.json").task("held-out-answers"), report.task("held-out-answers")
    assert [row.tuned for row in merged.rows] == [row.tuned for row in tuned.rows]
    assert merged.rows[0].base is None and merged.scores[0].tuned == tuned.scores[0].tuned


def test_only_generation_is_asked_for_and_a_few_answers_of_it(variant):
    run = variant()
    evaluate(run, gen_only=True, answers=3, num_samples=3)
    assert [(task.name, task.n) for task in read(run).tasks] == [("held-out-answers", 3)]


def test_a_look_at_fewer_rows_never_takes_the_place_of_fuller_scores(variant):
    run = variant({"evaluate": {"prompts": []}})
    evaluate(run, tasks=["general-choices"])
    evaluate(run, tasks=["general-choices", "held-out-answers"], max_samples=3)
    assert [(task.name, task.n) for task in read(run).tasks] == [
        ("general-choices", 50),
        ("held-out-answers", 3),
    ]
    latest = read(run, LATEST)
    assert [(task.name, task.n) for task in latest.tasks] == [("general-choices", 3), ("held-out-answers", 3)]
    assert "the scores of 50 from before stay" in latest.tasks[0].notes[-1]
    assert any("General questions: Only a look, at 3 rows" in note.text for note in events_of(run, Noted))
    evaluate(run, tasks=["held-out-answers"], answers=5)
    evaluate(run, tasks=["held-out-answers"], answers=2)
    assert read(run).task("held-out-answers").n == 5


def test_rows_that_cannot_be_used_are_counted_and_named(variant, tmp_path):
    file = tmp_path / "q.jsonl"
    rows = [{"question": f"{n}?", "answer": "" if n == 3 else "Yes."} for n in range(8)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = variant({"evaluate": {"prompts": []}})
    evaluate(run, tasks=[str(file)], shots=2, max_new_tokens=2)
    read_, answered = read(run).tasks
    assert (read_.n, read_.available, answered.n, answered.available) == (7, 8, 5, 6)
    for task in (read_, answered):
        assert any(note.startswith("1 of 8 rows could not be used: q.jsonl:4 (") for note in task.notes)
    assert any("first 2 rows are shown solved before each question, so 5" in note for note in answered.notes)
    assert any("(--shots) are shown in q:" in note.text for note in events_of(run, Noted))


def test_the_rows_of_every_task_are_had_before_any_model_is_opened(variant, monkeypatch):
    monkeypatch.setattr("core.evaluate.job.open_bench", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(DataError, match="nothing is downloaded"):
        evaluate(variant(), tasks=["held-out", "gsm8k"])


def test_only_generation_of_tasks_without_any_is_refused(variant):
    with pytest.raises(UserError, match="No task in which the models write answers is left of general:"):
        evaluate(variant(), tasks=["general"], gen_only=True)


def test_a_copy_that_no_task_uses_is_said_not_to_be_used(variant, tmp_path):
    (tmp_path / "test.jsonl").write_text("{}\n")
    run = variant({"evaluate": {"prompts": []}})
    evaluate(run, tasks=["general-choices"], source=str(tmp_path / "test.jsonl"), max_samples=2)
    assert any("test.jsonl (--from) was not used" in note.text for note in events_of(run, Noted))
    assert read(run).tasks[0].given == "" and read(run).tasks[0].settings.source is None


def test_gsm8k_counts_and_shows_the_answers_without_a_number(variant, tmp_path):
    for split in ("train", "test"):
        rows = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(8)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = variant()
    evaluate(run, tasks=["gsm8k"], source=str(tmp_path), shots=2, max_new_tokens=12)
    task = read(run).task("gsm8k")
    assert (task.n, task.settings.shots, task.settings.finds) == (8, 2, "a number")
    assert (task.label, task.given, task.settings.source) == ("GSM8K (own copy)", "gsm8k", str(tmp_path))
    assert task.settings.longest == 12
    missing = [row for row in task.rows if row.base.found is None]
    assert any(
        f"In {len(missing)} of 8 answers of the base model there is no number" in note for note in task.notes
    )
    assert all(row.marks["number"].base == 0 for row in missing)
    assert task.rows[0].question == "0 + 1?"  # without the solved ones


def test_the_users_own_task_in_plain_text_is_answered_up_to_where_it_ends(variant, tmp_path):
    rows = [{"begins": f"Once upon a time {n}", "ends": "there was a king"} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tales.yaml").write_text(
        "label: Tales\nabout: Beginnings of tales.\nkind: generation\nexamples: {file: rows.jsonl}\n"
        "fields: {question: begins, reference: ends}\nprompt: '{begins}'\nwritten: text\nmax_new_tokens: 5\n"
        "grading: [chrf]\n"
    )
    run = variant()
    evaluate(run, tasks=[str(tmp_path / "tales.yaml")])
    task = read(run).task("tales")
    assert task.given == str(tmp_path / "tales.yaml") and task.settings.prompt == "{begins}"
    assert [each.name for each in task.scores] == ["chrf"] and task.n == 6
    assert all(row.tuned.tokens <= 5 for row in task.rows)


def test_the_rows_of_several_files_are_scored_file_by_file(variant):
    run = variant({"data": {"files": ["sample:fables-en", "sample:fables-fr"]}})
    evaluate(run, tasks=["held-out"])
    task = read(run).task("held-out")
    assert [each.source for each in task.by_source] == ["sample:fables-en", "sample:fables-fr"]
    assert sum(each.score.n for each in task.by_source) == task.n
    assert {each.score.name for each in task.by_source} == {"perplexity"}


def test_options_are_settings_for_this_time_only(variant):
    run = variant()
    evaluate(run, tasks=["held-out-answers"], answers=1, prompts=["a?", "b?"], max_new_tokens=2)
    found = read(run)
    task = found.task("held-out-answers")
    assert (task.n, len(found.prompts), task.settings.max_new_tokens) == (1, 2, 2)
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
    evaluate(run, tasks=["held-out", "held-out-answers"])
    warnings = [note.text for note in events_of(run, Noted)]
    assert any("Fewer than 6 rows are held out (1)" in text for text in warnings)
    assert any("1 of 2 questions fill the model's context" in text for text in warnings)
    few = [task for task in read(run).tasks if task.name.startswith("held-out")]
    assert {each.verdict for task in few for each in task.scores} == {"no clear change"}


def test_a_conversation_of_several_turns_shows_who_said_what(variant, tmp_path):
    file = tmp_path / "held.jsonl"
    turns = [("user", "Who?"), ("assistant", "The Queen."), ("user", "Why?"), ("assistant", "Because.")]
    file.write_text(
        json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]}) + "\n"
    )
    run = variant({"data": {"held_out_files": [str(file)]}})
    evaluate(run, tasks=["held-out-answers"])
    (answered,) = read(run).task("held-out-answers").rows
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
    evaluate(run, tasks=["held-out"])
    perplexity = read(run).task("held-out").scores[0]
    assert perplexity.tuned.value < perplexity.base.value
    assert perplexity.verdict == "helped"


def test_a_run_that_was_not_trained_cannot_be_evaluated(tmp_path):
    run = RunStore(tmp_path).create("new", RunSpec.from_dict({"data": {"files": ["sample:fables-en"]}}))
    with pytest.raises(RunError, match="no final model yet"):
        evaluate(run)
