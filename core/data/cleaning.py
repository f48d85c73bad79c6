"""A clean copy of a data set: what can be used, as JSON lines, with what can be mended mended; and what cannot, beside it."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.doctor.mending import mend
from core.data.examples import DataReport, Example, Message
from core.errors import DataError

CLEANED, REJECTED = "cleaned.jsonl", "rejected.jsonl"


@dataclass(frozen=True)
class Cleaned:
    """Where the copy is, and what was done to it."""

    cleaned: Path
    rejected: Path  # the rows that cannot be used, each as it was and why
    kept: int
    mended: dict[str, int]  # code -> examples


def clean(report: DataReport, folder: Path, mending: bool = True) -> Cleaned:
    """Write the examples of a report, and the rows it rejected, to a folder; DataError if that cannot be.

    Reading the copy gives the same conversations, but for what was mended.
    """
    mended: Counter[str] = Counter()
    cleaned, rejected = folder / CLEANED, folder / REJECTED
    beside = folder / f".{CLEANED}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            for example in _mended(report.examples, mended) if mending else report.examples:
                file.write(as_line(example))
        beside.replace(cleaned)
        shutil.copyfile(report.folder / REJECTED, rejected)
    except OSError as error:
        with suppress(OSError):  # the folder may not be there
            beside.unlink()
        raise DataError(
            f"{folder} cannot be written: {error.strerror}. Choose another folder, or make room."
        ) from None
    return Cleaned(cleaned, rejected, len(report.examples), dict(mended))


def as_line(example: Example) -> str:
    """An example as a line of JSON, in the shape `messages`; its value, if it has one, as `difficulty`."""
    row: dict[str, Any] = {"messages": [_as_message(message) for message in example.messages]}
    if example.value is not None:
        row["difficulty"] = example.value
    line = json.dumps(row, ensure_ascii=False)
    if example.tools:  # which are JSON already, with their numbers as they were written
        line = f'{line[:-1]}, "tools": [{", ".join(example.tools)}]}}'
    return line + "\n"


def _as_message(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        functions = ({"name": call.name, "arguments": call.arguments} for call in message.calls)
        written["tool_calls"] = [{"type": "function", "function": function} for function in functions]
    if message.role == "assistant" and not message.trained:
        written["weight"] = 0
    return written


def _mended(examples: Iterable[Example], times: Counter[str]) -> Iterable[Example]:
    for example in examples:
        whole, remarks = mend(example)
        times.update(remark.code for remark in remarks)
        yield whole
