"""What a shape of rows is, and what it makes of a row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from core.data.examples import Message
from core.data.remarks import Remark
from core.data.rows import Row
from core.errors import DataError

COLUMNS = ("question", "answer", "context", "system", "messages", "text", "difficulty")


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are to be read where they leave a choice. Raises DataError if the columns make no shape."""

    columns: Mapping[str, str] = field(default_factory=dict)  # one of COLUMNS -> the column that holds it
    paths: Literal["best", "every"] = "best"  # of a tree: the best-ranked reply at each step, or all of them

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise DataError(
                    f"There is no data.columns.{name}: what has a column is {', '.join(COLUMNS)}."
                )
        named = self.columns.keys() & {"question", "answer", "messages", "text"}
        if named and named not in ({"question", "answer"}, {"messages"}, {"text"}):
            raise DataError(
                f"data.columns names {', '.join(sorted(named))}: "
                "name question and answer, or messages alone, or text alone."
            )
        if "context" in self.columns and "question" not in self.columns:
            raise DataError("data.columns names a context but no question: name question and answer too.")

    @property
    def names_shape(self) -> bool:
        """Whether the columns say by themselves what a row is."""
        return not self.columns.keys().isdisjoint(("question", "messages", "text"))


class Conversation(NamedTuple):
    """What is made of a row, or of a part of it."""

    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()  # the functions that were offered, each as JSON text
    remarks: tuple[Remark, ...] = ()  # about its row; on the first conversation of the row


@dataclass(frozen=True, slots=True)
class Format:
    """A shape of rows, its keys in lower case.

    `conversations` takes a row in which the required keys are filled; it gives one conversation at least, or
    raises RowError.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    conversations: Callable[[Row, Reading], Iterable[Conversation]]
    fits: Callable[[Row], bool] | None = None  # what must hold besides the keys
    remark: Remark | None = None  # to be said once of a file with such rows
