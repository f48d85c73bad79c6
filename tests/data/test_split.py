"""Examples -> train and held out."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.data import split
from core.data.examples import Example, Message, Source

ROOT = Path(__file__).parents[2]


def example(question: str, line: int = 1) -> Example:
    return Example((Message("user", question), Message("assistant", "A")), Source("rows.jsonl", line))


def examples(count: int) -> list[Example]:
    return [example(f"Question {number}", number + 1) for number in range(count)]


def lines(part) -> list[int]:
    return [each.source.line for each in part]


def test_every_example_is_on_one_side_and_both_keep_the_order_of_the_file():
    parts = split(examples(100), 0.1, seed=42)
    assert (len(parts.train), len(parts.held_out)) == (90, 10)
    assert sorted(lines(parts.train) + lines(parts.held_out)) == list(range(1, 101))
    assert lines(parts.train) == sorted(lines(parts.train))
    assert lines(parts.held_out) == sorted(lines(parts.held_out))


def test_a_seed_draws_the_same_in_every_process_and_for_ever():
    code = (
        "from tests.data.test_split import *\n"
        "print(lines(split(examples(40), 0.1, 42).held_out), lines(split(examples(40), 0.1, 43).held_out))"
    )
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        )
        assert done.stdout == "[3, 22, 25, 38] [9, 12, 14, 18]\n", done.stderr


@pytest.mark.parametrize("seed", range(20))
def test_copies_of_a_conversation_are_never_on_both_sides(seed):
    rows = [example(f"Question {number % 12}", number + 1) for number in range(60)]
    parts = split(rows, 0.25, seed)
    assert not {each.messages for each in parts.train} & {each.messages for each in parts.held_out}
    assert len(parts.held_out) == 15


@pytest.mark.parametrize("seed", range(10))
def test_a_crowd_of_copies_does_not_crowd_the_held_out_part(seed):
    rows = [example("The same", number) for number in range(1, 91)] + examples(10)
    assert len(split(rows, 0.1, seed).held_out) == 10
    assert "The same" not in {each.messages[0].content for each in split(rows, 0.1, seed).held_out}


def test_something_is_held_out_as_soon_as_there_are_two_conversations():
    assert len(split(examples(2), 0.01, 42).held_out) == 1
    copies = [example("a", 1), example("b", 2), example("a", 3), example("b", 4), example("a", 5)]
    assert lines(split(copies, 0.01, 42).held_out) == [2, 4]


def test_nothing_is_held_out_of_one_conversation_or_when_nothing_is_asked_for():
    assert split(examples(50), 0.0, 42).held_out == ()
    assert split([example("a", 1), example("a", 2)], 0.5, 42).held_out == ()
    assert split([], 0.1, 42) == split([], 0.0, 7)


def test_half_is_the_most_and_leaves_half():
    parts = split(examples(11), 0.5, 42)
    assert len(parts.train) >= 5
    assert len(parts.held_out) >= 5


def test_most_conversations_keep_their_side_when_the_file_grows():
    before = {each.messages for each in split(examples(200), 0.1, 42).held_out}
    after = {each.messages for each in split(examples(220), 0.1, 42).held_out}
    assert len(before & after) >= 15
