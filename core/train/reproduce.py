"""Running a run again from its manifest, and showing where the second differs from the first."""

import json
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.evaluate import report
from core.hashing import sha256_of
from core.runs.store import Run, RunStore

# Of the plan, what decides about numbers; the rest is what was expected of memory and time.
CHOICES = (
    "examples", "held_out", "batch_size", "packing", "tokens_at_once", "micro_batch_size", "total_steps", "warmup_steps",
    "evaluate_every", "learning_rate", "bfloat16", "gradient_checkpointing", "optimizer", "attention", "quantization",
    "weights", "threads",
)  # fmt: skip
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors")


def surroundings() -> dict[str, Any]:
    """What a run's numbers depend on beside its settings and its data."""
    import torch

    from core.train.device import processor

    return {
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "processor_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def again(run: Run) -> tuple[Run, list[str]]:
    """A new run with the same settings, not started, and what is different here from where the first was trained.

    RunError if the first says too little of how it was made. Whether the data are the same is asked when the new run
    reads them: it has the manifest of the first for that.
    """
    recorded = _manifest(run)
    if not run.progress().trained:
        raise RunError(
            f"The run {run.name!r} has not been trained to its end, so there is nothing to compare with."
        )
    store = RunStore(run.folder.parent)
    new = store.create(_free_name(store, f"{run.name}-again"), run.spec, run.preset)
    shutil.copy(run.manifest, new.manifest)
    now = surroundings_beside(recorded)
    notes = differences(recorded, now)
    same_device = all(recorded.get(name) == now[name] for name in ("processor", "gpu"))
    if same_device and run.device_facts.is_file():
        # Free memory comes and goes, and steps would be split otherwise.
        shutil.copy(run.device_facts, new.device_facts)
    if run.split.is_file():
        notes.append(
            "Memory ran out in the first run, which then computed less at once; the second begins without that."
        )
    return new, notes


def surroundings_beside(recorded: dict[str, Any]) -> dict[str, Any]:
    """Those of this moment; threads are set when a run begins, and compared afterwards."""
    import core

    now = {"atelier": core.__version__, **surroundings()}
    return now | {"processor_threads": recorded.get("processor_threads")}


def differences(first: dict[str, Any], second: dict[str, Any], within: str = "") -> list[str]:
    """A line for each value of `second` that is another one in `first`."""
    lines = []
    for name, value in second.items():
        before = first.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            lines += differences(before, value, f"{within}{name} ")
        elif name in first and before != value:
            lines.append(f"{within}{name}: {before} then, {value} now")
    return lines


@dataclass(frozen=True)
class Comparison:
    """How far a second run is from the first."""

    first: str
    second: str
    differences: tuple[str, ...]  # of software, hardware and plan
    steps: int
    first_difference: tuple[int, float, float] | None  # the first step with another loss: step, and both
    largest_loss_difference: float
    held_out: tuple[tuple[int, float, float], ...]  # points that differ: step, and both
    largest_weight_difference: float | None  # 0: bit for bit the same; None: not even the same tensors
    scores: tuple[tuple[str, float, float], ...]  # of the tuned models: measure, and both

    @property
    def equal(self) -> bool:
        return self.first_difference is None and not self.held_out and self.largest_weight_difference == 0


def compare(first: Run, second: Run) -> Comparison:
    """Both must have been trained to their end."""
    before, now = first.progress(), second.progress()
    losses = list(zip_longest([each.loss for each in before.steps], [each.loss for each in now.steps]))
    both = [(step, *pair) for step, pair in enumerate(losses, 1) if None not in pair]
    apart = [each for each in both if each[1] != each[2]]
    recorded, made = _manifest(first), _manifest(second)
    measured = {point.step: point.loss for point in now.held_out}
    held_out = [(point.step, point.loss, measured.get(point.step, float("nan"))) for point in before.held_out]
    return Comparison(
        first=first.name,
        second=second.name,
        differences=tuple(differences(recorded, _that_decides(made))),
        steps=len(both),
        first_difference=apart[0] if apart else _one_is_longer(losses),
        largest_loss_difference=max((abs(a - b) for _, a, b in apart), default=0.0),
        held_out=tuple(each for each in held_out if each[1] != each[2]),
        largest_weight_difference=weight_difference(first.final, second.final),
        scores=tuple(_scores(first, second)),
    )


def _that_decides(manifest: dict[str, Any]) -> dict[str, Any]:
    plan = {name: manifest["plan"][name] for name in CHOICES if name in manifest["plan"]}
    return {name: value for name, value in manifest.items() if name != "data"} | {"plan": plan}


def _one_is_longer(losses: list[tuple[float | None, float | None]]) -> tuple[int, float, float] | None:
    nan = float("nan")
    for step, (a, b) in enumerate(losses, 1):
        if a is None or b is None:
            return step, nan if a is None else a, nan if b is None else b
    return None


def weight_difference(first: Path, second: Path) -> float | None:
    """The largest difference of any weight in the two folders; None where they do not hold the same tensors."""
    if hashes(first) == hashes(second):
        return 0.0
    from safetensors import safe_open

    largest = 0.0
    names = sorted(path.name for path in first.glob("*.safetensors"))
    if names != sorted(path.name for path in second.glob("*.safetensors")):
        return None
    for name in names:
        with safe_open(first / name, "pt") as a, safe_open(second / name, "pt") as b:
            if sorted(a.keys()) != sorted(b.keys()):
                return None
            for key in a.keys():  # noqa: SIM118, it is no dict
                one, other = a.get_tensor(key), b.get_tensor(key)
                if one.shape != other.shape:
                    return None
                largest = max(largest, (one.double() - other.double()).abs().max().item())
    return largest


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of weights in the folder."""
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*.safetensors"))}


def _scores(first: Run, second: Run) -> list[tuple[str, float, float]]:
    """Of the tuned models, where both runs were scored."""
    if not all((run.reports / report.FILE).is_file() for run in (first, second)):
        return []
    before, now = (
        {
            f"{task.name} {score.name}": score.tuned.value
            for task in report.read(run).tasks
            for score in task.scores
            if score.tuned
        }
        for run in (first, second)
    )
    return [(name, value, now[name]) for name, value in before.items() if name in now]


def as_dict(found: Comparison) -> dict[str, Any]:
    """For programs; what is no number is null."""
    plain = asdict(found) | {"equal": found.equal}
    return json.loads(json.dumps(plain), parse_constant=lambda _: None)


def as_text(found: Comparison) -> str:
    lines = [f"Different: {each}" for each in found.differences]
    if found.first_difference:
        step, a, b = found.first_difference
        lines.append(
            f"Losses: the same until step {step}, where {found.first} has {a:.9g} and {found.second} {b:.9g}; "
            f"{found.largest_loss_difference:.3g} apart at most."
        )
    else:
        lines.append(f"Losses: the same in all {found.steps} steps.")
    lines += [f"Held-out loss at step {step}: {a:.9g} and {b:.9g}" for step, a, b in found.held_out]
    if found.largest_weight_difference == 0:
        lines.append("Weights: the same, bit for bit.")
    elif found.largest_weight_difference is None:
        lines.append("Weights: not the same tensors.")
    else:
        lines.append(f"Weights: {found.largest_weight_difference:.3g} apart at most.")
    lines += [f"{name}: {a:.6g} and {b:.6g}" for name, a, b in found.scores]
    verdict = "is what" if found.equal else "is not exactly what"
    return "\n".join([*lines, f"{found.second} {verdict} {found.first} was."])


def _free_name(store: RunStore, wanted: str) -> str:
    return wanted if not (store.root / wanted).exists() else store.free_name(wanted)


def _manifest(run: Run) -> dict[str, Any]:
    """RunError if the run has none."""
    if not run.manifest.is_file():
        raise RunError(
            f"The run {run.name!r} has no manifest.json: it never came so far as to load its model."
        )
    return json.loads(run.manifest.read_text("utf-8"))
