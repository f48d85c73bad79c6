"""The models of a run on one bench: each task is put to one after the other, and what each said is kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from transformers import AutoModelForCausalLM, PreTrainedModel

from core.data.examples import Message
from core.errors import RunError, TextError
from core.evaluate import kept
from core.evaluate.batches import Progress
from core.evaluate.generate import answer, room
from core.evaluate.items import Item
from core.evaluate.likelihood import Likelihood, likelihoods
from core.evaluate.report import Answer, Side
from core.evaluate.request import merged
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.spec import RunSpec
from core.text.encode import Encoded
from core.text.load import load_text
from core.train.model import Pair, base_parameters, device_for, free_memory, inference_dtype, open_pair

Found = TypeVar("Found", Answer, Likelihood)
Work = Callable[[PreTrainedModel, Progress, Callable[[], bool]], list[Found] | None]
Sides = dict[str, list[Found]]  # what was found for "base" and "tuned", or for the one that is asked


class StopError(Exception):
    """By the user; what was found until then is not written."""


@dataclass
class Bench:
    """A run's models, and the run that hears how far they are. A merged model stands where the tuned one does."""

    run: Run
    spec: RunSpec
    pair: Pair
    sides: tuple[Side, ...]
    weights: dict[str, str]  # of each side, what tells them from any others
    longest: int | None = None  # of answers, in tokens, whatever a task says; as asked for this time
    seconds: float = field(default=0.0)  # that the models worked, or had worked when what they said was kept

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple("tuned" if side == "merged" else side for side in self.sides)

    def answers(
        self, does: str, prompts: Sequence[list[int]], most: int, stop_texts: Sequence[str] = ()
    ) -> Sides[Answer]:
        text = self.pair.text
        asked = (prompts, text.stop_ids, most, tuple(stop_texts))
        return self._each(
            does,
            len(prompts),
            Answer,
            asked,
            lambda model, progress, should_stop: answer(
                model, text.tokenizer, prompts, text.stop_ids, most, progress, should_stop, stop_texts
            ),
        )

    def likelihoods(self, does: str, rows: Sequence[Encoded]) -> Sides[Likelihood]:
        return self._each(
            does,
            len(rows),
            Likelihood,
            [(row.ids, row.trained) for row in rows],
            lambda model, progress, should_stop: likelihoods(model, rows, progress, should_stop),
        )

    def _each(
        self, does: str, count: int, kind: type[Found], asked: object, work: Work[Found]
    ) -> Sides[Found]:
        return {
            column: self._one(side, column, does, count, kind, asked, work)
            for side, column in zip(self.sides, self.columns, strict=True)
        }

    def _one(
        self,
        side: Side,
        column: str,
        does: str,
        count: int,
        kind: type[Found],
        asked: object,
        work: Work[Found],
    ) -> list[Found]:
        def progress(done: int, total: int) -> None:
            self.run.events.append(Staged(stage=f"{side.capitalize()} {does}", done=done, total=total))

        if self.run.stop_requested():
            raise StopError
        progress(0, count)
        with self.pair.side(column) as model:
            format_ = (str(model.dtype), model.device.type, bool(getattr(model, "is_quantized", False)))
            how = (self.weights[side], format_, kind.__name__, asked)
            if known := kept.known(kind, how):
                found, seconds = known
                progress(count, count)
            else:
                began = time.monotonic()
                found = work(model, progress, self.run.stop_requested)
                seconds = time.monotonic() - began
        if found is None:
            raise StopError
        if not known:
            kept.keep(found, seconds, how)
        self.seconds += seconds
        return found

    def prompt(self, item: Item, written: str) -> list[int]:
        """What is asked as ids; TextError if the template cannot write it."""
        text = self.pair.text
        if written == "chat":
            return text.template.prompt_ids(item.asked, text.tokenizer, item.tools)
        return self.plain(item.asked[0].content)

    def plain(self, words: str) -> list[int]:
        """A text without a template, begun as the tokenizer begins one."""
        text = self.pair.text
        begin = text.tokenizer.convert_tokens_to_ids(list(text.template.begin))
        clean = text.template.words.clean(words, [])
        return [*begin, *text.tokenizer(clean, add_special_tokens=False).input_ids]

    def continued(self, item: Item, said: str, written: str) -> Encoded | None:
        """What is asked and what could be said as one row, of which the latter counts; None if it is longer than the
        model's context."""
        text = self.pair.text
        if written == "chat":
            asked = text.template.prompt_ids(item.asked, text.tokenizer, item.tools)
            words = text.template.prompt(item.asked, item.tools) + text.template.words.clean(said, [])
            ids = text.tokenizer(words, add_special_tokens=False).input_ids
        else:
            asked = self.plain(item.asked[0].content)
            ids = self.plain(f"{item.asked[0].content} {said}")
        # A tokenizer may join the last letters of the one with the first of the other.
        pairs = zip(asked, ids, strict=False)
        begin = next(
            (at for at, (one, other) in enumerate(pairs) if one != other), min(len(asked), len(ids) - 1)
        )
        with self.pair.side("tuned") as model:
            if room(model, ids) < 0:
                return None
        return Encoded(ids, [place >= begin for place in range(len(ids))], None)

    def askable(self, items: Sequence[Item], written: str) -> tuple[list[tuple[Item, list[int]]], list[str]]:
        """Each item with what is asked as ids, and notes on those that cannot be asked."""
        asked, notes = [], []
        for item in items:
            try:
                asked.append((item, self.prompt(item, written)))
            except TextError:
                continue
        if len(asked) < len(items):
            notes.append(
                f"{len(items) - len(asked):,} of {len(items):,} rows ask nothing that the template can write."
            )
        with self.pair.side("tuned") as model:
            fitting = [pair for pair in asked if room(model, pair[1]) > 0]
        if len(fitting) < len(asked):
            notes.append(
                f"{len(asked) - len(fitting)} of {len(asked)} questions fill the model's context and were not asked."
            )
        return fitting, notes

    def user(self, question: str) -> Item:
        """A question of the user's own."""
        return Item("", "", question, (Message("user", question),), "")

    def warn(self, text: str) -> None:
        self.run.events.append(Noted(text=text, warning=True))


def open_bench(run: Run, spec: RunSpec, sides: tuple[Side, ...], longest: int | None = None) -> Bench:
    """RunError if what is asked for was not made yet."""
    pair = _open_merged(run, spec) if sides == ("merged",) else open_pair(run)
    base = repr((kept.base_digest(spec), pair.text.added, spec.model.tokenizer))
    weights = {
        "base": base,
        "tuned": repr((base, kept.folder_digest(run.final))),
        "merged": kept.folder_digest(run.folder / "merged") if sides == ("merged",) else "",
    }
    return Bench(run, spec, pair, sides, weights, longest)


def _open_merged(run: Run, spec: RunSpec) -> Pair:
    folder = merged(run)
    device = device_for(spec)
    parameters = base_parameters(spec)
    dtype = inference_dtype(parameters, device)
    if parameters * dtype.itemsize > free_memory(device):
        raise RunError(f"The merged model of {run.name!r} does not fit into the memory that is free.")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return Pair(load_text(spec), model.to(device).eval().requires_grad_(False), None)
