"""Examples on disk are the examples that were put there."""

from pathlib import Path

import numpy as np
import pytest

from core.data.examples import Call, Example, Message, Source
from core.data.store import BLOCK, Examples, Writer

CALLED = (
    Message("system", "You have tools."),
    Message("user", "How warm is it?"),
    Message("assistant", "", calls=(Call("weather", '{"where": "Brest"}'),)),
    Message("tool", "12 °C"),
    Message("assistant", "It is 12 °C.", trained=False),
    Message("user", "🙂"),
    Message("assistant", "A line\nand another ."),
)


def stored(folder: Path, *rows: tuple) -> Examples:
    with Writer(folder) as writer:
        for line, (messages, *more) in enumerate(rows, 1):
            writer.add(messages, *(more or [()]), file=0, line=line)
    return Examples.open(folder, ("rows.jsonl",))


def pair(number: int) -> tuple[Message, ...]:
    return Message("user", f"What is {number}?"), Message("assistant", f"It is {number}.")


def test_what_was_added_comes_back_whole(tmp_path):
    with Writer(tmp_path) as writer:
        assert writer.add(CALLED, ('{"name": "weather"}',), file=1, line=9, value=0.5) == 0
        assert writer.add(pair(1), (), file=0, line=70_000) == 1
    examples = Examples.open(tmp_path, ("a.jsonl", "b.jsonl"))
    assert list(examples) == [
        Example(CALLED, Source("b.jsonl", 9), ('{"name": "weather"}',), 0.5),
        Example(pair(1), Source("a.jsonl", 70_000)),
    ]


def test_examples_behave_as_a_sequence_over_many_blocks(tmp_path):
    count = 2 * BLOCK + 3
    examples = stored(tmp_path, *((pair(number),) for number in range(count)))
    assert len(examples) == count
    assert [int(each.messages[1].content[6:-1]) for each in examples] == list(range(count))
    for at in (0, BLOCK - 1, BLOCK, -1, -count):
        assert examples[at].messages == pair(range(count)[at])
    assert [each.source.line for each in examples[5:8]] == [6, 7, 8]
    for at in (count, -count - 1):
        with pytest.raises(IndexError):
            examples[at]


def test_taking_examples_keeps_their_order_and_may_repeat_them(tmp_path):
    examples = stored(tmp_path, *((pair(number),) for number in range(10)))
    taken = examples.take(np.array([7, 0, 7]))
    assert [each.messages for each in taken] == [pair(7), pair(0), pair(7)]
    assert taken.source(0) == Source("rows.jsonl", 8)
    assert [each.messages for each in taken[1:]] == [pair(0), pair(7)]


def test_the_same_conversation_has_the_same_hash_and_no_other_has(tmp_path):
    untrained = (pair(1)[0], Message("assistant", pair(1)[1].content, trained=False))
    examples = stored(tmp_path, (pair(1),), (pair(2),), (pair(1),), (untrained,), (pair(1), ("{}",)))
    digests = examples.digests.tolist()
    assert digests[0] == digests[2]
    assert len(set(digests)) == 4


def test_no_examples_are_an_empty_sequence(tmp_path):
    examples = stored(tmp_path)
    assert (len(examples), list(examples), len(examples.digests)) == (0, [], 0)
