"""Questions that are measured with must not be trained on: held-out rows, benchmarks, and files a person names.

A text holds a question if it has the same words, whatever their case, spaces and punctuation, or if it shares
most of the question's runs of 13 words, the measure by which GPT-3's training data were held against benchmarks
(Brown et al. 2020, arXiv:2005.14165, appendix C). One shared run, as there, is too few here: of GSM8K's 7,473
training questions it accuses four, which merely follow the same model.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from core.data.doctor.whole import Finding, first_like
from core.data.doctor.words import Numbers, numbers, plain
from core.data.examples import Example
from core.data.remarks import Remark, visible

RUN = 13  # words
SHARE = 0.6  # of a question's runs, from which a text holds the question
PIECE = 1 << 20  # characters of a text that are looked at together
OVERLAP = 4000  # characters that two pieces share, so that no question is lost between them
BATCH = 1 << 18  # bytes
T = TypeVar("T")
BENCHMARKS = Path(__file__).parent / "benchmarks"


@dataclass(frozen=True, eq=False)
class Known:
    """Fingerprints of questions: hashes, from which no text can be read back."""

    name: str
    of: int  # how many questions the whole has, of which `len(self)` are known
    wholes: np.ndarray  # (questions,) uint64: of all words of each; 0 if there are none
    runs: np.ndarray  # (runs,) uint64, ascending: of runs that no other of the questions has
    owners: np.ndarray  # (runs,) int64: the question that each is from

    def __len__(self) -> int:
        return len(self.wholes)

    @classmethod
    def from_questions(cls, name: str, questions: Iterable[str], of: int | None = None) -> "Known":
        wholes, runs, owners, count = [], [], [], 0
        for texts in _batches((plain(each[:PIECE]) for each in questions), lambda text: [text]):
            said = numbers(texts)
            values, owner = said.runs(RUN)
            wholes.append(_wholes(said))
            runs.append(values)
            owners.append(owner + count)
            count += len(texts)
        whole, run, owner = (
            np.concatenate([np.empty(0, kind), *parts])
            for parts, kind in ((wholes, np.uint64), (runs, np.uint64), (owners, np.int64))
        )
        return cls(name, of or count, whole, *_own_runs(whole, run, owner))

    @classmethod
    def load(cls, path: Path) -> "Known":
        with np.load(path, allow_pickle=False) as file:
            owners = np.repeat(np.arange(len(file["wholes"])), file["counts"])
            order = np.argsort(file["runs"])
            return cls(str(file["name"]), int(file["of"]), file["wholes"], file["runs"][order], owners[order])

    def save(self, path: Path) -> None:
        order = np.argsort(self.owners, kind="stable")
        counts = np.bincount(self.owners, minlength=len(self)).astype(np.uint16)
        np.savez(path, name=self.name, of=self.of, wholes=self.wholes, runs=self.runs[order], counts=counts)


def benchmarks() -> tuple[Known, ...]:
    """Those whose fingerprints come with the program."""
    return tuple(Known.load(path) for path in sorted(BENCHMARKS.glob("*.npz")))


def question(example: Example) -> str:
    """What the user says; of an example in which no user speaks, its answer."""
    asked = [message.content for message in example.messages if message.role == "user"]
    return "\n".join(asked) if asked else example.messages[-1].content


def leaks(training: Iterable[Example], measured: Iterable[Example]) -> Iterator[Finding]:
    """Measured examples whose question is trained on, by their index in `measured`."""
    known = Known.from_questions("", map(question, measured))
    found: dict[int, tuple[float, str]] = {}
    for match in matches(training, known):
        if match.share > found.get(match.question, (0.0, ""))[0]:
            found[match.question] = match.share, visible(str(match.example.source))
    for index, same in enumerate(map(int, first_like(known.wholes))):
        if same in found:
            yield Finding(index, "leaked", partial(_leaked, *found[same]))


def contaminated(examples: Iterable[Example], known: Known) -> Iterator[Finding]:
    """Examples that hold one of the known questions, by their index."""
    for _, group in groupby(matches(examples, known), key=lambda match: match.row):
        best = max(group, key=lambda match: match.share)
        yield Finding(best.row, "in-benchmark", partial(_in_benchmark, known, best.question, best.share))


class Match(NamedTuple):
    row: int
    example: Example
    question: int  # of equal ones the first
    share: float  # of the question's runs that the example has; 1 if it asks just this


def matches(examples: Iterable[Example], known: Known) -> Iterator[Match]:
    """Pairs of an example and a question that it holds, in the order of the examples."""
    table = _Table(known)
    row = 0
    for batch in _batches(((example, _texts(example)) for example in examples), lambda pair: pair[1]):
        texts = [len(pieces) for _, pieces in batch]
        said = numbers([piece for _, pieces in batch for piece in pieces])
        for at, asked, share in table.look_up(said, np.repeat(np.arange(len(batch)), texts)):
            yield Match(row + at, batch[at][0], asked, share)
        row += len(batch)


class _Table:
    """Looks many hashes up at once."""

    def __init__(self, known: Known):
        self._known = known
        self._order = np.argsort(known.wholes, kind="stable")
        self._wholes = known.wholes[self._order]
        self._sizes = np.maximum(1, np.bincount(known.owners, minlength=len(known)))
        # A look into this, which fits into the cache, spares 98 of 100 searches.
        self._mask = np.uint64((1 << max(20, len(known.runs).bit_length() + 4)) - 1)
        self._maybe = np.zeros(int(self._mask) + 1, bool)
        self._maybe[known.runs & self._mask] = True

    def look_up(self, said: Numbers, rows: np.ndarray) -> list[tuple[int, int, float]]:
        """Row, question, share; `rows` names the row of each text."""
        if not len(self._known):
            return []
        found: dict[tuple[int, int], float] = {}
        values, texts = said.runs(RUN)
        maybe = np.flatnonzero(self._maybe[values & self._mask])
        at = np.searchsorted(self._known.runs, values[maybe])
        there = at < len(self._known.runs)
        maybe, at = maybe[there], at[there]
        there = self._known.runs[at] == values[maybe]
        # A run that a row has twice counts once.
        pairs = np.unique(np.stack([rows[texts[maybe[there]]], at[there]], axis=1), axis=0)
        pairs[:, 1] = self._known.owners[pairs[:, 1]]
        pairs, counts = np.unique(pairs, axis=0, return_counts=True)
        for (row, asked), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            share = count / int(self._sizes[asked])
            if share >= SHARE:
                found[row, asked] = share
        wholes = _wholes(said)
        at = np.minimum(np.searchsorted(self._wholes, wholes), len(self._wholes) - 1)
        for text in np.flatnonzero((self._wholes[at] == wholes) & (wholes != 0)):
            found[int(rows[text]), int(self._order[at[text]])] = 1.0
        return sorted((row, asked, share) for (row, asked), share in found.items())


def _wholes(said: Numbers) -> np.ndarray:
    """(texts,) a hash of each text; 0 of one without words, which is like no other."""
    return np.where(np.diff(said.begins) > 0, said.texts(), np.uint64(0))


def _own_runs(wholes: np.ndarray, runs: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs that one question alone has, and which: what many share, an instruction or a passage, tells nothing.

    Questions with the same words count as one, the first of them.
    """
    owners = first_like(wholes)[owners]
    order = np.lexsort((owners, runs))
    runs, owners = runs[order], owners[order]
    first = np.ones(len(runs), bool)
    first[1:] = runs[1:] != runs[:-1]
    group = np.cumsum(first) - 1
    begins = np.flatnonzero(first)
    shared = np.zeros(len(begins), bool)
    shared[group[owners != owners[begins][group]]] = True
    return runs[first][~shared], owners[first][~shared]


def _texts(example: Example) -> list[bytes]:
    """The question, and what else is said, in pieces that are not too long to be hashed."""
    asked = question(example)
    others = (message.content for message in example.messages if message.role != "user")
    return [
        plain(text[at : at + PIECE + OVERLAP])
        for text in (asked, *others)
        for at in range(0, len(text), PIECE)
    ]


def _batches(items: Iterable[T], texts: Callable[[T], Iterable[bytes]]) -> Iterator[list[T]]:
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += sum(map(len, texts(item)))
        if size > BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _leaked(share: float, source: str) -> Remark:
    how = (
        "asks the same: what is measured here is memory"
        if share == 1
        else f"holds {share:.0%} of its question: part of what is measured here is memory"
    )
    return Remark(
        "leaked",
        f"{source}, which is trained on, {how}.",
        "Delete one of the two; a share that is held out of the same files keeps equal rows together.",
    )


def _in_benchmark(known: Known, asked: int, share: float) -> Remark:
    how = "" if share == 1 else f"{share:.0%} of "
    few = (
        f" Only {len(known):,} of its {known.of:,} questions are known here." if len(known) < known.of else ""
    )
    return Remark(
        "in-benchmark",
        f"The row holds {how}question {asked + 1:,} of {visible(known.name)}: a model that learned it cannot be "
        f"measured with it.{few}",
        "Delete the row, unless nothing will be measured with that question.",
    )
