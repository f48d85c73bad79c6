"""What can be scored: each task is a small file that says its examples, prompt, decoding and grading.

held-out.yaml, gsm8k.yaml, ... lie beside this file; a user's own is a .yaml of the same kind, or a file of examples.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.errors import SpecError
from core.evaluate.graders import GRADERS

FOLDER = Path(__file__).parent
HARNESS = "lm-eval:"  # what stands before the name of a task of lm-eval
YAML = (".yaml", ".yml")
TEXTS = ("rouge_l", "exact_match", "f1", "rouge_1", "rouge_2", "bleu", "chrf")
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class From(Part):
    """Where rows come from: one of the three."""

    held_out: bool = Field(False, description="The run's own held-out examples.")
    file: str | None = Field(None, description="A file beside the task's.")
    conversations: bool = Field(
        False, description="Rows are read as training data are, whatever their shape; `fields` are not used."
    )
    hub: str | None = Field(None, description="A data set on the Hub: owner/name.")
    config: str | None = Field(None, description="Its subset.")
    split: str = Field("test", description="Its split.")
    revision: str | None = Field(None, description="Its branch, tag or commit; the newest unless given.")

    @model_validator(mode="after")
    def _one(self) -> "From":
        if bool(self.held_out) + bool(self.file) + bool(self.hub) != 1:
            raise ValueError("must be held-out, or name one file or one hub")
        if self.file and (self.file == ".." or Path(self.file).name != self.file):
            raise ValueError("must name a file beside the task's, without a folder")
        return self


def _from(value: Any) -> Any:
    return {"held_out": True} if value == "held-out" else value


class Fields(Part):
    """Which column is what; a.b is b within a."""

    question: str = "question"
    reference: str = "answer"
    choices: str | None = None
    right: str = Field("answer", description="Column of the right choice: its number from 0, label or text.")
    without: str | None = Field(None, description="A pattern (regular expression) taken out of references.")
    labels: str | None = Field(
        None, description="Column of the labels of choices, where `right` is one of them."
    )


class Shots(Part):
    """Solved examples shown before each question."""

    count: int = Field(0, ge=0, le=64)
    examples: Annotated[From | None, BeforeValidator(_from)] = Field(
        None,
        description="Where they are from; the first rows of the task's own, which are then not asked, unless given.",
    )


class Task(Part):
    """One task, as its file says it."""

    label: str
    about: str
    source: str = ""
    licence: str = ""
    kind: Literal["likelihood", "generation", "choice"]
    examples: Annotated[From, BeforeValidator(_from)]
    fields: Fields = Fields()
    prompt: str = Field(
        "{question}", description="With the names of columns, and of `fields`, in braces in their places."
    )
    written: Literal["chat", "text"] = Field(
        "chat", description="By the run's template as a conversation, or as plain text."
    )
    options: Literal["texts", "letters"] = Field(
        "texts", description="What a choice is told by: its text, or its letter, listed at {options} before."
    )
    shots: Shots = Shots()
    max_new_tokens: int | None = Field(
        None, ge=1, description="Longest answer; evaluate.max_new_tokens unless given."
    )
    stop: Names = Field((), description="Texts before which an answer ends.")
    grading: Names = Field((), description="Graders, the main one first; the kind's own unless given.")
    brings: Names = Field((), description="Tasks that are scored with this one.")

    # Not in the file.
    name: str = ""
    folder: Path = FOLDER
    given: str = ""  # what a user wrote for it

    @model_validator(mode="after")
    def _graded(self) -> "Task":
        known = GRADERS if self.kind == "generation" else MEASURED[self.kind]
        for name in self.grading:
            if name not in known:
                raise ValueError(f"has the grading {name!r}, but a {self.kind} task has {', '.join(known)}")
        if self.kind == "choice" and not self.fields.choices:
            raise ValueError("has no fields.choices, which a choice task needs")
        return self

    @property
    def graders(self) -> tuple[str, ...]:
        return self.grading or (TEXTS if self.kind == "generation" else MEASURED[self.kind])


MEASURED = {
    "likelihood": ("perplexity", "token_accuracy"),
    "choice": ("accuracy_norm", "accuracy"),
}


def names() -> list[str]:
    """Of the tasks that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def tasks(wanted: Sequence[str], known: Mapping[str, str] | None = None) -> Iterator[Task]:
    """The tasks by these names, those that each brings after it, each once; SpecError if one cannot be understood.

    A user's own are called after their files, and no two the same: `q`, `q-2`, `gsm8k-own`. `known` has the names that
    are taken, each with what was given for it: the same file keeps its name, and no other gets it.
    """
    taken = {name: str(Path(given).resolve()) for name, given in (known or {}).items() if given}
    seen: set[str] = set()
    for name in wanted:
        for task in _apart(list(_named(name)), taken):
            for each in (task, *map(built_in, task.brings)):
                if each.name not in seen:
                    seen.add(each.name)
                    yield each


def _apart(found: list[Task], taken: dict[str, str]) -> list[Task]:
    """The tasks of one file under names that no task of the project and no other file has."""
    if not found[0].given:
        return found
    file, stem = str(Path(found[0].given).resolve()), found[0].name
    ends = [task.name.removeprefix(stem) for task in found]
    own = f"{stem}-own" if {stem + end for end in ends} & {*names()} else stem
    free = next(
        each
        for each in chain([own], (f"{own}-{number}" for number in count(2)))
        if all(taken.get(each + end, file) == file for end in ends)
    )
    taken |= {free + end: file for end in ends}
    if free == stem:
        return found
    called = [{"name": free + end} for end in ends]
    if found[0].examples.conversations:  # such a task is called after its file, a task's own .yaml as it says
        called = [
            each | {"label": free + task.label.removeprefix(stem)}
            for each, task in zip(called, found, strict=True)
        ]
    return [task.model_copy(update=each) for task, each in zip(found, called, strict=True)]


def built_in(name: str) -> Task:
    if name not in names():
        close = get_close_matches(name, names(), 1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(names())}."
        raise SpecError(f"There is no task {name!r}, nor a file called so. {hint}")
    return read(FOLDER / f"{name}.yaml")


def read(path: Path, given: str = "") -> Task:
    """A task's file; SpecError, in one sentence, if it cannot be understood."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise SpecError(f"The task {path} cannot be read: {first}.") from None
    if not isinstance(values, dict):
        raise SpecError(f"The task {path} holds no settings: it needs label, about, kind and examples.")
    if hidden := {"name", "folder", "given"} & values.keys():
        raise SpecError(f"The task {path} has the unknown key {min(hidden)!r}: take it out.")
    try:
        return Task(**values | {"name": path.stem, "folder": path.parent, "given": given})
    except ValidationError as error:
        why = _why(error)
        raise SpecError(f"The task {path} {why}{'' if why.endswith('?') else '.'}") from None


def _named(name: str) -> Iterator[Task]:
    path = Path(name)
    if path.suffix in YAML:
        yield read(path, name)
    elif path.suffix or path.is_file():
        yield from _of_examples(path)
    else:
        yield built_in(name)


def _of_examples(path: Path) -> Iterator[Task]:
    """A file of examples like those that are trained on: how likely its answers are, and answers of the model's own."""
    if not path.is_file():
        raise SpecError(
            f"There is no file {path} to score: name a task, a task's .yaml, or a file of examples."
        )
    shared = {
        "examples": {"file": path.name, "conversations": True},
        "folder": path.resolve().parent,
        "given": str(path),
        "source": path.name,
    }
    yield Task(
        name=path.stem,
        label=path.stem,
        about="Your own examples: how likely their answers are.",
        kind="likelihood",
        **shared,
    )
    yield Task(
        name=f"{path.stem}-answers",
        label=f"{path.stem}: answers",
        about="Your own examples: answers beside their references.",
        kind="generation",
        **shared,
    )


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(Task, first["loc"][:-1])
        close = get_close_matches(str(first["loc"][-1]), known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return f"has the unknown key {where!r}: {hint}"
    if first["type"] == "missing":
        return f"lacks the key {where!r}"
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"has a wrong {where!r}: {what}" if where else what


def _keys(model: type[Part], place: Sequence[int | str]) -> list[str]:
    """The keys that there are at a place of the file."""
    for step in place:
        inner = {"examples": From, "fields": Fields, "shots": Shots}.get(str(step))
        model = inner or model
    return [name for name in model.model_fields if name not in ("name", "folder", "given")]
