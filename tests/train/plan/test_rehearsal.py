"""The dry step: it measures, and nothing of it stays."""

import random

import numpy as np
import torch

from core.train.rehearsal import peak_memory, without_trace


def test_random_numbers_and_gradients_are_as_if_nothing_had_been():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    model.eval()
    with without_trace(model):
        model.train()
        model(torch.rand(2, 4)).sum().backward()
        np.random.rand(5), random.random()
    assert all(parameter.grad is None for parameter in model.parameters()) and not model.training
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    assert [random.random() for _ in range(3)] == expected[2]


def test_the_peak_is_seen_though_it_is_gone_at_the_end():
    with peak_memory(torch.device("cpu")) as peak:
        taken = np.ones(50_000_000)  # 400 MB
        del taken
    assert 380e6 < peak.added < 480e6
