"""Tiny models with random weights in the shapes that are exported, and runs that seem to have been trained on them."""

import json
import shutil
from functools import cache
from pathlib import Path

import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from core.publish.gguf.vocabulary import PRES
from core.runs import Run, RunStore
from core.text.load import load_text
from core.train.job import save_final
from core.train.methods import adapt
from core.train.model import load_for_training
from tests.conftest import quick

TEXT = (
    """The White Rabbit put on his spectacles. "Where shall I begin, please your Majesty?" he asked. It's 12345 o'clock!
Où est passée la clé ? L'été dernier, elle était sous l'œuf « doré ». def f(x):\n    return {'a': x[::-1]}  # 0x1F
Žluťoučký kůň, naïve façade, Straße. Привет, Ελλάδα, 東京 한국어 🙂 user system assistant THE CAT'S GRIN We'll SEE, they'd say.
"""
    * 4
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
SHAPE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
SHAPES = {
    "llama": (LlamaConfig, {"tie_word_embeddings": False}),
    "llama-tied": (LlamaConfig, {"tie_word_embeddings": True, "rope_theta": 500000.0, "head_dim": 32}),
    "llama-biased": (LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "mistral": (MistralConfig, {"sliding_window": None, "head_dim": 32}),
    "qwen2": (Qwen2Config, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, {"head_dim": 32, "tie_word_embeddings": False}),
    "moe": (Qwen3MoeConfig, {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}),
}  # fmt: skip


@cache
def backend(kind: str) -> str:
    """A byte-level tokenizer that cuts texts as those called `kind` in llama.cpp do, as JSON."""
    pre = next(each for each in PRES if each.name == kind)
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre.whole_first))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt-2", "smollm"))
    steps = {
        "gpt-2": [],
        "smollm": [pre_tokenizers.Digits(individual_digits=True)],
    }.get(kind, [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in pre.patterns])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, level])
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer.to_str()


def byte_level(kind: str, chat: bool = True) -> PreTrainedTokenizerFast:
    """Without `chat` it has neither a template nor tokens for one."""
    tokenizer = Tokenizer.from_str(backend(kind))
    if not chat:
        tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    if kind == "llama-bpe":
        special, end, template = (
            ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            "<|eot_id|>",
            LLAMA3,
        )
    else:
        special, end, template = ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|endoftext|>", CHATML
    special = (*special, "<|pad|>")
    tokenizer.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in special])
    names = {"eos_token": end, "pad_token": "<|pad|>"}
    if kind == "llama-bpe":
        names["bos_token"] = special[0]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], tokenizer.token_to_id(special[0]))]
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = template
    return fast


def base(folder: Path, shape: str, tokenizer: PreTrainedTokenizerFast, spare: int = 5, **settings) -> Path:
    """A base model in a folder, in bfloat16; its embedding has a few rows more than there are tokens."""
    kind, own = SHAPES[shape]
    torch.manual_seed(1)
    config = kind(
        **SHAPE | own | settings, vocab_size=len(tokenizer) + spare, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, dtype="bfloat16",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        scale = 0.15 if weight.ndim > 1 else 0.1
        weight.data = (weight.data * 0 + torch.randn(weight.shape) * scale + ("norm" in name)).bfloat16()
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def trained_on(store: RunStore, pattern: Run, folder: Path, name: str = "tiny", **method) -> Run:
    """A run whose final/ is the base in `folder` with an adapter that training might have made."""
    spec = quick({"model": {"base": str(folder)}, "method": {"kind": "lora", "rank": 4} | method})
    run = store.create(name, spec)
    shutil.copy(pattern.manifest, run.manifest)
    shutil.copytree(pattern.reports, run.reports)
    (run.reports / "evaluation.json").unlink(missing_ok=True)
    text = load_text(spec)
    model = adapt(spec, load_for_training(spec, text, bfloat16=False), text)
    torch.manual_seed(2)
    for weight in (each for each in model.parameters() if each.requires_grad):
        weight.data += 0.05 * torch.randn(weight.shape, dtype=weight.dtype)
    save_final(run, spec, model, text)
    return run


def parity_of(run: Run) -> dict:
    return json.loads((run.reports / "parity.json").read_text())
