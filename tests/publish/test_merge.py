"""The merged folder answers as base and adapter do, whatever the adapter was, or it is not there."""

import json
from collections import namedtuple

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from core.data.examples import Message
from core.errors import PublishError, TrainError
from core.publish import merge as merging
from core.publish import parity
from core.publish.merge import merge
from core.runs import Run
from core.text.load import load_text
from core.train.model import open_pair
from tests.publish.tiny import base, byte_level, trained_on


@pytest.fixture
def make(store, lora_run, tmp_path):
    def make(shape, cuts="gpt-2", **method) -> Run:
        return trained_on(store, lora_run, base(tmp_path / "base", shape, byte_level(cuts)), **method)

    return make


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch):
    monkeypatch.setattr(parity, "NEW_TOKENS", 4)


@torch.no_grad()
def logits(model, ids):
    return model(input_ids=torch.tensor([ids])).logits[0].float()


@pytest.mark.parametrize(
    "shape, method",
    [
        ("llama", {"kind": "lora"}),
        ("llama-tied", {"kind": "rslora"}),
        ("llama-biased", {"kind": "dora"}),
        ("qwen2", {"kind": "pissa"}),
        ("moe", {"kind": "lora"}),
        ("moe", {"kind": "rslora", "target_modules": ("q_proj", "down_proj")}),
    ],
)
def test_each_kind_of_adapter_is_in_the_merged_weights(make, shape, method):
    run = make(shape, "qwen2" if shape == "qwen2" else "gpt-2", **method)
    assert merge(run) == "merged"
    text = load_text(run.spec)
    ids = text.tokenizer("The White Rabbit put on his spectacles.").input_ids
    pair = open_pair(run, torch.float32, torch.device("cpu"), quantized=False)
    with pair.side("base") as model:
        plain = logits(model, ids)
    with pair.side("tuned") as model:
        wanted = logits(model, ids)
    merged = AutoModelForCausalLM.from_pretrained(run.folder / "merged")
    assert merged.dtype == torch.bfloat16
    got = logits(merged.float(), ids)
    assert parity.noise(wanted, got) < 0.1 < 0.2 < parity.noise(wanted, plain)
    checked = parity.read(run).of("merged")
    assert checked.passed and checked.conversations == 7 and checked.noise <= checked.bound


@pytest.mark.parametrize("shape, spare", [("llama", 0), ("llama-tied", 0), ("llama", 5), ("llama-tied", 5)])
def test_the_rows_of_new_tokens_are_merged_for_heads_of_their_own_and_for_tied_ones(
    store, lora_run, tmp_path, shape, spare
):
    folder = base(tmp_path / "base", shape, byte_level("gpt-2", chat=False), spare)
    run = trained_on(store, lora_run, folder, target_modules=("q_proj",))
    text = load_text(run.spec)
    assert text.added == ("<|im_start|>", "<|im_end|>", "<|pad|>")
    merge(run)
    merged = AutoModelForCausalLM.from_pretrained(run.folder / "merged")
    pair = open_pair(run, torch.float32, torch.device("cpu"))
    ids = text.template.prompt_ids([Message("user", "Who is there?")], text.tokenizer)
    with pair.side("tuned") as model:
        assert parity.noise(logits(model, ids), logits(merged.float(), ids)) < 0.02
    ends = text.tokenizer.eos_token_id, text.tokenizer.pad_token_id
    assert (merged.config.eos_token_id, merged.config.pad_token_id) == ends and None not in ends
    rows = merged.get_input_embeddings().weight[text.added_ids]
    assert not torch.equal(rows[0], rows[1])  # both began as the mean of all rows
    assert merged.get_input_embeddings().num_embeddings == max(text.added_ids) + 1 + max(spare - 3, 0)


def test_a_base_in_4_bits_is_merged_on_the_original(make, monkeypatch):
    run = make("llama")
    spec = yaml.safe_load((run.folder / "spec.yaml").read_text())
    spec["method"]["kind"] = "qlora"
    (run.folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    monkeypatch.setattr("core.train.model.free_memory", lambda device: 0)  # where answers would be in 4 bits
    monkeypatch.setattr("core.train.model._quantized", lambda *_: pytest.fail("the base was held in 4 bits"))
    merge(run)
    assert parity.read(run).of("merged").passed


def test_without_memory_for_float32_it_is_merged_in_the_bases_precision(make, monkeypatch):
    run = make("llama", kind="dora")
    merge(run)
    exact = AutoModelForCausalLM.from_pretrained(run.folder / "merged").state_dict()
    monkeypatch.setattr(merging, "free_memory", lambda device: 0)
    merge(run)
    lean = AutoModelForCausalLM.from_pretrained(run.folder / "merged").state_dict()
    assert all(torch.equal(exact[name], lean[name]) for name in exact)


def test_a_full_disk_is_seen_before_anything_is_written(make, monkeypatch):
    run = make("llama")
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10_000)
    monkeypatch.setattr("core.train.disk.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(TrainError, match="The merged weights need"):
        merge(run)
    assert not (run.folder / "merged").exists() and not (run.folder / ".merged").exists()


def test_a_merge_that_does_not_answer_alike_leaves_the_earlier_one(make, monkeypatch):
    run = make("llama")
    merge(run)
    before = parity.digest(run.folder / "merged")
    real = merging.without_adapter

    def spoiled(model):
        merged = real(model)
        merged.model.layers[0].mlp.down_proj.weight.data.mul_(1.5)
        return merged

    monkeypatch.setattr(merging, "without_adapter", spoiled)
    with pytest.raises(PublishError, match="logits differ from the adapter's"):
        merge(run)
    assert parity.digest(run.folder / "merged") == before and not (run.folder / ".merged").exists()


def test_a_folder_that_holds_other_weights_is_not_kept(make, monkeypatch):
    run, real, name = make("llama"), merging._write, "model.layers.0.mlp.down_proj.weight"

    def spoiled(run, merged, text, beside):
        real(run, merged, text, beside)
        weights = load_file(beside / "model.safetensors")
        save_file(weights | {name: weights[name] * 1.5}, beside / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(merging, "_write", spoiled)
    with pytest.raises(PublishError, match=f"differs from the model in {name}"):
        merge(run)
    assert not (run.folder / "merged").exists()


def test_a_folder_that_answers_otherwise_when_it_is_opened_is_not_kept(make, monkeypatch):
    run, real = make("llama"), merging._opened

    def spoiled(*arguments):
        again = real(*arguments)
        again.model.layers[0].mlp.down_proj.weight.data.mul_(1.5)
        return again

    monkeypatch.setattr(merging, "_opened", spoiled)
    with pytest.raises(PublishError, match="logits differ from the tuned model's"):
        merge(run)
    assert not (run.folder / "merged").exists()


def test_answers_that_would_not_end_are_refused(make):
    run = make("llama", "llama-bpe")
    config = GenerationConfig.from_pretrained(run.final)
    assert config.eos_token_id == list(load_text(run.spec).stop_ids)
    config.eos_token_id = [5]
    config.save_pretrained(run.final)
    with pytest.raises(PublishError, match=r"would end with the tokens 5|would end with the tokens \[5\]"):
        merge(run)
    assert not (run.folder / "merged").exists()


def test_the_merged_folder_has_all_that_its_users_need(merged):
    run, merged, text = merged, merged.folder / "merged", load_text(merged.spec)
    assert not {path.suffix for path in merged.iterdir()} & {".bin", ".pt", ".pkl"}
    config = json.loads((merged / "config.json").read_text())
    assert config["dtype"] == "bfloat16" and config["use_cache"]
    assert GenerationConfig.from_pretrained(merged).eos_token_id == list(text.stop_ids)
    assert AutoTokenizer.from_pretrained(merged).chat_template == text.template.jinja
    # The rows of the chat tokens, which the base does not have, are the trained ones.
    pair = open_pair(run, torch.float32, torch.device("cpu"))
    rows = AutoModelForCausalLM.from_pretrained(merged).get_input_embeddings().weight[text.added_ids].float()
    with pair.side("tuned") as model:
        whole = model.merge_and_unload() if hasattr(model, "peft_config") else model
        assert torch.equal(rows, whole.get_input_embeddings().weight[text.added_ids].bfloat16().float())
        assert len(rows) == 2 and not torch.equal(rows[0], rows[1])
