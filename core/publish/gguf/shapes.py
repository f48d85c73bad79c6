"""A model's shape and its tensors in llama.cpp's terms, by the name maps of the `gguf` package.

Llama, Mistral, Qwen2 and Qwen3, dense ones. Whatever of a config would make llama.cpp compute something else is
refused, or told, never left out in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np
from transformers import PreTrainedConfig

from core.errors import PublishError

OTHERWISE = "export it with a llama.cpp checkout instead (--llama-cpp DIR)"
ARCHITECTURES = {
    "LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "MistralForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": gguf.MODEL_ARCH.QWEN3,
}
ROPE_FREQUENCIES = "rope_freqs.weight"


@dataclass(frozen=True)
class Shape:
    """What a GGUF file says of a model, and how its tensors are named and laid out there."""

    architecture: gguf.MODEL_ARCH
    config: PreTrainedConfig
    notes: tuple[str, ...]  # where llama.cpp differs, in words

    @property
    def name(self) -> str:
        return gguf.MODEL_ARCH_NAMES[self.architecture]

    @property
    def head(self) -> int:
        """Numbers of one attention head."""
        config = self.config
        return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    @property
    def tied(self) -> bool:
        return bool(self.config.tie_word_embeddings)

    def tensor_name(self, name: str) -> str:
        """In the file. PublishError for a tensor that llama.cpp has no place for."""
        names = gguf.get_tensor_name_map(self.architecture, self.config.num_hidden_layers)
        if found := names.get_name(name, try_suffixes=(".weight", ".bias")):
            return found
        raise PublishError(f"llama.cpp has no place for the tensor {name} of {self.name}: {OTHERWISE}.")

    def laid_out(self, name: str, weight: np.ndarray) -> np.ndarray:
        """The weight as llama.cpp computes with it. In its llama, the two halves of a head that rotary embedding turns
        against each other stand side by side, number by number."""
        end = name.rsplit(".", 2)[-2]
        if self.architecture != gguf.MODEL_ARCH.LLAMA or end not in ("q_proj", "k_proj"):
            return weight
        heads = self.config.num_attention_heads if end == "q_proj" else self.config.num_key_value_heads
        halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        return halves.swapaxes(1, 2).reshape(weight.shape)

    def metadata(self) -> dict[str, Any]:
        """Keys of the file, without `llama.` or the like before them, and their values."""
        config = self.config
        values: dict[str, Any] = {
            "context_length": config.max_position_embeddings,
            "embedding_length": config.hidden_size,
            "block_count": config.num_hidden_layers,
            "feed_forward_length": config.intermediate_size,
            "attention.head_count": config.num_attention_heads,
            "attention.head_count_kv": config.num_key_value_heads,
            "attention.key_length": self.head,
            "attention.value_length": self.head,
            "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
            "rope.dimension_count": self.head,
            "rope.freq_base": float(_rope(config)["rope_theta"]),
            "vocab_size": config.vocab_size,
        }
        rope = _rope(config)
        if rope["rope_type"] in ("linear", "yarn"):
            values |= {"rope.scaling.type": rope["rope_type"], "rope.scaling.factor": float(rope["factor"])}
        if rope["rope_type"] == "yarn":
            values["rope.scaling.original_context_length"] = int(
                rope.get("original_max_position_embeddings") or config.max_position_embeddings
            )
        return values

    def extra_tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """What the file holds beside the model's own weights: Llama 3's stretched rotary frequencies."""
        if _rope(self.config)["rope_type"] == "llama3":
            import torch
            from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

            stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](self.config, torch.device("cpu"))
            places = np.arange(0, self.head, 2, dtype=np.float32) / self.head
            plain = float(_rope(self.config)["rope_theta"]) ** -places
            yield ROPE_FREQUENCIES, (plain / stretched.numpy()).astype(np.float32)


def shape_of(config: PreTrainedConfig) -> Shape:
    """PublishError, in one sentence, for a model that is not written here."""
    named = (config.architectures or ["?"])[0]
    if named not in ARCHITECTURES:
        raise PublishError(
            f"GGUF files are written here for Llama, Mistral, Qwen2 and Qwen3, not for {named}: {OTHERWISE}."
        )
    kind = _rope(config)["rope_type"]
    if kind not in ("default", "linear", "yarn", "llama3"):
        raise PublishError(f"llama.cpp is not told here of positions of the kind {kind}: {OTHERWISE}.")
    if odd := _oddity(config, _rope(config)):
        raise PublishError(f"The model has {odd}, which is not written here: {OTHERWISE}.")
    notes = []
    window = getattr(config, "sliding_window", None)
    if window and window < config.max_position_embeddings and getattr(config, "use_sliding_window", True):
        notes.append(
            f"The model looks back {window:,} tokens, and llama.cpp's looks back all the way: beyond them answers differ."
        )
    return Shape(ARCHITECTURES[named], config, tuple(notes))


def _oddity(config: PreTrainedConfig, rope: dict[str, Any]) -> str | None:
    """What llama.cpp's graph of this architecture does not compute."""
    if config.hidden_act != "silu":
        return f"the activation {config.hidden_act}"
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        return "rotary embedding of a part of each head"
    if unusual := sorted(
        {"attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow"}
        & {name for name, value in rope.items() if value is not None}
    ):
        return f"the setting {unusual[0]} of its positions"
    if config.model_type in ("qwen2", "qwen3") and getattr(config, "use_sliding_window", False):
        return "sliding windows"
    if config.model_type == "qwen3" and getattr(config, "attention_bias", False):
        return "biases in attention"
    return None


def _rope(config: PreTrainedConfig) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0} | dict(config.rope_parameters or {})
