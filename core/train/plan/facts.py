"""What a plan is made from beside settings and shape: the lengths of the rows, and what the device can do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

GB = 1e9


@dataclass(frozen=True)
class Lengths:
    """Tokens of every row that is trained on or measured on, as they are after cutting."""

    training: np.ndarray = field(repr=False)  # int64, (rows,)
    held_out: np.ndarray = field(repr=False)  # int64, (rows,)
    trained: int  # of the training rows' tokens, those that are learnt

    @classmethod
    def of(
        cls, training: Sequence[int], held_out: Sequence[int] = (), trained: int | None = None
    ) -> "Lengths":
        rows = np.asarray(training, np.int64)
        return cls(rows, np.asarray(held_out, np.int64), int(rows.sum()) if trained is None else trained)

    @property
    def tokens(self) -> int:
        return int(self.training.sum())

    @property
    def longest(self) -> int:
        return int(self.training.max(initial=0))

    @property
    def share_trained(self) -> float:
        return self.trained / max(1, self.tokens)


@dataclass(frozen=True)
class DeviceFacts:
    """What is known of the device. `core.train.device.facts` finds it out; tests and what-ifs write it down."""

    kind: Literal["cpu", "cuda"]
    name: str
    memory: int  # bytes that there are, for this process at most: a container's limit counts
    free: int  # bytes of them that this process has or can still get
    cores: int = 1
    threads: int = 1
    bfloat16_is_fast: bool = True
    flops: dict[str, float] = field(
        default_factory=dict
    )  # by number format: of large products, measured, each second
    bandwidth: float = 10 * GB  # bytes each second, read and written
    disk_free: int = 10**12
    process: int = 700_000_000  # bytes that the process takes on the device before there is a model
    eight_bit: bool = False  # whether bitsandbytes is there

    def speed(self, number_format: str) -> float:
        return self.flops.get(number_format) or max(self.flops.values(), default=100e9)


# A GPU that is not here, for questions of what fits: 24 GB less what the driver keeps, of which a context takes half a
# gigabyte. Its speeds are guesses of the right size; nothing was measured on one.
GPU_24GB = DeviceFacts(
    kind="cuda",
    name="a GPU with 24 GB",
    memory=23_500_000_000,
    free=23_500_000_000,
    cores=8,
    threads=8,
    flops={"bfloat16": 60e12, "float32": 30e12},
    bandwidth=800 * GB,
    process=550_000_000,
    eight_bit=True,
)
