"""The rows of a task: read from where its file says, and written as what a model is asked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.examples import Example, Message
from core.data.files.opening import Read, Unread, expand, opened
from core.errors import DataError
from core.evaluate.tasks import From, Task

NAMED = re.compile(r"\{([A-Za-z_][\w.]*)\}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Item:
    """One row: what is asked, as messages or as one text, and what would be right."""

    source: str  # file and line
    file: str
    question: str  # as a person reads it
    asked: tuple[Message, ...]  # of plain text: one message that holds it
    reference: str
    tools: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()  # as they are said
    right: int = 0


@dataclass(frozen=True)
class Items:
    """The rows of a task, and those that are shown solved before each."""

    rows: list[Item]
    shown: list[Item]


def spread(count: int, most: int | None) -> list[int]:
    """Up to `most` places among `count`, evenly spread."""
    taken = min(count, most if most is not None else count)
    return [place * count // taken for place in range(taken)]


def items(task: Task, shots: int, local: Path | None = None) -> Items:
    """DataError, in one sentence, where rows cannot be had. `local` takes the place of a data set on the Hub: a file,
    or a folder with a file for each split."""
    if not shots:
        return Items(list(_rows(task, task.examples, local)), [])
    apart = task.shots.examples
    if apart and (local is None or local.is_dir()):
        shown = list(_rows(task, apart, local))
        rows = list(_rows(task, task.examples, local))
    else:
        every = list(_rows(task, task.examples, local))
        shown, rows = every[:shots], every[shots:]
    return Items(rows, [shown[place] for place in spread(len(shown), shots)])


def of_examples(examples: Sequence[Example]) -> list[Item]:
    """Conversations as items; those that ask nothing are left out."""
    return [
        Item(
            str(each.source),
            each.source.file,
            as_text(each.messages[:-1]),
            tuple(each.messages[:-1]),
            each.messages[-1].content,
            each.tools,
        )
        for each in examples
        if any(message.role != "system" for message in each.messages[:-1])
    ]


def with_shots(item: Item, shown: Sequence[Item], written: str) -> Item:
    """The item with solved ones before it: as earlier turns, or as text."""
    if not shown:
        return item
    if written == "chat":
        before = [turn for each in shown for turn in (*each.asked, Message("assistant", each.reference))]
        return replace(item, asked=(*before, *item.asked))
    solved = "".join(f"{each.asked[0].content} {each.reference}\n\n" for each in shown)
    return replace(item, asked=(Message("user", solved + item.asked[0].content),))


def as_text(messages: Sequence[Message]) -> str:
    """A question as a person reads it: alone if it is the whole conversation, else who said what."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def _rows(task: Task, whence: From, local: Path | None) -> Iterator[Item]:
    name = _place(task, whence, local)
    if whence.conversations:
        from core.data import read

        yield from of_examples(list(read([name]).examples))
        return
    try:
        source = opened(name)
    except DataError as error:
        if not whence.hub or local:
            raise
        raise DataError(
            f"{str(error).rstrip('.')}; or name a copy of it on this machine with --from FILE."
        ) from None
    called = whence.hub if whence.hub and local is None else Path(name).name
    for each in source.rows():
        if isinstance(each.row, Unread):
            raise DataError(f"{name}:{each.line} cannot be read: {each.row.remark.why}")
        if each.row is not None:
            yield _item(task, each, f"{called}:{each.line}", called)


def _place(task: Task, whence: From, local: Path | None) -> str:
    """What `opened` takes."""
    if whence.file:
        return str(task.folder / whence.file)
    if local is None:
        options = {"subset": whence.config, "split": whence.split, "revision": whence.revision}
        query = "&".join(f"{key}={value}" for key, value in options.items() if value)
        return f"hf:{whence.hub}?{query}"
    if not local.exists():
        raise DataError(f"There is no {local}: name a file, or a folder of files, with --from.")
    if local.is_file():
        return str(local)
    words = {
        name: set(re.findall(r"[a-z]+", Path(name).stem.lower()))
        for name in expand([str(local)], beside=True)
    }
    found = [name for name in sorted(words, key=len) if whence.split in words[name]]
    if not found:
        raise DataError(f"No file in {local} is called after the split {whence.split!r} of {whence.hub}.")
    return found[0]


def _item(task: Task, read: Read, source: str, file: str) -> Item:
    row, fields = read.row, task.fields
    question = str(_value(row, fields.question, source))
    if task.kind != "choice":
        reference = str(_value(row, fields.reference, source))
        if fields.without:
            reference = re.sub(fields.without, "", reference)
        asked = _filled(task, row, source, question, "")
        return Item(source, file, question, (Message("user", asked),), reference)
    texts = [str(each) for each in _value(row, fields.choices, source)]
    right = _right(row, fields, texts, source)
    options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False))
    said = texts if task.options == "texts" else list(LETTERS[: len(texts)])
    asked = _filled(task, row, source, question, options)
    return Item(
        source, file, f"{question}\n{options}", (Message("user", asked),), said[right], (), tuple(said), right
    )


def _filled(task: Task, row: dict, source: str, question: str, options: str) -> str:
    own = {"question": question, "options": options}

    def value(name: re.Match[str]) -> str:
        return own[name[1]] if name[1] in own else str(_value(row, name[1], source))

    return NAMED.sub(value, task.prompt)


def _right(row: dict, fields: Any, texts: list[str], source: str) -> int:
    right = _value(row, fields.right, source)
    labels = [str(each) for each in _value(row, fields.labels, source)] if fields.labels else []
    for names in (labels, [str(number) for number in range(len(texts))], list(LETTERS[: len(texts)]), texts):
        if str(right) in names:
            return names.index(str(right))
    raise DataError(f"{source}: the right choice {right!r} is none of its {len(texts)} choices.")


def _value(row: dict, name: str, source: str) -> Any:
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, dict) or value.get(key) is None:
            raise DataError(
                f"{source} has no {name!r}: name the right column in the task's `fields` or `prompt`."
            )
        value = value[key]
    return value
