"""What only the whole set shows: rows that are there twice, or nearly, and questions with several answers.

    whole = Whole(near=True)
    for example in examples:
        whole.add(example)
    for finding in whole.findings(examples):
        print(examples[finding.index].source, finding.remark())

Of each row a few hashes are kept, 16 bytes, with `near` 64, and no text: what a sentence quotes is fetched from
`examples`, which may lie on disk, when the sentence is made. Hashes have 64 bits: of two million rows, two that
differ are taken for the same once in ten million data sets.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from os.path import commonprefix
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_64, xxh3_64_intdigest

from core.data.doctor.texts import CHUNK, LONG
from core.data.doctor.words import mixed, numbers, plain, words
from core.data.examples import Example, Message
from core.data.remarks import Remark, excerpt, visible

ALIKE = 0.85  # the Jaccard index from which two rows are nearly the same
SLOTS = 64  # of a MinHash signature, in bands of eight: that finds 92 of 100 pairs at 0.85, 99 at 0.9
BANDS = 8
EMPTY = np.uint32(0xFFFFFFFF)  # a slot into which no word fell
MOST_UNLIKE = 10  # of SLOTS bits: at 0.85 more differ in 1 of 100 pairs, at 0.5 in 96
# Candidates that a row is compared with, so that a million rows from one template take no longer than others.
PARTNERS = 2
BATCH = 1 << 18  # bytes of text whose words are hashed together

ORDINARY = [("user", (), True), ("assistant", (), True)]
NEAR_ROWS = 300_000  # the first rows of a set, among which nearly equal ones are looked for; 64 bytes and 60 microseconds each
LOOKS = 100_000  # rows that are compared with their candidates, word by word; it takes a quarter of a millisecond each

ROLES = {"system": 1, "user": 2, "assistant": 3, "tool": 4}
ANSWER_OF_SENSE = 20  # characters
MOSTLY = 0.9  # of the answers have that many: then one of a single character is odd
STRAY = 1000  # rows for one answer that is a letter or digit; with more, the set means them


class Finding(NamedTuple):
    """Something about one example of a set; the sentence is made only if it is shown."""

    index: int
    code: str
    remark: Callable[[], Remark]


class Whole:
    """Takes examples one by one, and then says what they are together."""

    def __init__(self, near: bool = False):
        """`near` looks for near duplicates, too, which takes five times as long."""
        self._questions = array("Q")  # hashes of all but the last message
        self._conversations = array("Q")
        self._lone_signs = array("Q")  # indices of answers of one character
        self._lone_letters = array("Q")
        self._answers_of_sense = 0
        self._near = _Near() if near else None

    def __len__(self) -> int:
        return len(self._conversations)

    def add(self, example: Example) -> None:
        messages = example.messages
        value = xxh3_64_intdigest(repr(example.tools).encode()) if example.tools else 0
        for message in messages[:-1]:
            value = _hash(message, value)
        asked = value
        answer = messages[-1]
        value = _hash(answer, value)
        self._questions.append(asked if len(messages) > 1 else value)  # a text alone answers nothing
        self._conversations.append(value)
        if len(answer.content) >= ANSWER_OF_SENSE:
            self._answers_of_sense += 1
        elif len(answer.content.strip()) == 1:
            lone = self._lone_letters if answer.content.strip().isalnum() else self._lone_signs
            lone.append(len(self._conversations) - 1)
        if self._near and len(self) <= NEAR_ROWS:
            self._near.add(example, value)

    def findings(self, examples: Sequence[Example]) -> Iterator[Finding]:
        """In the order of the examples, which are those added. Each example has one finding at most."""
        conversations = first_like(np.frombuffer(self._conversations, np.uint64))
        questions = first_like(np.frombuffer(self._questions, np.uint64))
        own = np.arange(len(self))
        duplicate = conversations != own
        other_answer = questions != own
        settled = duplicate | other_answer
        short = np.zeros(len(self), bool)
        short[self._odd_answers()] = True
        near = self._near.candidates(settled[:NEAR_ROWS]) if self._near else {}
        worth_a_look = settled | short
        worth_a_look[list(near)] = True
        sides = lru_cache(64)(lambda index: _sides(examples[index]))
        looks = 0
        for index in map(int, np.flatnonzero(worth_a_look)):
            if duplicate[index]:
                yield Finding(index, "duplicate", partial(_duplicate, examples, int(conversations[index])))
                continue
            if other_answer[index]:
                yield Finding(
                    index, "other-answer", partial(_other_answer, examples, index, int(questions[index]))
                )
                continue
            looks += index in near
            if index in near and looks == LOOKS:
                yield Finding(index, "near-duplicates-unseen", partial(_unseen, LOOKS))
            elif looks < LOOKS and (partner := _nearly_the_same(index, near.get(index, ()), sides)):
                yield Finding(index, "near-duplicate", partial(_near_duplicate, examples, *partner))
            elif short[index]:
                yield Finding(index, "very-short-answer", partial(_very_short, examples, index))
        if self._near and looks < LOOKS and len(self) > NEAR_ROWS:
            yield Finding(NEAR_ROWS, "near-duplicates-unseen", partial(_unseen, NEAR_ROWS))

    def _odd_answers(self) -> list[int]:
        """Answers of one character where most are long. Some letters and digits are answers; a stray one is odd."""
        if self._answers_of_sense < MOSTLY * len(self):
            return []
        stray = len(self._lone_letters) * STRAY <= len(self)
        return [*self._lone_signs, *(self._lone_letters if stray else ())]


def _hash(message: Message, before: int) -> int:
    """A number for a message and all that comes before it."""
    if message.calls or not message.trained:
        before = xxh3_64_intdigest(repr((message.calls, message.trained)).encode(), before)
    content = message.content
    if len(content) <= CHUNK:
        return xxh3_64_intdigest(content.encode(), before ^ ROLES[message.role])
    value = xxh3_64(seed=before ^ ROLES[message.role])
    for begin in range(0, len(content), CHUNK):
        value.update(content[begin : begin + CHUNK].encode())
    return value.intdigest()


def first_like(values: np.ndarray) -> np.ndarray:
    """For each value the index of the first that is equal: [7, 5, 7, 7] -> [0, 1, 0, 0]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.ones(len(values), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    first = np.empty(len(values), np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


class _Near:
    """Finds pairs of rows that may be nearly the same, by their words.

    MinHash (Broder 1997) in bands, from one permutation (Li, Owen, Zhang 2012) whose empty slots are filled from
    their neighbours (Shrivastava, Li 2014): a word is hashed once, not once for each slot.
    """

    def __init__(self) -> None:
        self._plain = array("Q")  # hashes of the words, so of the text but for case, spaces and punctuation
        self._bands = array("I")  # BANDS of each row
        self._bits = array("Q")  # one of each slot: those of two rows differ in (1 - Jaccard) / 2 of all
        self._sides: list[bytes] = []  # question and answer of each row in the batch
        self._frames: list[int] = []
        self._bytes = 0

    def add(self, example: Example, conversation: int) -> None:
        question, answer = _two_sides(example)
        if len(question) + len(answer) > LONG:  # such rows are compared as a whole
            question, answer = f"{conversation:x}", "long"
        question, answer = plain(question), plain(answer)
        self._sides += (question, answer)
        self._frames.append(_frame(example))
        self._bytes += len(question) + len(answer)
        if self._bytes > BATCH:
            self._sign()

    def candidates(self, settled: np.ndarray) -> dict[int, tuple[int, ...]]:
        """Row -> earlier rows it may be nearly the same as, the likeliest first; `settled` rows are left out."""
        self._sign()
        rows = np.flatnonzero(~settled)
        first = rows[first_like(np.frombuffer(self._plain, np.uint64)[rows])]
        found = {int(row): (int(one),) for row, one in zip(rows, first, strict=True) if row != one}
        rows = rows[first == rows]
        bands = np.frombuffer(self._bands, np.uint32).reshape(-1, BANDS)
        bits = np.frombuffer(self._bits, np.uint64)
        pairs = [np.empty(0, np.uint64)]
        for band in range(BANDS):
            first = rows[first_like(bands[rows, band])]
            likely = (first != rows) & (np.bitwise_count(bits[first] ^ bits[rows]) <= MOST_UNLIKE)
            pairs.append(rows[likely].astype(np.uint64) << np.uint64(32) | first[likely].astype(np.uint64))
        keys = np.unique(np.concatenate(pairs))
        later, earlier = (
            (keys >> np.uint64(32)).astype(np.int64),
            (keys & np.uint64(0xFFFFFFFF)).astype(np.int64),
        )
        unlike = np.bitwise_count(bits[later] ^ bits[earlier])
        for at in np.lexsort((unlike, later)):
            known = found.get(int(later[at]), ())
            if len(known) < PARTNERS:
                found[int(later[at])] = (*known, int(earlier[at]))
        return found

    def _sign(self) -> None:
        """The signatures of the batch."""
        count = len(self._frames)
        if not count:
            return
        said = numbers(self._sides)
        sides = said.texts().reshape(count, 2)
        frames = np.array(self._frames, np.uint64)
        self._plain.frombytes((mixed(mixed(sides[:, 0]) ^ sides[:, 1]) ^ frames).tobytes())
        row = np.repeat(np.arange(count), np.diff(said.begins[::2]))
        signature = np.full(count * SLOTS, EMPTY, np.uint32)
        slot = (said.words & np.uint64(SLOTS - 1)).astype(np.int64)
        np.minimum.at(signature, row * SLOTS + slot, (said.words >> np.uint64(33)).astype(np.uint32))
        signature = _filled(signature.reshape(count, SLOTS))
        self._bits.frombytes(np.packbits(signature.astype(np.uint8) & 1, axis=1).tobytes())
        signature = signature.reshape(count, BANDS, -1)
        odd = np.arange(1, 2 * signature.shape[2], 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bands = mixed((signature * odd).sum(axis=2, dtype=np.uint64))
        self._bands.frombytes((bands >> np.uint64(32)).astype(np.uint32).tobytes())
        self._sides, self._frames, self._bytes = [], [], 0


def _filled(signature: np.ndarray) -> np.ndarray:  # (rows, SLOTS)
    """Empty slots take the value of the next one to the right that is not, from the beginning after the end."""
    twice = np.concatenate([signature, signature], axis=1)
    at = np.where(twice != EMPTY, np.arange(2 * SLOTS, dtype=np.uint8), np.uint8(2 * SLOTS - 1))
    nearest = np.minimum.accumulate(at[:, ::-1], axis=1)[:, : SLOTS - 1 : -1]
    distance = nearest - np.arange(SLOTS, dtype=np.uint8)
    return np.take_along_axis(twice, nearest.astype(np.int64), axis=1) + distance * np.uint32(0x1000193)


def _two_sides(example: Example) -> tuple[str, str]:
    """All but the last message, and the last."""
    messages = example.messages
    question = (
        messages[0].content if len(messages) == 2 else "\n".join(each.content for each in messages[:-1])
    )
    return question, messages[-1].content


def _frame(example: Example) -> int:
    """A number for all that is not text: who speaks in which order, and the tools."""
    messages = example.messages
    said = [(each.role, each.calls, each.trained) for each in messages]
    if said == ORDINARY and not example.tools:
        return 0
    return xxh3_64_intdigest(repr((said, example.tools)).encode())


Sides = tuple[int, frozenset[bytes | tuple[bytes, bytes]], frozenset[bytes | tuple[bytes, bytes]]]


def _sides(example: Example) -> Sides:
    """The frame, and the pairs of neighbouring words of the question and of the answer."""
    question, answer = (_pairs(words(side) or [side.encode()]) for side in _two_sides(example))
    return _frame(example), question, answer


def _pairs(said: list[bytes]) -> frozenset[bytes | tuple[bytes, bytes]]:
    return frozenset(zip(said, said[1:], strict=False)) if len(said) > 1 else frozenset(said)


def _nearly_the_same(
    index: int, partners: tuple[int, ...], sides: Callable[[int], Sides]
) -> tuple[int, float] | None:
    """The partner that the row is nearly the same as, and how much; None if it is not, once looked at."""
    for partner in partners:
        frame, question, answer = sides(index)
        other_frame, other_question, other_answer = sides(partner)
        alike = min(_jaccard(question, other_question), _jaccard(answer, other_answer))
        if frame == other_frame and alike >= ALIKE:
            return partner, alike
    return None


def _jaccard(one: frozenset, other: frozenset) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0


def _duplicate(examples: Sequence[Example], first: int) -> Remark:
    return Remark(
        "duplicate",
        f"The row is the same as {visible(str(examples[first].source))}; it is kept, and counts twice.",
        "Delete one of them, unless it should weigh more.",
    )


def _other_answer(examples: Sequence[Example], index: int, first: int) -> Remark:
    answers = [examples[each].messages[-1].content for each in (index, first)]
    begin = max(0, len(commonprefix(answers)) - 15)  # shortly before the first difference
    here, there = (excerpt(answer[begin:], 30) for answer in answers)
    return Remark(
        "other-answer",
        f"{visible(str(examples[first].source))} asks the same but answers “{there}”, not “{here}”. Both are kept.",
        "Delete one of them, unless both are right.",
    )


def _near_duplicate(examples: Sequence[Example], partner: int, alike: float) -> Remark:
    how = f"{alike:.0%} of its pairs of words" if alike < 1 else "the same words"
    return Remark(
        "near-duplicate",
        f"The row is nearly the same as {visible(str(examples[partner].source))} ({how}); it is kept.",
        "Delete one of them, unless the difference matters.",
    )


def _unseen(rows: int) -> Remark:
    return Remark(
        "near-duplicates-unseen",
        f"Rows that are nearly the same were looked for in {rows:,} rows; from here on they are not.",
        "Nothing to do; rows that are wholly the same are found everywhere.",
    )


def _very_short(examples: Sequence[Example], index: int) -> Remark:
    answer = excerpt(examples[index].messages[-1].content.strip(), 10)
    return Remark(
        "very-short-answer",
        f"The answer is one character, “{answer}”, where most answers of this set are long; it is kept.",
        "Nothing to do if it is the answer; otherwise write it out, or delete the row.",
    )
