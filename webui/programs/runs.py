"""Acts on runs: looked at, held, ended, named, put in line, merged and exported."""

import functools
import os
from collections.abc import Callable
from typing import Any, Literal

from core.errors import UserError
from core.publish.gguf.formats import format_named
from core.remote import record
from core.runs import Run, jobs, naming, queue
from webui.programs.acts import Acts, Told, told

LATEST = 10  # steps that are told of a run; `curves` has all
MOST_OF_A_LOG = 10_000_000  # bytes
CURVES = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes")
HELD_OUT = ("step", "loss", "token_accuracy")


class Runs(Acts):
    def runs(self) -> list[Told]:
        """Every run, the newest first.

        Returns:
            for each: run (its name), base_model, method, preset (null if it is not known), act, state (new, queued, running, paused, finished, stopped, failed, lost), message (why it failed), trained, step, total_steps, loss, held_out_loss, eta_seconds, published
        """
        return [told(self.shared, run) for run in self.shared.store.all()]

    def run(self, run: str) -> Told:
        """One run: where it stands, what was noted, and its settings. It is over when its state is finished, stopped, failed or lost.

        Args:
            run: Name of the run.

        Returns:
            what `runs` tells, with stage, steps (the latest ten), notes, warnings, samples (answers to its own questions), note, saved_step, resumable, settings
        """
        found = self.shared.run(run)
        progress = self.shared.progress(found)
        return told(self.shared, found) | {
            "stage": progress.stage.stage if progress.stage else None,
            "steps": [{"step": each.step, "loss": each.loss} for each in progress.steps[-LATEST:]],
            "notes": [note.text for note in progress.notes if not note.warning],
            "warnings": [
                {"text": note.text, "code": note.code, "step": note.step}
                for note in progress.notes
                if note.warning
            ],
            "samples": [
                {"step": each.step, "question": each.question, "answer": each.answer}
                for each in progress.samples
            ],
            "note": found.note,
            "saved_step": progress.saved_step,
            "resumable": progress.resumable,
            "settings": found.spec.model_dump(mode="json"),
        }

    def curves(self, run: str, after_step: int = 0) -> Told:
        """What was measured at each step of a training; losses are in nats, memory in bytes.

        Args:
            run: Name of the run.
            after_step: Only steps after this one, so that who asks again and again is told only what is new.

        Returns:
            training and held_out: columns of equal length, by name, such as step and loss
        """
        progress = self.shared.progress(self.shared.run(run))
        series = (("training", CURVES, progress.steps), ("held_out", HELD_OUT, progress.held_out))
        return {
            name: {
                column: [getattr(each, column) for each in points if each.step > after_step]
                for column in columns
            }
            for name, columns, points in series
        }

    def log(self, run: str, most_bytes: int = 20_000) -> str:
        """The end of what the run's process has printed.

        Args:
            run: Name of the run.
            most_bytes: How much of it; 10 MB are told at most.

        Returns:
            the text; empty if nothing was printed
        """
        console = self.shared.run(run).console
        if not console.is_file():
            return ""
        with console.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - min(max(most_bytes, 0), MOST_OF_A_LOG)))
            return file.read().decode("utf-8", "replace")

    def pause(self, run: str) -> Told:
        """Hold a training after the step it is in. It keeps its memory and its accelerator; `continue` lets it go on.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, jobs.pause)

    def continue_(self, run: str) -> Told:
        """Let a paused training go on.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, jobs.go_on)

    def stop(self, run: str, now: bool = False) -> Told:
        """Ask a run to stop, or to leave the line if it waits. A training saves a checkpoint; `resume` goes on from there.

        Args:
            run: Name of the run.
            now: End its processes at once; what came after its last checkpoint is lost.

        Returns:
            the run, as `runs` tells it; it may take a moment until its state is stopped
        """
        return self._after(run, functools.partial(jobs.stop, now=now))

    def discard(self, run: str) -> Told:
        """Stop a training and remove all that it has made; its settings, curves and log stay.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, functools.partial(jobs.stop, discard=True))

    def resume(self, run: str, agree_to_cost: bool = False) -> Told:
        """Go on with a run that was stopped, failed or lost, from its last whole checkpoint.

        Args:
            run: Name of the run.
            agree_to_cost: Whether another machine of HF Jobs may be paid for, if the run needs one.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        if not agree_to_cost and record.asks_for_a_machine(found):
            raise UserError(
                f"This asks HF Jobs for another machine ({found.spec.compute.flavor}), which is paid for: ask again with "
                "agree_to_cost."
            )
        return self._start(found, "train")

    def rename(self, run: str, name: str) -> Told:
        """Give a run that is not at work another name.

        Args:
            run: Name of the run.
            name: The new one: letters, digits, dots, dashes and underscores, 64 at most.

        Returns:
            the run, as `runs` tells it
        """
        return told(self.shared, naming.rename(self.shared.run(run), name))

    def note(self, run: str, words: str) -> Told:
        """Keep some words with a run, in place of those before.

        Args:
            run: Name of the run.
            words: What is to be remembered of it; none if empty.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, functools.partial(naming.note, words=words))

    def delete(self, run: str) -> Told:
        """Delete a run with its checkpoints, model and scores. It cannot be brought back.

        Args:
            run: Name of the run.

        Returns:
            deleted: the name that is free now
        """
        found = self.shared.run(run)
        jobs.delete(found)
        return {"deleted": found.name}

    def queue(self) -> Told:
        """What is at work on which accelerator, and which runs wait for one.

        Returns:
            running (run, act, state, device, step, total_steps) and waiting (names, the next one first)
        """
        from core.show import queue_as_dict

        rows = self.shared.all()
        return queue_as_dict(queue.holding(rows), queue.waiting(rows))

    def move(self, run: str, to: Literal["first", "last", "earlier", "later"]) -> Told:
        """Give a run that waits for an accelerator another place in the line.

        Args:
            run: Name of the run.
            to: The next one, the last one, or one place earlier or later.

        Returns:
            what `queue` tells
        """
        queue.move(self.shared.run(run), to)
        return self.queue()

    def merge(self, run: str) -> Told:
        """Write the whole tuned model, adapter merged in, to the run's folder `merged`. Returns at once: see `run`.

        Args:
            run: Name of the run, trained to its end.

        Returns:
            the run, as `runs` tells it
        """
        return self._start(self.shared.run(run), "merge")

    def export(self, run: str, quantization: list[str] | None = None, ollama: bool = False) -> Told:
        """Write GGUF files for llama.cpp and Ollama to the run's folder `gguf`. Returns at once: see `run`.

        Args:
            run: Name of the run, trained to its end.
            quantization: Number formats, such as q8_0 or f16; as publish.quantization of the run says unless given.
            ollama: Also write a Modelfile for the first of them.

        Returns:
            the run, as `runs` tells it
        """
        for name in quantization or []:
            format_named(name)
        return self._start(self.shared.run(run), "export", quantization=quantization or [], ollama=ollama)

    def _after(self, name: str, act: Callable[[Run], None]) -> Told:
        run = self.shared.run(name)
        act(run)
        return told(self.shared, run)

    def _start(self, run: Run, act: str, **options: Any) -> Told:
        jobs.start(run, act, self.shared.token(), **options)
        return told(self.shared, run)
