"""What is written: rows as JSON lines, beside them what is known of each set, and a page that lists them all.

Everything is written beside its place and renamed, so that a file is there whole or not at all.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.prepared.passages import Turn
from core.data.prepared.sets import Tally
from core.data.remarks import visible
from core.errors import DataError


@dataclass(frozen=True, slots=True)
class Written:
    """A file of rows that has not got its name yet."""

    name: str
    beside: Path
    examples: int
    sha256: str
    questions: frozenset[bytes]  # digests of what is asked first in each conversation


class Folder:
    """A folder that a set is written to. As a context manager it removes what was not kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside: list[Path] = []
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *failure: object) -> None:
        for path in self._beside:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def write_rows(
        self, name: str, conversations: Iterable[list[Turn]], tally: Tally, not_asked: frozenset[bytes]
    ) -> Written:
        """One conversation a line. Left out and counted: empty ones, repeated ones, and questions of `not_asked`."""
        beside = self._place_beside(name)
        digest = hashlib.sha256()
        examples = 0
        seen: set[bytes] = set()
        questions: set[bytes] = set()
        with _writing(self.path / name), beside.open("xb") as file:
            for turns in conversations:
                try:
                    line = _line(turns)
                except UnicodeEncodeError:
                    tally.left_out["half a character in a text"] += 1
                    continue
                whole, question = _digest(line), _digest(turns[0][0].encode())
                if any(not text.strip() for turn in turns for text in turn):
                    tally.left_out["an empty question or answer"] += 1
                elif question in not_asked:
                    tally.left_out["asked in the test split, too"] += 1
                elif whole in seen:
                    tally.left_out["the same again"] += 1
                else:
                    seen.add(whole)
                    questions.add(question)
                    digest.update(line)
                    file.write(line)
                    examples += 1
        return Written(name, beside, examples, digest.hexdigest(), frozenset(questions))

    def write_text(self, name: str, text: str) -> None:
        beside = self._place_beside(name)
        with _writing(self.path / name):
            beside.write_text(text, "utf-8", newline="\n")
            beside.replace(self.path / name)

    def keep(self, written: Written) -> None:
        """Give a file of rows its name; whatever had it before is replaced."""
        with _writing(self.path / written.name):
            written.beside.replace(self.path / written.name)

    def abouts(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What is written beside the sets of these names that have been prepared here before."""
        found = {}
        for name in names:
            path = self.path / f"{name}.about.json"
            try:
                found[name] = json.loads(path.read_text("utf-8"))
                page([found[name]])
            except FileNotFoundError:
                continue
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{visible(str(path))} is not as it was written ({visible(str(error))}): "
                    f"delete it, and prepare {name} again."
                ) from None
        return found

    def _place_beside(self, name: str) -> Path:
        """Hidden, so that nobody takes it for data; of this process alone."""
        beside = self.path / f".{name}.{os.getpid()}"
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        self._beside.append(beside)
        return beside


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Errors of the disk in one sentence. Whatever is read meanwhile has said its own as a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{visible(str(path))} cannot be written: {error.strerror or error}. "
            "Make room there, look at the permissions, or name another --output-dir."
        ) from None


def _line(turns: list[Turn]) -> bytes:
    messages = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return (json.dumps({"messages": messages}, ensure_ascii=False) + "\n").encode()


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()


def page(abouts: Iterable[dict[str, Any]]) -> str:
    """The folder's README: every set in it, with its licence and where it comes from."""
    lines = [
        "# Prepared data",
        "",
        "Made by `atelier data prepare` from public sets. One conversation a line; "
        "files that end in `.test.jsonl` are for measuring and belong in no training.",
        "",
        "| set | file | examples | licence | source | revision | sha256 |",
        "|---|---|---:|---|---|---|---|",
    ]
    abouts = list(abouts)
    for about in abouts:
        for name, file in about["files"].items():
            cells = (
                about["title"],
                f"`{name}`",
                f"{file['examples']:,}",
                about["licence"],
                about["source"],
                about["revision"] or "—",
                f"`{file['sha256']}`",
            )
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    for about in abouts:
        lines += ["", f"## {about['title']}", "", *_section(about)]
    return "\n".join(lines) + "\n"


def times(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("s" if count != 1 else "")


def _section(about: dict[str, Any]) -> Iterator[str]:
    examples = sum(file["examples"] for file in about["files"].values())
    yield f"- Licence: {_cell(about['licence'])}. Source: {_cell(about['source'])}."
    yield f"- Read: {times(about['rows'], about['unit'])}. Made of them: {times(examples, 'example')}."
    for reason, count in about["left_out"].items():
        yield f"- Left out, {_cell(reason)}: {count:,}."
    for change, count in about["changed"].items():
        yield f"- Changed, {_cell(change)}: {count:,}."
    for name, digest in about["read"].items():
        yield f"- From {_cell(name)}" + (f", sha256 `{digest}`." if digest else ".")
    if about["note"]:
        yield f"- {about['note']}"


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|")
