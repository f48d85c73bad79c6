"""train.report_to: the curves in TensorBoard, Trackio or Weights & Biases as well, from the events that the page draws.

Not transformers' own callbacks: these log what the trainer happens to log, under its names, know of no resume, and end
the training where a server does not answer. Everything here is loaded late.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from core.runs.events import Event, HeldOut, Noted, Sampled, Stepped
from core.runs.store import Run

PROJECT = "atelier"
FIGURES = {
    "train/loss": "loss",
    "train/learning_rate": "learning_rate",
    "train/gradient_norm": "gradient_norm",
    "train/tokens_per_second": "tokens_per_second",
    "train/memory_bytes": "memory_bytes",
    "train/epoch": "epoch",
}


class Reporter(Protocol):
    """One place to report to. Each is made with the run and the step it goes on from, 0 for a beginning."""

    where: str  # a sentence on how to look at it

    def scalars(self, figures: dict[str, float], step: int) -> None: ...

    def words(self, name: str, text: str, step: int) -> None: ...

    def close(self) -> None: ...


class Reporters:
    """Those that were asked for. One that fails is said so and left out; it never ends a training."""

    def __init__(self, run: Run, names: Iterable[str], say: Callable[[Noted], None]) -> None:
        self.run = run
        self.names = tuple(names)
        self.say = say
        self.open: dict[str, Reporter] = {}

    def begin(self, resumed_from: int) -> None:
        self.close()
        for name in self.names:
            self._try(name, lambda name=name: self._open(name, resumed_from))

    def report(self, event: Event) -> None:
        for name in list(self.open):
            self._try(name, lambda name=name: _report(self.open[name], event))

    def close(self) -> None:
        for name in list(self.open):
            self._try(name, self.open[name].close)
        self.open.clear()

    def _open(self, name: str, resumed_from: int) -> None:
        self.open[name] = KINDS[name](self.run, resumed_from)
        self.say(Noted(text=self.open[name].where))

    def _try(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever a server, a full disk or another's package comes up with
            self.open.pop(name, None)
            text = f"Nothing is reported to {name} any more ({type(error).__name__}: {error}); the training goes on."
            self.say(Noted(text=text, warning=True))


def _report(to: Reporter, event: Event) -> None:
    match event:
        case Stepped():
            to.scalars({name: float(getattr(event, field)) for name, field in FIGURES.items()}, event.step)
        case HeldOut():
            figures = {"held_out/loss": event.loss, "held_out/token_accuracy": event.token_accuracy}
            to.scalars(figures, event.step)
        case Sampled():
            to.words("answers", f"{event.question}\n\n{event.answer}", event.step)
        case Noted(warning=True):
            to.words("warnings", event.text, event.step)


class TensorBoard:
    def __init__(self, run: Run, resumed_from: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        self.where = f"Curves for TensorBoard are in {folder}: tensorboard --logdir {folder}"
        # Steps that an earlier process made after its last checkpoint come again, and are not shown twice.
        self.writer = SummaryWriter(str(folder), purge_step=resumed_from + 1 if resumed_from else 0)

    def scalars(self, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def words(self, name: str, text: str, step: int) -> None:
        self.writer.add_text(name, text, step)

    def close(self) -> None:
        self.writer.close()


class _Logged:
    """A service whose run takes whatever is logged to it."""

    run: Any  # the service's own

    def scalars(self, figures: dict[str, float], step: int) -> None:
        self.run.log(figures, step=step)

    def words(self, name: str, text: str, step: int) -> None:
        self.run.log({name: text}, step=step)

    def close(self) -> None:
        self.run.finish()


class Trackio(_Logged):
    def __init__(self, run: Run, resumed_from: int) -> None:
        import trackio

        self.where = f"Curves for Trackio are in its project {PROJECT}: trackio show --project {PROJECT}"
        self.run = trackio.init(
            project=PROJECT,
            name=run.name,
            config=_settings(run),
            resume="allow" if resumed_from else "never",
            embed=False,
        )


class WeightsAndBiases(_Logged):
    def __init__(self, run: Run, resumed_from: int) -> None:
        import wandb

        here = "WANDB_API_KEY" not in os.environ and "WANDB_MODE" not in os.environ
        self.run = wandb.init(
            project=PROJECT,
            name=run.name,
            dir=run.folder,
            config=_settings(run),
            mode="offline" if here else None,
            settings=wandb.Settings(console="off", disable_code=True, disable_git=True, x_disable_meta=True),
        )
        self.where = (
            f"Curves for W&B are in {self.run.dir}, since no WANDB_API_KEY is set: wandb sync {run.folder / 'wandb'}"
            if here
            else f"Curves are at {self.run.url}"
        )


KINDS: dict[str, Callable[[Run, int], Reporter]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}


def _settings(run: Run) -> dict[str, Any]:
    """The settings of the run, none of which is a secret."""
    return run.spec.model_dump(mode="json")
