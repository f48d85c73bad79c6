"""What the data settings say is what is trained: mixes, curricula, tools, weights and templates, all the way to final/."""

import json

import numpy as np
import pytest
from transformers import AutoTokenizer

from core.data.select import select
from core.evaluate.report import read
from core.text.encode import encode
from core.text.load import load_text
from core.train.job import _prepare, _trainer
from tests.conftest import quick
from tests.train import child


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Pairs, and conversations with a tool call and with an answer that is not to be learned."""
    pairs, chats = tmp_path / "pairs.csv", tmp_path / "chats.jsonl"
    pairs.write_text(
        "Frage,Antwort\n" + "".join(f"Was ist {n}?,{'Es ist ' * (n % 7)}{n}.\n" for n in range(60))
    )
    rows = []
    for number in range(30):
        call = {"type": "function", "function": {"name": "add", "arguments": json.dumps({"to": number})}}
        messages = [
            {"role": "user", "content": f"Add {number} and one."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": str(number + 1)},
            {"role": "assistant", "content": f"It is {number + 1}."},
            {"role": "user", "content": "Are you sure?"},
            {"role": "assistant", "content": "No!", "weight": 0},
            {"role": "user", "content": "Really?"},
            {"role": "assistant", "content": "Yes."},
        ]
        rows.append({"messages": messages, "tools": [{"type": "function", "function": {"name": "add"}}]})
    chats.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [str(pairs), str(chats)]


def test_a_mix_in_stages_trains_to_its_end_and_each_data_set_has_its_score(store, files):
    settings = {"files": files, "weights": [0.5, 0.5], "examples": 64, "order": "length", "stages": 2}
    run = store.create("mix", quick({"data": settings}))
    child.finished(run)
    said = [note.text for note in run.progress().notes]
    assert any("An epoch of the mix holds 32 of" in text for text in said)
    task = read(run).task("held-out")
    assert [each.source for each in task.by_source] == files
    assert sum(each.score.n for each in task.by_source) == task.n


def test_a_curriculum_reaches_the_trainer_in_its_order(store, files):
    settings = {"files": files, "order": "length", "stages": 3, "held_out_fraction": 0.0}
    run = store.create("stages", quick({"data": settings, "train": {"batch_size": 4}}))
    (run.folder / "rows").mkdir()
    run.reports.mkdir()
    prepared = _prepare(run, run.spec, run.folder / "rows")
    trainer, _ = _trainer(run, run.spec, prepared)
    lengths = [length for batch in trainer.get_train_dataloader() for length in batch["lengths"].tolist()]
    assert lengths == [len(row) for row in prepared.training["input_ids"]]
    stages = np.array_split(np.array(lengths), 3)
    assert stages[0].mean() < stages[1].mean() < stages[2].mean()


def test_a_call_is_trained_and_an_answer_of_weight_zero_is_not(files):
    spec = quick({"data": {"files": files[1:]}})
    text, chosen = load_text(spec), select(spec.data)
    row = encode(chosen.training, text.tokenizer, text.template, 2048).rows[0]
    trained = [id_ for id_, learnt in zip(row.ids, row.trained, strict=True) if learnt]
    words = text.tokenizer.decode(trained)
    assert '"name": "add"' in words and "It is" in words and "Yes." in words
    assert "No!" not in words and "Really?" not in words


@pytest.mark.parametrize("kind", ["instruct", "plain"])
def test_a_template_that_was_trained_is_the_one_that_is_exported(store, files, kind):
    settings = {"files": files[:1]}
    run = store.create(kind, quick({"data": settings, "template": {"kind": kind}, "train": {"max_steps": 2}}))
    child.finished(run)
    exported = AutoTokenizer.from_pretrained(run.final)
    text = load_text(run.spec)
    asked = [{"role": "user", "content": "Was ist 7?"}]
    ids = exported.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert ids == text.template.prompt_ids(asked, text.tokenizer)
    generation = json.loads((run.final / "generation_config.json").read_text())
    assert generation["eos_token_id"] == list(text.stop_ids)
