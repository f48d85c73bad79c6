"""The public sets: where each comes from, under which licence, and what its rows become.

A new set is one entry in SETS. `dolly15k`, `oasst1`, `alpaca`, `gsm8k` and `math` come from the Hub; MATH from
a copy of EleutherAI's, because the authors' own was withdrawn in January 2025 after a claim to the rights in its
problems, so that whoever publishes something made of it should look into that. For books and riddles there is
no set on the Hub that is small, complete and of known origin; they are prepared from files that the user has.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from core.data.examples import Message
from core.data.files.lines import decoded, lines
from core.data.files.opening import Opened
from core.data.files.unpack import AsUtf8, Unpacked, encoding, packing
from core.data.prepared.books import read_book
from core.data.prepared.passages import Turn, conversations
from core.data.remarks import Remark, RowError, visible
from core.data.rows import Read, Row, Unread
from core.data.shapes import oasst
from core.data.shapes.fields import joined, lower_keys
from core.data.shapes.shape import Reading
from core.errors import DataError

Split = Literal["train", "test"]
CALCULATOR = re.compile(r"<<[^<>]*>>")
FINAL_ANSWER = re.compile(r"\n#### \S[^\n]*\Z")
NO_INPUT = re.compile(r"<?\s*(?:no ?input|none|n/a)\s*>?\.?", re.I)  # how Alpaca says that a row has no input
REQUEST = re.compile(r"\bcomments? (?:section|below)\b", re.I)  # of a page that riddles were taken from
SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be decided about how sets are prepared."""

    paths: Literal["best", "every"] = "best"  # of a tree of ranked answers
    languages: tuple[str, ...] = ()  # of trees, as the set writes them; all if none is named
    keep_calculator: bool = False  # in GSM8K, <<48/2=24>> stays in the answers
    seed: int = 0  # of the ways to ask about books


@dataclass(slots=True)
class Tally:
    """What has become of the rows so far."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> rows
    changed: Counter[str] = field(default_factory=Counter)  # what was changed -> how often


LARGEST_BOOK = 50_000_000  # characters; the longest novels have a fifth of that
NO_ROW = "not a row of this set"


class LeftOutError(Exception):
    """A row is no example of the set; the message is the reason, as it is counted."""


Converter = Callable[[Iterable[Opened], Choices, Tally], Iterator[list[Turn]]]


@dataclass(frozen=True, slots=True)
class PublicSet:
    name: str
    title: str
    licence: str
    home: str  # where it comes from, for people
    convert: Converter
    hub: dict[Split, tuple[str, ...]] = field(
        default_factory=dict
    )  # what `opened` takes; empty if there is none
    folder: str = ""  # another name for its folder in a folder of several sets
    unit: str = "row"  # what is counted
    passed_over: frozenset[str] = frozenset()  # words in names of files of another subset
    note: str = ""


def _each(convert: Callable[[Row, Choices, Tally], list[Turn]]) -> Converter:
    """A converter of sets in which every row is one conversation."""

    def converter(sources: Iterable[Opened], choices: Choices, tally: Tally) -> Iterator[list[Turn]]:
        for source in sources:
            for row in rows(source, tally):
                tally.rows += 1
                try:
                    turns = convert(row, choices, tally)
                except LeftOutError as reason:
                    tally.left_out[str(reason)] += 1
                else:
                    yield turns

    return converter


def rows(source: Opened, tally: Tally) -> Iterator[Row]:
    """The rows of a file, their keys in lower case; lines that cannot be read are counted as left out."""
    for read in source.rows():
        if isinstance(read.row, Unread):
            tally.rows += 1
            tally.left_out[f"cannot be read ({read.row.remark.code})"] += 1
        elif read.row is not None:
            try:
                yield lower_keys(read.row)
            except RowError as error:
                tally.rows += 1
                tally.left_out[f"cannot be read ({error.remark.code})"] += 1


def _text(row: Row, *names: str, missing: str | None = None) -> str:
    """The first of the fields that is there, as text; otherwise `missing`, or LeftOutError."""
    found = next((row[name] for name in names if row.get(name) is not None), missing)
    if found is None:
        raise LeftOutError(f"no {names[0]}")
    if isinstance(found, (list, dict, bool)):
        raise LeftOutError(f"the {names[0]} is no text")
    return str(found)


def _dolly(row: Row, choices: Choices, tally: Tally) -> list[Turn]:
    if "instruction" not in row:
        raise LeftOutError(NO_ROW)
    context = _text(row, "context", "input", missing="")
    return [(joined(_text(row, "instruction"), context), _text(row, "response", "output"))]


def _alpaca(row: Row, choices: Choices, tally: Tally) -> list[Turn]:
    if "instruction" not in row or "instances" in row:
        raise LeftOutError(NO_ROW)
    about = _text(row, "input", missing="")
    if NO_INPUT.fullmatch(about):
        tally.changed["inputs that say “no input” left away"] += 1
        about = ""
    return [(joined(_text(row, "instruction"), about), _text(row, "output"))]


def _gsm8k(row: Row, choices: Choices, tally: Tally) -> list[Turn]:
    question, answer = _text(row, "question"), _text(row, "answer").rstrip()
    if not FINAL_ANSWER.search(answer):
        raise LeftOutError("no final answer after ####")
    if not choices.keep_calculator:
        answer, removed = CALCULATOR.subn("", answer)
        tally.changed["calculator annotations removed"] += removed
    return [(question, answer)]


def _math(row: Row, choices: Choices, tally: Tally) -> list[Turn]:
    problem, solution = _text(row, "problem"), _text(row, "solution")
    if not boxed(solution):
        raise LeftOutError(r"no answer in a \boxed that can be read")
    return [(problem, solution)]


def _riddle(row: Row, choices: Choices, tally: Tally) -> list[Turn]:
    riddle = _text(row, "riddle", "questions", "question")
    answer = _text(row, "answer", "answers")
    if REQUEST.search(answer):
        raise LeftOutError("the answer asks for comments on a page")
    return [(riddle.strip(), answer.strip())]


def boxed(solution: str) -> str | None:
    r"""What stands in the last \boxed{...} or \fbox{...}; None if there is none or its braces do not close.

    \boxed{\frac{1}{2}} -> \frac{1}{2}        \boxed 7 -> 7
    """
    marks = list(re.finditer(r"\\(?:boxed|fbox)\b\s*", solution))
    if not marks:
        return None
    rest = solution[marks[-1].end() :]
    if not rest.startswith("{"):
        bare = re.match(r"[^\s$\\{}.,]+", rest)
        return bare[0] if bare else None
    depth = 0
    for brace in re.finditer(r"(?<!\\)(?:\\\\)*([{}])", rest):
        depth += 1 if brace[1] == "{" else -1
        if depth == 0:
            return rest[1 : brace.start(1)].strip() or None
    return None


def _oasst(sources: Iterable[Opened], choices: Choices, tally: Tally) -> Iterator[list[Turn]]:
    """The best or every path through each tree of ranked replies, from trees or from single messages."""
    reading = Reading(paths=choices.paths)
    for source in sources:
        for read in oasst.trees(_in_languages(source, choices.languages, tally)):
            if read.row is None:
                continue
            tally.rows += 1
            try:
                yield from _paths(read.row, reading, tally)
            except LeftOutError as reason:
                tally.left_out[str(reason)] += 1
            except RowError as error:
                tally.left_out[error.remark.code] += 1


def _paths(row: Row, reading: Reading, tally: Tally) -> list[list[Turn]]:
    if isinstance(row.get("prompt"), dict) and oasst.is_tree(row):
        found = oasst.of_tree(row, reading)
    elif {"message_id", "text", "role"} <= row.keys():
        found = oasst.of_message(row, reading)
    else:
        raise LeftOutError(NO_ROW)
    if any(remark.code == "replies-left-out" for remark in found[0].remarks):
        tally.changed["trees without the replies that were deleted or did not pass review"] += 1
    return [_turns(each.messages) for each in found]


def _in_languages(source: Opened, languages: tuple[str, ...], tally: Tally) -> Iterator[Read]:
    """The rows of the trees whose first message is in one of the languages, or of all."""
    first = {}  # tree -> its language, which the rows of its other messages may not say
    if languages:
        first = {
            str(row.get("message_tree_id")): row.get("lang")
            for row in rows(source, Tally())
            if row.get("parent_id") in (None, "None")
        }
    for row in rows(source, tally):
        begins = row.get("parent_id") in (None, "None")
        if not languages or _language(row, begins, first) in languages:
            yield Read(0, row)
        elif begins:
            tally.rows += 1
            tally.left_out["in another language"] += 1


def _language(row: Row, begins: bool, first: dict[str, str]) -> str | None:
    """The language of the tree that a row is, or belongs to."""
    if isinstance(row.get("prompt"), dict):
        return row["prompt"].get("lang")
    return row.get("lang") if begins else first.get(str(row.get("message_tree_id")))


def _turns(messages: tuple[Message, ...]) -> list[Turn]:
    sides = [message.role for message in messages]
    if sides != ["user", "assistant"] * (len(sides) // 2):
        raise LeftOutError("not question and answer in turn")
    texts = [message.content for message in messages]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _books(sources: Iterable[Opened], choices: Choices, tally: Tally) -> Iterator[list[Turn]]:
    known: set[str] = set()
    for source in sources:
        for text in _texts(source, tally):
            book = read_book(text)
            tally.rows += book.paragraphs
            if book.key in known:
                tally.left_out["of a book that is given twice"] += book.paragraphs
                continue
            known.add(book.key)
            tally.left_out.update(book.left_out)
            yield from conversations(book, choices.seed, tally.left_out)


def _texts(source: Opened, tally: Tally) -> Iterator[str]:
    """The books in a source: one in a file of text; one in each row that has a `text`."""
    if source.kind in ("text", "Markdown"):
        yield _plain(source, tally)
        return
    for row in rows(source, tally):
        if type(row.get("text")) is str:
            yield row["text"]
        else:
            tally.rows += 1
            tally.left_out[NO_ROW] += 1


def _plain(source: Opened, tally: Tally) -> str:
    """A file of text as it is laid out, for indents tell what is a verse, a table or prose."""
    from core.presets import data_file  # brings pydantic, for which importing core.data need not wait

    told: list[str] = []
    characters = 0
    try:
        with data_file(source.name).open("rb") as file:
            packed = packing(file.peek(4)[:4])
            stream = io.BufferedReader(Unpacked(file, packed)) if packed else file
            codec, mark = encoding(stream.peek(4)[:4])
            stream.read(mark)
            for raw in lines(io.BufferedReader(AsUtf8(stream, codec)) if codec != "utf-8" else stream):
                text, _ = decoded(raw)
                if isinstance(text, Remark):
                    tally.rows += 1
                    tally.left_out[f"a line that cannot be read ({text.code})"] += 1
                else:
                    told.append(text)
                characters += len(raw)
                if characters > LARGEST_BOOK:
                    raise DataError(f"{visible(source.name)} is larger than any book: split it.")
    except OSError as error:
        raise DataError(f"{visible(source.name)} cannot be read: {error.strerror or error}.") from None
    return "".join(told)


SETS: dict[str, PublicSet] = {
    each.name: each
    for each in (
        PublicSet(
            "dolly15k",
            "Databricks Dolly 15k",
            "CC BY-SA 3.0",
            "https://huggingface.co/datasets/databricks/databricks-dolly-15k",
            _each(_dolly),
            {"train": ("hf:databricks/databricks-dolly-15k?split=train",)},
            folder="dolly",
        ),
        PublicSet(
            "oasst1",
            "OpenAssistant Conversations",
            "Apache-2.0",
            "https://huggingface.co/datasets/OpenAssistant/oasst1",
            _oasst,
            {
                "train": ("hf:OpenAssistant/oasst1?split=train",),
                "test": ("hf:OpenAssistant/oasst1?split=validation",),
            },
            folder="oasst",
            unit="tree",
        ),
        PublicSet(
            "alpaca",
            "Stanford Alpaca",
            "CC BY-NC 4.0",
            "https://huggingface.co/datasets/tatsu-lab/alpaca",
            _each(_alpaca),
            {"train": ("hf:tatsu-lab/alpaca?split=train",)},
            note="Not for commercial use; the answers were written by a model of OpenAI, whose terms apply too.",
        ),
        PublicSet(
            "gsm8k",
            "GSM8K, grade school mathematics",
            "MIT",
            "https://huggingface.co/datasets/openai/gsm8k",
            _each(_gsm8k),
            {
                "train": ("hf:openai/gsm8k?subset=main&split=train",),
                "test": ("hf:openai/gsm8k?subset=main&split=test",),
            },
            passed_over=frozenset(("socratic",)),  # the same problems with other answers
        ),
        PublicSet(
            "math",
            "MATH, competition mathematics",
            "MIT",
            "https://huggingface.co/datasets/EleutherAI/hendrycks_math",
            _each(_math),
            {
                split: tuple(f"hf:EleutherAI/hendrycks_math?subset={each}&split={split}" for each in SUBJECTS)
                for split in ("train", "test")
            },
            note="The authors' own copy was withdrawn from the Hub in January 2025, when the owner of some of the "
            "problems claimed the rights in them; this licence is the one that the authors gave.",
        ),
        PublicSet(
            "books",
            "Books of Project Gutenberg",
            "public domain in the United States; look up the law of other countries",
            "https://www.gutenberg.org",
            _books,
            unit="paragraph",
            note="Project Gutenberg's own header and licence are taken out of the texts, as its terms ask for.",
        ),
        PublicSet(
            "riddles",
            "Riddles",
            "that of the files: see where they come from",
            "the files that were given",
            _each(_riddle),
        ),
    )
}
