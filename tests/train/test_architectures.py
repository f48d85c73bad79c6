"""Models of other shapes than the embedded one: small ones with random weights, made from their configurations."""

import math
import shutil

import pytest
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GenerationConfig,
    GPT2Config,
    GptOssConfig,
    LlamaConfig,
    Phi3Config,
    Qwen3MoeConfig,
)

from core.presets import FABLE
from core.train.model import beyond_context
from tests.conftest import LORA, quick
from tests.train import child

SMALL = {"vocab_size": 8192, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8,
         "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
MODELS = {
    "untied head and a padded vocabulary": LlamaConfig(
        **SMALL | {"vocab_size": 8256}, tie_word_embeddings=False
    ),
    "gpt-2": GPT2Config(
        vocab_size=8192, n_embd=32, n_layer=2, n_head=4, bos_token_id=2, eos_token_id=3, pad_token_id=0
    ),
    "capped logits": Gemma2Config(**SMALL, final_logit_softcapping=10.0),
    "experts and attention sinks": GptOssConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2),
    "experts": Qwen3MoeConfig(
        **SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, output_router_logits=True
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_this_shape_is_trained_merged_and_scored(store, tmp_path, name):
    base = tmp_path / "base"
    AutoModelForCausalLM.from_config(MODELS[name]).save_pretrained(base)
    shutil.copyfile(FABLE / "tokenizer.model", base / "tokenizer.model")
    # As Llama 2 came: settings of a sampling that is switched off, which transformers refuses to save.
    config = GenerationConfig.from_pretrained(base).to_dict() | {
        "temperature": 0.9,
        "top_p": 0.6,
        "do_sample": False,
    }
    (base / "generation_config.json").write_text(
        GenerationConfig.from_dict(config).to_json_string(use_diff=False)
    )
    run = store.create(
        "a",
        quick(
            LORA,
            {
                "method": {"dropout": 0.0},  # which PEFT cannot do on experts
                "model": {"base": str(base)},
                "train": {"max_steps": 3, "evaluate_every": 3},
            },
        ),
    )
    progress = child.finished(run).progress()
    assert progress.held_out[-1].loss < progress.held_out[0].loss
    assert math.isclose(progress.held_out[0].loss, math.log(8192), rel_tol=0.1)  # random weights know nothing
    assert progress.steps[-1].tokens_per_second > 0
    child.finished(run, act="merge")


def test_a_target_module_that_is_not_there_is_named_with_those_that_are(store):
    run = store.create("a", quick(LORA, {"method": {"kind": "lora", "target_modules": ["q_proj", "nope"]}}))
    assert child.train(run) == 1 and run.progress().state == "failed"
    assert "'nope'" in run.progress().message and "q_proj" in run.progress().message


def test_positions_that_depend_on_what_lies_beside_a_row_are_warned_of_beyond_the_context():
    stretched = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
    }
    phi = Phi3Config(
        hidden_size=32, num_attention_heads=4, original_max_position_embeddings=16, rope_parameters=stretched
    )
    assert "train.max_length to 16 or less" in beyond_context(phi, 17)
    assert beyond_context(phi, 16) is None
    assert beyond_context(LlamaConfig(max_position_embeddings=16), 17) is None
