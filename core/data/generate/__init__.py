"""Documents -> questions and answers to train on.

    made = generate(["handbook.md"], "rule-based", 500, "pairs.jsonl", split=True)
    print(as_text(made))

rule-based    from what the document's structure says: headings, lists, tables, records
llm-based     a model writes them, and each is checked against its passage
augmented     the questions of rows that are there already, in other words

Beside pairs.jsonl (or pairs.train.jsonl, .validation.jsonl and .test.jsonl) stand pairs.sources.jsonl, which says of
each row where it came from, and pairs.about.json.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from core.data.remarks import visible
from core.errors import DataError

Method = Literal["rule-based", "llm-based", "augmented"]
Progress = Callable[[int, int], None]

MOST_ROWS = 1_000_000
FEW_HELD_OUT = 30  # rows; of fewer, a score moves by chance more than most trainings move it

__all__ = ["Generated", "Method", "as_dict", "as_text", "generate"]


@dataclass(frozen=True)
class Generated:
    """What was made, and what was not."""

    method: Method
    wanted: int
    rows: dict[str, int]  # file -> its rows
    files: tuple[Path, ...]
    left_out: dict[str, int]  # reason -> how often
    kinds: dict[str, int]  # kind of question -> rows
    tokens: int = 0  # that a model was asked to read and write
    stopped: str = ""  # why it ended before its time
    notes: tuple[str, ...] = ()  # what to know before it is used

    @property
    def made(self) -> int:
        return sum(self.rows.values())


def generate(
    inputs: Sequence[str | Path],
    method: Method,
    count: int,
    output: str | Path,
    *,
    split: bool = False,
    language: Literal["en", "fr", "auto"] = "auto",
    seed: int = 42,
    unanswerable: bool = True,
    typos: bool = False,
    endpoint: str | None = None,
    model: str | None = None,
    base: str | None = None,
    budget: int | None = None,
    runs: Path = Path("runs"),
    progress: Progress | None = None,
) -> Generated:
    """Make up to `count` rows and write them to files; fewer, and why, if the documents do not hold as many.

    `split` makes three files of 80, 10 and 10 in 100, of which no two hold questions about the same passage.
    `unanswerable`: some questions ask what a document does not say (rule-based). `typos`: make some (augmented).
    `endpoint` and `model`, or `base`, the name of a run, say who writes (llm-based); `budget` is the most tokens that
    may be spent now. A llm-based run that was stopped goes on if it is asked for again.
    `progress` is called with the rows that there are, and those that are wanted.

    DataError if a file cannot be read or written, or nothing can be made of the files.
    """
    from core.data.generate.drawing import sides
    from core.data.generate.output import Output

    if method not in get_args(Method):
        raise DataError(f"There is no method {method!r}; there are {', '.join(get_args(Method))}.")
    if not inputs:
        raise DataError("Name a document: a Markdown, text, CSV or JSON lines file.")
    if not 1 <= count <= MOST_ROWS:
        raise DataError(f"--count must be between 1 and {MOST_ROWS:,}, not {count:,}.")
    if budget is not None and budget < 1:
        raise DataError("--budget must be at least 1 token.")
    names = [str(each) for each in inputs]
    place = Output(output)
    place.check(names, [side.name for side in sides(split)])
    making = {"rule-based": _by_rules, "llm-based": _by_a_model, "augmented": _by_varying}[method]
    options = {
        "split": split,
        "language": language,
        "seed": seed,
        "unanswerable": unanswerable,
        "typos": typos,
        "endpoint": endpoint,
        "model": model,
        "base": base,
        "budget": budget,
        "runs": runs,
    }
    made = making(names, count, place, options, progress)
    if not any(made.pairs.values()) and not made.stopped:
        raise DataError(_nothing(names, made.left_out))
    about = {
        "method": method,
        "wanted": count,
        "rows": {place.rows(side).name: len(pairs) for side, pairs in made.pairs.items()},
        "seed": seed,
        "language": language,
        "split": split,
        "inputs": made.sha256,
        "left_out": dict(made.left_out),
        **made.about,
    }
    files = place.write(made.pairs, about)
    kinds = Counter(pair.kind for pairs in made.pairs.values() for pair in pairs)
    if progress:
        progress(sum(kinds.values()), count)
    return Generated(
        method,
        count,
        {str(place.rows(side)): len(pairs) for side, pairs in made.pairs.items()},
        (*files, *made.files),
        dict(made.left_out.most_common()),
        dict(kinds.most_common()),
        made.tokens,
        made.stopped,
        tuple(_about_the_split(made.pairs)),
    )


@dataclass
class _Made:
    pairs: Mapping[str, Sequence[Any]]  # side -> Pairs
    sha256: dict[str, str]
    left_out: Counter[str]
    about: dict[str, Any]
    files: tuple[Path, ...] = ()
    tokens: int = 0
    stopped: str = ""


def _by_rules(
    names: list[str], count: int, place: Any, options: dict[str, Any], progress: Progress | None
) -> _Made:
    from core.data.generate import drawing, reading, rules

    found = reading.documents(names, options["language"])
    left_out = _left_out(found)
    made = rules.facts(found, options["seed"], left_out, count)
    if not options["unanswerable"]:
        made = rules.Made(tuple(fact for fact in made.facts if fact.group != "not said"), made.blocks)
    pairs = drawing.draw(made, count, options["split"], options["seed"], left_out, progress)
    return _Made(pairs, {each.file: each.sha256 for each in found}, left_out, {})


def _by_a_model(
    names: list[str], count: int, place: Any, options: dict[str, Any], progress: Progress | None
) -> _Made:
    from core.data.generate import asking, llm, reading
    from core.data.generate.output import write_lines

    found = reading.documents(names, options["language"])
    sources = llm.sources(found)
    left_out = _left_out(found)
    if not sources:
        raise DataError(_nothing(names, left_out))
    sha256 = {each.file: each.sha256 for each in found}
    asked = asking.asked(options["endpoint"], options["model"], options["base"], options["runs"])
    try:
        request = {"method": "llm-based", "seed": options["seed"], "model": asked.name, "inputs": sha256}
        written = llm.write(
            sources, asked, count, options["seed"], place.journal, request, options["budget"], progress
        )
    finally:
        asked.close()
    write_lines(place.rejected, written.rejected)
    pairs = _on_sides(written.pairs, written.blocks, options["split"], options["seed"])
    return _Made(
        pairs,
        sha256,
        left_out + written.left_out,
        {"model": asked.name, "tokens": written.tokens, "finished": not written.stopped},
        (place.rejected, place.journal),
        written.tokens,
        written.stopped,
    )


def _by_varying(
    names: list[str], count: int, place: Any, options: dict[str, Any], progress: Progress | None
) -> _Made:
    from core.data.generate.varying import vary

    varied = vary(names, count, options["seed"], options["language"], options["typos"])
    pairs = _on_sides(varied.pairs, varied.blocks, options["split"], options["seed"])
    return _Made(pairs, varied.sha256, varied.left_out, {})


def _on_sides(
    pairs: Sequence[Any], blocks: Mapping[str, str], split: bool, seed: int
) -> dict[str, list[Any]]:
    """The pairs of each side; those of one block are on the same."""
    from core.data.generate.drawing import assign, sides

    weights = Counter(blocks[pair.owners[0]] for pair in pairs)
    side_of = assign(weights, split, seed)
    found: dict[str, list[Any]] = {side.name: [] for side in sides(split)}
    for pair in pairs:
        found[side_of[blocks[pair.owners[0]]]].append(pair)
    return found


def _about_the_split(pairs: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """What there is to say of the rows that are held out, if there are few of them."""
    rows = {side: len(made) for side, made in pairs.items()}
    if "validation" not in rows:
        return
    if not rows["validation"]:
        yield (
            "Nothing is held out, since no passage is in two files, and all rows are about one. Leave --split out: "
            "`atelier train` then holds out a part of the rows by itself."
        )
    elif rows["validation"] < FEW_HELD_OUT:
        yield (
            f"Only {_rows(rows['validation'])} to validate on and {_rows(rows['test'])} to test on: too few to tell a "
            "small gain from chance. Give more documents, or a larger --count where they hold more."
        )
    elif not rows["test"]:
        yield (
            f"{_rows(rows['validation']).capitalize()} to validate on and none to test on: no passage is in two files, and "
            "there are too few for three. Give more documents."
        )


def _rows(number: int) -> str:
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def _left_out(documents: Sequence[Any]) -> Counter[str]:
    return sum((each.left_out for each in documents), Counter())


def _nothing(names: Sequence[str], left_out: Mapping[str, int]) -> str:
    shown = ", ".join(visible(name) for name in names[:5])
    reasons = "; ".join(f"{reason} ({times:,})" for reason, times in list(left_out.items())[:3])
    why = f" Left out: {reasons}." if reasons else ""
    return (
        f"No question can be made of {shown}: it holds no entries, tables or texts under headings.{why} "
        "Add headings, or let a model write with --method llm-based."
    )


def as_dict(made: Generated) -> dict[str, Any]:
    """What was made as plain values, for JSON."""
    return {
        "method": made.method,
        "wanted": made.wanted,
        "made": made.made,
        "rows": {visible(file): rows for file, rows in made.rows.items()},
        "files": [visible(str(path)) for path in made.files],
        "left_out": {visible(reason): times for reason, times in made.left_out.items()},
        "kinds": made.kinds,
        "tokens": made.tokens,
        "stopped": visible(made.stopped),
        "notes": list(made.notes),
    }


def as_text(made: Generated) -> str:
    """What was made, for a terminal."""
    lines = [f"{_rows(made.made)} of the {made.wanted:,} that were asked for."]
    lines += [f"  {rows:>7,}  {visible(file)}" for file, rows in made.rows.items()]
    lines += made.notes
    if made.stopped:
        lines.append(f"{visible(made.stopped)} Run the same command again to go on.")
    elif made.made < made.wanted:
        lines.append("The documents do not hold more that can be asked in this way.")
    if made.tokens:
        lines.append(f"{made.tokens:,} tokens were read and written by the model.")
    if made.left_out:
        lines.append("Left out:")
        lines += [f"  {times:>7,}  {visible(reason)}" for reason, times in made.left_out.items()]
    others = [visible(str(path)) for path in made.files if str(path) not in made.rows]
    lines.append(f"Beside them: {', '.join(others)}.")
    return "\n".join(lines)
