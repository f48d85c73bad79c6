"""What the rest of the house knows of a data set: examples, where each came from, and what was wrong."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row stands: the file as the user named it, and its line (the first is 1)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation to learn from; it has at least one assistant message, and ends with one."""

    messages: tuple[Message, ...]
    source: Source


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


@dataclass(frozen=True, slots=True)
class DataReport:
    """What was read: `rows == len(examples) + rows with an error`, always."""

    files: tuple[str, ...]
    rows: int  # lines that hold something; blank ones are not rows
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...] = ()
    shapes: dict[str, int] = field(default_factory=dict)  # format name -> rows written in it
    sha256: dict[str, str] = field(default_factory=dict)  # file -> hash of its bytes

    @property
    def kept(self) -> int:
        return len(self.examples)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")
