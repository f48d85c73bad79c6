"""Examples to token ids, and which of them are trained: what was cut, what was left out, whether it will stop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from transformers import PreTrainedTokenizerFast

from core.data.examples import Example, Problem, Source
from core.errors import TextError
from core.text.templates import Template, Written, special_ids

NOT_TRAINED = -100  # the label that losses leave out
BATCH = 1000  # examples given to the tokenizer at once, which spreads them over the processor's threads


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as tokens; `trained` says of each whether it is learnt."""

    ids: list[int]
    trained: list[bool]
    source: Source
    cut: int = 0  # tokens that did not fit, the ending among them


@dataclass(frozen=True, slots=True)
class Encoding:
    """What became of the examples; rows and skipped are together as many as they were.

    Every skipped example has a problem that is an error; every cut or rewritten one has a warning.
    """

    rows: tuple[Encoded, ...]
    skipped: tuple[Source, ...]
    problems: tuple[Problem, ...]
    cut_rows: int  # rows without their end: that the answer ends there is not learnt
    cut_tokens: int
    tokens: int
    trained_tokens: int
    longest: int  # tokens of the longest row, none of which is cut off any more


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
    overlong: Literal["cut", "skip"] = "cut",
) -> Encoding:
    """Rows of at most `max_length` tokens; a longer example loses its end, or is left out if so asked.

    Each row is checked: what stands before an answer are the very tokens that the model will be asked with,
    and no special token stands where somebody wrote its name. An example for which that fails is left out.
    """
    rows: list[Encoded] = []
    problems: list[Problem] = []
    for example, written, ids, marked in _encoded(examples, tokenizer, template):
        error = marked if isinstance(marked, Problem) else _too_long(example, marked, max_length, overlong)
        if error:
            problems.append(error)
            continue
        cut = max(0, len(ids) - max_length)
        rows.append(Encoded(ids[:max_length], marked[:max_length], example.source, cut))
        problems += _warnings(example, written, cut, max_length)
    return Encoding(
        rows=tuple(rows),
        skipped=tuple(problem.source for problem in problems if problem.severity == "error"),
        problems=tuple(problems),
        cut_rows=sum(row.cut > 0 for row in rows),
        cut_tokens=sum(row.cut for row in rows),
        tokens=sum(len(row.ids) for row in rows),
        trained_tokens=sum(sum(row.trained) for row in rows),
        longest=max((len(row.ids) for row in rows), default=0),
    )


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
    ((_, written, ids, marked),) = _encoded([example], tokenizer, template)
    if isinstance(marked, Problem):
        raise TextError(f"{marked.source}: {marked.why} {marked.fix}")
    offsets = tokenizer.backend_tokenizer.encode(written.text, add_special_tokens=False).offsets
    shown = []
    done = 0  # characters shown already
    for place, (id_, trained, (_, end)) in enumerate(zip(ids, marked, offsets, strict=True)):
        # Up to the token's end, wherever it begins: normalised text leaves gaps, and bytes share a character.
        end = len(written.text) if place == len(ids) - 1 else max(done, end)
        state = "cut" if place >= max_length else "trained" if trained else "context"
        shown.append(Shown(written.text[done:end], id_, state))
        done = end
    return shown


def will_it_stop(
    rows: Sequence[Encoded],
    template: Template,
    tokenizer: PreTrainedTokenizerFast,
    generation_eos_ids: Sequence[int],
) -> list[Check]:
    """Whether a model trained on these rows learns to end its answers, and is then listened to."""
    stops = list(template.stop_ids(tokenizer))
    ending, turn_end, padding = " and ".join(template.stops), template.stops[0], tokenizer.pad_token
    whole = [row for row in rows if not row.cut]
    endless = sum(_trained_ids(row)[-len(stops) :] != stops for row in whole)
    is_heard = stops[0] in generation_eos_ids
    is_apart = tokenizer.pad_token_id not in stops
    checks = [
        Check(
            not endless,
            f"{endless:,} of {len(whole):,} whole examples are not trained to end with {ending}."
            if endless
            else f"Every whole example is trained to end with {ending}.",
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
    if cut := len(rows) - len(whole):
        checks.append(
            Check(False, f"{cut:,} of {len(rows):,} examples were cut: their ending is not learnt.")
        )
    return checks


def _trained_ids(row: Encoded) -> list[int]:
    return [id_ for id_, trained in zip(row.ids, row.trained, strict=True) if trained]


def _encoded(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, template: Template
) -> Iterator[tuple[Example, Written, list[int], list[bool] | Problem]]:
    """Each example with its text, its ids, and which are trained; or why that cannot be said."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # an earlier call of the tokenizer may have left both on
    backend.no_padding()
    marker = _Marker(tokenizer, template)
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        written = [template.write(example.messages) for example in batch]
        encodings = backend.encode_batch_fast([each.text for each in written], add_special_tokens=False)
        for example, each, encoding in zip(batch, written, encodings, strict=True):
            ids = encoding.ids
            yield example, each, ids, marker.mark(example.source, each, ids)


class _Marker:
    """Finds the trained tokens of a text by its special tokens, whose order the template knows."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, template: Template) -> None:
        self.special = special_ids(tokenizer)
        # The unknown token stands for ordinary characters, unless it has another office too, as GPT-2's has.
        unknown = {tokenizer.unk_token} - {*template.begin, *template.stops}
        self.numbers = frozenset(id_ for token, id_ in self.special.items() if token not in unknown)
        self.backend = tokenizer.backend_tokenizer
        self.head_ids = lru_cache(maxsize=100)(self._head_ids)

    def mark(self, source: Source, written: Written, ids: list[int]) -> list[bool] | Problem:
        """Of each id whether it is trained; a Problem if the text was not read as it was written."""
        places = [place for place, id_ in enumerate(ids) if id_ in self.numbers]
        wanted = [self.special[part.text] for part in written.parts if part.special]
        if [ids[place] for place in places] != wanted:
            return _obeyed(source)
        trained = [False] * len(ids)
        seen = 0  # special tokens so far
        head = ""  # the text from the last of them on
        begin = None  # where the trained stretch goes on that is being read
        for part in written.parts:
            if part.trained and begin is None:
                at = places[seen - 1] if seen else 0
                # A special token cuts the text: what follows is encoded as if nothing had stood before. So the
                # head alone gives the last tokens of the prompt.
                prompt = self.head_ids(head)
                begin = at + len(prompt)
                if ids[at:begin] != prompt:
                    return _joined(source)
            if part.special and part.trained:
                end = places[seen] + 1
                trained[begin:end] = [True] * (end - begin)
                begin = end
            if part.special:
                seen += 1
            head = part.text if part.special else head + part.text
            begin = begin if part.trained else None
        return trained

    def _head_ids(self, head: str) -> list[int]:
        return self.backend.encode(head, add_special_tokens=False).ids


def _obeyed(source: Source) -> Problem:
    why = "A text holds a special token of the tokenizer that cannot be rewritten, so it is not used."
    return Problem(source, "error", "special-token-in-text", why, "Remove it from the text.")


def _joined(source: Source) -> Problem:
    return Problem(
        source,
        "error",
        "answer-runs-into-header",
        "The tokenizer joins the first letters of an answer with what stands before it, so that the model would be "
        "asked with other tokens than it was trained with.",
        "Begin the answer with another character, or use another tokenizer.",
    )


def _too_long(
    example: Example, trained: list[bool], max_length: int, overlong: Literal["cut", "skip"]
) -> Problem | None:
    """Why the example cannot be used at this length; None if it can, whole or cut."""
    if len(trained) <= max_length:
        return None
    if overlong == "skip":
        why = f"The example has {len(trained):,} tokens, and train.max_length is {max_length:,}; it is left out."
        return Problem(
            example.source, "error", "too-long", why, "Raise train.max_length, or shorten the example."
        )
    if any(trained[:max_length]):
        return None
    return Problem(
        example.source,
        "error",
        "answer-cut",
        f"The answer begins at token {trained.index(True) + 1:,} of {len(trained):,}, beyond train.max_length "
        f"({max_length:,}), so nothing of it could be learnt.",
        f"Raise train.max_length to {len(trained):,}, or shorten what stands before the answer.",
    )


def _warnings(example: Example, written: Written, cut: int, max_length: int) -> Iterator[Problem]:
    if cut:
        yield Problem(
            example.source,
            "warning",
            "cut",
            f"The last {cut:,} tokens are cut off; how the example ends is not learnt.",
            f"Raise train.max_length to {max_length + cut:,}, or shorten the example.",
        )
    if written.rewritten:
        names = ", ".join(dict.fromkeys(written.rewritten))
        yield Problem(
            example.source,
            "warning",
            "special-token-rewritten",
            f"The text holds special tokens of the tokenizer ({len(written.rewritten)}: {names}); each gets a space "
            "after its first character, so that it is read as text.",
            "Remove them, unless the text is about them.",
        )
