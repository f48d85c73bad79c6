"""What a process that trains asks of those that train beside it. Alone, each answer is the plain one.

A rank is the number of a process among them. Rank 0, the main one, writes the run; what it decides, all do.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

from core.runs.events import Event, EventLog
from core.runs.store import Run

T = TypeVar("T")

# The others wait for as long as the main one reads and encodes, or writes a checkpoint. One that ended is seen by
# whoever started them, so that nobody waits in vain.
PATIENCE = timedelta(hours=12)


def join(device: torch.device) -> None:
    """Meet the others; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say where. Each takes a GPU of its own."""
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # What is decided travels by gloo, so that a look at a file waits for no GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)


def leave() -> None:
    dist.destroy_process_group()


def together() -> bool:
    """Whether others train beside this process."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if together() else 0


def count() -> int:
    return dist.get_world_size() if together() else 1


def is_main() -> bool:
    return rank() == 0


def barrier() -> None:
    """Go on when all have come here."""
    if together():
        dist.all_reduce(torch.zeros(1))


def total(number: int) -> int:
    """The sum of what all have; all must ask."""
    if not together():
        return number
    sum_ = torch.tensor(number)
    dist.all_reduce(sum_)
    return int(sum_)


def agreed(value: T) -> T:
    """What the main process gave, in all of them; all must ask. Not for tensors: it is pickled."""
    if not together():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def from_main(make: Callable[[], T]) -> T:
    """What the main process makes, in all of them; the others wait. What it raises ends it, and so them."""
    return agreed(make() if is_main() else None)


class _Unheard(EventLog):
    """A log that can be read and that nothing is added to: what happened is said once, by the main process."""

    def append(self, event: Event) -> None:
        del event


class SharedRun(Run):
    """A run on which several processes train: its events are the main one's, and all see a request at the same step.

    A file such as `stop` appears at some moment, which for one process is before the end of a step and for another after it.
    They would end at different steps, each waiting for the other.
    """

    @property
    def events(self) -> EventLog:
        return super().events if is_main() else _Unheard(self.folder / "events.jsonl")

    def requests(self) -> frozenset[str]:
        return agreed(super().requests())


def shared(run: Run) -> Run:
    return SharedRun(Path(run.folder)) if together() else run
