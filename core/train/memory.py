"""Memory ran out anyway: half as much of a step is computed at once, from the last checkpoint on.

The step itself stays what it is, the same examples with the same weight, so that only rounding differs. What was found
out is kept in the run's split.json, for the process that resumes it.
"""

import dataclasses
import errno
import gc
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import TrainError
from core.runs.events import OUT_OF_MEMORY, Event, Failed, Finished, Noted, Started, Stepped, Stopped
from core.runs.store import Run
from core.spec import RunSpec
from core.train import disk
from core.train.device import memory_limit
from core.train.plan import Plan

SAID = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "alloc_failed")
NEARLY_ALL = 0.85  # of the memory; at the end of a step less is in use than in its middle


def ran_out(error: BaseException) -> bool:
    """Whether the error, or the one it comes from, is that memory could not be had: torch has several names for it."""
    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError) and any(said in str(error).lower() for said in SAID):
            return True
        error = error.__cause__
    return False


def free() -> None:
    """Let go of what nobody holds any more. The trainer and its callbacks hold each other: only the collector frees them."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(planned: Plan, longest: int) -> Plan | None:
    """The plan with half as much computed at once; None where the longest row, of `longest` tokens, is alone already."""
    rows = planned.micro_batch_size
    tokens = min(planned.tokens_at_once, rows * longest)
    if rows == 1 or tokens <= longest:
        return None
    return _split(planned, max(longest, tokens // 2), rows // 2)


def _split(planned: Plan, tokens: int, rows: int) -> Plan:
    parts = math.ceil(planned.batch_size / rows)
    return dataclasses.replace(planned, tokens_at_once=tokens, micro_batch_size=rows, accumulation=parts)


def say(run: Run) -> None:
    """A warning at the step in which memory ran out, with what was found out."""
    step = run.progress().step  # the last that came to its end
    text = f"Memory ran out after step {step}. {_how(*found_out(run))}, going on from the last checkpoint."
    run.events.append(Noted(text=text, warning=True, code=OUT_OF_MEMORY, step=step + 1))


def keep(run: Run, planned: Plan) -> None:
    split = {"tokens_at_once": planned.tokens_at_once, "micro_batch_size": planned.micro_batch_size}
    disk.write_json(run.split, split)


def found_out(run: Run) -> tuple[int, int] | None:
    """Tokens and rows that may be computed at once, if memory ran out before."""
    if not run.split.is_file():
        return None
    split = json.loads(run.split.read_text("utf-8"))
    return split["tokens_at_once"], split["micro_batch_size"]


def as_found_out(run: Run, planned: Plan, longest: int) -> Plan:
    """The plan with what earlier processes of the run found out about memory."""
    if found := found_out(run):
        planned = _split(planned, *found)
        run.events.append(Noted(text=f"Memory ran out before. {_how(*found)}."))
    limit = memory_limit()
    if not (last := taken_away(run.events.read()[0], limit)):
        return planned
    text = (
        f"The process before this one ended without a word after step {last.step}, when {last.memory_bytes / 1e9:.1f} of "
        f"{limit / 1e9:.1f} GB were in use: probably out of memory. "
    )
    smaller = halved(planned, longest)
    if smaller:
        keep(run, smaller)
        text += f"{_how(*found_out(run))}."
    else:
        text += "One example is computed at a time already."
    run.events.append(Noted(text=text, warning=True, code=OUT_OF_MEMORY, step=last.step + 1))
    return smaller or planned


def taken_away(events: list[Event], limit: int) -> Stepped | None:
    """The last step of a process that was ended from outside with nearly all memory in use; None if there was none.

    Whoever is killed says no word, and nobody else knows why. This is the one trace that it leaves: a system that is
    short of memory kills the process that has the most. The last process in the events is the one that asks.
    """
    begins = [at for at, event in enumerate(events) if isinstance(event, Started) and event.act == "train"]
    if len(begins) < 2 or torch.cuda.is_available():  # on a GPU the steps tell of its memory
        return None
    before = events[begins[-2] : begins[-1]]
    if any(isinstance(event, Finished | Stopped | Failed) for event in before):
        return None
    last = next((event for event in reversed(before) if isinstance(event, Stepped)), None)
    return last if last and last.memory_bytes >= NEARLY_ALL * limit else None


def too_little(spec: RunSpec, planned: Plan, longest: int) -> TrainError:
    """There is not enough for one row: what would help, first what changes the training least."""
    return TrainError(
        f"Memory ran out with one example of up to {longest:,} tokens computed at once. {_changes(spec, planned)}"
    )


@contextmanager
def enough_to_open(spec: RunSpec) -> Iterator[None]:
    """TrainError if memory runs out while the base is loaded: computing less at once would be of no help."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise TrainError(
            f"There is not enough memory to open {spec.model.base} for {spec.method.kind} training. End other programs, take "
            "a smaller model.base, or train on a machine with more memory."
        ) from error


def _changes(spec: RunSpec, planned: Plan) -> str:
    changes = [] if planned.gradient_checkpointing else ["train.gradient_checkpointing true"]
    changes.append(f"a lower train.max_length than {spec.train.max_length}")
    if spec.method.kind == "full":
        changes.append("method.kind lora")
    elif spec.method.kind != "qlora":
        changes.append("method.kind qlora")
    return f"Train a new run with {', '.join(changes)}, or a smaller model.base."


def _how(tokens: int, rows: int) -> str:
    what = "1 example is" if rows == 1 else f"{rows} examples are"
    return f"At most {what} computed at once now, {tokens:,} tokens; a step takes as many examples as before"
