"""Examples -> ids and which of them are trained: whole, uncut, as arrays, kept for the next time.

Ten times the work of one batch is done by the tokenizer itself, on all threads; what Python does for a row is to write
its text. Every row is checked: what stands before an answer are the very tokens that the model will be asked with, and
no special token stands where somebody wrote its name.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import BadZipFile

import numpy as np
from transformers import PreTrainedTokenizerFast

from core import cache
from core.data.examples import Example
from core.data.remarks import Remark
from core.data.store import Examples
from core.errors import TextError
from core.text.templates import Part, Template, Written, special_ids

BATCH = 1000  # examples given to the tokenizer at once, which spreads them over the processor's threads


@dataclass(frozen=True)
class Tokens:
    """All examples as tokens. Copies of a conversation share theirs."""

    ids: np.ndarray  # uint32, (tokens,)
    trained: np.ndarray  # bool, (tokens,)
    begins: np.ndarray  # int64, (examples,): where its tokens begin in `ids`
    lengths: np.ndarray  # int64, (examples,)
    first: np.ndarray  # int64, (examples,): its first trained token, counted from its own beginning
    learnt: np.ndarray  # int64, (examples,): how many are trained
    endless: np.ndarray  # bool, (examples,): whether an answer lacks its trained ending
    errors: dict[int, Remark]  # example -> why it cannot be used
    rewritten: dict[int, tuple[str, ...]]  # example -> special tokens that stood in its words


class _Batch(NamedTuple):
    ids: np.ndarray
    trained: np.ndarray
    lengths: np.ndarray
    first: np.ndarray
    endless: np.ndarray
    errors: dict[int, Remark]
    rewritten: dict[int, tuple[str, ...]]


def tokenize(examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, template: Template) -> Tokens:
    """The tokens of every example. Those of a set on disk are kept there, and found again."""
    tokenizer.backend_tokenizer.no_truncation()  # an earlier call of the tokenizer may have left both on
    tokenizer.backend_tokenizer.no_padding()
    if not isinstance(examples, Examples):
        return _gathered(_Growing(), examples, _Marker(tokenizer, template))
    digests, first, copy_of = np.unique(examples.digests, return_index=True, return_inverse=True)
    distinct = examples.take(examples.places[first])
    serialized = tokenizer.backend_tokenizer.to_str()
    made_by = [version(library) for library in ("tokenizers", "sentencepiece")]
    key = cache.key_of(
        cache.code_of("text", "data"), made_by, digests.tobytes(), serialized, tokenizer.unk_token, template
    )
    tokens = _known(key)
    if not tokens:
        with cache.making("tokens", key) as beside:
            _save(beside, distinct, _Marker(tokenizer, template))
        tokens = _known(key)
    return _spread(tokens, copy_of)


def _known(key: str) -> Tokens | None:
    """The tokens in the cache; None if there are none, or if somebody deleted parts of them."""
    folder = cache.found("tokens", key)
    if not folder:
        return None
    try:
        return _load(folder)
    except (OSError, ValueError, LookupError, BadZipFile):
        cache.forget(folder)
        return None


def _spread(tokens: Tokens, copy_of: np.ndarray) -> Tokens:
    """The tokens of examples, of which those of the distinct ones are given."""
    errors, rewritten = tokens.errors, tokens.rewritten
    if errors or rewritten:
        numbers = copy_of.tolist()
        errors = {at: errors[number] for at, number in enumerate(numbers) if number in errors}
        rewritten = {at: rewritten[number] for at, number in enumerate(numbers) if number in rewritten}
    arrays = {name: getattr(tokens, name)[copy_of] for name in PER_EXAMPLE}
    return Tokens(tokens.ids, tokens.trained, errors=errors, rewritten=rewritten, **arrays)


PER_EXAMPLE = ("begins", "lengths", "first", "learnt", "endless")


@dataclass
class _Growing:
    """Where the tokens go while they are made."""

    ids: BinaryIO | bytearray = field(default_factory=bytearray)
    trained: BinaryIO | bytearray = field(default_factory=bytearray)

    def add(self, batch: _Batch) -> None:
        for there, here in ((self.ids, batch.ids), (self.trained, batch.trained)):
            there.extend(here.tobytes()) if isinstance(there, bytearray) else there.write(here.tobytes())


def _gathered(growing: _Growing, examples: Sequence[Example], marker: "_Marker") -> Tokens:
    rows: list[tuple[np.ndarray, ...]] = []
    errors: dict[int, Remark] = {}
    rewritten: dict[int, tuple[str, ...]] = {}
    block: list[Example] = []
    done = 0

    def add() -> None:
        nonlocal done
        batch = marker.batch(block)
        growing.add(batch)
        learnt = np.add.reduceat(np.append(batch.trained, False), _begins(batch.lengths)) * (
            batch.lengths > 0
        )
        rows.append((batch.lengths, batch.first, learnt, batch.endless))
        errors.update((done + at, why) for at, why in batch.errors.items())
        rewritten.update((done + at, found) for at, found in batch.rewritten.items())
        done += len(block)
        block.clear()

    for example in examples:
        block.append(example)
        if len(block) == BATCH:
            add()
    if block:
        add()
    columns = zip(*rows, strict=True) if rows else [[np.zeros(0, np.int64)]] * 4
    lengths, first, learnt, endless = (np.concatenate(list(column)) for column in columns)
    if isinstance(growing.ids, bytearray):
        ids, trained = np.frombuffer(growing.ids, np.uint32), np.frombuffer(growing.trained, bool)
    else:
        ids, trained = np.zeros(0, np.uint32), np.zeros(0, bool)  # they are in the files
    begins = _begins(lengths)
    return Tokens(ids, trained, begins, lengths, first, learnt, endless.astype(bool), errors, rewritten)


def _begins(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths


def _save(folder: Path, examples: Sequence[Example], marker: "_Marker") -> None:
    with (folder / "ids.bin").open("wb") as ids, (folder / "trained.bin").open("wb") as trained:
        tokens = _gathered(_Growing(ids, trained), examples, marker)
    np.savez(folder / "examples.npz", **{name: getattr(tokens, name) for name in PER_EXAMPLE})
    notes = {"errors": list(tokens.errors.items()), "rewritten": list(tokens.rewritten.items())}
    (folder / "notes.json").write_text(json.dumps(notes), "utf-8")


def _load(folder: Path) -> Tokens:
    notes = json.loads((folder / "notes.json").read_text("utf-8"))
    with np.load(folder / "examples.npz") as saved:
        arrays = {name: saved[name] for name in PER_EXAMPLE}
    return Tokens(
        ids=_mapped(folder / "ids.bin", np.uint32),
        trained=_mapped(folder / "trained.bin", bool),
        errors={at: Remark(*why) for at, why in notes["errors"]},
        rewritten={at: tuple(found) for at, found in notes["rewritten"]},
        **arrays,
    )


def _mapped(path: Path, dtype: type) -> np.ndarray:
    if not path.stat().st_size:  # which cannot be mapped
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, mode="r")


class _Stretch(NamedTuple):
    """A trained part of a text, between two of its special tokens."""

    row: int
    after: int  # the number of the special token before it among those of the row; -1 if there is none
    head: str  # what stands between that one, which it includes, and the stretch
    last: int  # the number of the special token that it ends with


class _Marker:
    """Finds the trained tokens of texts by their special tokens, whose order the template knows."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, template: Template) -> None:
        self.template = template
        self.special = special_ids(tokenizer)
        # The unknown token stands for ordinary characters, unless it has another office too, as GPT-2's has.
        unknown = {tokenizer.unk_token} - {*template.begin, *template.stops}
        self.is_special = np.zeros(max(tokenizer.get_vocab().values()) + 1, bool)
        self.is_special[[id_ for token, id_ in self.special.items() if token not in unknown]] = True
        self.stops = np.array(template.stop_ids(tokenizer), np.uint32)
        self.backend = tokenizer.backend_tokenizer
        self.sentencepiece = getattr(tokenizer, "sentencepiece", None)
        self.head_ids = lru_cache(maxsize=100)(self._head_ids)

    def batch(self, examples: Sequence[Example]) -> _Batch:
        errors: dict[int, Remark] = {}
        rewritten: dict[int, tuple[str, ...]] = {}
        texts: list[Written] = []
        wanted, stretches, counts = [], [], []
        for row, example in enumerate(examples):
            try:
                written = self.template.write(example.messages, example.tools)
            except TextError as error:
                errors[row] = Remark(
                    "not-in-template", str(error), "Change the row, or choose another template."
                )
                written = Written((), ())
            if written.rewritten:
                rewritten[row] = tuple(written.rewritten)
            texts.append(written)
            before = len(wanted)
            self._read(row, written, wanted, stretches)
            counts.append(len(wanted) - before)
        rows = self._encode(texts)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(chain.from_iterable(rows), np.uint32, int(lengths.sum()))
        begins = _begins(lengths)
        places = np.flatnonzero(self.is_special[ids])
        for row in _rows_that_differ(ids[places], places, np.array(wanted), np.array(counts), lengths):
            errors.setdefault(row, OBEYED)
        stretches = [each for each in stretches if each.row not in errors] if errors else stretches
        trained = np.zeros(len(ids) + 1, np.int8)
        first = lengths.copy()
        endless = np.zeros(len(rows), bool)
        if stretches:
            self._mark(ids, begins, places, np.array(counts), stretches, errors, trained, first, endless)
        return _Batch(ids, np.cumsum(trained[:-1]) > 0, lengths, first, endless, errors, rewritten)

    def _encode(self, texts: Sequence[Written]) -> list[list[int]]:
        if not self.sentencepiece:
            encodings = self.backend.encode_batch_fast(
                [each.text for each in texts], add_special_tokens=False
            )
            return [encoding.ids for encoding in encodings]
        # What stands between special tokens is encoded as if it stood alone, by the fast tokenizer too.
        pieces = [list(_joined(each.parts)) for each in texts]
        words = [text for row in pieces for text, special in row if not special]
        encoded = iter(self.sentencepiece.encode(words, num_threads=-1))
        return [
            list(
                chain.from_iterable(
                    (self.special[text],) if special else next(encoded) for text, special in row
                )
            )
            for row in pieces
        ]

    def _read(self, row: int, written: Written, wanted: list[int], stretches: list[_Stretch]) -> None:
        """Add what a text should become: its special tokens, and where it is trained between them."""
        seen = 0
        head = ""
        begun: tuple[int, str] | None = None
        for part in written.parts:
            if part.trained and begun is None:
                begun = (seen - 1, head)
            elif not part.trained and begun is not None:
                stretches.append(_Stretch(row, *begun, seen - 1))
                begun = None
            if part.special:
                wanted.append(self.special[part.text])
                seen += 1
                head = part.text
            else:
                head += part.text
        if begun is not None:
            stretches.append(_Stretch(row, *begun, seen - 1))

    def _mark(
        self,
        ids: np.ndarray,
        begins: np.ndarray,
        places: np.ndarray,
        counts: np.ndarray,
        stretches: list[_Stretch],
        errors: dict[int, Remark],
        trained: np.ndarray,
        first: np.ndarray,
        endless: np.ndarray,
    ) -> None:
        """Write into `trained` +1 where a stretch begins and -1 behind it; fill `first` and `endless`."""
        rows = np.array([each.row for each in stretches])
        after = np.array([each.after for each in stretches])
        last = np.array([each.last for each in stretches])
        # A row that is not read as it was written has another number of special tokens than `counts` says.
        row_of = np.searchsorted(begins, places, "right") - 1
        numbers = np.searchsorted(row_of, rows)  # of the first special token of each stretch's row
        prompts = self._prompts({each.head for each in stretches})
        sizes = np.array([len(prompts[each.head]) for each in stretches])
        at = np.where(after < 0, begins[rows], places[np.maximum(numbers + after, 0)])
        ends = places[numbers + last] + 1
        starts = at + sizes
        # A special token cuts the text: what follows is encoded as if nothing had stood before. So the head alone
        # gives the last tokens of the prompt.
        joined = _differ(ids, at, [prompts[each.head] for each in stretches])
        for row in rows[joined].tolist():
            errors.setdefault(row, JOINED)
        np.add.at(trained, starts, 1)
        np.add.at(trained, ends, -1)
        np.minimum.at(first, rows, starts - begins[rows])
        steps = np.arange(len(self.stops)) - len(self.stops)
        wrong = (ids[np.maximum(ends[:, None] + steps, 0)] != self.stops).any(axis=1)
        endless[rows[wrong]] = True

    def _prompts(self, heads: set[str]) -> dict[str, list[int]]:
        if len(heads) < 10:
            return {head: self.head_ids(head) for head in heads}
        encodings = self.backend.encode_batch_fast(list(heads), add_special_tokens=False)
        return {head: encoding.ids for head, encoding in zip(heads, encodings, strict=True)}

    def _head_ids(self, head: str) -> list[int]:
        return self.backend.encode(head, add_special_tokens=False).ids


def _joined(parts: Sequence[Part]) -> Iterator[tuple[str, bool]]:
    """(text, whether it is a special token) of each; texts that stand side by side are one."""
    text = ""
    for part in parts:
        if not part.special:
            text += part.text
            continue
        if text:
            yield text, False
        text = ""
        yield part.text, True
    if text:
        yield text, False


def _rows_that_differ(
    found: np.ndarray, places: np.ndarray, wanted: np.ndarray, counts: np.ndarray, lengths: np.ndarray
) -> list[int]:
    """The rows in which other special tokens were found than were written."""
    if len(found) == len(wanted) and (found == wanted).all():
        row_of = np.searchsorted(np.cumsum(lengths), places, "right")
        if (np.bincount(row_of, minlength=len(counts)) == counts).all():
            return []
    row_of = np.searchsorted(np.cumsum(lengths), places, "right")
    have = np.split(found, np.cumsum(np.bincount(row_of, minlength=len(counts)))[:-1])
    want = np.split(wanted, np.cumsum(counts)[:-1])
    return [row for row, pair in enumerate(zip(have, want, strict=True)) if not np.array_equal(*pair)]


def _differ(ids: np.ndarray, at: np.ndarray, prompts: list[list[int]]) -> np.ndarray:
    """For each stretch whether other ids than its prompt stand at its place: bool, (stretches,)."""
    same = all(prompt is prompts[0] for prompt in prompts)
    if same:
        prompt = np.array(prompts[0], np.uint32)
        window = np.minimum(at[:, None] + np.arange(len(prompt)), len(ids) - 1)
        return (ids[window] != prompt).any(axis=1)
    pairs = zip(at.tolist(), prompts, strict=True)
    return np.array([ids[begin : begin + len(prompt)].tolist() != prompt for begin, prompt in pairs])


OBEYED = Remark(
    "special-token-in-text",
    "A text holds a special token of the tokenizer that cannot be rewritten, so it is not used.",
    "Remove it from the text.",
)
JOINED = Remark(
    "answer-runs-into-header",
    "The tokenizer joins the first letters of an answer with what stands before it, so that the model would be "
    "asked with other tokens than it was trained with.",
    "Begin the answer with another character, or use another tokenizer.",
)
