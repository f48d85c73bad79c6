"""What the rest of the house knows of a data set: examples, where each came from, and what was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that an assistant calls."""

    name: str
    arguments: str  # a JSON object, as text


@dataclass(frozen=True, slots=True)
class Message:
    """What one side says. The content may be empty where an assistant only calls tools."""

    role: Role
    content: str = ""
    trained: bool = True  # of an assistant's message: false where the data give it the weight 0
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row stands: the file as the user named it, and its line (the first is 1).

    `part` tells what begins on the same line apart: JSON may be one long line, and a row several conversations.
    """

    file: str
    line: int
    part: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f"#{self.part}" if self.part > 1 else "")


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation to learn from; it has at least one assistant message, and ends with one."""

    messages: tuple[Message, ...]
    source: Source
    tools: tuple[str, ...] = ()  # the functions that were offered, each as JSON text
    value: float | None = None  # what the column holds that the order of training goes by


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one line that a person should know.

    An error means that the row is not used; a warning, that it is used as `why` says.
    """

    source: Source
    severity: Severity
    code: str  # stable, for programs: "not-json", "empty-answer", ...
    why: str
    fix: str


@dataclass(frozen=True)
class DataReport:
    """What was read. `rows == rows that gave examples + rejected`, always.

    Of each code the first problems are listed; `counts` has them all. Most shapes make one example of a row.
    """

    files: tuple[str, ...]
    rows: int  # lines that hold something; blank ones are not rows
    examples: Sequence[Example] = field(repr=False)
    rejected: int = 0  # rows with an error
    problems: tuple[Problem, ...] = ()
    counts: dict[tuple[Severity, str], int] = field(default_factory=dict)  # (severity, code) -> problems
    shapes: dict[str, int] = field(default_factory=dict)  # format name -> rows written in it
    kinds: dict[str, str] = field(default_factory=dict)  # file -> "JSON lines", "CSV", ...
    sha256: dict[str, str] = field(default_factory=dict)  # file -> hash of its bytes
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)  # file -> the keys of its first rows
    sample: tuple[
        dict[str, str], ...
    ] = ()  # the first rows of the first file, as they stand there, shortened
    guessed: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # file -> what its columns were taken to mean
    droppable: tuple[str, ...] = ()  # codes of warnings about single examples, which may be left out for them
    languages: dict[str, float] = field(
        default_factory=dict
    )  # language -> its share of the examples looked at
    dropped: dict[str, int] = field(default_factory=dict)  # code -> examples left out on request
    folder: Path | None = field(default=None, repr=False)  # where rejected.jsonl lies

    @property
    def kept(self) -> int:
        return len(self.examples)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> int:
        """How many warnings there are, listed or not."""
        return sum(times for (severity, _), times in self.counts.items() if severity == "warning")
