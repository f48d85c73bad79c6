"""Rows put together by length, so that little of a batch is padding, and what all of them begin with read once."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os.path import commonprefix

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from core.train.model import free_memory

Progress = Callable[[int, int], None]  # called with the rows done and the rows there are
WORTH_SHARING = 48  # tokens; fewer are read again with each row as fast as they are laid beside it
SHARE_OF_MEMORY = 0.3  # of what is free, for keys and values: as much again is held while they grow
MOST_TOKENS = 2**18


def by_length(lengths: Sequence[int], most_rows: int, most_tokens: int) -> Iterator[list[int]]:
    """Row numbers, batch by batch, the longest rows first: if memory is short, that shows at once.

    A batch, padding counted, has `most_tokens` at most, except for a single row that is longer by itself.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) == most_rows or (len(batch) + 1) * lengths[batch[0]] > most_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def tokens_that_fit(model: PreTrainedModel) -> int:
    """Tokens, over all rows of a batch, whose keys and values the free memory can hold."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    each = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    # A step reads a prompt's tokens through the widest layer of one block, too.
    each += 8 * config.hidden_size * model.dtype.itemsize
    return min(MOST_TOKENS, int(SHARE_OF_MEMORY * free_memory(model.device) / each))


def shared_beginning(rows: Sequence[Sequence[int]]) -> Sequence[int]:
    """What all rows begin with, such as the solved examples before each question; nothing if reading it once for all
    is not worth it. At least one token of each row is left."""
    if len(rows) < 2:
        return ()
    shared = commonprefix([list(row) for row in rows])[: min(map(len, rows)) - 1]
    return shared if len(shared) >= WORTH_SHARING else ()


@contextmanager
def beginning(model: PreTrainedModel, ids: Sequence[int]) -> Iterator[DynamicCache]:
    """What the model keeps of these tokens, as one row; empty if there are none."""
    cache = DynamicCache()
    if ids:
        model(
            input_ids=torch.tensor([list(ids)], device=model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    yield cache


def for_rows(begun: DynamicCache, rows: int) -> DynamicCache:
    """A cache of as many rows, each beginning with what is in `begun`, which stays as it is."""
    cache = DynamicCache()
    for number, layer in enumerate(begun.layers):
        if layer.is_initialized:
            cache.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), number)
    return cache


def takes_plain_steps(model: PreTrainedModel) -> bool:
    """Whether each step needs no more than ids, mask and positions, and a cache whose rows can be taken out.

    Others (a state in place of keys, a sliding window, positions of a kind of their own) are left to transformers.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    takes = inspect.signature(inner.forward).parameters
    layers = DynamicCache(config=model.config.get_text_config()).layers
    return (
        {"position_ids", "past_key_values", "logits_to_keep"} <= takes.keys()
        and not inner._is_stateful
        and inner._supports_default_dynamic_cache()
        and all(type(layer) is DynamicLayer for layer in layers)
    )
