"""Examples -> a data set on the Hub: one shape, a card, one commit, opened again before it is called done. Needs no torch.

with made(spec.data, Wanted("ada/poems", license="cc-by-4.0")) as ready:
    print(ready.as_text())
    push(ready)
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

import core
from core.data.examples import DataReport, Example
from core.data.intake import read
from core.data.remarks import visible
from core.data.select import reading_of
from core.errors import PublishError
from core.publish import hub
from core.publish.plan import in_bytes
from core.spec import DataSettings

AT_ONCE = 1000  # rows of a Parquet file's group
OPENED_WHOLE = (
    200_000_000  # bytes up to which every row is read again; of more, the first AT_ONCE and the hashes
)
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
# What should not leave the house unseen. Written so that few other things fit: a warning that is often wrong is not read.
PRIVATE = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*[a-zA-Z]{2}"),
    "a telephone number": re.compile(r"(?<![\w.])\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}(?!\w)"),
    "a key or token": re.compile(
        r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16})\b"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    ),
    "an account number": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
}
EXAMPLES_AND = ("example.com", "example.org", "example.net")  # addresses that are nobody's


@dataclass(frozen=True)
class Wanted:
    """How a data set is to be published."""

    to: str
    private: bool = True
    license: str | None = None
    source: str | None = None
    kind: Literal["jsonl", "parquet"] = "jsonl"
    branch: str | None = None
    pull_request: bool = False


@dataclass(frozen=True)
class Split:
    name: str  # train, test
    report: DataReport
    file: Path

    @property
    def path(self) -> str:
        return f"data/{self.file.name}"


@dataclass(frozen=True)
class Made:
    """Files and card, ready to be sent; they are gone when `made` is left."""

    wanted: Wanted
    splits: tuple[Split, ...]
    card: str
    warnings: tuple[str, ...]

    @property
    def rows(self) -> dict[str, int]:
        return {split.name: split.report.kept for split in self.splits}

    @property
    def size(self) -> int:
        return sum(split.file.stat().st_size for split in self.splits)

    def as_dict(self) -> dict[str, Any]:
        files = [{"path": split.path, "size": split.file.stat().st_size} for split in self.splits]
        wanted = self.wanted
        return {
            "repo_id": wanted.to,
            "private": wanted.private,
            "rows": self.rows,
            "files": files,
            "warnings": list(self.warnings),
            "card": self.card,
        }

    def as_text(self) -> str:
        seen = "private" if self.wanted.private else "public"
        lines = [f"To the data set {self.wanted.to}, {seen}:"]
        lines += [
            f"  {split.path}  {in_bytes(split.file.stat().st_size)}, {split.report.kept:,} conversations"
            for split in self.splits
        ]
        return "\n".join([*lines, "  README.md", *(f"! {warning}" for warning in self.warnings)])


@contextmanager
def made(settings: DataSettings, wanted: Wanted) -> Iterator[Made]:
    """Read the files as a training would, and write what is to be published. DataError if there is nothing in them.

    PublishError if the copy, read again, would not give the same conversations.
    """
    if "/" not in wanted.to:
        raise PublishError("Name the repository as owner/name: --to owner/name.")
    if wanted.branch and wanted.pull_request:
        raise PublishError("A pull request is opened against main: leave out --branch, or --pull-request.")
    reading = reading_of(settings)
    reports = {"train": read(settings.files, reading, settings.drop)}
    if settings.held_out_files:
        reports["test"] = read(settings.held_out_files, reading, settings.drop)
    with tempfile.TemporaryDirectory(prefix="atelier-data-") as folder:
        optional = _optional(example for report in reports.values() for example in report.examples)
        splits = []
        for name, report in reports.items():
            split = Split(name, report, Path(folder) / f"{name}.{wanted.kind}")
            _write(split, optional)
            _check_copy(split)
            splits.append(split)
        warnings = tuple(_warnings(wanted, splits))
        yield Made(wanted, tuple(splits), card(wanted, splits, optional, warnings), warnings)


def push(
    ready: Made, token: str | None = None, report: Callable[[str], None] = lambda sentence: None
) -> hub.Pushed:
    """Send it in one commit, then open it as a reader would; PublishError in one sentence if either fails."""
    wanted = ready.wanted
    uploads = [hub.Upload(split.path, split.file) for split in ready.splits]
    pushed = hub.push(
        wanted.to,
        [*uploads, hub.Upload("README.md", ready.card.encode())],
        token=token,
        private=wanted.private,
        message=f"Publish {sum(ready.rows.values()):,} conversations",
        repo_type="dataset",
        revision=wanted.branch,
        create_pr=wanted.pull_request,
        replaces=("data/train.*", "data/test.*"),
        report=report,
    )
    report("Opening it as a reader would.")
    rows = _opened_again(ready, pushed.commit, token)
    report(f"load_dataset gives the same {rows:,} conversations: {pushed.url}")
    return pushed


def rows_of(examples: Iterable[Example], optional: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Each conversation as a row; all rows have the same keys, for a table has columns."""
    for example in examples:
        row: dict[str, Any] = {"messages": [_message(message, optional) for message in example.messages]}
        if "tools" in optional:
            # As text: two tools' parameters have nothing in common that a column's type could say.
            row["tools"] = f"[{', '.join(example.tools)}]" if example.tools else None
        if "difficulty" in optional:
            row["difficulty"] = example.value
        yield row


def _message(message: Any, optional: frozenset[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if "tool_calls" in optional:
        calls = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
        written["tool_calls"] = calls or None
    if "weight" in optional:
        written["weight"] = 0 if message.role == "assistant" and not message.trained else None
    return written


def _optional(examples: Iterable[Example]) -> frozenset[str]:
    """The keys beside role and content that any of the examples needs."""
    found = set()
    for example in examples:
        if example.tools:
            found.add("tools")
        if example.value is not None:
            found.add("difficulty")
        for message in example.messages:
            if message.calls:
                found.add("tool_calls")
            if message.role == "assistant" and not message.trained:
                found.add("weight")
        if len(found) == 4:
            break
    return frozenset(found)


def _write(split: Split, optional: frozenset[str]) -> None:
    rows = rows_of(split.report.examples, optional)
    if split.file.suffix == ".jsonl":
        with split.file.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(optional)
    with parquet.ParquetWriter(split.file, schema) as writer:
        while group := list(islice(rows, AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _schema(optional: frozenset[str]) -> Any:
    import pyarrow as pa

    text = pa.string()
    message = [("role", text), ("content", text)]
    if "tool_calls" in optional:
        function = pa.struct([("name", text), ("arguments", text)])
        message.append(("tool_calls", pa.list_(pa.struct([("type", text), ("function", function)]))))
    if "weight" in optional:
        message.append(("weight", pa.int64()))
    columns = [("messages", pa.list_(pa.struct(message)))]
    columns += [("tools", text)] if "tools" in optional else []
    columns += [("difficulty", pa.float64())] if "difficulty" in optional else []
    return pa.schema(columns)


def _check_copy(split: Split) -> None:
    """Reading the copy must give the conversations that were read, in their order."""
    again = read([str(split.file)])
    wanted, got = split.report.examples.digests, again.examples.digests
    if len(wanted) == len(got) and np.array_equal(wanted, got):
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got))
    )
    where = split.report.examples.source(at) if at < len(wanted) else split.path
    raise PublishError(
        f"What would be published is not read as the same conversations again, from {visible(str(where))} on; nothing was "
        "sent. Look at that row with `atelier data show`."
    )


def _opened_again(ready: Made, commit: str, token: str | None) -> int:
    """How many rows `load_dataset` gave that are the ones that were sent."""
    import datasets
    import httpx2

    datasets.disable_progress_bars()
    seen = 0
    with tempfile.TemporaryDirectory(prefix="atelier-opened-") as cache:
        for split in ready.splits:
            large = ready.size > OPENED_WHOLE
            try:
                found = datasets.load_dataset(
                    ready.wanted.to,
                    split=split.name,
                    revision=commit,
                    token=token,
                    cache_dir=cache,
                    streaming=large,
                )
                rows = islice(found, AT_ONCE) if large else found
                seen += _same(rows, split, large)
            except (datasets.exceptions.DatasetsError, httpx2.HTTPError, OSError, ValueError) as error:
                why = " ".join(str(error).split())[:200].rstrip(".")
                raise PublishError(
                    f"{ready.wanted.to} was sent whole (commit {commit[:8]}), but could not be opened again: {why}. Run the same "
                    "command again; what has arrived is not sent twice."
                ) from None
    return seen


def _same(rows: Iterable[dict[str, Any]], split: Split, large: bool) -> int:
    """The number of rows, if they are the ones of the file; ValueError if one is not."""
    wanted = _rows_in(split.file)
    count = 0
    for row in rows:
        if row != next(wanted, None):
            raise ValueError(f"row {count + 1} of {split.path} is another than was sent")
        count += 1
    if not large and next(wanted, None) is not None:
        raise ValueError(f"{split.path} has fewer rows than were sent")
    return count


def _rows_in(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".jsonl":
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
        return
    from pyarrow import parquet

    for group in parquet.ParquetFile(file).iter_batches(AT_ONCE):
        yield from group.to_pylist()


def _warnings(wanted: Wanted, splits: Iterable[Split]) -> Iterator[str]:
    if not wanted.license:
        yield "It says no licence, so nobody else may use it: name one with --license."
    if not wanted.source:
        yield "It does not say where the examples come from: --source takes an address or words."
    found: Counter[str] = Counter()
    first: dict[str, str] = {}
    for split in splits:
        for example in split.report.examples:
            for what in private_in(example):
                found[what] += 1
                first.setdefault(what, f"{Path(example.source.file).name}:{example.source.line}")
    for what, times in found.items():
        holds = "conversation holds" if times == 1 else "conversations hold"
        yield f"{times:,} {holds} {what}, the first {visible(first[what])}: take it out unless it is meant to be read by others."


def private_in(example: Example) -> Iterator[str]:
    """Kinds of what others should perhaps not read."""
    text = "\n".join(message.content for message in example.messages)
    for what, pattern in PRIVATE.items():
        if any(not each.group().endswith(EXAMPLES_AND) for each in pattern.finditer(text)):
            yield what


def card(
    wanted: Wanted,
    splits: Iterable[Split],
    optional: frozenset[str] = frozenset(),
    warnings: Iterable[str] = (),
) -> str:
    """The text of README.md; it names files, never folders of this machine."""
    import yaml

    splits = tuple(splits)
    rows = sum(split.report.kept for split in splits)
    configs = [{"split": split.name, "path": split.path} for split in splits]
    metadata = {
        **({"license": wanted.license} if wanted.license else {}),
        "task_categories": ["text-generation"],
        "tags": ["sft", "conversational", "atelier"],
        "size_categories": [next((name for most, name in SIZES if rows < most), "n>1M")],
        "configs": [{"config_name": "default", "data_files": configs}],
    }
    parts = [
        f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)}---",
        f"# {wanted.to.split('/')[-1]}",
        f"{rows:,} conversations for supervised fine-tuning, each a row with its turns in `messages`.",
        "## Where they come from",
        f"Source: {visible(wanted.source) if wanted.source else 'not stated'}. Licence: {wanted.license or 'not stated'}.",
        _files(splits),
        "## How the rows were read",
        _reading(splits),
        "## What a look at them found",
        _found(splits, warnings),
        "## How to load them",
        f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("{wanted.to}", split="{splits[0].name}")\n'
        f'print(rows[0]["messages"])\n```',
        f"To train on them: `atelier train hf:{wanted.to}`.",
    ]
    if optional:
        parts.append(_columns(optional))
    return "\n\n".join([*parts, f"Made with Atelier {core.__version__}."]) + "\n"


def _files(splits: Iterable[Split]) -> str:
    lines = ["| split | file | kind | SHA-256 or commit |", "|---|---|---|---|"]
    for split in splits:
        for name, digest in split.report.sha256.items():
            shown = name if name.startswith(("sample:", "hf:")) else Path(name).name
            kind = split.report.kinds.get(name, "")
            lines.append(f"| {split.name} | `{visible(shown)}` | {kind} | `{digest}` |")
    return "\n".join(lines)


def _reading(splits: Iterable[Split]) -> str:
    lines = []
    for split in splits:
        report = split.report
        shapes = ", ".join(f"{name} ({times:,})" for name, times in report.shapes.items())
        lines.append(
            f"- `{split.name}`: {report.kept:,} conversations from {report.rows:,} rows, written as {shapes}; "
            f"{report.rejected:,} rows could not be used."
        )
        for meant in report.guessed.values():
            said = ", ".join(f"`{visible(column)}` as {what}" for column, what in meant.items())
            lines.append(f"- Columns were read as: {said}.")
        for code, times in report.dropped.items():
            lines.append(f"- {times:,} were left out for {code}.")
    return "\n".join(lines)


def _found(splits: Iterable[Split], warnings: Iterable[str]) -> str:
    counts: Counter[str] = Counter()
    for split in splits:
        for (severity, code), times in split.report.counts.items():
            if severity == "warning":
                counts[code] += times
    lines = [f"- {code}: {times:,}" for code, times in counts.most_common()]
    lines += [f"- {warning.split(', the first')[0]}." for warning in warnings if ", the first" in warning]
    lines.append(
        "- They were searched for e-mail addresses, telephone and account numbers and keys, and for nothing else that is private."
    )
    return "\n".join(lines)


def _columns(optional: frozenset[str]) -> str:
    about = {
        "tools": "`tools`: the functions that were offered, as JSON text",
        "difficulty": "`difficulty`: the number that a curriculum goes by",
        "tool_calls": "`tool_calls` of a turn: the functions that it calls, with their arguments as JSON text",
        "weight": "`weight` of a turn: 0 where it is not to be learnt",
    }
    return "Beside role and content: " + "; ".join(about[name] for name in sorted(optional)) + "."
