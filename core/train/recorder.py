"""The one callback: turns what the trainer does into events, and does what is asked of a training while it runs."""

import math
import time
from collections import deque
from typing import TYPE_CHECKING

import psutil
import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import TrainError
from core.publish.before import warn_of_token
from core.runs.events import (
    SAVING,
    Begun,
    Continued,
    Event,
    HeldOut,
    Noted,
    Paused,
    Saved,
    Staged,
    Stepped,
)
from core.runs.store import Run
from core.text.load import Text
from core.train.checkpoints import is_whole
from core.train.distributed import ranks
from core.train.reporting import Reporters
from core.train.sampling import Sampler
from core.train.watching import Watcher, watcher

if TYPE_CHECKING:
    from core.train.trainer import Trainer

WINDOW = 20  # steps over which speed and the time to the end are measured
LOOK = 0.2  # seconds between two looks at whether a paused run may go on
SKIPPED = 3  # steps in a row whose gradient is not finite, before it is given up
PROBED = 64  # elements of each parameter that are looked at to see whether it moves


class Recorder(TrainerCallback):
    """In each of several processes there is one, and all take the same decisions; the main one's events are written."""

    def __init__(self, run: Run, text: Text) -> None:
        spec = run.spec
        self.run = run
        self.trainer: Trainer | None = None  # set once the trainer exists
        self.stopped = False
        self.watcher = Watcher(0)
        self.shuffled = spec.data.order == "shuffled"
        self.sampler = Sampler(run, text, spec.evaluate.prompts, spec.evaluate.max_new_tokens)
        self.reporters = Reporters(run, spec.train.report_to if ranks.is_main() else (), run.events.append)
        # (seconds, tokens seen) after each step
        self._marks: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)
        self._skipped = 0  # steps in a row
        self._probes: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_
    ) -> None:
        if state.best_global_step:
            # The state remembers an absolute path, and the folder may have moved since.
            best = self.run.checkpoints / f"checkpoint-{state.best_global_step}"
            state.best_model_checkpoint = str(best)
            if not is_whole(best):
                text = f"{best.name}, the best one, is damaged and counts no more."
                self.run.events.append(Noted(text=text, warning=True))
                state.best_global_step = state.best_model_checkpoint = state.best_metric = None
        self.run.events.append(Begun(total_steps=state.max_steps, resumed_from=state.global_step))
        self.watcher = watcher(self.run.progress(), self.shuffled)
        if not self.reporters.open or state.global_step:
            self.reporters.begin(state.global_step)
        self._probes = {} if state.global_step else self._probe()
        self._marks.clear()
        self._mark()

    def on_pre_optimizer_step(self, args, state: TrainerState, control, model, **_) -> None:
        """A gradient that is no number is never applied: weights would be none either, from then on."""
        if self._finite([each.grad for each in model.parameters() if each.grad is not None]):
            self._skipped = 0
            return
        model.zero_grad(set_to_none=True)
        self._skipped += 1

    def on_log(self, args, state: TrainerState, control, logs: dict[str, float], **_) -> None:
        if "loss" in logs:
            self._see_step(state, logs)
            if self.stopped and control.should_save:
                self.run.events.append(Staged(stage=SAVING))
        elif "eval_loss" in logs:
            if not math.isfinite(logs["eval_loss"]):
                raise TrainError(
                    f"The held-out loss is no number at step {state.global_step}. "
                    + (
                        "Train a new run with a lower train.learning_rate, or with train.precision float32."
                        if state.global_step
                        else "The base model itself is damaged, or its weights are not for this number format."
                    )
                )
            point = HeldOut(
                step=state.global_step, loss=logs["eval_loss"], token_accuracy=logs["eval_token_accuracy"]
            )
            self._say(point)
            if state.max_steps:  # before the training begins, the base's is seen with the rest, when it does
                self._warn(self.watcher.see(point))

    def on_evaluate(self, args, state: TrainerState, control, **_) -> None:
        if not state.max_steps:
            self.reporters.begin(0)
            for event in self.run.progress().held_out[-1:]:
                self.reporters.report(event)
        for sample in self.sampler.sample(self.trainer.model, state.global_step):
            self._say(sample)

    def on_step_end(self, args, state: TrainerState, control: TrainerControl, **_) -> TrainerControl:
        asked = self.run.requests()
        if "pause" in asked and "stop" not in asked and state.global_step < state.max_steps:
            asked = self._hold(state.global_step)
        if "stop" in asked and ("discard" in asked or state.global_step < state.max_steps):
            self.stopped = control.should_training_stop = True
            control.should_save = "discard" not in asked
            control.should_evaluate = control.should_evaluate and "discard" not in asked
        return control

    def on_save(self, args, state: TrainerState, control, **_) -> None:
        self.run.events.append(Saved(step=state.global_step))

    def on_train_end(self, args, state: TrainerState, control, **_) -> None:
        if not self.stopped and state.global_step < state.max_steps:
            self.run.events.append(
                Noted(
                    text=f"Ended early at step {state.global_step}: the held-out loss no longer fell.",
                    warning=True,
                )
            )
        if state.best_global_step and state.best_global_step != state.global_step and not self.stopped:
            self.run.events.append(
                Noted(
                    text=f"Kept the weights of step {state.best_global_step}, which had the lowest held-out loss."
                )
            )
        self.reporters.close()

    def _see_step(self, state: TrainerState, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]) or self._skipped >= SKIPPED:
            raise TrainError(
                f"At step {state.global_step} the loss or its gradient is no number any more. Train a new run with "
                "a lower train.learning_rate, or with train.precision float32; if it is so from the first step, the "
                "base model itself is damaged."
            )
        self._mark()
        (begin, tokens_before), (end, tokens) = self._marks[0], self._marks[-1]
        seconds_per_step = (end - begin) / (len(self._marks) - 1)
        step = Stepped(
            step=state.global_step,
            epoch=round(logs["epoch"], 4),
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            gradient_norm=0.0 if self._skipped else float(logs["grad_norm"]),
            tokens_per_second=round((tokens - tokens_before) / max(end - begin, 1e-9), 1),
            memory_bytes=memory_in_use(),
            eta_seconds=round(seconds_per_step * (state.max_steps - state.global_step), 1),
            tokens=tokens,
        )
        self._say(step)
        self._warn(self.watcher.see(step))
        if self._skipped:
            self._warn([_skipped(state.global_step)])
        if state.global_step == min(WINDOW, state.max_steps):
            self._warn(warn_of_token(step.eta_seconds, step.step))
        if state.global_step == min(WINDOW, state.max_steps) and self._probes:
            self._warn(self._unmoved(state.global_step))

    def _hold(self, step: int) -> frozenset[str]:
        """Wait until the run may go on, or is asked to stop; what is asked of it then. No clock counts the time."""
        self.run.events.append(Paused(step=step))
        began = time.monotonic()
        while "pause" in (asked := self.run.requests()) and "stop" not in asked:
            time.sleep(LOOK)
        held = time.monotonic() - began
        self._marks = deque(((at + held, tokens) for at, tokens in self._marks), maxlen=WINDOW + 1)
        self.run.events.append(Continued(step=step))
        return asked

    def _say(self, event: Event) -> None:
        self.run.events.append(event)
        self.reporters.report(event)

    def _warn(self, warnings: list[Noted]) -> None:
        for warning in warnings:
            self._say(warning)

    def _mark(self) -> None:
        self._marks.append((time.monotonic(), self.trainer.tokens_seen))

    def _finite(self, gradients: list[torch.Tensor]) -> bool:
        """Whether all of them are, in all processes.

        They have been scaled by one factor, which makes them zero or NaN where their common norm was not finite. So
        a look at the smallest tells, unless it is zero, whether the others need one.
        """
        fine = True
        if gradients:
            largest = min(gradients, key=torch.Tensor.numel).detach().abs().max()
            fine = bool(largest.isfinite() and largest > 0)
            fine = fine or all(bool(each.detach().isfinite().all()) for each in gradients)
        if not ranks.together():
            return fine
        flag = torch.tensor(float(fine))
        dist.all_reduce(flag, dist.ReduceOp.MIN)
        return bool(flag)

    def _probe(self) -> dict[str, torch.Tensor]:
        """Some elements of every trained parameter."""
        return {
            name: weight.detach().flatten()[:: max(1, weight.numel() // PROBED)].cpu().clone()
            for name, weight in self.trainer.model.named_parameters()
            if weight.requires_grad
            and type(weight.data) is torch.Tensor  # not one that is shared by processes
        }

    def _unmoved(self, step: int) -> list[Noted]:
        now, before = self._probe(), self._probes
        self._probes = {}
        if any(not torch.equal(now[name], weight) for name, weight in before.items() if name in now):
            return []
        text = (
            f"Nothing is trained: no weight has changed in {step} steps. Raise train.learning_rate; in bfloat16, a "
            "change that is small beside its weight is lost."
        )
        return [Noted(text=text, warning=True, code="nothing-trained", step=step)]


def _skipped(step: int) -> Noted:
    text = (
        f"Step {step:,} was skipped: its gradient was not finite, and the weights are as before. After {SKIPPED} in a row "
        "the run ends; train a new one with a lower train.learning_rate then."
    )
    return Noted(text=text, warning=True, code="gradient", step=step)


def memory_in_use() -> int:
    """Bytes: peak allocated on the GPU, or resident in this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss
