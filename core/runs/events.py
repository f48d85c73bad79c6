"""What happens during a run, as one JSON object per line of events.jsonl, and the progress they add up to.

The job appends; everyone else only reads. There is no other channel between a job and its viewers, so a page can be
reloaded, or the web server restarted, in the middle of a run.
"""

import dataclasses
import errno
import functools
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

try:  # comes with gradio; a machine of HF Jobs has none. 100,000 lines in 0.2 s, with json in 1.5
    from orjson import loads
except ImportError:
    from json import loads

Act = Literal["train", "evaluate", "merge", "export", "push", "compare"]
State = Literal["new", "queued", "running", "paused", "finished", "stopped", "failed", "lost"]
OUT_OF_MEMORY = "out-of-memory"  # a warning's code: the step it is about never came to its end
SAVING = "Saving a checkpoint"  # the stage in which a training ends that was asked to stop
BUSY = ("queued", "running", "paused")
ENDED = ("finished", "stopped", "failed", "lost")


@dataclass(frozen=True, kw_only=True)
class Event:
    at: float = field(default_factory=time.time)  # seconds since the epoch


@dataclass(frozen=True, kw_only=True)
class Queued(Event):
    """Someone asked for an act; it starts when its turn on the accelerator comes."""

    act: Act


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    act: Act
    pid: int
    device: str = ""  # what it holds: cpu, or GPUs as CUDA_VISIBLE_DEVICES names them


@dataclass(frozen=True, kw_only=True)
class Staged(Event):
    """What the job does now, outside the training steps; `total` 0 means that the length is not known."""

    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """A choice with its reason, or a warning, in one sentence."""

    text: str
    warning: bool = False
    code: str = ""  # of a warning about the training: what kind
    step: int = 0  # where on the curve it belongs


@dataclass(frozen=True, kw_only=True)
class Begun(Event):
    """The training loop begins; after a resume, later steps of the earlier process count no more."""

    total_steps: int
    resumed_from: int = 0


@dataclass(frozen=True, kw_only=True)
class Stepped(Event):
    step: int
    epoch: float
    loss: float  # mean over the trained tokens of the step, in nats
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float  # real tokens, padding not counted, over the latest steps
    memory_bytes: int  # resident memory of the process on a CPU, peak allocated memory on a GPU
    eta_seconds: float  # from the latest steps, not from the start
    tokens: int = 0  # real tokens of all steps since the process began


@dataclass(frozen=True, kw_only=True)
class HeldOut(Event):
    step: int
    loss: float  # token-weighted mean over the held-out examples, in nats
    token_accuracy: float  # share of the trained tokens that the model ranks first


@dataclass(frozen=True, kw_only=True)
class Sampled(Event):
    """What the model as it was after this step answers to one of evaluate.prompts."""

    step: int
    question: str
    answer: str
    ended: Literal["turn", "length"] = "turn"  # length: cut off


@dataclass(frozen=True, kw_only=True)
class Paused(Event):
    """Held between two steps, because someone asked; the process keeps its memory and its accelerator."""

    step: int


@dataclass(frozen=True, kw_only=True)
class Continued(Event):
    step: int


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A whole checkpoint is on disk."""

    step: int


@dataclass(frozen=True, kw_only=True)
class Trained(Event):
    """The training came to its end and final/ is whole, whatever happens to the evaluation."""


@dataclass(frozen=True, kw_only=True)
class Published(Event):
    repo_id: str
    url: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class Remote(Event):
    """Another machine does the work: which one, what it costs, and where it stands."""

    job: str  # namespace/id
    url: str
    flavor: str
    stage: str = ""  # as HF Jobs calls it: SCHEDULING, RUNNING, COMPLETED, ERROR, CANCELED
    usd_per_hour: float = 0.0
    seconds: float = 0.0  # billed so far
    usd_before: float = 0.0  # spent on earlier jobs of the same run

    @property
    def usd(self) -> float:
        """What the run has cost so far, as far as is known."""
        return self.usd_before + self.usd_per_hour * self.seconds / 3600


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    act: Act
    output: str = ""  # what the act made, relative to the run's folder


@dataclass(frozen=True, kw_only=True)
class Stopped(Event):
    """The user asked, and the act ended: by itself with all that it had done saved, or by force."""

    act: Act
    step: int = 0
    forced: bool = False  # it did not end by itself: what came after its last checkpoint is lost
    discarded: bool = False  # what the training made is removed: the user did not want it


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    act: Act
    message: str  # for the user; the traceback is in console.log


KINDS = {
    kind.__name__.lower(): kind
    for kind in (
        Queued, Started, Staged, Noted, Begun, Stepped, HeldOut, Sampled, Paused, Continued, Saved, Trained,
        Published, Remote, Finished, Stopped, Failed,
    )
}  # fmt: skip


class EventLog:
    """Appends events to a file, one whole line per write, so a reader never sees half of two."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: Event) -> None:
        values = {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
        line = json.dumps(values, allow_nan=False).encode() + b"\n"
        with self.path.open("ab+", buffering=0) as file:
            if end := file.seek(0, os.SEEK_END):
                file.seek(end - 1)
                if file.read(1) != b"\n":  # torn by a full disk or a crash: it shall not swallow this one
                    line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def read(self, offset: int = 0) -> tuple[list[Event], int]:
        """The events after byte `offset`, and the offset to read from next time.

        A line still being written is left for the next read. A kind this version does not know is passed over, so an
        old page can watch a newer job; so is a line that a crash of the whole machine tore.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return [event for line in whole.splitlines() if (event := decode(line))], offset + len(whole)


def decode(line: bytes) -> Event | None:
    """The event that a line of events.jsonl holds; None if it holds none that is known."""
    try:
        values = loads(line)
        kind = KINDS.get(values.pop("event"))
        if kind is None:
            return None
        names = _names(kind)
        if (
            values.keys() == names
        ):  # as nearly all are: a frozen dataclass's own way takes three times as long
            event = object.__new__(kind)
            vars(event).update(values)
            return event
        return kind(**{name: value for name, value in values.items() if name in names})
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


@functools.cache
def _names(kind: type[Event]) -> frozenset[str]:
    return frozenset(each.name for each in dataclasses.fields(kind))


@dataclass(frozen=True)
class Progress:
    """Where a run stands: every view is drawn from this and nothing else."""

    act: Act = "train"  # the latest act that was asked for; `state` and `message` are its
    state: State = "new"
    asked_at: float = 0.0  # when that act was asked for
    at: float = 0.0  # time of the latest event
    stage: Staged | None = None
    total_steps: int = 0
    steps: tuple[Stepped, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    samples: tuple[Sampled, ...] = ()
    notes: tuple[Noted, ...] = ()
    saved_step: int = 0
    trained: bool = False  # the training came to its end, and final/ is whole
    published: tuple[Published, ...] = ()
    remote: Remote | None = None  # the latest word of the machine that does, or did, the work
    message: str = ""
    device: str = ""  # what the process holds, or held
    trained_on: str = ""  # what the latest process that trained held
    forced: bool = False  # it was stopped by force
    discarded: bool = False

    @property
    def step(self) -> int:
        return self.steps[-1].step if self.steps else 0

    @property
    def warnings(self) -> tuple[Noted, ...]:
        """Those that belong to a step of the training."""
        return tuple(note for note in self.notes if note.warning and note.code)

    @property
    def resumable(self) -> bool:
        return not self.trained and self.state in ("stopped", "failed", "lost")


def advance(progress: Progress, events: Iterable[Event]) -> Progress:
    """The progress after more events. `advance(advance(p, a), b) == advance(p, a + b)`."""
    now = dict(vars(progress)) | {name: list(getattr(progress, name)) for name in SERIES}
    for event in events:
        now["at"] = event.at
        match event:
            case Queued():
                now |= _FRESH | {"act": event.act, "state": "queued", "asked_at": event.at}
            case Started():
                now |= _FRESH | {"act": event.act, "state": "running", "device": event.device}
                if event.act == "train":  # it says again what it chose; a warning stays with its step
                    now["notes"] = [note for note in now["notes"] if note.code]
                    now["trained_on"] = event.device
            case Staged():
                now["stage"] = event
            case Noted():
                _note(now["notes"], event)
            case Begun():
                now |= {"total_steps": event.total_steps, "stage": None} | _kept(now, event.resumed_from)
            case Stepped():
                now["steps"].append(event)
                now["stage"] = None
            case HeldOut():
                # Several processes measure the base after the beginning: again, if they begin again.
                now["held_out"] = [each for each in now["held_out"] if each.step != event.step] + [event]
            case Sampled():
                key = event.step, event.question
                now["samples"] = [each for each in now["samples"] if (each.step, each.question) != key] + [
                    event
                ]
            case Paused():
                now |= {"state": "paused", "stage": None}
            case Continued():
                now["state"] = "running"
            case Saved():
                now["saved_step"] = event.step
            case Trained():
                now["trained"] = True
            case Published():
                now["published"].append(event)
            case Remote():
                now["remote"] = event
            case Finished():
                now |= {"state": "finished", "stage": None, "trained": now["trained"] or event.act == "train"}
            case Stopped():
                now |= {"state": "stopped", "stage": None, "forced": event.forced}
                if event.discarded:
                    now |= {"discarded": True, "saved_step": 0, "trained": False}
            case Failed():
                now |= {"state": "failed", "message": event.message, "stage": None}
    return Progress(**now | {name: tuple(now[name]) for name in SERIES})


SERIES = ("steps", "held_out", "samples", "notes", "published")
_FRESH = {"message": "", "stage": None, "device": "", "forced": False, "discarded": False}


def _note(notes: list[Noted], event: Noted) -> None:
    """Add the note; a warning said before about the same step gives way, since a resume repeats steps."""
    if event.code:
        notes[:] = [each for each in notes if (each.code, each.step) != (event.code, event.step)]
    notes.append(event)


def _kept(now: dict[str, Any], step: int) -> dict[str, Any]:
    """What holds after a beginning at this step: later steps will come again, and so will what was said of them."""
    kept: dict[str, Any] = {
        "steps": [each for each in now["steps"] if each.step <= step],
        "notes": [each for each in now["notes"] if each.step <= step or each.code == OUT_OF_MEMORY],
    }
    if step:
        measured = {
            name: [each for each in now[name] if each.step <= step] for name in ("held_out", "samples")
        }
        return kept | measured | {"saved_step": step}
    first = {each.question: each for each in now["samples"] if each.step == 0}
    # The base was measured just before.
    return kept | {
        "held_out": [each for each in now["held_out"] if each.step == 0][-1:],
        "samples": list(first.values()),
        "saved_step": 0,
    }
