"""Attention per document: rows lie end to end without padding, and each sees itself alone.

A block mask over the whole row would cost the square of its length: 2.3 times TRL's speed instead of 3.9.
"""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from core.train.limits import KERNELS, SHORT

PER_DOCUMENT = "per_document"  # the name under which transformers knows it
TOLERANCE = 1e-4  # of the self-check, in float32, relative to the largest logit
RECURRENT = ("mamba", "rwkv", "recurrent", "ssm", "conv_l_cache", "linear_attn", "gated_delta", "xlstm")


def documents(lengths: list[int], device: torch.device) -> dict[str, Any]:
    """What a model is fed so that rows of these lengths, laid end to end, are documents of their own.

    transformers hands the keywords on to the attention of every layer.
    """
    starts = torch.zeros(len(lengths) + 1, dtype=torch.int32)
    starts[1:] = torch.tensor(lengths, dtype=torch.int32).cumsum(0)
    positions = torch.cat([torch.arange(length) for length in lengths])
    if device.type != "cpu":
        starts = starts.to(device, non_blocking=True)
    longest = max(lengths)
    return {
        "position_ids": positions[None].to(device, non_blocking=True),  # (1, tokens)
        "cu_seq_lens_q": starts,
        "cu_seq_lens_k": starts,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def per_document(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Query (1, heads, tokens, head size) -> (1, tokens, heads, head size). Without documents: transformers' own."""
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise ValueError(f"Attention per document knows no {name}: such a model must be padded.")
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
    if max_length_q is not None and sliding_window is not None and sliding_window >= max_length_q:
        sliding_window = None
    if query.is_cuda and not dropout and _varlen_takes(query, value):
        return _varlen(query, key, value, cu_seq_lens_q, max_length_q, scaling, sliding_window), None
    lengths = cu_seq_lens_q.diff().tolist()
    if not query.is_cuda and not dropout and sliding_window is None and max(lengths) <= SHORT:
        scaling = scaling if scaling is not None else query.shape[-1] ** -0.5
        return _Short.apply(query, key, value, lengths, scaling), None
    # `split` and not slices: each slice's gradient would be a whole row of zeros, a sixth of all time.
    rows = zip(*(each.split(lengths, 2) for each in (query, key, value)), strict=True)
    parts = [_causal(*row, scaling, dropout, sliding_window) for row in rows]
    # The kernel's (1, heads, tokens, size) has the heads innermost in memory, so that this is one copy.
    return torch.cat([part.transpose(1, 2) for part in parts], 1), None


class _Short(torch.autograd.Function):
    """Causal attention of short documents on a processor by whole products, (1, heads, tokens, size) to (1, tokens,
    heads, size).

    torch's kernel goes by blocks of 32 queries, so small that its backward reaches a tenth of a product's speed:
    forward and backward of 18 documents of 200 tokens took 73 ms with it and 60 ms so (9 heads of 64), 42 and 30 ms
    with 8 heads of 32. Scores are made and normalized in float32 and made again for the gradient, as there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        lengths: list[int],
        scaling: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.lengths, ctx.scaling = lengths, scaling
        _, heads, tokens, _ = query.shape
        queries, keys = _heads(query, heads, torch.float32).mul_(scaling), _heads(key, heads, torch.float32)
        values = _heads(value, heads, value.dtype)
        made = value.new_empty(1, tokens, heads, value.shape[-1])
        by_head = made[0].transpose(0, 1)
        # Autocast is on here and off in `backward`, which must find the same shares.
        with torch.autocast(query.device.type, enabled=False):
            for own in _spans(lengths):
                shares = _shares(queries[:, own], keys[:, own]).to(value.dtype)
                by_head[:, own] = torch.bmm(shares, values[:, own])
        return made

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        kind, (_, heads, tokens, size) = query.dtype, query.shape
        queries, keys = (
            _heads(query, heads, torch.float32).mul_(ctx.scaling),
            _heads(key, heads, torch.float32),
        )
        values = _heads(value, heads, torch.float32).transpose(1, 2)
        narrow_queries, narrow_keys = _heads(query, heads, kind), _heads(key, heads, kind)
        narrow = _heads(gradient.transpose(1, 2), heads, kind)
        wide = narrow.float()
        of_query = query.new_empty(1, tokens, heads, size)
        by_head = of_query[0].transpose(0, 1)
        of_key, of_value = key.new_empty(heads, tokens, size), value.new_empty(narrow.shape)
        for own in _spans(ctx.lengths):
            shares = _shares(queries[:, own], keys[:, own])
            of_shares = torch.bmm(wide[:, own], values[:, :, own])
            of_value[:, own] = torch.bmm(shares.to(kind).transpose(1, 2), narrow[:, own])
            of_scores = torch._softmax_backward_data(of_shares, shares, -1, torch.float32).to(kind)
            by_head[:, own] = torch.bmm(of_scores, narrow_keys[:, own])
            of_key[:, own] = torch.bmm(of_scores.transpose(1, 2), narrow_queries[:, own])
        groups = key.shape[1]
        return (
            of_query.mul_(ctx.scaling).transpose(1, 2),
            _summed(of_key, groups).mul_(ctx.scaling),
            _summed(of_value, groups),
            None,
            None,
        )


def _spans(lengths: list[int]) -> Iterator[slice]:
    begin = 0
    for length in lengths:
        yield slice(begin, begin + length)
        begin += length


def _heads(values: torch.Tensor, heads: int, dtype: torch.dtype) -> torch.Tensor:
    """(1, groups, tokens, size) -> a new (heads, tokens, size), each group's as often as it has heads."""
    _, groups, tokens, size = values.shape
    made = values.new_empty(groups, heads // groups, tokens, size, dtype=dtype)
    return made.copy_(values[0][:, None]).view(heads, tokens, size)


def _summed(values: torch.Tensor, groups: int) -> torch.Tensor:
    """(heads, tokens, size) -> (1, groups, tokens, size), laid out by tokens."""
    heads, tokens, size = values.shape
    by_token = values.view(groups, heads // groups, tokens, size).sum(1).transpose(0, 1).contiguous()
    return by_token.transpose(0, 1)[None]


def _shares(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Softmax of the causal scores, float32: (heads, tokens, tokens)."""
    tokens = queries.shape[1]
    later = _later(queries.device)[:tokens, :tokens].expand(len(queries), -1, -1)
    scores = torch.baddbmm(later, queries, keys.transpose(1, 2))
    return torch.softmax(scores, -1, out=scores)


@lru_cache
def _later(device: torch.device) -> torch.Tensor:
    """What is added to scores: minus infinity where a key comes after its query."""
    return torch.full((SHORT, SHORT), -torch.inf, device=device).triu_(1)


def _causal(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    dropout: float,
    sliding_window: int | None,
) -> torch.Tensor:
    """One document, (1, heads, tokens, head size) in and out."""
    mask, tokens = None, query.shape[2]
    if sliding_window is not None and sliding_window < tokens:
        distance = torch.arange(tokens, device=query.device)
        distance = distance[:, None] - distance[None, :]
        mask = (distance >= 0) & (distance < sliding_window)
    elif not query.is_cuda and not dropout:
        # A processor's kernel for bfloat16 is made anew for each length, 5 MB that are never given back. No token sees
        # those that are added behind it.
        extra = -tokens % KERNELS
        query, key, value = (F.pad(each, (0, 0, 0, extra)) for each in (query, key, value))
    made = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        scale=scaling,
        is_causal=mask is None,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return made[:, :, :tokens]


def _varlen_takes(query: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether torch's flash attention computes it: 16 bits, heads of one size up to 256, Ampere or newer."""
    size = query.shape[-1]
    return (
        query.dtype in (torch.bfloat16, torch.float16)
        and size == value.shape[-1]
        and size <= 256
        and size % 8 == 0
        and torch.cuda.get_device_capability(query.device)[0] >= 8
    )


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    longest: int,
    scaling: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # A token sees itself and `window - 1` before it; (-1, 0) is all before it.
    window = (-1, 0) if sliding_window is None else (sliding_window - 1, 0)
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))  # (tokens, heads, size)
    gqa = query.shape[1] != key.shape[1]
    made = varlen_attn(
        query,
        key,
        value,
        starts,
        starts,
        longest,
        longest,
        scale=scaling,
        window_size=window,
        enable_gqa=gqa,
    )
    return made[None]


def _mask(*args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor | None:
    """None for rows laid end to end, whose documents come by keyword; else as for ordinary attention."""
    if _laid_end_to_end:
        return None
    return sdpa_mask(*args, attention_mask=attention_mask, **kwargs)


_laid_end_to_end = False


@contextlib.contextmanager
def without_mask() -> Iterator[None]:
    """Inside, a model is called on documents laid end to end and builds no mask over all of them."""
    global _laid_end_to_end
    _laid_end_to_end = True
    try:
        yield
    finally:
        _laid_end_to_end = False


AttentionInterface.register(PER_DOCUMENT, per_document)
AttentionMaskInterface.register(PER_DOCUMENT, _mask)


def can_pack(config: PreTrainedConfig) -> str | None:
    """Why rows of such a model must be padded, to follow "because"; None if they may lie end to end."""
    text = config.get_text_config()
    if getattr(config, "is_encoder_decoder", False):
        return "the model reads a question with an encoder of its own"
    if getattr(text, "attn_logit_softcapping", None):
        return "it caps its attention scores"
    if text.model_type.startswith("gpt_oss"):
        return "its attention has sinks"
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if kinds or any(word in name for name in _settings(text) for word in RECURRENT):
        return "not all its layers are standard attention" + (
            f" ({', '.join(sorted(kinds))})" if kinds else ""
        )
    if getattr(text, "use_bidirectional_attention", False) or getattr(text, "alibi", False):
        return "its attention is not the standard one"
    if type(text) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return "transformers does not know it as a text model"
    model = MODEL_FOR_CAUSAL_LM_MAPPING[type(text)]
    if isinstance(model, tuple):
        model = model[0]
    if not (model._supports_sdpa and model._supports_attention_backend):
        return "its attention cannot be exchanged"
    return None


def _settings(config: PreTrainedConfig) -> set[str]:
    """Names of settings that say what layers are, and the family's name."""
    return {config.model_type, *(name.lower() for name, value in config.to_dict().items() if value)}


@torch.no_grad()
def attend_per_document(model: PreTrainedModel) -> bool:
    """Gives the model attention per document; false, and as it was, if documents would not see themselves alone.

    Two short ones laid end to end must have the logits that each has by itself with the attention the model came
    with. What a model does beside attention, such as positions counted from a mask, shows here too. `model` is not
    wrapped for several processes; PEFT's wrapper may be there.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    before, was_training = inner.config._attn_implementation, model.training
    if can_pack(inner.config):
        return False
    weight = inner.get_input_embeddings().weight
    lengths = [7, 12]
    ids = (torch.arange(sum(lengths), device=weight.device) * 7919 + 3) % weight.shape[0]
    model.eval()
    try:
        alone = [
            model(input_ids=part[None], use_cache=False).logits[0].float() for part in ids.split(lengths)
        ]
        inner.set_attn_implementation(PER_DOCUMENT)
        with without_mask():
            together = model(input_ids=ids[None], use_cache=False, **documents(lengths, weight.device)).logits
    finally:
        model.train(was_training)
    expected = torch.cat(alone)
    coarse = 1 if weight.dtype == torch.float32 else 300  # bfloat16's steps are 65,536 times as wide, but few
    near = coarse * TOLERANCE * expected.abs().max().clamp(min=1)
    if (together[0].float() - expected).abs().max() <= near:
        return True
    inner.set_attn_implementation(before)
    return False
