"""Which examples are held out, by the hashes of their conversations."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.data.split import held_out, lots

ROOT = Path(__file__).parents[2]


def digests(count: int, first: int = 0) -> np.ndarray:
    """Hashes of conversations that are all different."""
    return lots(np.arange(first, first + count, dtype=np.uint64), 7)


def held(
    conversations: np.ndarray, fraction: float, seed: int, sources: np.ndarray | None = None
) -> list[int]:
    sources = np.zeros(len(conversations), int) if sources is None else sources
    return np.flatnonzero(held_out(conversations, sources, fraction, seed)).tolist()


def test_the_share_that_is_asked_for_is_held_out():
    assert len(held(digests(100), 0.1, 42)) == 10
    assert len(held(digests(11), 0.5, 42)) in (5, 6)


def test_a_seed_draws_the_same_in_every_process_and_for_ever():
    code = (
        "from tests.data.test_split import *\nprint(held(digests(40), 0.1, 42), held(digests(40), 0.1, 43))"
    )
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        )
        assert done.stdout == "[5, 10, 22, 29] [2, 4, 20, 25]\n", done.stderr


@pytest.mark.parametrize("seed", range(20))
def test_copies_of_a_conversation_are_never_on_both_sides(seed):
    rows = digests(12)[np.arange(60) % 12]
    mine = held(rows, 0.25, seed)
    assert len(mine) == 15
    assert not set(rows[mine].tolist()) & set(np.delete(rows, mine).tolist())


@pytest.mark.parametrize("seed", range(10))
def test_a_crowd_of_copies_does_not_crowd_the_held_out_part(seed):
    rows = np.append(np.repeat(digests(1), 90), digests(10, first=1))
    mine = held(rows, 0.1, seed)
    assert len(mine) == 10 and min(mine) >= 90


def test_something_is_held_out_as_soon_as_there_are_two_conversations():
    assert len(held(digests(2), 0.01, 42)) == 1
    assert held(digests(2)[[0, 1, 0, 1, 0]], 0.01, 42) == [1, 3]


def test_nothing_is_held_out_of_one_conversation_or_when_nothing_is_asked_for():
    assert held(digests(50), 0.0, 42) == []
    assert held(digests(1)[[0, 0]], 0.5, 42) == []
    assert held(digests(0), 0.1, 42) == []


def test_most_conversations_keep_their_side_when_the_file_grows():
    before, after = held(digests(200), 0.1, 42), held(digests(220), 0.1, 42)
    assert len(set(before) & set(after)) >= 15


@pytest.mark.parametrize("seed", range(5))
def test_each_data_set_gives_its_own_share(seed):
    sources = np.repeat([0, 1, 2], [300, 100, 20])
    mine = held(digests(420), 0.1, seed, sources)
    assert np.bincount(sources[mine]).tolist() == [30, 10, 2]


def test_a_conversation_that_two_data_sets_share_is_on_one_side_of_both():
    rows = np.concatenate([digests(50), digests(50)])
    mine = held(rows, 0.2, 42, np.repeat([0, 1], 50))
    assert len(mine) == 20 and {at % 50 for at in mine[:10]} == {at % 50 for at in mine[10:]}
