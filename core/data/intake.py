"""Files -> DataReport: every row is kept, or said not to be and why.

    report = read(["fables.jsonl", "sample:fables-en"])

One pass, in which nothing of an example stays in memory: what is kept goes to a folder of the cache (store.py), and
the same files read the same way are found there the next time.
"""

import difflib
import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from core import cache
from core.data.doctor.checks import check
from core.data.doctor.languages import languages
from core.data.doctor.leakage import Known, benchmarks, contaminated, question
from core.data.doctor.whole import Finding, Whole
from core.data.examples import DataReport, Example, Message, Problem, Severity, Source
from core.data.files.opening import Opened, Read, Unread, expand, opened
from core.data.remarks import Remark, RowError, excerpt, quoted, visible
from core.data.rows import Row
from core.data.shapes import columns, oasst
from core.data.shapes.formats import Format, NumberError, Reading, detect, keyed, unknown, value_of
from core.data.store import Examples, Writer
from core.errors import DataError

Made = tuple[tuple[Message, ...], tuple[str, ...], list[Remark]]  # messages, tools, what is said of them

# Warnings about a row for which it may be left out, though this data may not have them.
CODES = {
    *(
        "duplicate",
        "near-duplicate",
        "other-answer",
        "very-short-answer",
        "answer-is-question",
        "run-on-answer",
    ),
    *(
        "no-words",
        "refusal",
        "boilerplate",
        "placeholder",
        "mojibake",
        "lost-character",
        "control-character",
        "bidi-override",
    ),
    *(
        "template-marker",
        "html",
        "long-row",
        "in-benchmark",
        "rare-language",
        "answer-first",
        "same-role-twice",
    ),
    *("unanswered-question", "number-as-text"),
}
THOROUGH = {
    "near-duplicate",
    "in-benchmark",
    "language-mix",
    "rare-language",
}  # codes that only a long look finds
LISTED = 1000  # problems of one code that a report lists; the others are counted
PEEKED = 50  # rows looked at to understand a table whose columns have unknown names
PEEKED_CHARACTERS = 2**22  # and no more than this of them, for rows can be large
COLUMNS = 200  # of a file, that are named in the report
SAMPLE = 3  # rows that a report shows as they stand in the file
MOST_OF_A_ROW = 2**20  # characters of a rejected row that are written down

NO_ROWS = Remark(
    "no-rows", "The file holds no rows.", "Leave it out, or look whether it was saved completely."
)


class NoExamplesError(DataError):
    """There is no example in the files; `report` says why, line by line."""

    def __init__(self, message: str, report: DataReport):
        super().__init__(message)
        self.report = report


def read(
    files: Sequence[str | Path],
    reading: Reading | None = None,
    drop: Iterable[str] = (),
    against: Sequence[str | Path] = (),
    thorough: bool = False,
) -> DataReport:
    """What is in the files, in their order; examples with a warning of a code in `drop` are left out.

    Questions that are in the files `against` get a warning. With `thorough`, so do those of known benchmarks, rows
    that are nearly the same, and mixed languages; that takes three times as long.

    Raises DataError if one cannot be read, or as NoExamplesError if there is no example in all of them.
    """
    if not files:
        raise DataError("There is no data file to read: name one, such as sample:fables-en.")
    reading, drop = reading or Reading(), tuple(drop)
    thorough = thorough or not THOROUGH.isdisjoint(drop)
    names = tuple(expand([str(file) for file in files]))
    tests = tuple(expand([str(file) for file in against]))
    before = [_stamp(name) for name in (*names, *tests)]
    sources = [opened(name) for name in names]
    others = [opened(name) for name in tests]
    named = [[(source.name, source.sha256) for source in each] for each in (sources, others)]
    key = cache.key_of(cache.code_of("data"), named, reading, thorough)
    report = _known(key)
    if not report:
        known = [Known.from_questions(each.name, _questions(each)) for each in others]
        with cache.making("data", key) as beside:
            _Intake(beside, reading, names, known, thorough).read(sources)
            for name, stamp in zip((*names, *tests), before, strict=True):
                if _stamp(name) != stamp:  # the hash of what it was must not stand for what was read
                    raise DataError(
                        f"{visible(name)} was written to while it was read: try again when it is finished."
                    )
        report = _known(key)
    report = _without(report, drop)
    if not report.examples:
        raise NoExamplesError(_nothing_usable(report), report)
    return report


def _known(key: str) -> DataReport | None:
    """The report of an entry of the cache; None if there is none, or if somebody deleted parts of it."""
    folder = cache.found("data", key)
    if not folder:
        return None
    try:
        return _saved(folder)
    except (OSError, ValueError, LookupError, BadZipFile):
        cache.forget(folder)
        return None


def _questions(source: Opened) -> Iterator[str]:
    """What the rows of a test set ask; they need no answers. DataError if they ask nothing."""
    asked = 0
    for _, row, _ in source.rows():
        if isinstance(row, dict) and (text := _question_of(row)):
            asked += 1
            yield text
    if not asked:
        raise DataError(
            f"No question was found in {visible(source.name)}, which data.against names: call their column `question`."
        )


def _question_of(row: Row) -> str:
    try:
        row = keyed(row, Reading())
        format = detect(row)
        if format:
            return question(Example(next(iter(format.conversations(row, Reading()))).messages, Source("", 0)))
    except RowError:
        pass  # it has no answer, perhaps
    named = (row.get(key) for key in columns.SYNONYMS["question"])
    return next((text for text in named if isinstance(text, str) and text.strip()), "")


def _stamp(name: str) -> tuple[int, int] | None:
    """What changes when a file does; None for what is no file."""
    from core.presets import data_file

    try:
        status = data_file(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


class _Numbers(NamedTuple):
    """Where a file has numbers instead of texts under one key of one shape."""

    places: array  # of the examples
    lines: array
    parts: array
    first: list[NumberError]  # of the first LISTED of them

    def each(self, file: str) -> Iterator[tuple[int, Source, NumberError]]:
        """Place and source of every example; beyond LISTED, where it is only counted, with the first number."""
        for place, line, part, number in zip_longest(self.places, self.lines, self.parts, self.first):
            yield place, Source(file, line, part), number or self.first[0]


class _Intake:
    """The pass over the files. What it finds is written to a folder, from which `_saved` makes the report."""

    def __init__(
        self, folder: Path, reading: Reading, names: tuple[str, ...], known: Sequence[Known], thorough: bool
    ) -> None:
        self.folder = folder
        self.reading = reading
        self.names = names
        self.known = known
        self.thorough = thorough
        self.languages: dict[str, float] = {}
        self.rows = 0
        self.rejected = 0
        self.problems: list[Problem] = []
        self.counts: Counter[tuple[Severity, str]] = Counter()
        self.shapes: Counter[str] = Counter()
        self.columns: dict[str, list[str]] = {}
        self.sample: list[dict[str, str]] = []
        self.guessed: dict[str, dict[str, str]] = {}
        self.warned: dict[str, array] = defaultdict(lambda: array("I"))  # code -> examples that have it
        self.slips: dict[int, tuple[Source, Remark]] = {}  # examples that turned out to be none

    def read(self, sources: Sequence[Opened]) -> None:
        whole = Whole(self.thorough)
        with Writer(self.folder) as self.writer, self._rejections("w") as self.rejections:
            for number, source in enumerate(sources):
                _File(self, number, source).read(whole)
        examples = Examples.open(self.folder, self.names)
        if self.slips:
            self._write_slips(examples)
            examples = examples.take(np.setdiff1d(examples.places, list(self.slips)))
            whole = Whole(self.thorough)
            for example in examples:
                whole.add(example)
        for found in self._findings(whole, examples):
            place = int(examples.places[found.index])
            self.warned[found.code].append(place)
            if self.count("warning", found.code):
                self.problems.append(Problem(examples.source(found.index), "warning", *found.remark()))
        order = {name: number for number, name in enumerate(self.names)}
        self.problems.sort(key=lambda each: (order[each.source.file], each.source.line, each.source.part))
        np.savez(self.folder / "places.npz", kept=examples.places)
        np.savez(
            self.folder / "warned.npz", **{code: np.unique(found) for code, found in self.warned.items()}
        )
        report = {
            "files": self.names,
            "rows": self.rows,
            "rejected": self.rejected,
            "problems": [asdict(problem) for problem in self.problems],
            "counts": [(*which, times) for which, times in self.counts.items()],
            "shapes": self.shapes,
            "kinds": {source.name: source.kind for source in sources},
            "sha256": {source.name: source.sha256 for source in sources},
            "columns": self.columns,
            "sample": self.sample,
            "guessed": self.guessed,
            "droppable": sorted(self.warned),
            "languages": self.languages,
        }
        (self.folder / "report.json").write_text(json.dumps(report), "utf-8")

    def _findings(self, whole: Whole, examples: Examples) -> Iterator[Finding]:
        yield from whole.findings(examples)
        known = list(self.known)
        if self.thorough:
            spoken = languages(examples)
            self.languages = spoken.shares
            yield from spoken.findings()
            known += benchmarks()
        for each in known:
            yield from contaminated(examples, each)

    def count(self, severity: Severity, code: str) -> bool:
        """Whether a problem of this code is still listed; it is counted in any case."""
        self.counts[severity, code] += 1
        return self.counts[severity, code] <= LISTED

    def reject(self, source: Source, remark: Remark, row: Row | str) -> None:
        """Write down a row that cannot be used, as it was."""
        where = {"file": visible(source.file), "line": source.line, "part": source.part}
        rejection = where | remark._asdict() | {"row": _as_text(row)}
        self.rejections.write(json.dumps(rejection, ensure_ascii=False) + "\n")

    def _write_slips(self, examples: Examples) -> None:
        with self._rejections("a") as self.rejections:
            for place, (source, remark) in self.slips.items():
                self.reject(source, remark, {"messages": list(map(asdict, examples[place].messages))})

    def _rejections(self, mode: str) -> Any:
        return (self.folder / "rejected.jsonl").open(mode, encoding="utf-8", errors="backslashreplace")


class _File:
    """One file while it is read."""

    def __init__(self, intake: _Intake, number: int, source: Opened) -> None:
        self.intake = intake
        self.number = number
        self.source = source
        self.name = source.name
        self.reading = intake.reading
        self.shapes: Counter[str] = Counter()
        self.rows = 0
        self._numbers: dict[tuple[str, str], _Numbers] = {}
        self._known_keys: set[tuple[str, ...]] = set()
        self._first: tuple[str, int] | None = None  # the shape of the first row, and its line
        self._used_keys: dict[frozenset[str], int] = {}  # of that shape -> the first line with these keys
        self._unused_keys: set[str] = set()
        self._said_once: set[str] = set()
        self._here = Source(self.name, 0)  # where the latest example or rejected row stands

    def read(self, whole: Whole) -> None:
        self._whole = whole
        for line, row, remarks in self._understood(self.source.rows()):
            for remark in remarks:
                self._say(Source(self.name, line), remark)
            if row is None:
                continue
            self.rows += 1
            if isinstance(row, Unread):
                self._reject(self._next(line), row.remark, row.text)
                continue
            try:
                self._convert(line, row)
            except RowError as error:
                self._reject(self._next(line), error.remark, row)
        if not self.rows:
            self._say(Source(self.name, 1), NO_ROWS)
        self.intake.rows += self.rows
        self._settle_numbers()
        self.intake.shapes += self.shapes

    def _next(self, line: int) -> Source:
        """Where the next example or rejected row stands, which may be on the line of the one before."""
        part = self._here.part + 1 if line == self._here.line else 1
        self._here = Source(self.name, line, part)
        return self._here

    def _understood(self, rows: Iterator[Read]) -> Iterator[Read]:
        """The rows; where they are parts of trees, the trees; and a guess of what unknown columns mean."""
        head, size = [], 0
        for read in rows:
            head.append(read)
            size += (
                sum(len(value) for value in read.row.values() if isinstance(value, str))
                if isinstance(read.row, dict)
                else 0
            )
            if len(head) >= PEEKED or size > PEEKED_CHARACTERS:
                break
        first = [read.row for read in head if isinstance(read.row, dict)]
        everything = chain(head, rows)
        keys = dict.fromkeys(key for row in first for key in islice(row, COLUMNS))
        self.intake.columns[self.name] = [excerpt(key, 80) for key in islice(keys, COLUMNS)]
        if not self.number:
            self.intake.sample = [_shortened(row) for row in first[:SAMPLE]]
        if oasst.is_flat(first):
            return oasst.trees(everything)
        if first and not self.reading.columns and not any(map(_is_known, first)):
            guess = columns.guess(first)
            if guess:
                self.reading = replace(self.reading, columns=guess.columns)
                self.intake.guessed[self.name] = guess.columns
                self._say(Source(self.name, head[0].line), guess.remark)
        return everything

    def _convert(self, line: int, row: Row) -> None:
        row = keyed(row, self.reading)
        format = detect(row, self.reading)
        if format is None:
            raise unknown(row)
        value, said = self._value(row)
        self.shapes[format.name] += 1
        self._first = self._first or (format.name, line)
        if format.name != self._first[0]:
            said = (*said, _other_shape(format.name, self._first))
        keys = tuple(row)
        found, numbers = self._checked(format, row)
        for messages, tools, remarks in found:
            source = self._next(line)
            place = self.intake.writer.add(messages, tools, self.number, line, value, source.part)
            self._whole.add(Example(messages, source, tools))
            for number in numbers:
                self._park(format, number, place, source)
            for remark in (*remarks, *said):
                self._say(source, remark, place)
        if keys not in self._known_keys:
            self._known_keys.add(keys)
            for remark in self._about_keys(line, format, keys):
                self._say(Source(self.name, line), remark)

    def _value(self, row: Row) -> tuple[float | None, tuple[Remark, ...]]:
        """What the column of difficulty holds; a row without such a number is learned all the same."""
        if "difficulty" not in self.reading.columns:
            return None, ()
        try:
            return value_of(row, self.reading), ()
        except RowError as error:
            return None, (error.remark,)

    def _checked(self, format: Format, row: Row) -> tuple[list[Made], list[NumberError]]:
        """The conversations of a row, fit to be learned, with warnings; and the numbers taken for texts.

        Of several conversations those that cannot be used are left out, with a warning, unless none is left.
        """
        numbers: list[NumberError] = []
        while True:
            try:
                conversations = format.conversations(row, self.reading)
                break
            except NumberError as number:
                numbers.append(number.with_traceback(None))  # which would keep the row in memory
                row = row | {number.key: number.literal}
        found: list[Made] = []
        failed: list[RowError] = []
        for messages, tools, remarks in conversations:
            try:
                checked, warnings = check(messages)
                found.append((checked, tools, [*remarks, *warnings] if remarks else warnings))
            except RowError as error:
                failed.append(error)
        if not found:
            raise failed[0]
        found[0][2].extend(_left_out(error.remark, len(found) + len(failed)) for error in failed)
        return found, numbers

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
        if format.remark and format.name not in self._said_once:
            self._said_once.add(format.name)
            yield format.remark
        first, first_line = next(iter(self._used_keys.items()), (used, line))
        if self._used_keys.setdefault(used, line) != line or used == first or format.name != self._first[0]:
            return
        if len(self._used_keys) == 2:
            self._say(Source(self.name, first_line), _others_differ(line))
        yield _other_keys(used, first, first_line)

    def _park(self, format: Format, number: NumberError, place: int, source: Source) -> None:
        """Note a number where a text belongs; what becomes of it is known when the file has been read."""
        known = self._numbers.setdefault(
            (format.name, number.key), _Numbers(array("I"), array("Q"), array("I"), [])
        )
        known.places.append(place)
        known.lines.append(source.line)
        known.parts.append(source.part)
        if len(known.first) < LISTED:
            known.first.append(number)

    def _settle_numbers(self) -> None:
        """Numbers are learned as texts where this file writes numbers in at least half of its rows.

        A file of sums and their results means its numbers; a single 7 among a thousand texts is a slip.
        """
        slips = self.intake.slips
        for (name, _), found in self._numbers.items():
            if len(found.places) * 2 < self.shapes[name]:
                for place, source, number in found.each(self.name):
                    if place not in slips:
                        slips[place] = source, number.remark
                        self._refuse(source, number.remark)
        for (name, _), found in self._numbers.items():
            if len(found.places) * 2 >= self.shapes[name]:
                for place, source, number in found.each(self.name):
                    if place not in slips:
                        self._say(source, _kept_as_text(number), place)

    def _say(self, source: Source, remark: Remark, place: int | None = None) -> None:
        """Warn of a line; `place` is the example that was made of it, if the warning is about that."""
        intake = self.intake
        if place is not None:
            intake.warned[remark.code].append(place)
        if intake.count("warning", remark.code):
            intake.problems.append(Problem(source, "warning", *remark))

    def _reject(self, source: Source, remark: Remark, row: Row | str) -> None:
        self._refuse(source, remark)
        self.intake.reject(source, remark, row)

    def _refuse(self, source: Source, remark: Remark) -> None:
        """Say that a row cannot be used."""
        intake = self.intake
        intake.rejected += 1
        if intake.count("error", remark.code):
            intake.problems.append(Problem(source, "error", *remark))


def _shortened(row: Row) -> dict[str, str]:
    return {excerpt(key, 80): excerpt(str(value), 200) for key, value in islice(row.items(), COLUMNS)}


def _is_known(row: Row) -> bool:
    try:
        return detect(keyed(row, Reading())) is not None
    except RowError:
        return False


def _as_text(row: Row | str) -> str:
    """A row as it may be written down, the beginning of it if it is large."""
    if isinstance(row, dict):
        try:
            row = json.dumps(row, ensure_ascii=False, default=str)
        except (RecursionError, ValueError):
            row = "(nested too deeply to be written down)"
    return row[:MOST_OF_A_ROW]


def _saved(folder: Path) -> DataReport:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    files = tuple(report.pop("files"))
    problems = (each | {"source": Source(**each["source"])} for each in report.pop("problems"))
    kept = np.load(folder / "places.npz")["kept"]
    return DataReport(
        files=files,
        problems=tuple(Problem(**each) for each in problems),
        counts={(severity, code): times for severity, code, times in report.pop("counts")},
        examples=Examples.open(folder, files).take(kept),
        columns={file: tuple(keys) for file, keys in report.pop("columns").items()},
        sample=tuple(report.pop("sample")),
        droppable=tuple(report.pop("droppable")),
        folder=folder,
        **report,
    )


def _without(report: DataReport, drop: Iterable[str]) -> DataReport:
    """The report without the examples that have a warning of these codes; DataError if there is no such code."""
    drop = list(drop)
    if not drop:
        return report
    examples: Examples = report.examples
    known = {code for severity, code in report.counts if severity == "warning"} | CODES
    for code in drop:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=3)
            raise DataError(
                f"There is no warning {code!r} to leave rows out for (data.drop); "
                + (f"near it is {', '.join(near)}." if near else f"there are {', '.join(sorted(known))}.")
            )
    with np.load(report.folder / "warned.npz") as warned:
        dropped = {code: warned[code] for code in drop if code in warned}
    places = examples.places[~np.isin(examples.places, np.concatenate([[], *dropped.values()]))]
    return replace(
        report,
        examples=examples.take(places),
        dropped={code: len(found) for code, found in dropped.items()},
    )


def _kept_as_text(number: NumberError) -> Remark:
    literal = excerpt(number.literal, 20)
    why = f"`{number.key}` is {number.kind}, not a text; it is learned as “{literal}”."
    return Remark("number-as-text", why, "Nothing to do, if it is meant; otherwise write the text.")


def _left_out(remark: Remark, of: int) -> Remark:
    return Remark(remark.code, f"One of the row's {of} conversations is left out: {remark.why}", remark.fix)


def _other_shape(name: str, first: tuple[str, int]) -> Remark:
    why = f"The row is in the shape {name}, unlike the first, on line {first[1]}, which is {first[0]}; both are read."
    return Remark("mixed-shapes", why, "Nothing to do, if it is meant.")


def _other_keys(now: frozenset[str], first: frozenset[str], line: int) -> Remark:
    more, fewer = sorted(now - first), sorted(first - now)
    if more and fewer:
        rows = f"with {quoted(more)} and without {quoted(fewer)}"
    else:
        rows = f"with {quoted(more)}" if more else f"without {quoted(fewer)}"
    why = f"From here on there are rows {rows}, unlike on line {line}; both are read."
    return Remark("mixed-keys", why, "Nothing to do, if it is meant.")


def _others_differ(line: int) -> Remark:
    why = f"Other rows of the file have other keys than this one, first on line {line}; all are read."
    return Remark("mixed-keys", why, "Nothing to do, if it is meant.")


def _nothing_usable(report: DataReport) -> str:
    names = ", ".join(visible(name) for name in report.files)
    if not report.rows:
        return f"Nothing in {names} can be used: there are no rows, only blank lines or nothing at all."
    if not report.errors:
        return f"Nothing in {names} is left: data.drop leaves out {', '.join(report.dropped)}."
    code, times = max(
        ((code, times) for (severity, code), times in report.counts.items() if severity == "error"),
        key=lambda each: each[1],
    )
    first = next(problem for problem in report.errors if problem.code == code)
    if report.rows == 1:
        return f"Nothing in {names} can be used. {first.why} {first.fix}"
    return (
        f"Nothing in {names} can be used, none of {report.rows:,} rows; "
        f"most often ({times:,} times, first on line {first.source.line}): {first.why} {first.fix}"
    )
