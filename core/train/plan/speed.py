"""How long a step takes: products at the measured speed of large ones, everything else at the speed of memory."""

from dataclasses import dataclass, replace

import numpy as np

from core.train.plan.facts import DeviceFacts
from core.train.plan.memory import FORMATS, OPTIMIZERS, Way, activations
from core.train.plan.shape import ModelShape

# Estimates, not fitted to measured trainings: the products of a training are smaller than those that are timed and reach
# a part of their speed, and what is kept for the way back is written and read several times over. The dry step corrects
# what follows from them.
SHARE_OF_SPEED = {"cpu": 0.6, "cuda": 0.6}
PASSES = {"cpu": 4.0, "cuda": 4.0}  # over the activations that are kept
PER_BLOCK = {"cpu": 1.5e-3, "cuda": 4e-4}  # seconds: of each block in each micro-batch, whatever it computes


@dataclass(frozen=True)
class Steps:
    """What the steps of a run consist of, on average, in one process."""

    micro_batches: float
    tokens: float  # padding counted
    trained: float
    squares: float  # sum of the squares of the rows' lengths
    largest: int  # tokens of the largest micro-batch there will be, padding counted
    sizes: int = 1  # different sizes of micro-batches
    lengths: int = 1  # different lengths of rows


def steps(
    lengths: np.ndarray,
    share_trained: float,
    batch: int,
    total: int,
    packing: bool,
    tokens_at_once: int,
    micro_batch_size: int,
    seed: int = 0,
    in_order: bool = False,
    processes: int = 1,
) -> Steps:
    """The steps that the run will really take, as far as they can be gone through quickly: same order, same split."""
    rows = len(lengths)
    of_epoch = -(-rows // batch)
    micro, tokens, squares, done, seen = 0, 0, 0, 0, 0
    sizes: set[int] = set()
    widths: set[int] = set()
    for epoch in range(-(-total // of_epoch)):
        order = np.arange(rows) if in_order else np.random.default_rng((seed, epoch)).permutation(rows)
        for begin in range(0, rows, batch):
            if done == total or seen > ENOUGH:
                break
            step = lengths[order[begin : begin + batch][::processes]]
            for part in (
                _packed(step, tokens_at_once, micro_batch_size)
                if packing
                else _padded(step, tokens_at_once, micro_batch_size)
            ):
                micro += 1
                tokens += part
                sizes.add(part)
            squares += float(np.square(step, dtype=np.float64).sum())
            widths.update(step.tolist())
            done += 1
            seen += len(step)
    real = lengths.sum() / max(1, rows) * min(batch, rows) / processes
    done = max(1, done)
    return Steps(
        micro / done,
        tokens / done,
        real * share_trained,
        squares / done,
        max(sizes, default=0),
        len(sizes),
        len(widths),
    )


ENOUGH = 200_000  # rows gone through


def _packed(step: np.ndarray, tokens_at_once: int, micro_batch_size: int) -> list[int]:
    """Tokens of each micro-batch; they are of about equal size."""
    total, longest = int(step.sum()), int(step.max(initial=0))
    count = max(-(-total // tokens_at_once), -(-len(step) // micro_batch_size), 1)
    even = -(-total // count)
    return [max(even, longest)] + [even] * (count - 1)


def _padded(step: np.ndarray, tokens_at_once: int, micro_batch_size: int) -> list[int]:
    """Tokens of each micro-batch, padding counted; they are of neighbours in length."""
    found: list[int] = []
    widest, rows = 0, 0
    for length in np.sort(step)[::-1].tolist():
        if rows and rows < micro_batch_size and (rows + 1) * widest <= tokens_at_once:
            rows += 1
            found[-1] = rows * widest
            continue
        widest, rows = length, 1
        found.append(length)
    return found


def flops(shape: ModelShape, way: Way, found: Steps) -> float:
    """Of one step in one process: products forwards, backwards, and forwards again where activations are not kept."""
    forward = 2.0 * shape.active_weights * found.tokens
    scores = 2.0 * shape.layers * shape.heads * shape.head_dim * found.squares
    head = 2.0 * shape.vocabulary * shape.hidden * found.trained
    added = 0.0
    if way.adapter:
        added = 6.0 * shape.trainable(way.method, way.rank, way.targets) * found.tokens
    # Frozen weights need no gradient of their own; attention's backward pass is two and a half times its forward pass.
    times = (2 if way.adapter else 3) + (1 if way.checkpointing else 0)
    return times * forward + (3.5 + way.checkpointing) * scores + (2 if way.adapter else 3) * head + added


def seconds_of_step(shape: ModelShape, way: Way, found: Steps, device: DeviceFacts) -> float:
    """One step in one process, its optimizer's part included."""
    trainable = shape.trainable(way.method, way.rank, way.targets)
    update = trainable * (20 + 2 * OPTIMIZERS[way.optimizer]) / device.bandwidth
    return _there_and_back(shape, way, found, device) + update


def seconds_of_largest(shape: ModelShape, way: Way, found: Steps, device: DeviceFacts) -> float:
    """Forwards and backwards of the largest micro-batch."""
    part = found.largest / max(1.0, found.tokens)
    alone = Steps(1, found.largest, found.trained * part, found.squares * part, found.largest)
    return _there_and_back(shape, way, alone, device)


def _there_and_back(shape: ModelShape, way: Way, found: Steps, device: DeviceFacts) -> float:
    kind = device.kind
    products = flops(shape, way, found) / (device.speed(way.compute) * SHARE_OF_SPEED[kind])
    kept, _ = activations(shape, replace(way, checkpointing=False), int(found.tokens), 0)
    rest = PASSES[kind] * kept * (1.5 if way.checkpointing else 1) / device.bandwidth
    # Copies of the weights in the format of the products, for each micro-batch: read, written, and read twice.
    casts = 0.0
    if way.compute != way.weights:
        number = FORMATS.get(way.weights, 1.0)
        casts = found.micro_batches * shape.linear_weights * (number + 6) / device.bandwidth
    started = PER_BLOCK[kind] * shape.layers * found.micro_batches
    return products + rest + casts + started


def seconds_of_reading(shape: ModelShape, way: Way, lengths: np.ndarray, device: DeviceFacts) -> float:
    """One measurement of the loss on these rows."""
    tokens = float(lengths.sum())
    forward = 2.0 * (shape.active_weights + shape.vocabulary * shape.hidden) * tokens
    return forward / (device.speed(way.compute) * SHARE_OF_SPEED[device.kind])
