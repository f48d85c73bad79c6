"""A step takes exactly the rows it was asked to, whoever shares it and however it is divided."""

from collections import Counter

import numpy as np
import pytest
from accelerate import skip_first_batches
from datasets import Dataset

from core.train.batches import Split, StepLoader, Steps, divided, laid_flat
from tests.train.shapes import rows_of


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("rows", [24, 25, 31])
def test_every_example_comes_once_an_epoch_in_steps_of_exactly_the_size(rows, processes):
    shares = [list(Steps(rows, 8, seed=3, process=n, processes=processes)) for n in range(processes)]
    steps = [sorted(row for part in parts for row in part) for parts in zip(*shares, strict=True)]
    assert [len(step) for step in steps] == [8] * (rows // 8) + [rows % 8] * (rows % 8 > 0)
    assert Counter(row for step in steps for row in step) == Counter(range(rows))
    whole = [sorted(step) for step in Steps(rows, 8, seed=3)]
    assert steps == whole  # the same steps however many share them


def test_the_order_comes_from_seed_and_epoch_alone_and_a_curriculum_keeps_its_own():
    def order(seed, epoch, **settings):
        steps = Steps(50, 8, seed, **settings)
        steps.set_epoch(epoch)
        return [row for step in steps for row in step]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(*each)) for each in ((1, 0), (1, 1), (2, 0), (0, 1))}) == 4
    assert order(1, 3, in_order=True) == list(range(50))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_goes_on_gets_the_steps_that_were_left_of_that_epoch(workers):
    data = Dataset.from_dict(
        {"input_ids": [[n, n] for n in range(20)], "labels": [[n, n] for n in range(20)]}
    )
    loader = StepLoader(data.with_format("numpy"), Steps(20, 6, seed=5), num_workers=workers)
    loader.set_epoch(2)
    straight = [batch["input_ids"].tolist() for batch in loader]
    left = skip_first_batches(
        StepLoader(data.with_format("numpy"), Steps(20, 6, seed=5), num_workers=workers), 2
    )
    left.batch_sampler.batch_sampler.set_epoch(2)  # where transformers sets it
    assert [batch["input_ids"].tolist() for batch in left] == straight[2:]
    assert len(straight) == 4 and len(straight[-1]) == 4


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("limits", [(64, 4), (100, 100), (600, 3), (10, 1), (10**6, 10**6)])
def test_parts_keep_to_the_limits_and_lose_nothing(limits, packing):
    lengths = np.random.default_rng(0).integers(5, 90, 37).tolist()
    split = Split(*limits)
    groups = divided(lengths, split, packing)
    assert sorted(row for group in groups for row in group) == list(range(37))
    for group in groups:
        size = (
            sum(lengths[row] for row in group) if packing else max(lengths[row] for row in group) * len(group)
        )
        assert len(group) <= split.micro_batch_size
        assert size <= split.tokens_at_once or len(group) == 1
    assert groups == divided(lengths, split, packing)


def test_parts_laid_end_to_end_have_about_equally_much_to_do():
    lengths = np.random.default_rng(0).integers(64, 512, 32).tolist()
    sizes = [sum(lengths[row] for row in group) for group in divided(lengths, Split(4096, 32), packing=True)]
    assert len(sizes) == -(-sum(lengths) // 4096) and max(sizes) < 1.05 * min(sizes)


def test_no_row_is_taught_the_first_token_of_the_next():
    rows = rows_of((3, 4))
    batch = laid_flat(rows)
    assert batch["targets"].tolist() == [*rows[0]["labels"][1:], -100, *rows[1]["labels"][1:], -100]
    empty = laid_flat([])
    assert len(empty["input_ids"]) == len(empty["lengths"]) == 0
