"""What the curves of a training warn of, in words with what to do; from the events alone, and without torch.

A `Watcher` is shown the steps and measurements in their order and says what is news. What it says depends on nothing
else: shown the same events again, after a resume or by a page, it comes to the same.

The bounds were set on runs that went well and on noise, so that neither gives an alarm; tests hold them to both.
"""

import statistics
from collections import deque
from collections.abc import Iterable

from core.runs.events import HeldOut, Noted, Progress, Stepped

WINDOW = 20  # steps whose mean is taken for the loss
MOST_NOISE = 2.0  # standard deviations of single steps' losses by which that mean may rise: 9 of its own
NOISES = 10  # windows whose deviation is remembered; the largest counts
MOST_RISE = 1.3  # times the best mean, which it must pass as well
EXPLODED = 2.0  # times the loss of the first steps, and a nat more, for EXPLODED_STEPS in a row
EXPLODED_STEPS = 8
FIRST = 5  # steps that stand for the beginning
RISES = 3  # measurements in a row above the best one
HELD_OUT_RISE = 0.01  # share of the best held-out loss that the latest of them lies above it
STILL = 20  # steps in which nothing moves
BLOCK, BLOCKS = (
    50,
    5,
)  # steps whose memory is taken together, and how many such blocks must rise one after another
CREEP = 0.1  # share of the memory by which it then has grown


class Watcher:
    """`shuffled` is false for a curriculum, whose examples get harder: there a rise says nothing."""

    def __init__(self, total_steps: int, shuffled: bool = True) -> None:
        self.total_steps = total_steps
        self.shuffled = shuffled
        self._said: set[tuple[str, int]] = set()
        self._start: list[float] = []
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._best = (float("inf"), 0)  # mean loss of a window, and the step at its end
        self._noise: deque[float] = deque(maxlen=NOISES)
        self._diverged = self._constant = self._idle = self._crept = False
        self._high = 0  # steps in a row far above the beginning
        self._between: list[float] = []  # losses since the latest measurement
        self._measured: list[
            tuple[HeldOut, float | None]
        ] = []  # each with the mean training loss that led to it
        self._memory: list[int] = []  # of the block under way
        self._blocks: list[float] = []

    def see(self, event: Stepped | HeldOut) -> list[Noted]:
        """The warnings that this event gives rise to; each is given once, and again only if it is about another step."""
        found = self._see_step(event) if isinstance(event, Stepped) else self._see_measurement(event)
        fresh = [note for note in found if (note.code, note.step) not in self._said]
        self._said |= {(note.code, note.step) for note in fresh}
        return fresh

    def _see_step(self, step: Stepped) -> list[Noted]:
        if len(self._start) < FIRST:
            self._start.append(step.loss)
        self._losses.append(step.loss)
        self._norms.append(step.gradient_norm)
        self._between.append(step.loss)
        return [*self._exploding(step), *self._diverging(step), *self._still(step), *self._creeping(step)]

    def _exploding(self, step: Stepped) -> Iterable[Noted]:
        if len(self._start) < FIRST:
            return
        start = statistics.fmean(self._start)
        self._high = self._high + 1 if step.loss > EXPLODED * start + 1 else 0
        if self._high == EXPLODED_STEPS and not self._diverged:
            self._diverged = True
            yield _warning(
                "diverging",
                step.step,
                f"The training diverges: the loss is {step.loss:.3g} at step {step.step:,}, and was {start:.3g} at the "
                "beginning. Stop it, and train a new run with a lower train.learning_rate.",
            )

    def _diverging(self, step: Stepped) -> Iterable[Noted]:
        if len(self._losses) < WINDOW:
            return
        mean, (best, at) = statistics.fmean(self._losses), self._best
        noise = max(self._noise) if len(self._noise) > 1 else float("inf")
        if step.step % WINDOW == 0:  # counts from the next window on: this one may be the rise itself
            self._noise.append(statistics.stdev(self._losses))
        if mean < best:
            self._best, self._diverged = (mean, step.step), False
            return
        if (
            not self.shuffled
            or self._diverged
            or mean - best < max(MOST_NOISE * noise, MOST_RISE * best - best, 0.1)
        ):
            return
        self._diverged = True
        yield _warning(
            "diverging",
            step.step,
            f"The training diverges: over {WINDOW} steps the loss is {mean:.3g} at step {step.step:,}, and was {best:.3g} "
            f"at step {at:,}. If it does not come back, stop it, and train a new run with a lower train.learning_rate.",
        )

    def _still(self, step: Stepped) -> Iterable[Noted]:
        """No gradient, or no change: nothing is learned."""
        if not self._idle and len(self._norms) >= FIRST and not any(list(self._norms)[-FIRST:]):
            self._idle = True
            why = (
                "no token of these examples is trained; see `atelier data show`"
                if not any(list(self._losses)[-FIRST:])
                else "what is trained has no part in the answer; see method.target_modules"
            )
            yield _warning(
                "nothing-trained",
                step.step,
                f"Nothing is trained: up to step {step.step:,} the gradient is zero, so {why}.",
            )
        if self._constant or self._idle or len(self._losses) < STILL or step.learning_rate == 0:
            return
        spread, mean = max(self._losses) - min(self._losses), statistics.fmean(self._losses)
        if spread <= 1e-4 * mean and mean > 0.5 * statistics.fmean(self._start):
            self._constant = True
            yield _warning(
                "constant",
                step.step,
                f"The loss has been {mean:.4g} for {STILL} steps, up to step {step.step:,}: nothing is learned. Raise train.learning_rate, or see "
                "whether the examples differ.",
            )

    def _creeping(self, step: Stepped) -> Iterable[Noted]:
        self._memory.append(step.memory_bytes)
        if len(self._memory) < BLOCK:
            return
        self._blocks.append(statistics.median(self._memory))
        self._memory.clear()
        latest = self._blocks[1:][-BLOCKS:]  # in the first block it fills for good reasons
        if (
            self._crept
            or len(latest) < BLOCKS
            or any(b <= a for a, b in zip(latest, latest[1:], strict=False))
        ):
            return
        grown, first = latest[-1] - latest[0], latest[0]
        if grown < CREEP * first:
            return
        self._crept = True
        at_end = latest[-1] + grown / (BLOCK * (BLOCKS - 1)) * max(self.total_steps - step.step, 0)
        yield _warning(
            "memory",
            step.step,
            f"The memory grows from step to step: {first / 1e9:.2f} GB became {latest[-1] / 1e9:.2f} GB in "
            f"{BLOCK * (BLOCKS - 1)} steps, up to step {step.step:,}, and would be {at_end / 1e9:.2f} GB at the end. If that is too much, stop the "
            "run and resume it: memory begins anew.",
        )

    def _see_measurement(self, point: HeldOut) -> Iterable[Noted]:
        self._measured.append((point, statistics.fmean(self._between) if self._between else None))
        self._between.clear()
        best, trained = min(self._measured, key=lambda each: each[0].loss)
        after = self._measured[self._measured.index((best, trained)) + 1 :]
        latest, now_trained = self._measured[-1]
        if best.step == 0 or trained is None or now_trained is None or len(after) < RISES:
            return []
        if latest.loss < best.loss * (1 + HELD_OUT_RISE) or now_trained >= trained:
            return []
        return [
            _warning(
                "overfitting",
                best.step,
                f"Overfitting since step {best.step:,}: the held-out loss was {best.loss:.3g} there and is "
                f"{latest.loss:.3g} now, while the training loss falls. The checkpoint of step {best.step:,} is kept, and "
                "its weights are what the run ends with; fewer train.epochs or train.early_stopping save the rest.",
            )
        ]


def watcher(progress: Progress, shuffled: bool = True) -> Watcher:
    """One that has seen what there is, and has said what it had to say about it."""
    made = Watcher(progress.total_steps, shuffled)
    for event in in_order(progress):
        made.see(event)
    return made


def warnings(progress: Progress, shuffled: bool = True) -> list[Noted]:
    """All that the curves of a training warn of."""
    made = Watcher(progress.total_steps, shuffled)
    return [note for event in in_order(progress) for note in made.see(event)]


def in_order(progress: Progress) -> list[Stepped | HeldOut]:
    """Steps and measurements as they came: the loss on what is held out is measured after the step."""
    return sorted(
        (*progress.steps, *progress.held_out), key=lambda each: (each.step, isinstance(each, HeldOut))
    )


def _warning(code: str, step: int, text: str) -> Noted:
    return Noted(text=text, warning=True, code=code, step=step)
