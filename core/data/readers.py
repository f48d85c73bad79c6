"""Files -> DataReport: every row is kept, or said not to be and why.

    report = read(["fables.jsonl", "sample:fables-en"])

A new kind of file is one entry in READERS.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO, NamedTuple

from core.data.checks import check, repeats
from core.data.examples import DataReport, Example, Problem, Severity, Source
from core.data.formats import Format, NumberError, detect, lower_keys, unknown
from core.data.jsonl import Row, read_jsonl
from core.data.lookalikes import JSON_LINES
from core.data.remarks import Remark, RowError, excerpt, quoted, visible
from core.errors import DataError

# A reader yields a line's number; its row, or why it has none, or None where nothing is; and warnings.
Reader = Callable[[BinaryIO], Iterator[tuple[int, Row | Remark | None, tuple[Remark, ...]]]]

READERS: dict[str, Reader] = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".json": read_jsonl}
OTHER_KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".xlsx": "an Excel file",
    ".gz": "a gzip archive",
}


Keys = tuple[str, frozenset[str]]  # the name of a format, and which of its keys a row has

NO_ROWS = Remark(
    "no-rows", "The file holds no rows.", "Leave it out, or look whether it was saved completely."
)


class NoExamplesError(DataError):
    """There is no example in the files; `report` says why, line by line."""

    def __init__(self, message: str, report: DataReport):
        super().__init__(message)
        self.report = report


def read(files: Sequence[str | Path]) -> DataReport:
    """What is in the files, in their order.

    Raises DataError if one cannot be read, or as NoExamplesError if there is no example in all of them.
    """
    if not files:
        raise DataError("There is no data file to read: name one, such as sample:fables-en.")
    names = tuple(str(file) for file in files)
    parts = [_File(name).read() for name in names]
    examples = tuple(example for part in parts for example in part.examples)
    problems = [problem for part in parts for problem in part.problems] + list(repeats(examples))
    order = {name: number for number, name in enumerate(names)}
    report = DataReport(
        files=names,
        rows=sum(part.rows for part in parts),
        examples=examples,
        problems=tuple(sorted(problems, key=lambda each: (order[each.source.file], each.source.line))),
        shapes=dict(sum((part.shapes for part in parts), Counter())),
        sha256={part.name: part.sha256 for part in parts},
    )
    if not examples:
        raise NoExamplesError(_nothing_usable(report), report)
    return report


class _Parked(NamedTuple):
    """A row with numbers where texts belong; what becomes of it is known when the file has been read."""

    example: Example
    remarks: tuple[Remark, ...]
    format: Format
    numbers: tuple[NumberError, ...]


class _File:
    """One file while it is read."""

    def __init__(self, name: str):
        self.name = name
        self.rows = 0
        self.examples: list[Example] = []
        self.problems: list[Problem] = []
        self.shapes: Counter[str] = Counter()
        self.sha256 = ""
        self._parked: list[_Parked] = []
        self._known_keys: set[tuple[str, ...]] = set()
        self._used_keys: dict[Keys, int] = {}  # -> the first line like that
        self._unused_keys: set[str] = set()

    def read(self) -> "_File":
        path, reader = _find(self.name)
        try:
            with path.open("rb") as file:
                self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                for line, row, remarks in reader(file):
                    self._take(line, row, remarks)
        except OSError as error:
            raise _unreadable(self.name, error) from None
        if not self.rows:
            self._say(1, NO_ROWS)
        self._settle_numbers()
        return self

    def _take(self, line: int, row: Row | Remark | None, remarks: tuple[Remark, ...]) -> None:
        for remark in remarks:
            self._say(line, remark)
        if row is None:
            return
        self.rows += 1
        if isinstance(row, Remark):
            self._say(line, row, "error")
            return
        try:
            self._convert(line, lower_keys(row))
        except RowError as error:
            self._say(line, error.remark, "error")

    def _convert(self, line: int, row: Row) -> None:
        format = detect(row)
        if format is None:
            raise unknown(row)
        self.shapes[format.name] += 1
        keys = tuple(row)
        numbers = []
        while True:
            try:
                messages, remarks = check(format.messages(row))
                break
            except NumberError as number:
                numbers.append(number.with_traceback(None))  # which would keep every row in memory
                row = row | {number.key: number.literal}
        if keys not in self._known_keys:
            self._known_keys.add(keys)
            remarks += self._about_keys(line, format, keys)
        example = Example(messages, Source(self.name, line))
        if numbers:
            self._parked.append(_Parked(example, tuple(remarks), format, tuple(numbers)))
            return
        self.examples.append(example)
        for remark in remarks:
            self._say(line, remark)

    def _about_keys(self, line: int, format: Format, keys: tuple[str, ...]) -> Iterator[Remark]:
        """What a set of keys that has not been seen before in this file says about it."""
        used = frozenset(keys) & {*format.required, *format.optional}
        unused = [key for key in keys if key not in used and key not in self._unused_keys]
        self._unused_keys.update(unused)
        if unused:
            yield Remark(
                "unused-key",
                f"Not used: {quoted(unused)}.",
                "Nothing to do, unless a text to learn is among them.",
            )
        now = (format.name, used)
        first = next(iter(self._used_keys), now)
        if self._used_keys.setdefault(now, line) == line and now != first:
            yield _differs(now, first, self._used_keys[first])

    def _settle_numbers(self) -> None:
        """Numbers are learned as texts where this file writes numbers in at least half of its rows.

        A file of sums and their results means its numbers; a single 7 among a thousand texts is a slip.
        """
        found = Counter((each.format.name, number.key) for each in self._parked for number in each.numbers)
        for each in self._parked:
            line = each.example.source.line
            name = each.format.name
            slips = [n for n in each.numbers if found[name, n.key] * 2 < self.shapes[name]]
            if slips:
                self._say(line, slips[0].remark, "error")
                continue
            self.examples.append(each.example)
            for remark in (*map(_kept_as_text, each.numbers), *each.remarks):
                self._say(line, remark)
        self.examples.sort(key=lambda example: example.source.line)

    def _say(self, line: int, remark: Remark, severity: Severity = "warning") -> None:
        self.problems.append(Problem(Source(self.name, line), severity, *remark))


def _find(name: str) -> tuple[Path, Reader]:
    """The path of a file and the reader for its kind; DataError if there is none."""
    from core.presets import data_file  # brings pydantic, for which importing core.data need not wait

    path, shown = data_file(name), visible(name)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"There is no file {shown}: look at the spelling of its path.") from None
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    if S_ISDIR(mode):
        raise DataError(f"{shown} is a folder: name the files in it that hold the examples.")
    if not S_ISREG(mode):
        raise DataError(f"{shown} is a pipe or device: save the examples to a file, and name that.")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        kind = OTHER_KINDS.get(suffix, f"called {visible(suffix)}" if suffix else "without a suffix")
        raise DataError(f"The file {shown} is {kind}; .jsonl is read at present: write {JSON_LINES}.")
    return path, READERS[suffix]


def _unreadable(name: str, error: OSError | ValueError) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"The file {visible(name)} cannot be read: {reason}. Look at its name and its permissions."
    )


def _kept_as_text(number: NumberError) -> Remark:
    literal = excerpt(number.literal, 20)
    why = f"`{number.key}` is {number.kind}, not a text; it is learned as “{literal}”."
    return Remark("number-as-text", why, "Nothing to do, if it is meant; otherwise write the text.")


def _differs(now: Keys, first: Keys, line: int) -> Remark:
    """A row in another shape than the file's first, on `line`, or with other keys of the same shape."""
    more, fewer = sorted(now[1] - first[1]), sorted(first[1] - now[1])
    if now[0] != first[0]:
        rows = f"in the shape {now[0]} and not {first[0]}"
    elif more and fewer:
        rows = f"with {quoted(more)} and without {quoted(fewer)}"
    else:
        rows = f"with {quoted(more)}" if more else f"without {quoted(fewer)}"
    why = f"From here on there are rows {rows}, unlike on line {line}; both are read."
    return Remark("mixed-shapes", why, "Nothing to do, if it is meant.")


def _nothing_usable(report: DataReport) -> str:
    names = ", ".join(visible(name) for name in report.files)
    if not report.rows:
        return f"Nothing in {names} can be used: there are no rows, only blank lines or nothing at all."
    code, times = Counter(problem.code for problem in report.errors).most_common(1)[0]
    first = next(problem for problem in report.errors if problem.code == code)
    if report.rows == 1:
        return f"Nothing in {names} can be used. {first.why} {first.fix}"
    return (
        f"Nothing in {names} can be used, none of {report.rows:,} rows; "
        f"most often ({times:,} times, first on line {first.source.line}): {first.why} {first.fix}"
    )
