"""How long a step takes: products at a part of the measured speed of large ones, everything else at that of memory."""

from dataclasses import dataclass, replace

import numpy as np

from core.train.plan.facts import DeviceFacts
from core.train.plan.memory import FORMATS, OPTIMIZERS, Way, activations
from core.train.plan.shape import ModelShape

# Of a processor: fitted by least squares of the relative error to 26 trainings of Llamas with 7 to 135 million
# parameters (full and LoRA, both formats, packed and padded, with and without checkpointing, rows of 32 to 512 tokens),
# measured as time of the processor on one thread of a Zen 4, where large products reached 104 (float32) and 221
# (bfloat16) GFLOP/s and memory 45 GB/s. Each was then within 20 %, as were three that were not fitted to. Of a GPU: guesses, nothing was measured on one.
SHARE_OF_SPEED = {  # that products reach which are smaller, transposed or added to what is there
    "cpu": {"float32": 0.72, "bfloat16": 0.53},
    "cuda": {"float32": 0.6, "bfloat16": 0.6},
}
SHARE_OF_HEAD = {"cpu": 0.5, "cuda": 0.6}  # of its products: made part by part, with transposed gradients
SHARE_OF_ATTENTION = {
    "cpu": 0.6,
    "cuda": 0.3,
}  # of the speed in float32, in which a processor computes its scores
SHARE_OF_PADDED = {"cpu": 0.4, "cuda": 0.3}  # the same with a mask, over the whole square
PASSES = {  # over the activations that are kept
    "cpu": {"float32": 3.0, "bfloat16": 5.4},
    "cuda": {"float32": 4.0, "bfloat16": 4.0},
}
PASSES_OF_LOGITS = 3.4  # over logits in float32
PER_BLOCK = {"cpu": 1.9e-3, "cuda": 4e-4}  # seconds: of each block in each micro-batch, whatever it computes
PER_ADAPTED = {"cpu": 0.6e-3, "cuda": 2e-4}  # the same, more where it has added matrices
AGAIN = 1.33  # times as many operations where activations are computed twice


@dataclass(frozen=True)
class Steps:
    """What the steps of a run consist of, on average, in one process."""

    micro_batches: float
    tokens: float  # padding counted
    trained: float
    squares: float  # sum of the squares of the rows' lengths, padding counted
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
            if packing:
                parts = _packed(step, tokens_at_once, micro_batch_size)
                widths.update(step.tolist())
                squares += float(np.square(step, dtype=np.float64).sum())
            else:
                padded = _padded(step, tokens_at_once, micro_batch_size)
                parts = [rows_ * width for rows_, width in padded]
                widths.update(width for _, width in padded)
                squares += sum(float(rows_ * width**2) for rows_, width in padded)
            micro += len(parts)
            tokens += sum(parts)
            sizes.update(parts)
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


def _padded(step: np.ndarray, tokens_at_once: int, micro_batch_size: int) -> list[tuple[int, int]]:
    """Rows and width of each micro-batch; its rows are neighbours in length."""
    found: list[tuple[int, int]] = []
    for length in np.sort(step)[::-1].tolist():
        rows, width = found[-1] if found else (0, 0)
        if rows and rows < micro_batch_size and (rows + 1) * width <= tokens_at_once:
            found[-1] = rows + 1, width
        else:
            found.append((1, length))
    return found


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
    kind, bandwidth = device.kind, device.bandwidth
    kept, _ = activations(shape, replace(way, checkpointing=False), int(found.tokens), 0)
    casts = 0.0
    if way.compute != way.weights:
        # Copies of the weights in the format of the products, for each micro-batch: read, written, and read twice.
        number = FORMATS.get(way.weights, 1.0)
        casts = found.micro_batches * shape.linear_weights * (number + 6)
        kept -= 2 * shape.linear_weights if way.weights == "float32" else 0
    passed = PASSES[kind][way.compute] * kept * (1.5 if way.checkpointing else 1)
    passed += PASSES_OF_LOGITS * 4 * shape.vocabulary * found.trained
    block = PER_BLOCK[kind] * (AGAIN if way.checkpointing else 1)
    if way.adapter:
        block += PER_ADAPTED[kind] * (AGAIN if way.checkpointing else 1)
    started = block * shape.layers * found.micro_batches
    return _products(shape, way, found, device) + (passed + casts) / bandwidth + started


def _products(shape: ModelShape, way: Way, found: Steps, device: DeviceFacts) -> float:
    """Forwards, backwards, and forwards again where activations are not kept."""
    kind, speed = device.kind, device.speed(way.compute)
    # Frozen weights need no gradient of their own; attention's backward pass is two and a half times its forward pass.
    back = 2 if way.adapter else 3
    blocks = 2.0 * shape.active_weights * found.tokens * (back + way.checkpointing)
    if way.adapter:
        blocks += 6.0 * shape.trainable(way.method, way.rank, way.targets) * found.tokens
    head = 2.0 * shape.vocabulary * shape.hidden * found.trained * back
    scores = 2.0 * shape.layers * shape.heads * shape.head_dim * found.squares * (3.5 + way.checkpointing)
    share = (SHARE_OF_ATTENTION if way.packing else SHARE_OF_PADDED)[kind]
    return (
        blocks / (speed * SHARE_OF_SPEED[kind][way.compute])
        + head / (speed * SHARE_OF_HEAD[kind])
        + scores / (device.speed("float32") * share)
    )


def seconds_of_reading(shape: ModelShape, way: Way, lengths: np.ndarray, device: DeviceFacts) -> float:
    """One measurement of the loss on these rows."""
    tokens = float(lengths.sum())
    forward = 2.0 * (shape.active_weights + shape.vocabulary * shape.hidden) * tokens
    return forward / (device.speed(way.compute) * SHARE_OF_SPEED[device.kind][way.compute])
