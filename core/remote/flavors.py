"""The machines of HF Jobs: what they have, what they cost, and what a plan may count on before it has seen one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import SpecError
from core.train.plan.facts import GB, DeviceFacts

if TYPE_CHECKING:
    from huggingface_hub import JobHardwareInfo

# FLOP a second of large products in bfloat16 and float32, and bytes a second: about half of what the makers' data sheets
# promise, which is what products of a training's size reach. The T4 computes bfloat16 in a roundabout way.
SPEEDS = {
    "H200": (500e12, 30e12, 4000e9),
    "A100": (180e12, 10e12, 1500e9),
    "RTX PRO 6000": (200e12, 60e12, 1500e9),
    "L40S": (150e12, 45e12, 750e9),
    "A10G": (40e12, 15e12, 500e9),
    "L4": (40e12, 15e12, 250e9),
    "T4": (4e12, 4e12, 250e9),
}
UNKNOWN = SPEEDS["T4"]  # rather too slow than too fast: a timeout is made from it
PER_CORE = 40e9  # FLOP a second of one core of a server
DRIVER = 0.95  # of a GPU's memory is left by its driver


@dataclass(frozen=True)
class Flavor:
    """One kind of machine."""

    name: str
    title: str
    processors: int  # virtual ones: two to a core
    memory: int  # bytes
    disk: int  # bytes, gone when the job ends
    usd_per_hour: float
    gpus: int = 0
    gpu: str = ""
    gpu_memory: int = 0  # bytes of each

    def facts(self) -> DeviceFacts:
        """What a plan is made from, until the machine itself is measured: sizes from the list, speeds guessed."""
        cores = max(1, self.processors // 2)
        if not self.gpus:
            return DeviceFacts(
                kind="cpu",
                name=f"{self.title} of HF Jobs",
                memory=self.memory,
                free=int(self.memory * DRIVER),
                cores=cores,
                threads=cores,
                bfloat16_is_fast=False,
                flops={"float32": PER_CORE * cores},
                disk_free=self.disk,
            )
        known = next((speeds for gpu, speeds in SPEEDS.items() if gpu in self.gpu.upper()), UNKNOWN)
        bfloat16, float32, bandwidth = known
        return DeviceFacts(
            kind="cuda",
            name=f"{self.title} of HF Jobs",
            memory=int(self.gpu_memory * DRIVER),
            free=int(self.gpu_memory * DRIVER),
            cores=cores,
            threads=cores,
            bfloat16_is_fast=bfloat16 > float32,
            flops={"bfloat16": bfloat16, "float32": float32},
            bandwidth=bandwidth,
            disk_free=self.disk,
            process=550_000_000,
            eight_bit=True,
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs and pages: plain values, stable names."""
        return {
            "flavor": self.name,
            "title": self.title,
            "processors": self.processors,
            "memory": self.memory,
            "disk": self.disk,
            "gpus": self.gpus,
            "gpu": self.gpu,
            "gpu_memory": self.gpu_memory,
            "usd_per_hour": self.usd_per_hour,
        }


def flavor_of(hardware: "JobHardwareInfo") -> Flavor:
    """From the Hub's list, whose sizes are words: `46 GB`, `12 vCPU`."""
    gpu = hardware.accelerator
    count = int(_number(gpu.quantity)) if gpu else 0
    return Flavor(
        name=hardware.name,
        title=hardware.pretty_name,
        processors=int(_number(hardware.cpu)),
        memory=_bytes(hardware.ram),
        disk=_bytes(hardware.ephemeral_storage),
        usd_per_hour=round(
            hardware.unit_cost_usd * {"minute": 60, "second": 3600}.get(hardware.unit_label, 1), 4
        ),
        gpus=count,
        gpu=gpu.model if gpu else "",
        gpu_memory=_bytes(gpu.vram) // max(count, 1) if gpu else 0,
    )


def chosen(name: str, flavors: Sequence[Flavor]) -> Flavor:
    """The one of this name; SpecError with what there is."""
    for flavor in flavors:
        if flavor.name == name:
            return flavor
    there = ", ".join(flavor.name for flavor in flavors)
    raise SpecError(f"HF Jobs has no machine {name!r} (compute.flavor): there are {there}.")


def as_text(flavors: Sequence[Flavor]) -> str:
    """A line for each machine, the cheapest first."""
    lines = [f"{'flavor':<18}{'GPUs':<26}{'GPU memory':>11}{'memory':>9}{'vCPU':>6}{'$/hour':>9}"]
    for each in sorted(flavors, key=lambda flavor: flavor.usd_per_hour):
        gpus = f"{each.gpus} x {each.gpu}" if each.gpus else "-"
        each_has = f"{each.gpu_memory / GB:.0f} GB" if each.gpus else "-"
        memory = f"{each.memory / GB:.0f} GB"
        lines.append(
            f"{each.name:<18}{gpus:<26}{each_has:>11}{memory:>9}{each.processors:>6}{each.usd_per_hour:>9.2f}"
        )
    return "\n".join(lines)


def _number(words: str) -> float:
    found = re.search(r"\d+(\.\d+)?", words)
    return float(found[0]) if found else 0.0


def _bytes(words: str) -> int:
    """`46 GB`, `1.5 TB`, `512 MB`; a size that nobody gave counts as 20 GB, the least there is."""
    scale = next(
        (scale for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if unit in words.upper()), 1e9
    )
    return int(_number(words) * scale) or int(20 * GB)
