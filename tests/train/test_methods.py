"""Each method on small models with random weights: what moves, what is saved, and whether it opens again as it was."""

import importlib.util
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GptOssConfig,
    LlamaConfig,
    MixtralConfig,
    PreTrainedModel,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

from core import presets
from core.errors import SpecError, TrainError
from core.presets import FABLE
from core.spec import MethodSettings, RunSpec
from core.text.load import Text, load_text
from core.train import model as models
from core.train.methods import adapt, keep_in_float32, targets
from core.train.model import LARGE, base_parameters, load_base, load_for_training, open_pair, training_dtype
from core.train.rates import alpha, expert_rank, learning_rate, scale
from tests.conftest import quick
from tests.train import child

SMALL = {"vocab_size": 8192, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "head_dim": 16}
CONFIGS = {
    "tied": LlamaConfig(**SMALL, tie_word_embeddings=True),
    "untied": LlamaConfig(**SMALL, tie_word_embeddings=False),
    "gpt2": GPT2Config(
        vocab_size=8192, n_embd=64, n_layer=2, n_head=4, bos_token_id=2, eos_token_id=3, pad_token_id=0
    ),
    "gpt_oss": GptOssConfig(**SMALL, **EXPERTS, num_local_experts=4),
    "mixtral": MixtralConfig(**SMALL, **EXPERTS, num_local_experts=4),
    # Experts in one block and a dense layer in the other, whose names PEFT takes for those of experts.
    "qwen3_moe": Qwen3MoeConfig(
        **SMALL, **EXPERTS, num_experts=4, moe_intermediate_size=32, mlp_only_layers=[1]
    ),
    "qwen2_moe": Qwen2MoeConfig(
        **SMALL,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=48,
    ),
}
OF_EXPERTS = ("gpt_oss", "mixtral", "qwen3_moe", "qwen2_moe")
BESIDE = ("lora", "rslora", "dora", "pissa")
without_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="requirements-extras.txt is not installed"
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a small model with random weights."""
    made: dict[str, Path] = {}

    def base(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(CONFIGS[name]).save_pretrained(made[name])
            shutil.copyfile(FABLE / "tokenizer.model", made[name] / "tokenizer.model")
        return made[name]

    return base


def spec_of(base: Path, kind: str, **method) -> RunSpec:
    method = {"kind": kind, "rank": 4} | method
    return presets.resolve("tiny", overrides={"model": {"base": str(base)}, "method": method})


def ids_of(text: Text) -> torch.Tensor:
    return torch.tensor([[5, 6, 7, *text.added_ids, 9, 10, 11]])


@torch.no_grad()
def logits(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    return model.eval()(ids).logits


def step(model: PreTrainedModel, ids: torch.Tensor, steps: int = 4) -> None:
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=model.dtype != torch.float32):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def check(spec: RunSpec, folder: Path, bfloat16: bool = False) -> PeftModel:
    """Train a few steps, save and open again; what holds of every method with added matrices."""
    text = load_text(spec)
    ids = ids_of(text)
    base = load_for_training(spec, text, bfloat16)
    model = adapt(spec, load_for_training(spec, text, bfloat16), text)
    assert torch.allclose(logits(model, ids).float(), logits(base, ids).float(), atol=1e-6)
    before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    assert {value.dtype for value in before.values()} == {torch.float32}
    step(model, ids)
    now = dict(model.named_parameters())
    assert [name for name, value in before.items() if torch.equal(value, now[name])] == []
    tuned = logits(model, ids)
    assert not torch.allclose(tuned, logits(base, ids), atol=0.05)

    model.save_pretrained(folder, save_embedding_layers=False)
    saved = load_file(folder / "adapter_model.safetensors")
    rows = [value for name, value in saved.items() if "trainable_tokens" in name or "token_adapter" in name]
    tied = base.config.tie_word_embeddings
    assert len(rows) == (1 if tied else 2)
    for value in rows:
        assert len(value) == len(text.added) == 2
    assert not any(value.shape[0] >= 8192 for value in saved.values())  # no whole embedding

    again = PeftModel.from_pretrained(load_for_training(spec, text, bfloat16), folder)
    assert torch.equal(logits(again, ids), tuned)
    with again.disable_adapter():
        assert torch.equal(logits(again, ids), logits(base, ids))
    return again


@pytest.mark.parametrize("name", ["tied", "untied", "gpt2"])
@pytest.mark.parametrize("kind", BESIDE)
def test_a_method_trains_its_matrices_and_new_tokens_and_opens_again_as_it_was(bases, tmp_path, kind, name):
    spec = spec_of(bases(name), kind)
    again = check(spec, tmp_path)
    ids = ids_of(load_text(spec))
    tuned = logits(again, ids)
    torch.testing.assert_close(logits(again.merge_and_unload(), ids), tuned, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind, name", [*(("lora", name) for name in OF_EXPERTS), ("rslora", "gpt_oss")])
def test_experts_are_trained_and_merged(bases, tmp_path, kind, name):
    spec = spec_of(bases(name), kind)
    again = check(spec, tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    layers = load_base(spec, load_text(spec), torch.float32)
    for target in (*targets((), layers).linear, *targets((), layers).experts):
        owner = target.rpartition(".")[0] if ".experts." in target else target
        assert any(f".{owner}." in key and "lora_B" in key for key in saved), target
    ids = ids_of(load_text(spec))
    tuned = logits(again, ids)
    merged = again.merge_and_unload()
    torch.testing.assert_close(logits(merged, ids), tuned, atol=1e-5, rtol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    torch.testing.assert_close(logits(opened, ids), tuned, atol=1e-5, rtol=1e-4)


def test_experts_share_the_rank_among_those_that_a_token_passes(bases):
    text = load_text(spec := spec_of(bases("gpt_oss"), "lora", rank=8))
    model = adapt(spec, load_base(spec, text, torch.float32), text)
    experts = model.get_base_model().model.layers[0].mlp.experts
    assert (
        experts.lora_A["default"].weight.shape[0] == 4 * 4
    )  # experts x half of the rank: two of them are used
    assert [expert_rank(16, 4), expert_rank(16, 0), expert_rank(2, 8)] == [4, 16, 1]


@pytest.mark.parametrize(
    "method, words",
    [
        ({"kind": "lora", "dropout": 0.1}, "method.dropout is 0.1"),
        ({"kind": "dora"}, "method.kind dora cannot be used on experts"),
        ({"kind": "pissa"}, "method.kind pissa cannot be used on experts"),
        ({"kind": "dora", "target_modules": ["gate_up_proj"]}, "experts.gate_up_proj"),
    ],
)
def test_what_cannot_be_done_on_experts_is_refused_with_what_can(bases, method, words):
    text = load_text(spec := spec_of(bases("gpt_oss"), **method))
    with pytest.raises(TrainError, match="name other layers in method.target_modules") as refused:
        adapt(spec, load_base(spec, text, torch.float32), text)
    assert words in str(refused.value)


def test_on_the_other_layers_of_a_model_with_experts_it_can(bases, tmp_path):
    for kind in ("dora", "pissa"):
        check(
            spec_of(bases("gpt_oss"), kind, target_modules=["q_proj", "v_proj"], dropout=0.0), tmp_path / kind
        )


@pytest.mark.parametrize("name", ["all-linear", "All-Linear"])
def test_all_linear_is_every_layer_but_the_head(bases, name):
    model = load_base(spec := spec_of(bases("untied"), "lora"), load_text(spec), torch.float32)
    chosen = targets((name,), model)
    assert chosen == targets((), model) and len(chosen.linear) == 14
    assert not any("lm_head" in each for each in chosen.linear)
    assert len(targets((name, "lm_head"), model).linear) == 15


@pytest.mark.parametrize(
    "wrong, near", [("q_porj", "q_proj"), ("all_linear", "all-linear"), ("Q_PROJ", None)]
)
def test_a_wrong_target_gets_the_nearest_right_one(bases, wrong, near):
    model = load_base(spec := spec_of(bases("tied"), "lora"), load_text(spec), torch.float32)
    with pytest.raises(TrainError) as refused:
        targets((wrong,), model)
    assert repr(wrong) in str(refused.value) and "down_proj" in str(refused.value)
    assert near is None or f"Did you mean {near!r}?" in str(refused.value)


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_the_head_gets_no_matrices(bases, name):
    text = load_text(spec := spec_of(bases(name), "lora", target_modules=["q_proj", "lm_head"]))
    with pytest.raises(TrainError, match="lm_head is the head, which gets no added matrices: leave it out"):
        adapt(spec, load_base(spec, text, torch.float32), text)


def test_the_seed_alone_decides_how_the_matrices_begin(bases):
    def beginning(seed: int) -> dict[str, torch.Tensor]:
        spec = presets.resolve(
            "tiny",
            overrides={
                "model": {"base": str(bases("tied"))},
                "method": {"kind": "lora", "rank": 4},
                "train": {"seed": seed},
            },
        )
        text = load_text(spec)
        base = load_base(spec, text, torch.float32)
        state = torch.random.get_rng_state()
        model = adapt(spec, base, text)
        assert torch.equal(torch.random.get_rng_state(), state)
        return {name: value for name, value in model.named_parameters() if "lora_A" in name}

    first, same, other = beginning(1), beginning(1), beginning(2)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("name", ["untied", "gpt2"])
def test_pissa_begins_at_the_principal_part_of_each_weight_and_leaves_the_base_alone(
    bases, tmp_path, monkeypatch, name
):
    text = load_text(spec := spec_of(bases(name), "pissa"))
    for exact in (1024, 16):  # the second takes the randomized decomposition
        monkeypatch.setattr("core.train.methods.EXACT_SVD", exact)
        base = load_base(spec, text, torch.float32)
        weights = {key: value.clone() for key, value in base.state_dict().items()}
        model = adapt(spec, base, text)
        layer = next(each for each in model.modules() if hasattr(each, "lora_A") and "default" in each.lora_A)
        weight = layer.get_base_layer().weight
        weight = weight.T if layer.fan_in_fan_out else weight
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        left, sizes, right = torch.linalg.svd(weight)
        principal = left[:, :4] * sizes[:4] @ right[:4]
        assert layer.scaling["default"] == 1.0
        torch.testing.assert_close(up[:, :4] @ down[:4], principal, atol=1e-4, rtol=1e-3)
        moving, still = down[:4].clone(), (down[4:].clone(), up[:, 4:].clone())
        step(model, ids_of(text))
        assert torch.equal(down[4:], still[0]) and torch.equal(up[:, 4:], still[1])
        assert not torch.equal(down[:4], moving)
        for key, value in model.get_base_model().state_dict().items():
            if (own := key.replace(".base_layer", "")) in weights:
                assert torch.equal(value, weights[own]), key


def test_pissa_with_a_rank_beyond_a_weights_own_is_still_pissa(bases, tmp_path):
    check_spec = spec_of(bases("tied"), "pissa", rank=48)  # the smallest weights have 32 rows
    text = load_text(check_spec)
    model = adapt(check_spec, load_base(check_spec, text, torch.float32), text)
    ids = ids_of(text)
    base = load_base(check_spec, text, torch.float32)
    torch.testing.assert_close(logits(model, ids), logits(base, ids), atol=1e-5, rtol=1e-4)


def test_pissa_is_refused_where_its_still_half_would_move(bases):
    spec = presets.resolve(
        "tiny",
        overrides={
            "model": {"base": str(bases("tied"))},
            "method": {"kind": "pissa"},
            "compute": {"strategy": "fsdp"},
        },
    )
    text = load_text(spec)
    with pytest.raises(TrainError, match="choose ddp, or lora"):
        adapt(spec, load_base(spec, text, torch.float32), text)


# Scales and rates.


def test_the_scale_is_what_each_methods_paper_has():
    def method(kind: str, rank: int, **more) -> MethodSettings:
        return MethodSettings(kind=kind, rank=rank, **more)

    assert [scale(method("lora", rank)) for rank in (8, 16, 64)] == [4.0, 2.0, 0.5]  # alpha 32 / rank
    assert scale(method("rslora", 16)) == 2.0 and scale(method("rslora", 64)) == 1.0
    assert scale(method("pissa", 128)) == 1.0
    assert alpha(method("dora", 8, alpha=7)) == 7.0 and scale(method("rslora", 64, alpha=16)) == 2.0


@pytest.mark.parametrize(
    "method, parameters, rate",
    [
        ({"kind": "full"}, None, 2e-5),
        ({"kind": "lora"}, None, 2e-4),
        ({"kind": "lora", "rank": 256}, None, 2e-4),
        ({"kind": "lora", "rank": 64, "alpha": 128}, None, 5e-5),
        ({"kind": "rslora", "rank": 256}, None, 2e-4),
        ({"kind": "dora"}, None, 1.5e-4),
        ({"kind": "pissa", "rank": 128}, None, 2e-5),
        ({"kind": "qlora"}, 13_000_000_000, 2e-4),
        ({"kind": "qlora"}, 33_000_000_000, 1e-4),
        ({"kind": "lora", "alpha": 1e-3}, None, 1.0),
    ],
)
def test_the_learning_rate_follows_method_and_scale_and_says_why(method, parameters, rate):
    found, why = learning_rate(MethodSettings(**method), parameters)
    assert math.isclose(found, rate) and f"The learning rate is {rate:g}" in why and why.endswith(".")


# Precision.


def test_a_large_frozen_base_comes_in_16_bits_and_never_in_32(bases, monkeypatch):
    spec = spec_of(bases("tied"), "lora")
    text = load_text(spec)
    asked = []
    own = AutoModelForCausalLM.from_pretrained

    def from_pretrained(*args, **settings):
        asked.append(settings["dtype"])
        return own(*args, **settings)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    monkeypatch.setattr(models, "LARGE", 100)
    model = adapt(spec, load_for_training(spec, text, True), text)
    assert asked == [torch.bfloat16]
    for name, value in model.named_parameters():
        assert value.dtype == (torch.float32 if value.requires_grad else torch.bfloat16), name
    assert base_parameters(spec) == own(bases("tied")).num_parameters()


def test_what_is_trained_in_full_or_is_small_stays_in_32_bits():
    def dtype(kind: str, parameters: int, bfloat16: bool = True) -> torch.dtype:
        return training_dtype(RunSpec.from_dict({"method": {"kind": kind}}), parameters, bfloat16)

    assert dtype("full", LARGE) == dtype("lora", LARGE - 1) == dtype("lora", LARGE, False) == torch.float32
    assert dtype("lora", LARGE) == dtype("qlora", 1) == torch.bfloat16


def test_what_is_trained_beside_16_bits_is_put_back_in_32(bases):
    text = load_text(spec := spec_of(bases("tied"), "lora"))
    model = adapt(spec, load_base(spec, text, torch.bfloat16), text).to(torch.bfloat16)
    keep_in_float32(model)
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}


# Four bits.


def test_qlora_without_bitsandbytes_is_refused_with_what_to_install(bases, monkeypatch):
    monkeypatch.setattr("core.train.installed.find_spec", lambda name: None)
    text = load_text(spec := spec_of(bases("tied"), "qlora"))
    with pytest.raises(SpecError) as refused:
        load_for_training(spec, text, True)
    assert str(refused.value) == (
        "method.kind qlora needs bitsandbytes, which is not installed: pip install bitsandbytes, or choose lora."
    )


def test_a_bitsandbytes_that_does_not_run_is_named_with_its_reason(bases, monkeypatch, tmp_path):
    broken = tmp_path / "bitsandbytes"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('no library for this processor')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in importlib.sys.modules if name.partition(".")[0] == "bitsandbytes"]:
        monkeypatch.delitem(importlib.sys.modules, name)
    with pytest.raises(
        TrainError, match=r"does not run on cpu here \(no library for this processor\): choose lora"
    ):
        models.require_bitsandbytes(torch.device("cpu"))


def test_qlora_on_experts_is_refused_since_they_would_stay_as_they_are(bases):
    text = load_text(spec := spec_of(bases("gpt_oss"), "qlora"))
    with pytest.raises(TrainError, match="most of this model are experts"):
        load_for_training(spec, text, True)


@pytest.mark.extras
@without_bitsandbytes
@pytest.mark.parametrize("name", ["tied", "untied"])
def test_qlora_trains_beside_four_bits_and_opens_again_as_it_was(bases, tmp_path, name):
    spec = spec_of(bases(name), "qlora")
    model = check(spec, tmp_path, bfloat16=True).get_base_model()
    layer = model.model.layers[0].self_attn.q_proj.get_base_layer()
    assert layer.weight.dtype == torch.uint8 and layer.weight.quant_state.nested
    assert layer.weight.quant_type == "nf4"
    assert model.get_input_embeddings().weight.dtype == torch.bfloat16  # no copy of it in float32


@pytest.mark.extras
@without_bitsandbytes
def test_gradients_still_pass_four_bits_after_the_model_has_answered(bases):
    text = load_text(spec := spec_of(bases("untied"), "qlora"))
    ids = ids_of(text)

    def gradient(answered: bool) -> torch.Tensor:
        model = adapt(spec, load_for_training(spec, text, True), text)
        with torch.autocast("cpu", torch.bfloat16):
            if answered:
                logits(model, ids)
            model.train()(input_ids=ids, labels=ids).loss.backward()
        return model.get_input_embeddings().token_adapter.trainable_tokens_delta["default"].grad

    assert torch.equal(gradient(answered=True), gradient(answered=False))


@pytest.mark.extras
@without_bitsandbytes
def test_a_qlora_model_answers_on_the_base_as_published_and_in_four_bits_only_where_that_does_not_fit(
    bases, store, monkeypatch
):
    run = store.create("a", spec_of(bases("tied"), "qlora"))
    text = load_text(run.spec)
    model = adapt(run.spec, load_for_training(run.spec, text, True), text)
    step(model, ids_of(text))
    model.save_pretrained(run.final, save_embedding_layers=False)
    trained = logits(model, ids_of(text))

    def weight(pair: models.Pair) -> torch.Tensor:
        with pair.side("tuned") as opened:
            return opened.get_base_model().model.layers[0].self_attn.q_proj.get_base_layer().weight

    assert weight(open_pair(run)).dtype == torch.float32
    monkeypatch.setattr(models, "free_memory", lambda device: 1000)
    assert weight(open_pair(run)).dtype == torch.uint8
    with open_pair(run, torch.bfloat16, quantized=True).side("tuned") as opened:
        assert torch.equal(logits(opened, ids_of(text)), trained)


# Whole runs.


def settings_of(kind: str, **train) -> RunSpec:
    return quick(
        {
            "method": {"kind": kind, "rank": 4},
            "train": {"max_steps": 4, "evaluate_every": 2, "learning_rate": 2e-3} | train,
            "evaluate": {"after_training": False},
        }
    )


@pytest.mark.parametrize(
    "kind", ["dora", "pissa", pytest.param("qlora", marks=[pytest.mark.extras, without_bitsandbytes])]
)
def test_a_whole_run_of_the_method_ends_with_a_model_that_answers_as_it_was_trained(store, kind):
    run = store.create(kind, settings_of(kind))
    progress = child.finished(run).progress()
    assert progress.held_out[-1].loss < progress.held_out[0].loss
    pair = open_pair(run)
    ids = ids_of(pair.text)
    fresh = load_base(run.spec, pair.text, torch.float32)
    with pair.side("base") as model:
        assert torch.equal(logits(model, ids), logits(fresh, ids))
        base = logits(model, ids)
    with pair.side("tuned") as model:
        assert not torch.allclose(logits(model, ids), base, atol=1e-2)
    child.finished(run, act="merge")  # into the base as it was published, never one in 4 bits
    assert "quantization_config" not in json.loads((run.folder / "merged" / "config.json").read_text())
    assert kind.lower() in (run.folder / "merged" / "README.md").read_text().lower()
