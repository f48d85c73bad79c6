"""Tokens to rows of a run: what is cut, what is left out, what each length would cost, and whether it will stop."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, overload

import numpy as np
from transformers import PreTrainedTokenizerFast

from core.data.examples import Example, Problem, Severity, Source
from core.data.remarks import Remark
from core.errors import TextError
from core.text.templates import Template
from core.text.tokens import Tokens, tokenize

NOT_TRAINED = -100  # the label that losses leave out
LISTED = 1000  # problems of one code that are listed; the others are counted
Overlong = Literal["cut", "skip"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as tokens; `trained` says of each whether it is learnt."""

    ids: list[int]
    trained: list[bool]
    source: Source
    cut: int = 0  # tokens that did not fit, the ending among them


class Rows(Sequence[Encoded]):
    """The rows of an encoding, each made when it is asked for."""

    def __init__(
        self, tokens: Tokens, examples: Sequence[Example], places: np.ndarray, max_length: int
    ) -> None:
        self.tokens = tokens
        self.examples = examples
        self.places = places  # of the examples that became rows: int64, (rows,)
        self.max_length = max_length

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, none of which is cut off any more: int64, (rows,)."""
        return np.minimum(self.tokens.lengths[self.places], self.max_length)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Encoded: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "Encoded | Rows":
        if isinstance(at, slice):
            return Rows(self.tokens, self.examples, self.places[at], self.max_length)
        place = int(self.places[at])
        begin, length = int(self.tokens.begins[place]), int(self.tokens.lengths[place])
        end = begin + min(length, self.max_length)
        return Encoded(
            ids=self.tokens.ids[begin:end].tolist(),
            trained=self.tokens.trained[begin:end].tolist(),
            source=_source(self.examples, place),
            cut=max(0, length - self.max_length),
        )

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """`size` rows at a time: their ids and labels, one row after the other, and the length of each row."""
        for first in range(0, len(self), size):
            places = self.places[first : first + size]
            lengths = np.minimum(self.tokens.lengths[places], self.max_length)
            moves = self.tokens.begins[places] - (np.cumsum(lengths) - lengths)
            where = np.arange(lengths.sum()) + np.repeat(moves, lengths)
            ids = self.tokens.ids[where].astype(np.int32)
            yield ids, np.where(self.tokens.trained[where], ids, NOT_TRAINED), lengths


@dataclass(frozen=True)
class Encoding:
    """What became of the examples; rows and skipped are together as many as they were.

    Every skipped example has a problem that is an error; every cut or rewritten one has a warning. Of each
    code the first are listed, and `counts` has them all.
    """

    rows: Rows
    skipped: int
    problems: tuple[Problem, ...]
    counts: dict[tuple[Severity, str], int]
    cut_rows: int  # rows without their end: that the answer ends there is not learnt
    cut_tokens: int
    tokens: int
    trained_tokens: int
    whole_lengths: np.ndarray = field(
        repr=False
    )  # int64: tokens of every usable example before anything is cut

    @property
    def longest(self) -> int:
        """Tokens of the longest row, none of which is cut off any more."""
        return int(self.rows.lengths.max(initial=0))


@dataclass(frozen=True, slots=True)
class Shown:
    """A token to look at. The texts of an example's tokens, joined, are the text that was encoded."""

    text: str  # empty where a character has several tokens, from the second on
    id: int
    state: Literal["trained", "context", "cut"]


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, and whether it holds."""

    ok: bool
    text: str


def encode(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
    max_length: int,
    overlong: Overlong = "cut",
) -> Encoding:
    """Rows of at most `max_length` tokens; a longer example loses its end, or is left out if so asked."""
    return _Fitting(examples, tokenize(examples, tokenizer, template), max_length, overlong).encoding


def as_labels(row: Encoded) -> list[int]:
    """The id where a token is learnt, NOT_TRAINED elsewhere.

    Made from what each token is, not from its id: padding that shares an id with an ending could never hide
    one.
    """
    return [id_ if trained else NOT_TRAINED for id_, trained in zip(row.ids, row.trained, strict=True)]


def show(
    example: Example, tokenizer: PreTrainedTokenizerFast, template: Template, max_length: int
) -> list[Shown]:
    """The example's tokens, those that are cut off included; TextError if it cannot be encoded."""
    tokens = tokenize([example], tokenizer, template)
    if error := tokens.errors.get(0):
        raise TextError(f"{example.source}: {error.why} {error.fix}")
    text = template.write(example.messages, example.tools).text
    offsets = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).offsets
    ids, trained = tokens.ids.tolist(), tokens.trained.tolist()
    shown = []
    done = 0  # characters shown already
    for place, (id_, learnt, (_, end)) in enumerate(zip(ids, trained, offsets, strict=True)):
        # Up to the token's end, wherever it begins: normalised text leaves gaps, and bytes share a character.
        end = len(text) if place == len(ids) - 1 else max(done, end)
        state = "cut" if place >= max_length else "trained" if learnt else "context"
        shown.append(Shown(text[done:end], id_, state))
        done = end
    return shown


def will_it_stop(
    encoding: Encoding,
    template: Template,
    tokenizer: PreTrainedTokenizerFast,
    generation_eos_ids: Sequence[int],
) -> list[Check]:
    """Whether a model trained on these rows learns to end its answers, and is then listened to."""
    stops = list(template.stop_ids(tokenizer))
    ending, turn_end, padding = " and ".join(template.stops), template.stops[0], tokenizer.pad_token
    rows = encoding.rows
    is_whole = rows.tokens.lengths[rows.places] <= rows.max_length
    whole = int(is_whole.sum())
    endless = int(rows.tokens.endless[rows.places[is_whole]].sum())
    is_heard = stops[0] in generation_eos_ids
    is_apart = tokenizer.pad_token_id not in stops
    if not len(rows):
        return [Check(False, "No example is left to learn from.")]
    checks = [
        Check(
            not endless,
            f"{endless:,} of {whole:,} whole examples are not trained to end with {ending}."
            if endless
            else f"Every answer of every whole example is trained to end with {ending}.",
        ),
        Check(
            is_heard,
            f"Generation {'stops' if is_heard else 'does not stop'} at {turn_end}, which ends an answer.",
        ),
        Check(
            is_apart,
            f"Padding is {padding}, which ends no answer."
            if is_apart
            else f"Padding is {padding}, which also ends answers: who leaves padding out of the labels unlearns to stop.",
        ),
    ]
    if cut := len(rows) - whole:
        checks.append(
            Check(False, f"{cut:,} of {len(rows):,} examples were cut: their ending is not learnt.")
        )
    return checks


def _source(examples: Sequence[Example], place: int) -> Source:
    at = getattr(examples, "source", None)  # of a set on disk, where reading the example can be saved
    return at(place) if at else examples[place].source


class _Fitting:
    """What becomes of each example at a length."""

    def __init__(
        self, examples: Sequence[Example], tokens: Tokens, max_length: int, overlong: Overlong
    ) -> None:
        self.examples = examples
        self.tokens = tokens
        self.max_length = max_length
        self.problems: list[tuple[int, Problem]] = []
        self.counts: Counter[tuple[Severity, str]] = Counter()
        usable = np.ones(len(examples), bool)
        usable[list(tokens.errors)] = False
        too_long = usable & (tokens.lengths > max_length)
        unanswered = too_long & (tokens.first >= max_length)
        left_out = too_long if overlong == "skip" else unanswered
        kept = usable & ~left_out
        for place, remark in tokens.errors.items():
            self._say("error", place, remark)
        for place in np.flatnonzero(left_out).tolist():
            self._say("error", place, (self._too_long if overlong == "skip" else self._answer_cut)(place))
        for place in np.flatnonzero(kept & too_long).tolist():
            self._say("warning", place, self._cut(place))
        for place, found in tokens.rewritten.items():
            if kept[place]:
                self._say("warning", place, _rewritten(found))
        self.problems.sort(key=lambda each: each[0])
        rows = Rows(tokens, examples, np.flatnonzero(kept), max_length)
        self.encoding = Encoding(
            rows=rows,
            skipped=int(len(examples) - kept.sum()),
            problems=tuple(problem for _, problem in self.problems),
            counts=dict(self.counts),
            cut_rows=int((kept & too_long).sum()),
            cut_tokens=int((tokens.lengths - max_length)[kept & too_long].sum()),
            tokens=int(rows.lengths.sum()),
            trained_tokens=self._trained(kept, too_long),
            whole_lengths=tokens.lengths[usable],
        )

    def _trained(self, kept: np.ndarray, too_long: np.ndarray) -> int:
        tokens = self.tokens
        whole = int(tokens.learnt[kept & ~too_long].sum())
        begins = tokens.begins[kept & too_long].tolist()
        return whole + sum(int(tokens.trained[begin : begin + self.max_length].sum()) for begin in begins)

    def _say(self, severity: Severity, place: int, remark: Remark) -> None:
        self.counts[severity, remark.code] += 1
        if self.counts[severity, remark.code] <= LISTED:
            self.problems.append((place, Problem(_source(self.examples, place), severity, *remark)))

    def _too_long(self, place: int) -> Remark:
        return Remark(
            "too-long",
            f"The example has {self.tokens.lengths[place]:,} tokens, and train.max_length is {self.max_length:,}; "
            "it is left out.",
            "Raise train.max_length, or shorten the example.",
        )

    def _answer_cut(self, place: int) -> Remark:
        length = self.tokens.lengths[place]
        return Remark(
            "answer-cut",
            f"The answer begins at token {self.tokens.first[place] + 1:,} of {length:,}, beyond train.max_length "
            f"({self.max_length:,}), so nothing of it could be learnt.",
            f"Raise train.max_length to {length:,}, or shorten what stands before the answer.",
        )

    def _cut(self, place: int) -> Remark:
        length = self.tokens.lengths[place]
        return Remark(
            "cut",
            f"The last {length - self.max_length:,} tokens are cut off; how the example ends is not learnt.",
            f"Raise train.max_length to {length:,}, or shorten the example.",
        )


def _rewritten(found: tuple[str, ...]) -> Remark:
    return Remark(
        "special-token-rewritten",
        f"The text holds special tokens of the tokenizer ({len(found)}: {', '.join(dict.fromkeys(found))}); each gets "
        "a space after its first character, so that it is read as text.",
        "Remove them, unless the text is about them.",
    )


class Lengths:
    """How long the examples are, in tokens, and what each maximum length would cost."""

    def __init__(self, encoding: Encoding) -> None:
        self._lengths = np.sort(encoding.whole_lengths)

    def quantiles(self) -> dict[str, int]:
        if not len(self._lengths):
            return {}
        marks = {"shortest": 0, "median": 0.5, "90 %": 0.9, "99 %": 0.99, "longest": 1}
        return {name: int(np.quantile(self._lengths, mark, method="higher")) for name, mark in marks.items()}

    def histogram(self, bars: int = 24) -> list[tuple[int, int, int]]:
        """(from, to, examples) for each bar; a bar holds the lengths from its first to before its last."""
        if not len(self._lengths):
            return []
        longest = int(self._lengths[-1])
        width = max(1, -(-(longest + 1) // bars))
        edges = np.arange(0, longest + width + 1, width)
        counts = np.diff(np.searchsorted(self._lengths, edges))
        bars_ = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        return list(bars_)

    @cached_property
    def _sums(self) -> np.ndarray:
        return np.append(0, np.cumsum(self._lengths))

    def cost(self, max_length: int) -> dict[str, int]:
        """At this length: examples that are cut, and tokens that are lost."""
        fits = int(np.searchsorted(self._lengths, max_length, "right"))
        cut = len(self._lengths) - fits
        return {
            "max_length": max_length,
            "cut_rows": cut,
            "cut_tokens": int(self._sums[-1] - self._sums[fits]) - cut * max_length,
        }

    def costs(self) -> list[dict[str, int]]:
        """What the powers of two would cost, from the first that is of any use to the one that costs nothing."""
        found = [self.cost(2**power) for power in range(5, 21)]
        useful = [each for each in found if each["cut_rows"] < len(self._lengths)]
        return useful[: next((at + 1 for at, each in enumerate(useful) if not each["cut_rows"]), len(useful))]
