"""The dry step: it measures, nothing of it stays, and near an hour it decides whether a run begins."""

import random
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.errors import TrainError
from core.spec import RunSpec
from core.train.plan import HOUR, DeviceFacts, Lengths, plan, refusal, shape_of, spoken
from core.train.rehearsal import (
    Peak,
    Rehearsal,
    is_worth_it,
    measured,
    peak_memory,
    too_long,
    without_trace,
)

SHAPE = shape_of({"model_type": "llama", "hidden_size": 256, "layers": 8, "heads": 8, "vocab_size": 32000})
PROCESSOR = DeviceFacts(
    kind="cpu",
    name="a laptop",
    memory=16 * 10**9,
    free=12 * 10**9,
    flops={"float32": 200e9, "bfloat16": 800e9},
)


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


def planned_for(hours, **compute):
    """A plan for a processor whose estimate of time is about so many hours."""
    spec = RunSpec.from_dict({"train": {"max_steps": 100}, "compute": compute})
    rows = Lengths.of([100] * 200)
    one = plan(spec, SHAPE, rows, PROCESSOR)
    steps = round(100 * hours * HOUR / one.seconds)
    spec = RunSpec.from_dict({"train": {"max_steps": steps}, "compute": compute})
    return plan(spec, SHAPE, rows, PROCESSOR), spec


def tried(planned, times_as_long):
    return measured(planned, Peak(10**9, 10**9), planned.seconds_of_largest * times_as_long)


@pytest.mark.parametrize("hours, times_as_long, stops", [(2, 0.4, False), (2, 0.9, True), (0.5, 3.0, True)])
def test_near_an_hour_the_dry_step_decides_and_says_what_it_found(hours, times_as_long, stops):
    made, spec = planned_for(hours)
    assert made.time_is_open and is_worth_it(made) and refusal(made, spec) is None
    stopped = too_long(made, tried(made, times_as_long))
    assert (stopped is not None) is stops
    if stops:
        assert spoken(made.seconds * times_as_long) in str(stopped) and "--force-cpu" in str(stopped)


def test_far_beyond_an_hour_nothing_is_tried_and_far_below_nothing_stops():
    long, spec = planned_for(5)
    assert not long.time_is_open and spoken(long.seconds) in str(refusal(long, spec))
    short, spec = planned_for(0.1)
    assert not short.time_is_open and too_long(short, tried(short, 20.0)) is None


def test_who_forces_it_is_not_stopped_by_what_was_measured():
    made, spec = planned_for(3, force_cpu=True)
    assert refusal(made, spec) is None and too_long(made, tried(made, 2.0)) is None
    assert not made.warnings


@pytest.mark.parametrize("done", [0, 7])
def test_a_run_that_takes_hours_is_stopped_before_its_first_step_and_never_later(monkeypatch, done):
    made, _ = planned_for(2)
    monkeypatch.setattr("core.train.rehearsal.rehearse", lambda *_: tried(made, 1.0))
    said = []
    begins = Rehearsal(made, said.append)
    begins.trainer = SimpleNamespace(model_wrapped=None)
    with pytest.raises(TrainError, match="force-cpu") if done == 0 else nullcontext():
        begins.on_train_begin(None, SimpleNamespace(global_step=done), None)
    assert len(said) == 1
