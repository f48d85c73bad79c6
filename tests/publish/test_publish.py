"""From a trained run to what a reader of the Hub sees: planned, merged, opened again, and pushed by the real client."""

import json
import re
import shutil

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.cli import main
from core.data.examples import Message
from core.errors import PublishError
from core.publish.card import card, curve_image
from core.publish.plan import plan
from core.runs import Run
from core.train.model import open_pair
from tests.conftest import LORA, quick


def copy_of(run: Run, folder) -> Run:
    """A run of one's own to publish from."""
    ignored = shutil.ignore_patterns("checkpoints")
    return Run(shutil.copytree(run.folder, folder / "runs" / run.name, ignore=ignored))


@pytest.fixture
def copy(trained, tmp_path):
    return copy_of(trained, tmp_path)


@pytest.fixture
def atelier(monkeypatch):
    """The command as if it were called with this in its environment; the act has a process of its own."""

    def atelier(run: Run, *arguments: str, **environment: str) -> int:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return main([*arguments, "--runs", str(run.folder.parent)])

    return atelier


def test_the_merged_model_answers_as_the_tuned_one(merged):
    run, merged = merged, merged.folder / "merged"
    pair = open_pair(run, torch.float32)
    ids = torch.tensor(
        [pair.text.template.prompt_ids([Message("user", "Who kept Heidi?")], pair.text.tokenizer)]
    )
    with torch.no_grad(), pair.side("tuned") as model:
        wanted = model(input_ids=ids).logits
        whole = model.merge_and_unload() if run.name == "lora" else model
        assert (whole(input_ids=ids).logits - wanted).abs().max() < 1e-4
        # What is on disk has the base's own precision, which keeps 8 bits of each weight.
        again = AutoModelForCausalLM.from_pretrained(merged)
        assert again.dtype == torch.bfloat16
        for weight in whole.parameters():
            weight.data = weight.bfloat16().float()
        assert torch.equal(again.float()(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert AutoTokenizer.from_pretrained(merged).chat_template == pair.text.template.jinja
    assert (merged / "README.md").is_file() and (merged / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_plan_names_every_file_that_is_pushed_and_no_other(copy, hub, atelier, capsys):
    online = hub.environment(hub.add_token("ada"))
    what = "adapter" if copy.name == "lora" else "merged"
    push = ["push", copy.name, "--to", "ada/tales", "--what", what]
    assert atelier(copy, *push, "--plan", "--json", **online) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["private"] is True and planned["repo_id"] == "ada/tales"
    assert hub.requests("POST", ".*") == 0
    assert atelier(copy, *push, **online) == 0, copy.console.read_text()[-2000:]
    repo = hub.repos["models", "ada/tales"]
    files = repo.head.tree
    assert set(files) - {".gitattributes"} == {file["path"] for file in planned["files"]}
    assert repo.private and copy.progress().published[-1].commit == repo.head.id
    measured = {
        file["path"]: file["size"]
        for file in planned["files"]
        if file["measured"] and file["path"] != "README.md"
    }
    assert measured == {path: files[path].size for path in measured}


def test_a_push_that_broke_off_is_finished_by_a_second_try(lora_run, tmp_path, hub, atelier, capsys):
    run = copy_of(lora_run, tmp_path)
    online = hub.environment(hub.add_token("ada"))
    push = ["push", "lora", "--to", "ada/tales", "--what", "adapter"]
    hub.fault("PUT", ".*", "drop", times=99)
    assert atelier(run, *push, **online) == 1
    failed = run.progress()
    assert failed.state == "failed" and failed.trained and "same command again" in failed.message
    assert "Traceback" not in capsys.readouterr().out and not hub.repos["models", "ada/tales"].head.tree.get(
        "README.md"
    )
    hub.faults.clear()
    assert atelier(run, *push, **online) == 0 and "README.md" in hub.repos["models", "ada/tales"].head.tree


def test_no_token_no_path_and_no_pickle_in_anything_that_stays_or_leaves(lora_run, tmp_path, hub, atelier):
    run = copy_of(lora_run, tmp_path)
    token = hub.add_token("ada")
    for to in ("ada/tales", "bob/others"):
        atelier(run, "push", "lora", "--to", to, "--what", "adapter", **hub.environment(token))
    assert run.progress().state == "failed" and "bob" in run.progress().message
    for path in run.folder.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    for name, file in hub.repos["models", "ada/tales"].head.tree.items():
        assert not name.endswith((".bin", ".pt", ".pkl"))
        assert str(tmp_path).encode() not in file.content and b"/presets/" not in file.content, name


def test_the_card_tells_base_data_settings_curve_and_scores(trained):
    text = card(trained, "merged", "ada/tales")
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["library_name"] == "transformers" and "atelier" in metadata["tags"]
    assert "base_model" not in metadata  # the embedded one has no name on the Hub
    digest = json.loads(trained.manifest.read_text())["data"]["sample:fables-en"]
    for words in (
        digest,
        "Fable",
        "Perplexity",
        "held-out loss",
        "learning_rate:",
        "<|im_end|>",
        'pipeline("text-generation", "ada/tales")',
    ):
        assert words in text, words
    scores = [result["metrics"][0]["type"] for result in metadata["model-index"][0]["results"]]
    assert "perplexity" in scores
    assert curve_image(trained.progress()).startswith(b"\x89PNG")
    assert not re.search(r"\{[a-z_]+\}", text)


def test_the_base_on_the_hub_is_named_and_a_folder_is_only_named_by_its_last_part(store, full_run):
    run = Run(shutil.copytree(full_run.folder, store.root / "other"))
    quick({"model": {"base": "meta/some-model"}}).save(run.folder / "spec.yaml")
    assert yaml.safe_load(card(run, "adapter").split("---")[1])["base_model"] == "meta/some-model"
    quick({"model": {"base": str(full_run.final)}}, LORA).save(run.folder / "spec.yaml")
    assert str(full_run.folder) not in card(run, "adapter")


@pytest.mark.parametrize(
    "to, what, words",
    [
        (None, "merged", "--to owner/name"),
        ("tales", "merged", "owner/name"),
        ("ada/ta les", "merged", "cannot name a repository"),
        ("ada/tales", "adapter", "publish it as merged"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(full_run, to, what, words):
    with pytest.raises(PublishError, match=words):
        plan(full_run, to, what)


def test_a_run_without_a_final_model_has_nothing_to_publish(store):
    with pytest.raises(PublishError, match="trained to its end"):
        plan(store.create("a", quick()), "ada/tales")


def test_an_adapter_that_nobody_could_load_is_warned_of(lora_run):
    assert any("publish as merged" in warning for warning in plan(lora_run, "ada/tales", "adapter").warnings)
