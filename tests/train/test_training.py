"""A real training of the embedded model: what moved, what was saved, and whether what was saved answers the same."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from core.text.load import load_text
from core.train.model import load_base, open_pair

QUESTION = [{"role": "user", "content": "Whom did Alice follow down the hole?"}]


def ids_of(text, messages=QUESTION):
    prompt = text.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    return prompt["input_ids"]


@torch.no_grad()
def logits(model, ids):
    return model(input_ids=ids).logits


def test_training_and_held_out_loss_fall(trained):
    progress = trained.progress()
    assert progress.steps[-1].loss < progress.steps[0].loss
    assert progress.held_out[-1].loss < progress.held_out[0].loss
    assert [point.step for point in progress.held_out] == [0, 4, 8, 12]


def test_every_step_says_what_a_watcher_wants_to_know(trained):
    steps = trained.progress().steps
    assert [each.step for each in steps] == list(range(1, 13))
    for each in steps:
        assert each.tokens_per_second > 0 and each.memory_bytes > 50e6 and each.gradient_norm > 0
        assert math.isfinite(each.loss)
    assert steps[-1].eta_seconds == 0 < steps[0].eta_seconds
    assert steps[-1].learning_rate < max(each.learning_rate for each in steps)


def test_full_training_moves_every_parameter(full_run):
    text = load_text(full_run.spec)
    before = load_base(full_run.spec, text, torch.float32).state_dict()
    after = load_file(full_run.final / "model.safetensors")
    assert set(after) == set(before) - {"lm_head.weight"}  # tied to the embedding
    assert [name for name, weight in after.items() if torch.equal(weight, before[name])] == []


def test_lora_moves_every_added_matrix_and_no_weight_of_the_base(lora_run):
    saved = load_file(lora_run.final / "adapter_model.safetensors")
    still = [name for name, weight in saved.items() if "lora_B" in name and not weight.any()]
    assert still == []  # every B begins at zero
    pair = open_pair(lora_run)
    fresh = load_base(lora_run.spec, pair.text, torch.float32)
    with pair.side("base") as model:
        inner = {
            name.replace(".base_layer", ""): value
            for name, value in model.get_base_model().state_dict().items()
        }
        for name, weight in fresh.state_dict().items():
            if name in inner:
                assert torch.equal(inner[name], weight), name


def test_rows_of_added_tokens_are_trained_and_saved_under_lora(lora_run):
    text = load_text(lora_run.spec)
    assert text.added == ("<|im_start|>", "<|im_end|>")
    saved = load_file(lora_run.final / "adapter_model.safetensors")
    (rows,) = [
        weight for name, weight in saved.items() if "token_adapter" in name or "trainable_tokens" in name
    ]
    before = load_base(lora_run.spec, text, torch.float32).get_input_embeddings().weight[text.added_ids]
    assert rows.shape == before.shape and not torch.equal(rows, before)
    assert sum(weight.numel() for weight in saved.values()) < 1_000_000  # the whole embedding is not in it


def test_new_rows_begin_at_the_mean_of_the_old(full_run):
    text = load_text(full_run.spec)
    model = load_base(full_run.spec, text, torch.float32)
    rows = model.get_input_embeddings().weight
    mean = rows[: len(text.tokenizer) - 2].mean(0)
    for id_ in text.added_ids:
        torch.testing.assert_close(rows[id_], mean)
    assert model.get_output_embeddings().weight is rows


def test_base_side_answers_exactly_as_the_untouched_base(trained):
    pair = open_pair(trained)
    fresh = load_base(trained.spec, pair.text, torch.float32).eval()
    with pair.side("base") as model:
        assert torch.equal(logits(model, ids_of(pair.text)), logits(fresh, ids_of(pair.text)))


def test_the_two_sides_differ_and_switching_leaves_no_trace(trained):
    pair = open_pair(trained)
    ids = ids_of(pair.text)
    with pair.side("tuned") as model:
        first = logits(model, ids)
    with pair.side("base") as model:
        assert not torch.allclose(logits(model, ids), first, atol=0.1)
    with pair.side("tuned") as model:
        assert torch.equal(logits(model, ids), first)


def test_the_generation_config_names_every_token_that_ends_an_answer(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained.final)
    config = GenerationConfig.from_pretrained(trained.final)
    assert tokenizer.convert_ids_to_tokens(config.eos_token_id) == ["<|im_end|>", "</s>"]
    assert config.pad_token_id == tokenizer.pad_token_id == 0 and 0 not in config.eos_token_id


def test_the_saved_tokenizer_and_template_give_the_ids_that_were_trained(trained):
    text = load_text(trained.spec)
    saved = AutoTokenizer.from_pretrained(trained.final)
    conversation = [*QUESTION, {"role": "assistant", "content": "The White Rabbit."}]
    for kwargs, messages in (({"add_generation_prompt": True}, QUESTION), ({}, conversation)):
        ours = text.tokenizer.apply_chat_template(messages, **kwargs)["input_ids"]
        assert saved.apply_chat_template(messages, **kwargs)["input_ids"] == ours


def test_final_holds_no_pickle_no_card_of_another_and_no_path(trained):
    names = {path.name for path in trained.final.iterdir()}
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl")) or name == "README.md"]
    for path in trained.final.glob("*.json"):
        assert "/presets/" not in path.read_text("utf-8"), path.name


def test_full_model_reloads_with_the_logits_it_was_saved_with(full_run):
    pair = open_pair(full_run)
    again = AutoModelForCausalLM.from_pretrained(full_run.final).eval()
    with pair.side("tuned") as model:
        assert torch.equal(logits(model, ids_of(pair.text)), logits(again, ids_of(pair.text)))


def test_the_manifest_tells_what_a_repetition_needs(trained):
    manifest = json.loads(trained.manifest.read_text())
    assert len(manifest["data"]["sample:fables-en"]) == 64
    assert manifest["libraries"]["torch"].startswith("2.13.0")
    assert manifest["plan"]["micro_batch_size"] * manifest["plan"]["accumulation"] == 8
    assert manifest["stop_tokens"] == ["<|im_end|>", "</s>"]


@pytest.mark.parametrize("name", ["data.json", "evaluation.json"])
def test_reports_are_whole_json(trained, name):
    assert json.loads((trained.reports / name).read_text("utf-8"))
