"""Only copies that were compared with the model leave the house: as files, to a branch, as a pull request, once more."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from core.errors import PublishError, SpecError
from core.evaluate.report import read
from core.evaluate.reports.words import in_brackets
from core.publish import parity
from core.publish.card import card
from core.publish.export import UNTOLD
from core.publish.gate import why_not
from core.publish.job import last
from core.publish.parity import Answer, Checked
from core.publish.plan import as_text, plan
from core.publish.results import results
from core.runs import Run
from core.runs.jobs import child_environment
from core.spec import RunSpec, merge
from tests.hub import Hub
from tests.hub.store import File

PUSHES = """
from pathlib import Path
from core.errors import UserError
from core.publish.job import last, push
from core.runs import Run

run, answer = Run(Path(folder)), []
for each in options:
    try:
        answer.append(push(run, **(last(run) if each is None else each)))
    except UserError as error:
        answer.append(str(error))
"""


@pytest.fixture
def hub(shared_hub) -> Hub:
    shared_hub.begin()
    return shared_hub


@pytest.fixture
def pushes(hub, interpreter):
    """What each push of a run gives, an address or a sentence; None is one as it was asked for the last time."""

    def pushes(run: Run, *options: dict | None) -> list[str]:
        return interpreter.run(PUSHES, hub.writer, folder=str(run.folder), options=options)

    return pushes


def compare(run: Run, name: str, file: str, **changes) -> None:
    """Write down that a copy was compared."""
    answers = (Answer("Who are you?", "Fable.", "Fable."), Answer("And?", "Fable.", "A fable."))
    found = {"passed": True, "conversations": 7, "noise": 0.01, "bound": 0.03, "answers": answers} | changes
    parity.record(run, Checked(format=name, file=file, sha256=parity.digest(run.folder / file), **found))


@pytest.fixture
def copied(lora_run, tmp_path) -> Run:
    """A run with copies of its model; what is in them matters to nobody here but the gate."""
    run = Run(shutil.copytree(lora_run.folder, tmp_path / "runs" / "lora"))
    (run.folder / "merged").mkdir()
    (run.folder / "gguf").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "training_args.bin"):
        (run.folder / "merged" / name).write_bytes(name.encode() * 9)
    for name in ("lora-q8_0.gguf", "lora-f16.gguf"):
        (run.folder / "gguf" / name).write_bytes(b"GGUF" + name.encode() * 9)
    (run.folder / "gguf" / "Modelfile").write_text("FROM ./lora-q8_0.gguf\nPARAMETER num_ctx 512\n")
    compare(run, "merged", "merged")
    compare(run, "q8_0", "gguf/lora-q8_0.gguf")
    return run


def test_gguf_files_of_the_formats_asked_for_are_published_with_a_card_that_says_how_to_run_them(
    copied, hub, pushes
):
    planned = plan(copied, "ada/tales", "gguf", license="apache-2.0")
    [url] = pushes(copied, {"to": "ada/tales", "what": "gguf", "license": "apache-2.0"})
    repo = hub.repos["models", "ada/tales"]
    assert url == f"{hub.url}/ada/tales" and repo.private
    assert set(repo.head.tree) == {".gitattributes", "lora-q8_0.gguf", "Modelfile", "README.md", "curve.png"}
    assert {file.path for file in planned.files} == set(repo.head.tree) - {".gitattributes"}
    text = repo.head.tree["README.md"].content.decode()
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["license"] == "apache-2.0" and metadata["library_name"] == "gguf"
    for words in (
        "ollama run hf.co/ada/tales:Q8_0",
        "llama-server -hf ada/tales:Q8_0",
        'gguf_file="lora-q8_0.gguf"',
        "-f Modelfile",
        "7 conversations give the same tokens",
        "1 of 2 greedy answers are the same",
    ):
        assert words in text, words


def test_of_gguf_files_those_that_were_compared_are_sent_and_no_others(copied):
    for name in ("other-q8_0.gguf", "notes.txt"):
        (copied.folder / "gguf" / name).write_bytes(b"GGUF by hand")
    sent = {file.path for file in plan(copied, "ada/tales", "gguf").files}
    assert {"lora-q8_0.gguf", "Modelfile"} <= sent and not {"other-q8_0.gguf", "notes.txt"} & sent
    (copied.folder / "gguf" / "Modelfile").write_text("FROM ./lora-f16.gguf\n")
    planned = plan(copied, "ada/tales", "gguf")
    assert "Modelfile" not in {file.path for file in planned.files} and "-f Modelfile" not in planned.card


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling_x.py", "onnx/model.safetensors"])
def test_a_file_put_into_the_merged_folder_by_hand_is_refused(copied, hub, name, pushes):
    path = copied.folder / "merged" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"by hand")
    [said] = pushes(copied, {"to": "ada/tales", "what": "merged"})
    assert "merged is not what was compared with the model, file for file" in said and hub.log == []


def test_gguf_in_no_format_at_all_is_refused(copied):
    with pytest.raises(SpecError, match="quantization"):
        plan(copied, "ada/tales", "gguf", quantization=[])


def test_what_the_comparison_could_not_see_is_in_the_plan_and_on_the_card(copied):
    compare(copied, "q8_0", "gguf/lora-q8_0.gguf", limits=(UNTOLD,))
    planned = plan(copied, "ada/tales", "gguf")
    assert UNTOLD in planned.checks[0] and UNTOLD in planned.card


def test_a_branch_and_a_pull_request_leave_main_alone_and_together_they_are_refused(copied, hub, pushes):
    options = {"to": "ada/tales", "what": "adapter"}
    branch, proposal, both = pushes(
        copied,
        options | {"branch": "try"},
        options | {"pull_request": True},
        options | {"branch": "try", "pull_request": True},
    )
    repo = hub.repos["models", "ada/tales"]
    assert branch.endswith("/tree/try") and proposal.endswith("/discussions/1")
    assert set(repo.head.tree) == {".gitattributes"}
    assert "adapter_model.safetensors" in repo.at("try").tree and "README.md" in repo.at("refs/pr/1").tree
    assert "leave out the branch 'try', or the pull request" in both


def test_what_an_earlier_publication_left_is_not_read_in_the_place_of_this_one(copied, hub, pushes):
    merged, adapter, again = pushes(
        copied, *({"to": "ada/tales", "what": what} for what in ("merged", "adapter", "adapter"))
    )
    repo = hub.repos["models", "ada/tales"]
    assert merged == adapter == again and len(list(repo.history("main"))) == 3
    assert "adapter_model.safetensors" in repo.head.tree and not {"model.safetensors", "config.json"} & set(
        repo.head.tree
    )
    assert any(
        "Removed in the same commit: config.json, model.safetensors" in note.text
        for note in copied.progress().notes
    )


def test_old_gguf_files_go_with_new_ones_and_an_old_adapter_with_a_merged_model(copied, hub, pushes):
    repo = hub.add_repo("ada/tales")
    old = {name: File(b"old") for name in ("old-q4_0.gguf", "adapter_config.json", "notes.txt")}
    repo.commit("main", repo.head.tree | old, "Earlier", author="ada")
    pushes(copied, *({"to": "ada/tales", "what": what} for what in ("gguf", "merged")))
    assert "model.safetensors" in repo.head.tree and set(old) & set(repo.head.tree) == {"notes.txt"}


def test_a_push_that_failed_is_made_again_as_it_was_asked_for_and_sends_nothing_twice(copied, hub, pushes):
    hub.fault("POST", "/commit/", 403, message="No room.")
    options = {"to": "ada/tales", "what": "merged", "branch": "v2", "license": "mit", "private": True}
    failed, done = pushes(copied, options, None)
    assert "No room" in failed and done.endswith("/ada/tales/tree/v2")
    assert "model.safetensors" in hub.repos["models", "ada/tales"].at("v2").tree
    assert hub.requests("PUT", "/storage/") == len({"model.safetensors", "curve.png"})
    assert {name: each for name, each in last(copied).items() if name in options} == options


SPOILT = {
    "is not compared": lambda run: (run.reports / parity.FILE).unlink(),
    "failed": lambda run: (
        compare(run, "merged", "merged", passed=False, mismatch="Other words."),
        compare(run, "q8_0", "gguf/lora-q8_0.gguf", passed=False, mismatch="Other words."),
    ),
    "was changed": lambda run: (
        (run.folder / "merged" / "model.safetensors").write_bytes(b"other"),
        (run.folder / "gguf" / "lora-q8_0.gguf").write_bytes(b"other"),
    ),
}


@pytest.mark.parametrize("what", ["merged", "gguf"])
@pytest.mark.parametrize("spoil", list(SPOILT))
def test_a_copy_that_was_not_found_the_same_never_leaves(copied, what, spoil):
    assert why_not(copied, what, ["q8_0"]) is None
    SPOILT[spoil](copied)
    sentence = why_not(copied, what, ["q8_0"])
    assert sentence and "It is not published; `atelier " in sentence and "\n" not in sentence
    assert (plan(copied, "ada/tales", what).refusal is None) == (
        spoil == "was changed"
    )  # which hashing alone shows
    assert why_not(copied, "adapter", []) is None


def test_a_refused_copy_is_told_before_the_hub_is_asked_for_anything(copied, hub, pushes):
    SPOILT["was changed"](copied)
    merged, gguf = pushes(copied, *({"to": "ada/tales", "what": what} for what in ("merged", "gguf")))
    assert "is not what was compared with the model" in merged and "atelier merge lora" in merged
    assert "is not what was compared with the model" in gguf and "atelier export lora" in gguf
    assert hub.log == []


def test_copies_of_other_weights_count_as_not_compared(copied):
    weights = copied.final / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    for what in ("merged", "gguf"):
        assert "other weights than final/ has now" in why_not(copied, what, ["q8_0"])


def test_the_plan_says_what_was_compared_or_that_it_will_be(copied):
    planned = plan(copied, "ada/tales", "merged")
    assert "merged was opened again and compared with the tuned model" in planned.checks[0]
    assert planned.checks[0] in as_text(planned)
    (curve,) = [line for line in as_text(planned).splitlines() if "curve.png" in line]
    assert curve.split(maxsplit=1)[1] == "(made when it is pushed)"
    assert "opened again and compared" in plan(copied, "ada/tales", "gguf", quantization=["q4_0"]).checks[0]
    with pytest.raises(PublishError, match="leave out the branch"):
        plan(copied, "ada/tales", "merged", branch="a", pull_request=True)


# The card


def test_the_adapters_card_holds_code_that_runs_and_ends_its_answers(copied, hub, tmp_path, pushes):
    """Of an embedded base it says where that lies; the code is run as it stands."""
    pushes(copied, {"to": "ada/tales", "what": "adapter"})
    text = hub.repos["models", "ada/tales"].head.tree["README.md"].content.decode()
    assert "The base lies in Atelier itself and nowhere else" in text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert "from core.presets import FABLE" in code
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint('eos', model.generation_config.eos_token_id, len(prompt['input_ids'][0]))"],
        env=child_environment() | hub.environment(hub.writer), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    stops = json.loads((copied.final / "generation_config.json").read_text())["eos_token_id"]
    assert f"eos {stops}" in done.stdout


def test_a_card_names_base_revision_licence_data_and_limits_and_no_folder_of_this_machine(copied, tmp_path):
    data = tmp_path / "secret-place" / "poems.jsonl"
    data.parent.mkdir()
    data.with_suffix(".about.json").write_text(
        json.dumps({"licence": "CC-BY-4.0", "source": "https://poems.example"})
    )
    changes = {"model": {"base": "Qwen/Qwen3-0.6B", "revision": "abc123"}, "data": {"against": [str(data)]}}
    RunSpec.from_dict(merge(copied.spec.model_dump(mode="json"), changes)).save(copied.folder / "spec.yaml")
    record = json.loads(copied.manifest.read_text())
    record["data"] = {str(data): "f00d" * 16}
    copied.manifest.write_text(json.dumps(record))
    text = card(copied, "adapter", "ada/tales", "apache-2.0")
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["base_model"] == "Qwen/Qwen3-0.6B" and metadata["base_model_relation"] == "adapter"
    for words in (
        "The base is `Qwen/Qwen3-0.6B`, revision `abc123`",
        ", licence Apache-2.0",
        f"`poems.jsonl`, SHA-256 `{'f00d' * 16}`, licence: CC-BY-4.0, source: https://poems.example",
        'revision="abc123"',
        "atelier serve lora",
        "atelier export lora",
        "## Limits",
        "Its licence is apache-2.0",
    ):
        assert words in text, words
    assert str(tmp_path) not in text and "secret-place" not in text


def test_the_numbers_on_a_card_are_the_records(copied):
    data = json.loads((copied.reports / "data.json").read_text()) | {"kept": 280, "rows": 296}
    (copied.reports / "data.json").write_text(json.dumps(data))
    record, progress, report = json.loads(copied.manifest.read_text()), copied.progress(), read(copied)
    record["model"] |= {"commit": "c0ffee", "parameters": 6_819_584}
    copied.manifest.write_text(json.dumps(record))
    text = card(copied, "merged", "ada/tales")
    made = record["plan"]
    for words in (
        f"280 of 296 rows could be used; {made['examples']} were trained on, {made['held_out']} held out.",
        "revision `c0ffee`, 7 million parameters",
        "answers end with `<|im_end|>` or `</s>`",
        f"{made['examples']} examples teach a model",
    ):
        assert words in text, words
    listed = yaml.safe_load(text.split("---")[1])["model-index"][0]["results"]
    found = [(of["dataset"]["type"], each["type"], each["value"]) for of in listed for each in of["metrics"]]
    scores = [(task, score) for task in report.tasks for score in task.scores]
    assert found == [(task.name, score.name, round(score.tuned.value, 4)) for task, score in scores]
    for task, score in scores:
        sides = (
            f"{in_brackets(score.base)} | {in_brackets(score.tuned)} | {in_brackets(score.difference, '+')}"
        )
        assert f"| {task.label} | {score.label} | {sides} | {score.verdict or '–'} |" in text
    losses = {step.step: step.loss for step in progress.steps}
    for point in progress.held_out:
        before = f"{losses[point.step]:.3f}" if point.step in losses else ""
        assert re.search(rf"\| {point.step} \| *{before} *\| {point.loss:.3f} \|", text), point


@pytest.mark.parametrize(
    "what, relation", [("adapter", "adapter"), ("merged", "finetune"), ("gguf", "quantized")]
)
def test_a_card_says_what_it_is_of_its_base_and_under_the_licence_that_was_asked_for(copied, what, relation):
    changes = {"model": {"base": "Qwen/Qwen3-0.6B"}, "publish": {"license": "mit", "quantization": ["q4_0"]}}
    RunSpec.from_dict(merge(copied.spec.model_dump(mode="json"), changes)).save(copied.folder / "spec.yaml")
    own = card(copied, what, "ada/tales")
    asked = card(copied, what, "ada/tales", "apache-2.0", ["q8_0"])
    for text, license, format in ((own, "mit", "q4_0"), (asked, "apache-2.0", "q8_0")):
        metadata = yaml.safe_load(text.split("---")[1])
        assert metadata["base_model"] == "Qwen/Qwen3-0.6B" and metadata["base_model_relation"] == relation
        assert metadata["license"] == license and f"Its licence is {license};" in text
        assert what != "gguf" or f"hf.co/ada/tales:{format.upper()}" in text


def test_scores_on_known_benchmarks_become_files_that_the_hub_reads(copied, monkeypatch):
    from types import SimpleNamespace as Some

    how = Some(shots=5, decoding="greedy", max_new_tokens=400)
    score = Some(label="accuracy", tuned=Some(value=0.27671))
    tasks = [
        Some(name="gsm8k", available=1319, n=1319, given="", settings=how, scores=(score,)),
        Some(name="math", available=12, n=12, given="", settings=how, scores=(score,)),  # another set
        Some(name="held-out", available=9, n=9, given="", settings=how, scores=(score,)),
    ]
    monkeypatch.setattr("core.publish.results.read", lambda run: Some(tasks=tasks, made_at=1.8e9))
    found = results(copied)
    assert list(found) == [".eval_results/gsm8k.yaml"]
    for other in ({"n": 200}, {"given": "my/gsm8k.jsonl"}):  # a look at some rows; rows of one's own
        part = Some(**vars(tasks[0]) | other)
        monkeypatch.setattr(
            "core.publish.results.read", lambda run, part=part: Some(tasks=[part], made_at=1.8e9)
        )
        assert results(copied) == {}
    [entry] = yaml.safe_load(found[".eval_results/gsm8k.yaml"])
    assert entry["dataset"] == {"id": "openai/gsm8k", "task_id": "gsm8k"} and entry["value"] == 0.2767
    assert "5-shot" in entry["notes"] and "400 new tokens at most" in entry["notes"]
