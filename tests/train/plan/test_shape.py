"""What a config says of a model is what transformers and PEFT make of it."""

from types import SimpleNamespace

import pytest
import transformers

from core.models import known
from core.spec import RunSpec
from core.train.methods import adapt
from core.train.plan import memory_by_method, shape_of

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 3,
    "vocab_size": 211,
    "head_dim": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
EXPERTS = {"num_experts_per_tok": 2, "num_local_experts": 4}
KINDS = {
    "Llama": SMALL,
    "Llama with biases": SMALL | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "Mistral": SMALL,
    "Qwen2": SMALL,
    "Qwen3": SMALL | {"head_dim": 32},
    "Gemma": SMALL,
    "Gemma2": SMALL,
    "Gemma3Text": SMALL,
    "Olmo2": SMALL,
    "Phi3": SMALL,
    "SmolLM3": SMALL,
    "Granite": SMALL,
    "GPT2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 211, "n_positions": 50, "bos_token_id": 1,
             "eos_token_id": 2},
    "Qwen3Moe": SMALL | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
                         "mlp_only_layers": [], "decoder_sparse_step": 1},
    "Mixtral": SMALL | EXPERTS,
    "GptOss": SMALL | EXPERTS,
}  # fmt: skip


def model_of(name):
    kind = name.split()[0]
    config = getattr(transformers, f"{kind}Config")(**KINDS[name])
    end = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    return getattr(transformers, kind.removesuffix("Text") + end)(config)


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_is_counted(name):
    model = model_of(name)
    shape = shape_of(model.config.to_dict())
    assert shape.exact and shape.parameters == model.num_parameters()
    assert shape.trainable("full") == shape.parameters


DENSE = ["Llama with biases", "GPT2", "Phi3"]


@pytest.mark.parametrize(
    "name, kind",
    [(name, kind) for name in DENSE for kind in ("lora", "dora", "rslora", "pissa")]
    + [(name, kind) for name in ("Qwen3Moe", "Mixtral", "GptOss") for kind in ("lora", "rslora")],
)
def test_every_trained_parameter_of_a_method_is_counted(name, kind):
    model = model_of(name)
    shape = shape_of(model.config.to_dict())
    added = SimpleNamespace(added=("<a>", "<b>"), added_ids=[3, 4])
    adapted = adapt(RunSpec.from_dict({"method": {"kind": kind, "rank": 4}}), model, added)
    trained = sum(each.numel() for each in adapted.parameters() if each.requires_grad)
    assert shape.trainable(kind, 4, (), 2) == trained


def test_layers_chosen_by_name_are_counted_alone():
    model = model_of("Llama")
    shape = shape_of(model.config.to_dict())
    spec = RunSpec.from_dict({"method": {"rank": 8, "target_modules": ["q_proj", "self_attn.v_proj"]}})
    adapted = adapt(spec, model, SimpleNamespace(added=(), added_ids=[]))
    trained = sum(each.numel() for each in adapted.parameters() if each.requires_grad)
    assert shape.trainable("lora", 8, spec.method.target_modules) == trained


@pytest.mark.parametrize("name", [name for name in known() if not name.endswith("-base")])
def test_the_listed_models_have_the_parameters_that_are_listed(name):
    model = known()[name]
    shape = shape_of(model.shape)
    assert shape.exact and shape.parameters == model.parameters
    needed = memory_by_method(shape)
    assert list(needed.values()) == sorted(needed.values(), reverse=True)


def test_a_config_that_says_too_little_is_no_shape():
    assert shape_of({"model_type": "mamba", "hidden_size": 64}) is None


def test_a_kind_that_is_not_known_is_counted_as_a_llama_and_says_so():
    shape = shape_of(SMALL | {"model_type": "of_next_year"})
    assert not shape.exact and shape.parameters == shape_of(SMALL | {"model_type": "llama"}).parameters


def test_the_text_part_of_a_config_is_what_counts():
    shape = shape_of(
        {"model_type": "gemma3", "vision_config": {}, "text_config": SMALL | {"model_type": "gemma3_text"}}
    )
    assert shape.kind == "gemma3_text" and shape.layers == 3
