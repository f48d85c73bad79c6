"""Why no shape fits a row: what is nearest to it, and what is missing for that."""

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from core.data.remarks import RowError, quoted
from core.data.rows import Row
from core.data.shapes.shape import Format

LIKE = 0.8  # likeness from which a key is taken for a misspelt one: "anwser" and "answer" have 0.83
COMPARED = 100  # keys of a row that are looked at
# The key of a question -> the one under which its shape has the answer.
ANSWERS = {
    "instruction": "output",
    "question": "answer",
    "query": "response",
    "problem": "solution",
    "input": "output",
    "prompt": "response",
}


def why(row: Row, formats: Iterable[Format], pairs: Iterable[Format]) -> RowError:
    """The error for a row (keys in lower case) that is in none of the formats; pairs are those of two texts."""
    formats, pairs = tuple(formats), tuple(pairs)
    for each in formats:
        empty = [key for key in each.required if row.get(key, ...) is None]
        if empty and row.keys() >= set(each.required):
            return RowError(
                "null-field",
                f"{quoted(empty)} is null.",
                "Write the text that belongs there, or delete the line.",
            )
    if prefers(row):
        return preference(row)
    begun = [each for each in pairs if any(isinstance(row.get(key), str) for key in each.required)]
    if begun:
        most = max(begun, key=lambda each: len(row.keys() & {*each.required, *each.optional}))
        return _incomplete(most, row, pairs)
    return _unlike_any(row, formats)


def prefers(row: Row) -> bool:
    return row.get("chosen") is not None and row.get("rejected") is not None


def preference(row: Row) -> RowError:
    """What to do with `chosen` and `rejected`."""
    return RowError(
        "unknown-shape",
        "The row holds a preference, `chosen` over `rejected`, not one answer to learn.",
        f"To learn the answers that were chosen, {_learn_the_chosen(row)}.",
    )


def _learn_the_chosen(row: Row) -> str:
    chosen = row["chosen"]
    for key in ("messages", "conversations", "conversation"):
        if type(row.get(key)) is list:
            return f"add each of them to the end of its `{key}`"
    if type(chosen) is list:
        first = chosen[0] if chosen and type(chosen[0]) is dict else {}
        whole = first.get("role", first.get("from")) not in ("assistant", "gpt")
        return f"rename `chosen` to `{'messages' if whole or 'prompt' not in row else 'completion'}`"
    for question, answer in ANSWERS.items():
        if row.get(question) is not None:
            return f"rename `chosen` to `{answer}`"
    return "write each as a question and an answer, such as `prompt` and `response`"


def _incomplete(nearest: Format, row: Row, pairs: Iterable[Format]) -> RowError:
    """Half of a pair is there: which keys could hold the other half."""
    (present,) = row.keys() & set(nearest.required)
    question = nearest.required[0] == present
    with_it = [each.required for each in pairs if present in each.required]
    others = dict.fromkeys(pair[question] for pair in with_it if pair[not question] == present)
    near = max((_most_like(name, row) for name in others), key=lambda each: each.likeness)
    fix = near.fix if near.likeness > LIKE else f"Add `{next(iter(others))}`, or delete the line."
    return RowError(
        "missing-answer" if question else "missing-question",
        f"There is `{present}`, but no {quoted(others, ' or ')}; the keys are {quoted(row)}.",
        fix,
    )


def _unlike_any(row: Row, formats: Iterable[Format]) -> RowError:
    if not row:
        return RowError("unknown-shape", "The object is empty.", "Delete the line.")
    near = {each.name: [_most_like(name, row) for name in each.required] for each in formats if not each.fits}
    name, renamings = max(near.items(), key=lambda each: min(one.likeness for one in each[1]))
    if min(one.likeness for one in renamings) > LIKE:
        like, fix = f"; the nearest is {name}", " ".join(one.fix for one in renamings if one.key != one.name)
    else:
        like = ""
        fix = (
            "Write a question and an answer, such as `prompt` and `response`, or name the columns that hold "
            "them: data.columns.question and data.columns.answer."
        )
    return RowError("unknown-shape", f"The keys {quoted(row)} are no known shape{like}.", fix)


class _Renaming(NamedTuple):
    name: str
    key: str
    likeness: float  # from 0 to 1

    @property
    def fix(self) -> str:
        return f"Rename {quoted([self.key])} to `{self.name}`."


def _most_like(name: str, row: Row) -> _Renaming:
    """Which key may be a misspelt name."""
    best = _Renaming(name, "", 0.0)
    for _, key in zip(range(COMPARED), row, strict=False):
        # The likeness is at most this, for there are only so many letters; to compare them takes a hundred times longer.
        if 2 * min(len(name), len(key)) > LIKE * (len(name) + len(key)):
            likeness = _likeness(name, key)
            if likeness > best.likeness:
                best = _Renaming(name, key, likeness)
    return best


@lru_cache(maxsize=4096)  # rows of a file have the same keys
def _likeness(name: str, key: str) -> float:
    """How much of two names is the same; 0 if that is little."""
    if 2 * len({*name} & {*key}) <= LIKE * LIKE * (len({*name}) + len({*key})):
        return 0.0
    return difflib.SequenceMatcher(None, name, key).ratio()
