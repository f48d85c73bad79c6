"""Whether a run of these settings is exact on this machine: 2N steps straight against N, a kill, and the rest resumed.

atelier prove-resume poems --steps 5

Three processes of their own train: one all the steps; one until it is killed, as kill -9 does, in the middle of a step
after its checkpoint; one what is left.  python -m core.train.prove FOLDER STEP  is one of them.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.errors import RunError, TrainError, UserError
from core.runs import Run, RunStore
from core.runs.jobs import child_environment
from core.spec import RunSpec, merge

if TYPE_CHECKING:
    from core.train.trainer import Trainer

ORDER = "order.jsonl"  # in the folder of a run that is witnessed: what each step was fed
Pair = tuple[Any, Any]  # of the straight run, and of the resumed one; None where it has nothing


@dataclass(frozen=True)
class Proof:
    """What both ways of training came to."""

    name: str
    steps: int
    checkpoint: int  # the step that the resumed run went on from
    killed_in: int  # the step that it was killed in before
    losses: dict[int, Pair]  # by step
    held_out: dict[int, Pair]
    order: dict[int, Pair]  # SHA-256 of the ids of the step
    weights: dict[str, Pair]  # SHA-256 of each file

    @property
    def first_difference(self) -> str | None:
        """The first thing that is not the same, in words; None if all is."""
        for step in self.losses:
            for what, found in (
                ("loss", self.losses),
                ("held-out loss", self.held_out),
                ("data", self.order),
            ):
                straight, resumed = found.get(step, (None, None))
                if straight != resumed:
                    return f"step {step}: {what} {straight} straight, {resumed} resumed"
        for name, (straight, resumed) in self.weights.items():
            if straight != resumed:
                return f"{name}: {straight} straight, {resumed} resumed"
        return None

    @property
    def equal(self) -> bool:
        return self.first_difference is None


def prove(run: Run, steps: int = 5) -> Proof:
    """Train twice `steps` steps both ways, beside the runs and listed among them nowhere; what is made is removed.

    RunError while another run is at work: it would want the same memory. TrainError if one of the trainings fails.
    """
    store = RunStore(run.folder.parent)
    if busy := [each.name for each in store.all() if each.progress().state == "running"]:
        raise RunError(f"The run {busy[0]!r} is at work; stop it or wait for its end, then prove.")
    folder = Path(tempfile.mkdtemp(prefix=f".prove-{run.name}-", dir=store.root))
    try:
        straight, resumed = (_copy(run, RunStore(folder), name, steps) for name in ("straight", "resumed"))
        _train(straight)
        shutil.copy(straight.device_facts, resumed.device_facts)  # free memory comes and goes
        killed_in = min(steps + steps // 2 + 1, 2 * steps)
        _train(resumed, killed_in)
        _train(resumed)
        return _compare(run.name, steps, killed_in, straight, resumed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(run: Run, store: RunStore, name: str, steps: int) -> Run:
    """The run's settings, with as many steps, one checkpoint in their middle, and nothing but training."""
    settings = {
        "train": {"max_steps": 2 * steps, "evaluate_every": steps, "early_stopping": None, "report_to": ()},
        "evaluate": {"after_training": False, "prompts": ()},
    }
    copy = store.create(name, RunSpec.from_dict(merge(run.spec.model_dump(), settings)))
    for file in (
        run.manifest,
        run.split,
    ):  # the data must be what they were, and be computed in the same parts
        if file.is_file():
            shutil.copy(file, copy.folder)
    return copy


def _train(run: Run, killed_in: int = 0) -> None:
    """In a process of its own, to the end or until it is killed. TrainError if it comes to another end."""
    with run.console.open("ab") as console:
        child = subprocess.Popen(
            [sys.executable, "-m", "core.train.prove", str(run.folder.resolve()), str(killed_in)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=child_environment(),
        )
    try:
        status = child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise
    if status == 0 or (killed_in and status not in (1, 2)):
        return
    said = run.console.read_text("utf-8", "replace").strip().splitlines()
    raise TrainError(f"The training that was to prove it failed: {said[-1] if said else f'status {status}'}")


def _compare(name: str, steps: int, killed_in: int, straight: Run, resumed: Run) -> Proof:
    from core.train.reproduce import hashes

    both = (straight, resumed)
    progress = [each.progress() for each in both]
    checkpoint = next(
        event.resumed_from for event in reversed(resumed.events.read()[0]) if hasattr(event, "resumed_from")
    )
    return Proof(
        name=name,
        steps=2 * steps,
        checkpoint=checkpoint,
        killed_in=killed_in,
        losses=_pairs(*({point.step: point.loss for point in each.steps} for each in progress)),
        held_out=_pairs(*({point.step: point.loss for point in each.held_out} for each in progress)),
        order=_pairs(*map(order, both)),
        weights=_pairs(*(hashes(each.final) for each in both)),
    )


def _pairs(straight: dict[Any, Any], resumed: dict[Any, Any]) -> dict[Any, Pair]:
    return {key: (straight.get(key), resumed.get(key)) for key in sorted({*straight, *resumed})}


def order(run: Run) -> dict[int, str]:
    """What each step of a witnessed run was fed; of a step that was done again, the last time."""
    return dict(json.loads(line) for line in (run.folder / ORDER).read_text("utf-8").splitlines())


def witness(trainer: "Trainer", folder: Path, killed_in: int = 0) -> None:
    """Have the trainer write down what it is fed, and end the process in the middle of step `killed_in`, if any."""
    train = trainer.training_step

    def training_step(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        step = trainer.state.global_step + 1
        with (folder / ORDER).open("a", encoding="utf-8") as file:
            file.write(json.dumps([step, _digest(inputs)]) + "\n")
        loss = train(model, inputs, *args, **kwargs)
        if step == killed_in:
            psutil.Process().kill()
        return loss

    trainer.training_step = training_step


def _digest(inputs: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(inputs.items()):
        if hasattr(value, "numpy"):
            digest.update(f"{name} {tuple(value.shape)}".encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def as_dict(proof: Proof) -> dict[str, Any]:
    return asdict(proof) | {"equal": proof.equal, "first_difference": proof.first_difference}


def as_text(proof: Proof) -> str:
    lines = [
        f"{proof.name}: {proof.steps} steps straight, and {proof.checkpoint} + {proof.steps - proof.checkpoint} with a kill in "
        f"step {proof.killed_in}.",
        "  step  loss straight   loss resumed    the same  data",
    ]
    for step, (straight, resumed) in proof.losses.items():
        data = proof.order.get(step, (None, None))
        lines.append(
            f"  {step:4}  {_number(straight)}  {_number(resumed)}  {_same(straight, resumed)}  {_same(*data)} {str(data[0])[:12]}"
        )
    for step, (straight, resumed) in proof.held_out.items():
        numbers = f"{_number(straight)}  {_number(resumed)}  {_same(straight, resumed)}"
        lines.append(f"  {step:4}  {numbers}  held out")
    for name, (straight, resumed) in proof.weights.items():
        lines.append(f"  {name}  {str(straight)[:16]}  {str(resumed)[:16]}  {_same(straight, resumed)}")
    if proof.equal:
        lines.append(
            "Equal, bit for bit: a run of these settings that is killed here and resumed ends the same."
        )
    else:
        lines.append(f"Different, first at {proof.first_difference}.")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return f"{'none' if value is None else f'{value:.10g}':14}"


def _same(straight: Any, resumed: Any) -> str:
    return f"{'yes' if straight == resumed else 'NO':8}"


def main(folder: str, killed_in: str) -> int:
    """Be one of the three processes."""
    from core.train.job import train

    run = Run(Path(folder))
    try:
        train(run, lambda trainer: witness(trainer, run.folder, int(killed_in)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
