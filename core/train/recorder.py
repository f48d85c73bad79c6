"""The one callback: turns what the trainer does into events, and listens for the request to stop."""

import math
import time
from collections import deque
from typing import TYPE_CHECKING

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import TrainError
from core.runs.events import Begun, HeldOut, Noted, Saved, Stepped
from core.runs.store import Run
from core.train.checkpoints import is_whole

if TYPE_CHECKING:
    from core.train.trainer import Trainer

WINDOW = 20  # steps over which speed and the time to the end are measured


class Recorder(TrainerCallback):
    def __init__(self, run: Run) -> None:
        self.run = run
        self.trainer: Trainer | None = None  # set once the trainer exists
        self.stopped = False
        self._marks: deque[tuple[float, int]] = deque(
            maxlen=WINDOW + 1
        )  # (seconds, tokens seen) after each step

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
        self._mark()

    def on_log(self, args, state: TrainerState, control, logs: dict[str, float], **_) -> None:
        if "loss" in logs:
            if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
                raise TrainError(
                    f"At step {state.global_step} the loss or its gradient is no number any more. Train a new run with "
                    "a lower train.learning_rate, or with train.precision float32; if it is so from the first step, the "
                    "base model itself is damaged."
                )
            self._mark()
            (begin, tokens_before), (end, tokens) = self._marks[0], self._marks[-1]
            seconds_per_step = (end - begin) / (len(self._marks) - 1)
            self.run.events.append(
                Stepped(
                    step=state.global_step,
                    epoch=round(logs["epoch"], 4),
                    loss=logs["loss"],
                    learning_rate=logs["learning_rate"],
                    gradient_norm=float(logs["grad_norm"]),
                    tokens_per_second=round((tokens - tokens_before) / (end - begin), 1),
                    memory_bytes=memory_in_use(),
                    eta_seconds=round(seconds_per_step * (state.max_steps - state.global_step), 1),
                )
            )
        elif "eval_loss" in logs:
            self.run.events.append(
                HeldOut(
                    step=state.global_step, loss=logs["eval_loss"], token_accuracy=logs["eval_token_accuracy"]
                )
            )

    def on_step_end(self, args, state: TrainerState, control: TrainerControl, **_) -> TrainerControl:
        if self.run.stop_requested() and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True
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

    def _mark(self) -> None:
        self._marks.append((time.monotonic(), self.trainer.tokens_seen))


def memory_in_use() -> int:
    """Bytes: peak allocated on the GPU, or resident in this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss
