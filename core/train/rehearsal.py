"""The dry step: the largest micro-batch that the run will have, forwards and backwards, before the first real step.

It leaves nothing behind but the knowledge what it took: no gradient, no drawn random number, no step.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow.compute as pc
import torch
from datasets import Dataset
from transformers import TrainerCallback

from core.errors import TrainError
from core.train.batches import Steps, divided, laid_flat
from core.train.distributed import ranks
from core.train.plan import HOUR, Plan, spoken, takes_hours

if TYPE_CHECKING:
    from core.train.trainer import Trainer

WORTH = 0.02  # of the run's time; a dry step that takes more is left out where memory is plenty
PLENTY = 0.5  # of the memory: a prediction would have to be wrong by a factor of two
LOOKED_AT = 200_000  # rows among which the largest micro-batch is looked for
HIGH_WATER = "VmHWM:"  # in /proc: the most that was ever resident, since it was last reset
POLL = 0.005  # seconds
PATIENCE = 5  # seconds; a dry step that takes no longer is made twice, and the second one timed


@dataclass
class Peak:
    """Bytes at the beginning, and the most there were inside the block."""

    before: int = 0
    most: int = 0

    @property
    def added(self) -> int:
        return self.most - self.before


@dataclass(frozen=True)
class Measured:
    """What the dry step took, beside what was predicted for it."""

    tokens: int  # padding counted
    bytes: int  # that the run takes at most: what was resident, or allocated on a GPU, and what comes later
    predicted_bytes: int
    seconds: float
    predicted_seconds: float
    seconds_of_run: float  # corrected by what was measured
    text: str = field(default="")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """The most memory that was in use inside the block: allocated on a GPU, resident on a processor."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        peak.before = torch.cuda.memory_allocated(device)
        yield peak
        torch.cuda.synchronize(device)
        peak.most = torch.cuda.max_memory_allocated(device)
        return
    peak.before = peak.most = psutil.Process().memory_info().rss
    if _reset_high_water():
        yield peak
        peak.most = max(peak.before, _high_water())
        return
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, ended), daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _watch(peak: Peak, ended: threading.Event) -> None:
    """Where the system keeps no high-water mark that can be reset."""
    process = psutil.Process()
    while not ended.wait(POLL):
        peak.most = max(peak.most, process.memory_info().rss)


def _reset_high_water() -> bool:
    """Linux alone can: proc(5), /proc/pid/clear_refs, 5."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water() -> int:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(HIGH_WATER))


@contextmanager
def without_trace(model: torch.nn.Module) -> Iterator[None]:
    """Gradients are gone afterwards, and the next random number is the one that it would have been."""
    cuda = range(torch.cuda.device_count())
    python, arrays = random.getstate(), np.random.get_state()
    was_training = model.training
    try:
        with torch.random.fork_rng(cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        model.zero_grad(set_to_none=True)
        model.train(was_training)


def largest(trainer: "Trainer", planned: Plan) -> list[int]:
    """Row numbers of the largest micro-batch of the run, among as many rows as can be looked at quickly."""
    tokens = lengths_of(trainer.train_dataset)
    accelerator = trainer.accelerator
    order = Steps(
        len(tokens),
        planned.batch_size,
        trainer.args.data_seed,
        trainer.in_order,
        accelerator.process_index,
        accelerator.num_processes,
    )
    found: list[int] = []
    most = steps = seen = 0
    while steps < planned.total_steps and seen < LOOKED_AT:
        for step in order:
            if steps == planned.total_steps or seen >= LOOKED_AT:
                break
            steps, seen = steps + 1, seen + len(step)
            for group in divided(tokens[step].tolist(), trainer.split, trainer.packing):
                rows = [step[number] for number in group]
                size = int(tokens[rows].sum()) if trainer.packing else int(tokens[rows].max()) * len(rows)
                if size > most:
                    most, found = size, rows
        order.set_epoch(order.epoch + 1)
    return found


def lengths_of(dataset: Dataset) -> np.ndarray:
    """Tokens of each row, without reading the rows."""
    if dataset._indices is not None:
        return np.asarray([len(ids) for ids in dataset["input_ids"]])
    return pc.list_value_length(dataset.data.column("input_ids")).to_numpy()


def is_worth_it(planned: Plan) -> bool:
    """Whether to make a dry step: always where memory may be short or time decides, else where it costs next to
    nothing."""
    part = planned.seconds_per_step / max(1, planned.accumulation)
    plenty = planned.memory.needed < PLENTY * planned.memory_limit
    return planned.time_is_open or not plenty or part < WORTH * planned.seconds


def rehearse(trainer: "Trainer", model: torch.nn.Module, planned: Plan) -> Measured:
    """Make the dry step. What runs out of memory here does so before anything was lost: the error is passed on."""
    rows = largest(trainer, planned)
    batch = laid_flat([trainer.train_dataset[row] for row in rows])
    device = trainer.args.device
    batch = {name: value.to(device) if name != "lengths" else value for name, value in batch.items()}
    tokens_seen = trainer.tokens_seen
    with without_trace(model):
        with peak_memory(device) as peak:
            seconds = _timed(trainer, model, batch)
        if ranks.agreed(seconds) < PATIENCE:  # the first time, kernels were made for these sizes
            model.zero_grad(set_to_none=True)
            seconds = _timed(trainer, model, batch)
    trainer.tokens_seen = tokens_seen
    every = lengths_of(trainer.train_dataset)
    seen = len(np.unique(every[rows])) / len(np.unique(every))
    return measured(planned, peak, seconds, seen)


def _timed(trainer: "Trainer", model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> float:
    began = time.perf_counter()
    trainer.training_step(model, batch, trainer._get_num_items_in_batch([batch], trainer.args.device))
    if trainer.args.device.type == "cuda":
        torch.cuda.synchronize(trainer.args.device)
    return time.perf_counter() - began


def measured(planned: Plan, peak: Peak, seconds: float, seen: float = 0.0) -> Measured:
    """What was found, in words too. What only comes with later steps is added to it as it was predicted: the
    optimizer's state, gradients that wait for the next part, and the kernels for all lengths but the share `seen`."""
    memory = planned.memory
    predicted = memory.peak
    later = (
        memory.optimizer + (1 - seen) * memory.code + (memory.gradients if planned.accumulation > 1 else 0)
    )
    found = int(peak.most + later)
    expected = planned.seconds_of_largest
    run = planned.seconds * seconds / expected if expected else planned.seconds
    off = found / predicted - 1
    text = (
        f"The largest part of a step ({planned.largest:,} tokens) was tried: {found / 1e9:.2f} GB of memory, "
        f"{abs(off):.0%} {'more' if off > 0 else 'less'} than planned, and {seconds:.2g} s; about {spoken(run)} in all."
    )
    return Measured(planned.largest, found, predicted, seconds, expected, run, text)


def too_long(planned: Plan, found: Measured) -> TrainError | None:
    """Why the run should not begin after all, where the plan left that to what was measured."""
    if planned.time_is_open and found.seconds_of_run > HOUR:
        return takes_hours(planned, found.seconds_of_run, ", as a part of a step that was tried has shown")
    return None


class Rehearsal(TrainerCallback):
    """Makes the dry step when all is ready and nothing has begun. What has begun before is not called off."""

    def __init__(self, planned: Plan, say: Callable[[Measured], None]) -> None:
        self.planned = planned
        self.say = say
        self.trainer: Trainer | None = None  # set once the trainer exists

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if is_worth_it(self.planned):
            found = ranks.agreed(rehearse(self.trainer, self.trainer.model_wrapped, self.planned))
            self.say(found)
            if state.global_step == 0 and (stops := too_long(self.planned, found)):
                raise stops
