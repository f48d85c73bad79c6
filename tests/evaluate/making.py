"""Small models of several architectures with random weights, made in a moment."""

import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from core.presets import FABLE
from core.runs.store import Run, RunStore
from core.spec import RunSpec, merge
from core.text.load import load_text
from core.train.methods import METHODS
from core.train.model import load_base

VOCABULARY = 97
SHAPES = {
    "llama": dict(model_type="llama", intermediate_size=96, num_key_value_heads=2),
    "llama tied": dict(
        model_type="llama", intermediate_size=96, num_key_value_heads=2, tie_word_embeddings=True
    ),
    "qwen": dict(model_type="qwen2", intermediate_size=96, num_key_value_heads=2, tie_word_embeddings=True),
    "gpt2": dict(model_type="gpt2"),
    # Caps its logits after the head.
    "gemma": dict(
        model_type="gemma2",
        intermediate_size=96,
        num_key_value_heads=2,
        head_dim=16,
        final_logit_softcapping=1.0,
    ),
}


def model_of(shape: str, context: int = 128) -> PreTrainedModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        **dict(
            hidden_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=VOCABULARY, pad_token_id=0
        )
        | SHAPES[shape],
        max_position_embeddings=context,
        initializer_range=0.3,  # logits far enough apart that rounding changes no answer
        bos_token_id=1,
        eos_token_id=2,
    )
    return AutoModelForCausalLM.from_config(config).eval()


def with_adapter(model: PreTrainedModel, head: bool = False) -> PeftModel:
    """Random matrices beside every linear layer, and rows for two tokens, as training makes them for chat tokens."""
    torch.manual_seed(1)
    tied = model.config.tie_word_embeddings
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        init_lora_weights=False,
        target_modules=["q_proj", "v_proj", "lm_head"] if head else "all-linear",
        trainable_token_indices=None
        if head
        else {name: [5, 6] for name in ["embed_tokens"] + ["lm_head"] * (not tied)},
    )
    return get_peft_model(model, settings).eval()


def tuned_run(root: Path, *layers: dict) -> Run:
    """A run of a small Llama with a random adapter that training would have made, and fable's tokenizer."""
    torch.manual_seed(0)
    base = root / "base"
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(base)
    shutil.copy(FABLE / "tokenizer.model", base)
    values = {
        "model": {"base": str(base)},
        "data": {"files": ["sample:fables-en"]},
        "method": {"kind": "lora", "rank": 4},
        "compute": {"threads": 1},
    }
    for layer in layers:
        values = merge(values, layer)
    run = RunStore(root / "runs").create("tiny", RunSpec.from_dict(values))
    text = load_text(run.spec)
    model = load_base(run.spec, text, torch.float32)
    tuned = get_peft_model(model, METHODS["lora"](run.spec, model, text))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    tuned.save_pretrained(run.final, save_embedding_layers=False)
    return run
