"""Public sets -> files of examples, each with its licence and source beside it.

    prepare(["gsm8k"], Path("data/sft"))                                    from the Hub
    prepare(["books"], Path("data/sft"), source="gutenberg/11-0.txt")        from a copy of the original files

data/sft/gsm8k.jsonl         {"messages": [...]} rows to train on, and nothing else in them
data/sft/gsm8k.test.jsonl    the test split, to measure with; its questions are never in the file above
data/sft/gsm8k.about.json    licence, source, revision, counts, hashes
data/sft/README.md           the same of all sets in the folder, to read

The same input gives the same bytes.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.data.files.opening import Opened, expand, opened
from core.data.prepared.folder import Folder, Written, page, times
from core.data.prepared.sets import SETS, Choices, PublicSet, Split, Tally, rows
from core.data.remarks import visible
from core.errors import DataError

__all__ = ["SETS", "Prepared", "as_dict", "as_text", "prepare"]

# Words in the names of files to measure with.
TEST = frozenset(("test", "validation", "valid", "val", "dev", "eval"))
LISTED = 50  # files that are written down one by one with their hashes; of more there is one hash


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a set. Without files it could not be prepared, and `note` says why."""

    name: str
    files: tuple[str, ...] = ()  # written to the folder
    rows: int = 0  # read
    left_out: dict[str, int] = field(default_factory=dict)  # reason -> rows
    licence: str = ""
    source: str = ""
    sha256: dict[str, str] = field(default_factory=dict)  # file -> hash of its bytes
    examples: dict[str, int] = field(default_factory=dict)  # file -> conversations in it
    changed: dict[str, int] = field(default_factory=dict)  # what was changed -> how often
    unit: str = "row"  # what `rows` and `left_out` count
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Given:
    """What a set is made from: names to open, and how each is called in what is written down."""

    files: dict[Split, list[str]]
    passed_over: list[str]  # of another subset
    shown: dict[str, str]


def prepare(
    names: Sequence[str],
    output_dir: str | Path,
    source: str | None = None,
    *,
    paths: Literal["best", "every"] = "best",
    languages: Sequence[str] = (),
    keep_calculator: bool = False,
    seed: int = 0,
) -> list[Prepared]:
    """Write the sets of these names, or of all, to the folder.

    `source` is a file, a folder or a name on the Hub, instead of the set's own place on the Hub; for several
    sets, a folder with one folder for each. Raises DataError where a set cannot be prepared; of `all`, the others
    are prepared nevertheless, and what hindered one is in its `note`.
    """
    choices = Choices(paths, tuple(languages), keep_calculator, seed)
    every = "all" in names
    wanted = list(SETS) if every else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in SETS]
    if unknown or not wanted:
        which = f"no public set {visible(unknown[0])}" if unknown else "nothing to prepare"
        raise DataError(f"There is {which}: name all, or {', '.join(SETS)}.")
    prepared = []
    for public in map(SETS.get, wanted):
        try:
            given = _given(public, source, among=len(wanted) > 1)
            prepared.append(_prepare(public, given, Path(output_dir), choices))
        except DataError as error:
            if not every:
                raise
            prepared.append(Prepared(public.name, note=str(error)))
    if not any(each.files for each in prepared):
        raise DataError(f"None of the sets could be prepared; the first says: {prepared[0].note}")
    return prepared


def as_text(prepared: Iterable[Prepared]) -> str:
    """What became of each set, for a terminal."""
    return "\n\n".join("\n".join(_told(each)) for each in prepared)


def as_dict(prepared: Iterable[Prepared]) -> dict[str, Any]:
    """The same as plain values, for JSON."""
    return {"prepared": [asdict(each) for each in prepared]}


def _told(each: Prepared) -> Iterator[str]:
    if not each.files:
        yield f"{each.name}: not prepared. {each.note}"
        return
    left_out = sum(each.left_out.values())
    made = sum(each.examples.values())
    yield f"{each.name}: {times(each.rows, each.unit)} read, {times(made, 'example')}, {left_out:,} left out."
    for name in each.files:
        use = "to measure with" if name.endswith(".test.jsonl") else "to train on"
        yield f"    {name}: {times(each.examples[name], 'example')} {use}"
    for reason, count in each.left_out.items():
        yield f"    left out, {visible(reason)}: {count:,}"
    for change, count in each.changed.items():
        yield f"    changed, {change}: {count:,}"
    yield f"    licence: {each.licence}; from {each.source}"
    if each.note:
        yield f"    {each.note}"


def _given(public: PublicSet, source: str | None, among: bool) -> _Given:
    """What there is to read for a set; DataError if there is nothing."""
    if source is None:
        if not public.hub:
            raise DataError(
                f"There is no set of {public.name} on the Hub to rely on: give files with --from."
            )
        return _Given({split: list(names) for split, names in public.hub.items()}, [], {})
    root = Path(source).expanduser()
    if among:
        folders = [
            root / name for name in (public.name, public.folder) if name and os.path.isdir(root / name)
        ]
        if not folders:
            raise DataError(f"There is no folder {public.name} in {visible(source)}.")
        root = folders[0]
    if not os.path.isdir(root):
        here = os.path.exists(root)  # otherwise it is on the Hub, or `opened` says that there is no such file
        called = root.name if here else source.partition("?")[2]
        return _Given({_split(public, called): [source]}, [], {source: visible(root.name)} if here else {})
    given = _Given({}, [], {})
    for file in expand([str(root)], beside=True):
        given.shown[file] = visible(os.path.relpath(file, root).replace(os.sep, "/"))
        if _words(given.shown[file]) & public.passed_over:
            given.passed_over.append(file)
        else:
            given.files.setdefault(_split(public, given.shown[file]), []).append(file)
    return given


def _split(public: PublicSet, called: str) -> Split:
    """Whether a file is to measure with, by its name; only of sets that have such a part."""
    return "test" if "test" in public.hub and _words(called) & TEST else "train"


def _words(called: str) -> set[str]:
    return set(re.findall(r"[a-z]+", called.lower()))


def _prepare(public: PublicSet, given: _Given, output: Path, choices: Choices) -> Prepared:
    tally = Tally()
    read: dict[str, str] = {}

    def sources(names: Iterable[str]) -> Iterator[Opened]:
        for name in names:
            source = opened(name)
            read[given.shown.get(name, name)] = source.sha256
            yield source

    with Folder(output) as folder:
        abouts = folder.abouts(name for name in SETS if name != public.name)
        written: dict[Split, Written] = {}
        asked: frozenset[bytes] = frozenset()
        for split, name in (("test", f"{public.name}.test.jsonl"), ("train", f"{public.name}.jsonl")):
            if split in given.files:
                made = public.convert(sources(given.files[split]), choices, tally)
                written[split] = folder.write_rows(name, made, tally, asked)
                asked = written[split].questions
        for source in sources(given.passed_over):
            found = sum(1 for _ in rows(source, tally))
            tally.rows += found
            tally.left_out["of another subset"] += found
        kept = [each for each in (written.get("train"), written.get("test")) if each and each.examples]
        prepared = _counted(public, kept, tally)
        if not kept:
            raise DataError(_nothing(public, read, prepared))
        for each in kept:
            folder.keep(each)
        abouts[public.name] = _about(public, prepared, read, given, choices)
        beside = json.dumps(abouts[public.name], ensure_ascii=False, indent=2)
        folder.write_text(f"{public.name}.about.json", beside + "\n")
        folder.write_text("README.md", page([abouts[name] for name in SETS if name in abouts]))
    return prepared


def _counted(public: PublicSet, kept: list[Written], tally: Tally) -> Prepared:
    return Prepared(
        name=public.name,
        files=tuple(each.name for each in kept),
        rows=tally.rows,
        left_out={reason: count for reason, count in sorted(tally.left_out.items()) if count},
        licence=public.licence,
        source=public.home,
        sha256={each.name: each.sha256 for each in kept},
        examples={each.name: each.examples for each in kept},
        changed={change: count for change, count in sorted(tally.changed.items()) if count},
        unit=public.unit,
        note=public.note,
    )


def _about(
    public: PublicSet, prepared: Prepared, read: dict[str, str], given: _Given, choices: Choices
) -> dict[str, Any]:
    """What is written beside a set. Nothing in it tells of the computer or the day."""
    from_hub = not given.shown
    if len(read) > LISTED:
        listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(read.items()))
        read = {f"{len(read):,} files": hashlib.sha256(listed.encode()).hexdigest()}
    return {
        "name": public.name,
        "title": public.title,
        "licence": public.licence,
        "source": public.home,
        "revision": ", ".join(dict.fromkeys(read.values())) if from_hub else None,
        "read": read,
        "unit": public.unit,
        "rows": prepared.rows,
        "left_out": prepared.left_out,
        "changed": prepared.changed,
        "files": {
            name: {"examples": prepared.examples[name], "sha256": prepared.sha256[name]}
            for name in prepared.files
        },
        "choices": asdict(choices),
        "note": public.note,
    }


def _nothing(public: PublicSet, read: dict[str, str], prepared: Prepared) -> str:
    names = ", ".join(list(read)[:3]) + (f" and {len(read) - 3:,} more" if len(read) > 3 else "")
    if not prepared.left_out:
        return f"There is nothing in {visible(names)} to make {public.name} of: is it the right file?"
    reason, count = max(prepared.left_out.items(), key=lambda each: each[1])
    return (
        f"Nothing in {visible(names)} can be used for {public.name}, none of {times(prepared.rows, public.unit)}; "
        f"most often ({count:,} times) the reason is: {visible(reason)}. Is it the right file?"
    )
