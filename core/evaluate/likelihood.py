"""How likely a model finds what rows say, row by row; the logits of a batch are never held whole."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import DynamicCache, PreTrainedModel

from core.evaluate.batches import (
    Progress,
    beginning,
    by_length,
    for_rows,
    shared_beginning,
    takes_plain_steps,
)
from core.text.encode import NOT_TRAINED, Encoded, as_labels

BATCH_TOKENS = 2048  # padding counted
LOGITS_AT_ONCE = 256  # positions whose probabilities are held beside the logits


@dataclass(frozen=True)
class Likelihood:
    """Of one row, over its trained tokens."""

    nll: float  # sum of the negative log-likelihoods, in nats
    first: int  # tokens that the model ranked first
    tokens: int


@torch.inference_mode()
def likelihoods(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Likelihood] | None:
    """One for each row, in order; None if it was stopped. The model may be wrapped by PEFT."""
    found: dict[int, Likelihood] = {}
    # The first trained token is predicted from the one before it, which therefore stays with the row.
    untrained = [row.ids[: row.trained.index(True) if True in row.trained else None] for row in rows]
    shared = shared_beginning(untrained) if takes_plain_steps(model) else ()
    lengths = [len(row.ids) - len(shared) for row in rows]
    with beginning(model, shared) as begun:
        for batch in by_length(lengths, most_rows=64, most_tokens=BATCH_TOKENS):
            if should_stop():
                return None
            found |= zip(batch, _score(model, begun, [rows[row] for row in batch]), strict=True)
            progress(len(found), len(rows))
    return [found[row] for row in range(len(rows))]


def _score(model: PreTrainedModel, begun: DynamicCache, rows: Sequence[Encoded]) -> list[Likelihood]:
    """`begun` is what the model keeps of the tokens that all rows begin with, and that are not read again."""
    read = begun.get_seq_length()
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([[*row.ids, *[0] * (longest - len(row.ids))] for row in rows])[:, read:]
    there = torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows])
    labels = torch.tensor([[*as_labels(row), *[NOT_TRAINED] * (longest - len(row.ids))] for row in rows])[
        :, read:
    ]
    # (rows, tokens): position t predicts token t + 1
    labels = F.pad(labels[:, 1:], (0, 1), value=NOT_TRAINED)
    trained = labels != NOT_TRAINED
    targets = labels[trained].to(model.device)
    with _head_sees_only(model, trained.to(model.device)):
        output = model(
            input_ids=ids.to(model.device),
            attention_mask=there.to(model.device),
            use_cache=False,
            **{"past_key_values": for_rows(begun, len(rows))} if read else {},
        )
    logits = output.logits.squeeze(0)  # (trained tokens of the batch, vocabulary)
    parts = zip(logits.split(LOGITS_AT_ONCE), targets.split(LOGITS_AT_ONCE), strict=True)
    losses = [F.cross_entropy(part.float(), target, reduction="none") for part, target in parts]
    nll = torch.cat(losses).double().cpu()
    first = (logits.argmax(-1) == targets).cpu()
    counts = trained.sum(1).tolist()
    return [
        Likelihood(float(n.sum()), int(f.sum()), count)
        for n, f, count in zip(nll.split(counts), first.split(counts), counts, strict=True)
    ]


@contextmanager
def _head_sees_only(model: PreTrainedModel, positions: torch.Tensor) -> Iterator[None]:
    """The head gets hidden states of `positions` (rows, tokens) alone, as one row: (1, positions, hidden).

    With a vocabulary of 150,000, logits of every position of a batch would be 1.2 GB. The model's own forward goes on
    from there, so what it does to logits after the head (scaling, capping) is done here too.
    """

    def select(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, *others = arguments  # (rows, tokens, hidden)
        return hidden[positions][None], *others

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
