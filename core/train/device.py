"""What the device can do, found out in a fraction of a second: the facts that a plan is made from."""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch

from core import cache
from core.spec import RunSpec
from core.train.memory import memory_limit
from core.train.model import bfloat16_is_fast, device_for
from core.train.plan.facts import GB, DeviceFacts

SECONDS = 0.12  # for each number format
TIMES = 5  # at least
AGAIN = 600  # seconds until it is measured again
SIDE = {"cpu": 1024, "cuda": 8192}  # of the products that are timed
COPIED = {"cpu": 64_000_000, "cuda": 1_000_000_000}  # bytes
# What the process takes before there is a model: torch, transformers, TRL and PEFT on a processor, a context on a GPU.
PROCESS = {"cpu": 650_000_000, "cuda": 550_000_000}


def facts(spec: RunSpec, folder: Path = Path(), training: bool = False) -> DeviceFacts:
    """Of the device that the settings choose; `folder` is where checkpoints will be.

    `training`: this process is the one that trains, with everything imported, so that what it takes is known.
    """
    device = device_for(spec)
    threads = torch.get_num_threads()
    resident = psutil.Process().memory_info().rss
    speed = calibrated(device, threads)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        name, process = torch.cuda.get_device_name(device), PROCESS["cuda"]
        free += torch.cuda.memory_reserved(device)
    else:
        total = memory_limit()
        name, process = processor(), resident if training else PROCESS["cpu"]
        free = min(total, psutil.virtual_memory().available + resident)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return DeviceFacts(
        kind=device.type,
        name=name,
        memory=total,
        free=free,
        cores=psutil.cpu_count(logical=False) or 1,
        threads=threads,
        bfloat16_is_fast=bfloat16_is_fast(device),
        flops=speed["flops"],
        bandwidth=speed["bandwidth"],
        disk_free=shutil.disk_usage(folder).free,
        process=process,
        eight_bit=device.type == "cuda" and find_spec("bitsandbytes") is not None,
    )


def limit_memory(spec: RunSpec) -> None:
    """Hold torch to compute.memory_gb on a GPU; on a processor the plan alone keeps to it."""
    if spec.compute.memory_gb and device_for(spec).type == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, spec.compute.memory_gb * GB / total))


def calibrated(device: torch.device, threads: int) -> dict[str, Any]:
    """Measured speed: `flops` by number format, and `bandwidth`, both a second.

    The best that was ever measured here is kept and measured again after a while: other programs make it look slower
    than it is, nothing makes it look faster.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    key = cache.key_of("speed", name, threads, torch.__version__)
    entry = cache.found("speed", key)
    known = json.loads((entry / "speed.json").read_text("utf-8")) if entry else None
    if known and time.time() - known["at"] < AGAIN:
        return known
    flops = {str(each)[6:]: _products(device, each) for each in (torch.float32, torch.bfloat16)}
    found = {"at": time.time(), "flops": flops, "bandwidth": _bandwidth(device)}
    if known:
        flops |= {each: max(speed, flops.get(each, 0.0)) for each, speed in known["flops"].items()}
        found["bandwidth"] = max(found["bandwidth"], known["bandwidth"])
        cache.forget(entry)
    with cache.making("speed", key) as folder:
        (folder / "speed.json").write_text(json.dumps(found), "utf-8")
    return found


def _products(device: torch.device, format_: torch.dtype) -> float:
    """FLOP a second of square products, the best of some: what else runs makes it slower, nothing makes it faster."""
    side = SIDE[device.type]
    a, b = (torch.randn(side, side).to(device, format_) for _ in range(2))
    return 2 * side**3 / _quickest(lambda: a @ b, device)


def _bandwidth(device: torch.device) -> float:
    """Bytes a second of adding one array to another: two are read, one is written."""
    size = COPIED[device.type] // 4
    a, b = torch.zeros(size, device=device), torch.ones(size, device=device)
    return 3 * 4 * size / _quickest(lambda: a.add_(b), device)


def _quickest(work: Callable[[], object], device: torch.device) -> float:
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
