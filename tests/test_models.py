"""Short names: each is a model that there is, of the size that is said; the Hub's name is what a run keeps."""

import json

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from core import models, presets
from core.cli import main
from core.errors import SpecError
from core.models import Model, known, on_the_hub
from core.publish.card import _metadata
from core.spec import RunSpec
from core.train.plan.shape import shape_of

HF = {"hidden_size": "hidden", "num_hidden_layers": "layers", "num_attention_heads": "heads", "head_dim": "head_dim",
      "num_key_value_heads": "kv_heads", "vocab_size": "vocabulary", "tie_word_embeddings": "tied",
      "intermediate_size": "intermediate", "num_local_experts": "experts", "num_experts_per_tok": "experts_used"}  # fmt: skip
SIZES = {name: model for name, model in known().items() if not name.endswith("-base")}


@pytest.mark.parametrize("name", SIZES)
def test_a_model_made_of_the_stated_sizes_has_the_stated_parameters(name):
    model = SIZES[name]
    sizes = {ours: model.shape[theirs] for ours, theirs in HF.items() if theirs in model.shape}
    config = CONFIG_MAPPING[model.shape["kind"]](**sizes, pad_token_id=None)
    with torch.device("meta"):
        assert AutoModelForCausalLM.from_config(config).num_parameters() == model.parameters


@pytest.mark.parametrize("name", SIZES)
def test_the_planner_counts_the_same(name):
    shape = shape_of(SIZES[name].shape)
    assert shape.exact and shape.parameters == SIZES[name].parameters


def test_the_names_that_people_use_are_there():
    wanted = ["tinyllama", "llama3.2:1b", "llama3.1:8b", "smollm2:135m", "smollm2:360m", "qwen2.5:0.5b", "qwen3:0.6b",
              "deepseek-r1-qwen:7b", "deepseek-r1-qwen:14b", "gpt-oss:20b"]  # fmt: skip
    assert set(wanted) <= set(known())
    assert (
        known()["qwen3:0.6b-base"].hub == "Qwen/Qwen3-0.6B-Base" and known()["qwen3:0.6b-base"].kind == "base"
    )
    assert known()["llama3.2:1b"].gated is True and known()["qwen2.5:3b"].licence == "qwen-research"


@pytest.mark.parametrize("name", ["llama3.2:1b", "LLaMA3.2:1B"])
def test_a_short_name_is_written_out_wherever_it_is_given(tmp_path, name):
    (tmp_path / "mine.yaml").write_text(f"model:\n  base: {name}\n")
    for spec in (
        presets.resolve("tiny", overrides={"model": {"base": name}}),
        presets.resolve("tiny", tmp_path / "mine.yaml"),
        presets.anchored(RunSpec.from_dict({"model": {"base": name}})),
    ):
        assert spec.model.base == "meta-llama/Llama-3.2-1B-Instruct"
    assert presets.base_model(name) == "meta-llama/Llama-3.2-1B-Instruct"


def test_a_folder_of_a_short_name_is_not_taken_for_it(tmp_path, monkeypatch):
    (tmp_path / "tinyllama").mkdir()
    monkeypatch.chdir(tmp_path)
    assert presets.base_model("tinyllama") == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
    assert presets.base_model("./tinyllama") == str(tmp_path / "tinyllama")


def test_an_unknown_short_name_gets_the_nearest():
    for spec in ({"base": "llama3.2:2b"}, {"base": "llama-3.2:1b"}):
        with pytest.raises(SpecError) as refused:
            presets.resolve("tiny", overrides={"model": spec})
        assert "Did you mean 'llama3.2:" in str(refused.value) and "atelier models" in str(refused.value)
    assert on_the_hub("C:model") == "C:model" and on_the_hub("owner/name") == "owner/name"


def test_a_folder_whose_name_has_a_colon_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "my:model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert presets.base_model("my:model") == str(tmp_path / "my:model")


def test_a_run_and_its_card_name_the_model_as_the_hub_does(store):
    run = store.create("a", presets.resolve("small", overrides={"model": {"base": "smollm2:135m-base"}}))
    assert run.spec.model.base == "HuggingFaceTB/SmolLM2-135M"
    assert "base_model: HuggingFaceTB/SmolLM2-135M" in _metadata(run.spec, "adapter", "a", None, None)


def test_the_list_is_for_people_and_for_programs(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(known()) + 1 and any(line.startswith("llama3.1:8b ") for line in lines)
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert rows[0]["name"] == "tinyllama" and rows[0]["parameters"] == 1_100_048_384


def test_what_the_planner_knows_stands_beside_each():
    def needs(model: Model) -> dict[str, str]:
        return {"lora": f"{model.parameters * 2 / 1e9:.1f} GB"}

    text = models.as_text(models.as_dicts(needs))
    assert "lora" in text.splitlines()[0] and "16.1 GB" in text
