"""What the rest of the house knows of a data set: examples, where each came from, and what was wrong."""

from dataclasses import dataclass, field
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
