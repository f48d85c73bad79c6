"""Models of many families with next to no weights, and rows to train them on."""

import copy

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    Qwen3NextConfig,
    set_seed,
)

VOCABULARY = 384
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
CONFIGS = {
    "llama": LlamaConfig(**SMALL, tie_word_embeddings=True),
    "llama, head untied": LlamaConfig(**SMALL),
    "mistral with a window": MistralConfig(**SMALL, sliding_window=5),
    "qwen2": Qwen2Config(**SMALL),
    "qwen3": Qwen3Config(**SMALL, head_dim=8),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, bos_token_id=2, eos_token_id=3, pad_token_id=0
    ),
    "cohere, logits scaled": CohereConfig(**SMALL),
    "phi, head with a bias": PhiConfig(**SMALL),
    "experts": Qwen3MoeConfig(
        **SMALL, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16
    ),
}
REFUSED = {
    "caps": Gemma2Config(**SMALL, head_dim=8),
    "sinks": GptOssConfig(**SMALL, head_dim=8, num_local_experts=4),
    "standard": Qwen3NextConfig(**SMALL, head_dim=8),
}
LENGTHS = (9, 23, 4, 17, 12)


def made(config) -> PreTrainedModel:
    set_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval()
    with torch.no_grad():  # heads begin near zero, where everything looks alike
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


def rows_of(lengths=LENGTHS) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    rows = []
    for length in lengths:
        ids = random.integers(4, VOCABULARY, length)
        rows.append({"input_ids": ids, "labels": np.where(np.arange(length) < length // 3, -100, ids)})
    return rows
