"""What the device can do, found out in a fraction of a second: the facts that a plan is made from."""

import os
import platform
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core import cache
from core.runs import queue
from core.spec import RunSpec
from core.train.plan.facts import GB, DeviceFacts

if TYPE_CHECKING:
    import torch

SECONDS = 0.12  # for each number format
TIMES = 5  # at least
AGAIN, SELDOM = 600, 3600  # seconds until it is measured again, at first and at last
CLEARLY = 1.05  # times as fast
SIDE = {"cpu": 1024, "cuda": 8192}  # of the products that are timed
COPIED = {"cpu": 64_000_000, "cuda": 1_000_000_000}  # bytes
# What the process takes before there is a model: torch, transformers, TRL and PEFT on a processor, a context on a GPU.
PROCESS = {"cpu": 650_000_000, "cuda": 550_000_000}


def facts(spec: RunSpec, folder: Path = Path(), training: bool = False) -> DeviceFacts:
    """Of the device that the settings choose; `folder` is where checkpoints will be.

    `training`: this process is the one that trains, with everything imported, so that what it takes is known. Any other
    loads torch, which takes seconds, only where there may be a GPU, or a speed that has to be measured.
    """
    gpu, threads = _gpu(spec, training), _threads(spec, training)
    speed = _speed(gpu, threads, training)
    resident = psutil.Process().memory_info().rss
    if gpu:
        import torch

        free, total = torch.cuda.mem_get_info(gpu)
        process = PROCESS["cuda"]
        free += torch.cuda.memory_reserved(gpu)
    else:
        total = memory_limit()
        process = resident if training else PROCESS["cpu"]
        free = min(total, psutil.virtual_memory().available + resident)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return DeviceFacts(
        kind="cuda" if gpu else "cpu",
        name=_name(gpu),
        memory=total,
        free=free,
        cores=psutil.cpu_count(logical=False) or 1,
        threads=threads,
        bfloat16_is_fast=speed["bfloat16_is_fast"],
        flops=speed["flops"],
        bandwidth=speed["bandwidth"],
        disk_free=shutil.disk_usage(folder).free,
        process=process,
        eight_bit=gpu is not None and find_spec("bitsandbytes") is not None,
    )


def wanted_threads(spec: RunSpec) -> int | None:
    """As many as the settings say, else one for each physical core that is ours; None where OMP_NUM_THREADS says it."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if spec.compute.threads or "OMP_NUM_THREADS" not in os.environ:
        return spec.compute.threads or min(ours, psutil.cpu_count(logical=False) or ours)
    return None


def memory_limit() -> int:
    """Bytes that this process and its neighbours may have: the machine's, or what a container is given of them."""
    limits = [psutil.virtual_memory().total]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = Path(file)
        if path.is_file() and (said := path.read_text("utf-8").strip()).isdecimal():
            limits.append(int(said))
    return min(limits)


def limit_memory(spec: RunSpec) -> None:
    """Hold torch to compute.memory_gb on a GPU; on a processor the plan alone keeps to it."""
    import torch

    from core.train.model import device_for

    if spec.compute.memory_gb and device_for(spec).type == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, spec.compute.memory_gb * GB / total))


def _gpu(spec: RunSpec, training: bool) -> "torch.device | None":
    """The GPU that the settings choose; None for the processor. TrainError if one is asked for and there is none."""
    device = spec.compute.device
    if not training and (device == "cpu" or device == "auto" and not queue.gpus()):
        return None
    from core.train.model import device_for

    chosen = device_for(spec)
    return chosen if chosen.type == "cuda" else None


def _threads(spec: RunSpec, training: bool) -> int:
    """Those that this process trains with, or that one with these settings would."""
    if not training and (count := wanted_threads(spec) or _said_threads()):
        return count
    import torch

    return torch.get_num_threads()


def _said_threads() -> int | None:
    """What OMP_NUM_THREADS says; None where only torch knows what comes of it: no number, or more than there are cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    cores = psutil.cpu_count(logical=False) or 1
    return int(said) if said.isdecimal() and 0 < int(said) <= cores else None


def _name(gpu: "torch.device | None") -> str:
    if not gpu:
        return processor()
    import torch

    return torch.cuda.get_device_name(gpu)


def _speed(gpu: "torch.device | None", threads: int, training: bool) -> dict[str, Any]:
    """Measured speed: `flops` by number format, and `bandwidth`, both a second; and `bfloat16_is_fast`.

    The best that was ever measured here is kept and measured again after a while: other programs make it look slower
    than it is, nothing makes it look faster. A process that trains has torch at hand, and measures more often.
    """
    key = cache.key_of(_name(gpu), threads, version("torch"))
    known = cache.kept("speed", key)
    if known and time.time() - known["at"] < (AGAIN if training else _stands(known)):
        return known
    found = _measured(gpu, threads)
    return cache.keep("speed", key, _best(known, found) if known else found)


def _stands(known: dict[str, Any]) -> float:
    """Seconds: as long again as nothing was found that surpasses it."""
    return min(SELDOM, max(AGAIN, known["at"] - known["since"]))


def _best(known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Of each the higher; `since` is when the products were last clearly faster than they were known to be."""
    surpassed = any(found["flops"][each] > CLEARLY * speed for each, speed in known["flops"].items())
    return found | {
        "since": found["at"] if surpassed else known["since"],
        "flops": {each: max(speed, found["flops"][each]) for each, speed in known["flops"].items()},
        "bandwidth": max(found["bandwidth"], known["bandwidth"]),
    }


def _measured(gpu: "torch.device | None", threads: int) -> dict[str, Any]:
    import torch

    from core.train.model import bfloat16_is_fast

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    device = gpu or torch.device("cpu")
    flops = {str(each)[6:]: _products(device, each) for each in (torch.float32, torch.bfloat16)}
    now = time.time()
    return {
        "since": now,
        "at": now,
        "flops": flops,
        "bandwidth": _bandwidth(device),
        "bfloat16_is_fast": bfloat16_is_fast(device),
    }


def _products(device: "torch.device", format_: "torch.dtype") -> float:
    """FLOP a second of square products, the best of some: what else runs makes it slower, nothing makes it faster."""
    import torch

    side = SIDE[device.type]
    a, b = (torch.randn(side, side).to(device, format_) for _ in range(2))
    return 2 * side**3 / _quickest(lambda: a @ b, device)


def _bandwidth(device: "torch.device") -> float:
    """Bytes a second of adding one array to another: two are read, one is written."""
    import torch

    size = COPIED[device.type] // 4
    a, b = torch.zeros(size, device=device), torch.ones(size, device=device)
    return 3 * 4 * size / _quickest(lambda: a.add_(b), device)


def _quickest(work: Callable[[], object], device: "torch.device") -> float:
    import torch

    work()
    quickest, times, begin = float("inf"), 0, time.perf_counter()
    while times < TIMES or time.perf_counter() - begin < SECONDS:
        since = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        quickest, times = min(quickest, time.perf_counter() - since), times + 1
    return quickest


def processor() -> str:
    """Its name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine() or os.name
