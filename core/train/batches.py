"""What a step consists of: which rows, this process's share of them, and how they are computed in parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Sampler

from core.text.encode import NOT_TRAINED
from core.train.attention import documents

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Split:
    """Limits of what is computed at once. They change how a step is computed, never what it is."""

    tokens_at_once: int  # padding counted; a longer row is one by itself
    micro_batch_size: int  # rows


class Steps(Sampler[list[int]]):
    """The rows of every step of an epoch: `batch_size` of them over all processes, fewer in the last step.

    Their order comes from seed and epoch alone, so that a process that goes on needs no generator's state, and is the
    same however many processes share it. A process may get no row of the last step.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int = 0,
        in_order: bool = False,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.in_order = in_order
        self.process = process
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.rows)
        if not self.in_order:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)
        for begin in range(0, self.rows, self.batch_size):
            yield order[begin : begin + self.batch_size][self.process :: self.processes].tolist()


class StepLoader(DataLoader):
    """Steps of a data set as flat tensors. Own generator: what torch draws for workers leaves dropout's alone."""

    def __init__(self, dataset: Any, steps: Steps, **settings: Any) -> None:
        generator = torch.Generator().manual_seed(steps.seed)
        super().__init__(dataset, batch_sampler=steps, collate_fn=laid_flat, generator=generator, **settings)

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)


def laid_flat(rows: Sequence[dict[str, Any]]) -> Batch:
    """Rows end to end: `input_ids` and `targets` (tokens,), `lengths` (rows,).

    The target of a token is the next one of its row, where that is learnt; NOT_TRAINED elsewhere.
    """
    ids = [np.asarray(row["input_ids"], np.int64) for row in rows]
    targets = [np.append(np.asarray(row["labels"], np.int64)[1:], NOT_TRAINED) for row in rows]
    return {
        "input_ids": torch.from_numpy(np.concatenate([np.empty(0, np.int64), *ids])),
        "targets": torch.from_numpy(np.concatenate([np.empty(0, np.int64), *targets])),
        "lengths": torch.tensor([len(row) for row in ids], dtype=torch.int64),
    }


@dataclass(frozen=True)
class Part:
    """A micro-batch: what the model is fed, and the target of each of its places, (rows, tokens)."""

    fed: dict[str, Any]
    targets: torch.Tensor
    tokens: int  # padding not counted


def parts(
    batch: Batch, groups: list[list[int]], packing: bool, device: torch.device, count: int = 0
) -> Iterator[Part]:
    """The rows of a step in groups as `divided` made them, on the device; `count` micro-batches at least.

    The missing ones are of one token that nobody learns: processes that share a model's layers must call them
    equally often.
    """
    make = _end_to_end if packing else _padded
    lengths = batch["lengths"].tolist()
    ids, targets = (batch[name].split(lengths) if lengths else () for name in ("input_ids", "targets"))
    for rows in groups:
        yield make([ids[row] for row in rows], [targets[row] for row in rows], device)
    for _ in range(count - len(groups)):
        yield make([torch.zeros(1, dtype=torch.int64)], [torch.tensor([NOT_TRAINED])], device)


def divided(lengths: Sequence[int], split: Split, packing: bool) -> list[list[int]]:
    """Row numbers of each micro-batch, within the limits, and about equally much work in each.

    Laid end to end, a row goes to the micro-batch that has fewest tokens, longest first; were they filled one after
    the other, the last would be a small one. Padded ones are of neighbours in length.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])  # equal ones keep their order
    if not order:
        return []
    if not packing:
        return _neighbours(lengths, order, split)
    least = max(-(-sum(lengths) // split.tokens_at_once), -(-len(lengths) // split.micro_batch_size))
    for count in range(min(least, len(lengths)), len(lengths) + 1):
        groups = _evenly(lengths, order, count, split)
        if groups:
            return groups
    return [[row] for row in order]


def _evenly(lengths: Sequence[int], order: list[int], count: int, split: Split) -> list[list[int]] | None:
    """The rows in `count` groups, longest row first into the group with fewest tokens; None if one gets too much."""
    groups, tokens = [[] for _ in range(count)], [0] * count
    for row in order:
        open_ = [number for number in range(count) if len(groups[number]) < split.micro_batch_size]
        if not open_:
            return None
        lightest = min(open_, key=tokens.__getitem__)
        if groups[lightest] and tokens[lightest] + lengths[row] > split.tokens_at_once:
            return None
        groups[lightest].append(row)
        tokens[lightest] += lengths[row]
    return groups


def _neighbours(lengths: Sequence[int], order: list[int], split: Split) -> list[list[int]]:
    groups = [[order[0]]]
    for row in order[1:]:
        last = groups[-1]
        room = (len(last) + 1) * lengths[last[0]] <= split.tokens_at_once
        if room and len(last) < split.micro_batch_size:
            last.append(row)
        else:
            groups.append([row])
    return groups


def _end_to_end(ids: list[torch.Tensor], targets: list[torch.Tensor], device: torch.device) -> Part:
    lengths = [len(row) for row in ids]
    fed = {"input_ids": _there(torch.cat(ids)[None], device), **documents(lengths, device)}
    return Part(fed, _there(torch.cat(targets)[None], device), sum(lengths))


def _padded(ids: list[torch.Tensor], targets: list[torch.Tensor], device: torch.device) -> Part:
    lengths = torch.tensor([len(row) for row in ids])
    real = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).long()
    filled = pad_sequence(targets, batch_first=True, padding_value=NOT_TRAINED)
    fed = {
        "input_ids": _there(pad_sequence(ids, batch_first=True), device),
        "attention_mask": _there(real, device),
    }
    return Part(fed, _there(filled, device), int(lengths.sum()))


def _there(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    return values.to(device, non_blocking=True)
