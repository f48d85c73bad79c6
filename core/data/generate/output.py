"""Pairs -> files: rows to train on, where each came from, and what was done. Each is written whole or not at all."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.data.generate.documents import Passage
from core.data.generate.rules import Pair
from core.data.remarks import visible
from core.errors import DataError

LONGEST_SOURCE = 8000  # characters of a passage that are kept beside its rows


class Output:
    """The names of the files that belong to `--output poems.jsonl`: poems.sources.jsonl, poems.about.json, ..."""

    def __init__(self, name: str | Path) -> None:
        path = Path(name).expanduser()
        if path.is_dir():
            raise DataError(
                f"{visible(str(name))} is a folder: name a file in it, such as {path / 'pairs.jsonl'}."
            )
        self.stem = path.with_suffix("") if path.suffix == ".jsonl" else path
        self.sources = self._beside("sources.jsonl")
        self.about = self._beside("about.json")
        self.journal = self._beside("journal.jsonl")
        self.rejected = self._beside("rejected.jsonl")

    def rows(self, side: str) -> Path:
        return self._beside(f"{side}.jsonl" if side else "jsonl")

    def _beside(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}.{ending}")

    def check(self, inputs: Iterable[str], sides: Iterable[str]) -> None:
        """DataError if the files cannot be written, or hold something that this has not made."""
        rows = [self.rows(side) for side in sides]
        read = {Path(name).expanduser().resolve() for name in inputs}
        for path in (*rows, self.sources, self.about, self.journal, self.rejected):
            if path.resolve() in read:
                raise DataError(
                    f"{visible(str(path))} would be written over, and is read: choose another --output."
                )
        strange = [path for path in rows if path.exists() and not self.about.exists()]
        if strange:
            raise DataError(
                f"{visible(str(strange[0]))} is there already and was not made here: choose another --output, or delete it."
            )
        try:
            self.stem.parent.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.stem.parent, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise DataError(
                f"Nothing can be written to {visible(str(self.stem.parent))}: choose another --output."
            )

    def write(self, sides: Mapping[str, Sequence[Pair]], about: Mapping[str, Any]) -> tuple[Path, ...]:
        """Write the rows of each side, their sources in the same order, and last what was done; the files' names."""
        found = []
        sources = []
        for side, pairs in sides.items():
            path = self.rows(side)
            write_lines(path, (_row(pair) for pair in pairs))
            found.append(path)
            sources += [_source(path, line, pair) for line, pair in enumerate(pairs, 1)]
        write_lines(self.sources, sources)
        _replace(self.about, json.dumps(about, ensure_ascii=False, indent=2) + "\n")
        return (*found, self.sources, self.about)


def _row(pair: Pair) -> dict[str, Any]:
    user = {"role": "user", "content": pair.question}
    return {"messages": [user, {"role": "assistant", "content": pair.answer}]}


def _source(path: Path, line: int, pair: Pair) -> dict[str, Any]:
    passages: list[Passage] = list(dict.fromkeys(pair.passages))
    room = LONGEST_SOURCE // max(1, len(passages))
    return {
        "rows": path.name,
        "line": line,
        "kind": pair.kind,
        "passages": [
            {"file": each.file, "lines": [each.first, each.last], "text": each.text[:room]}
            for each in passages
        ],
    }


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    _replace(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _replace(path: Path, text: str) -> None:
    """Put the text into the file in one step, so that nobody finds half of it."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(text.encode("utf-8", "replace"))
        fresh.replace(path)
    except OSError as error:
        raise DataError(f"The file {visible(str(path))} cannot be written: {error.strerror}.") from None
