"""What a training warns of: each thing that goes wrong is said, once, and nothing is said of one that goes well."""

import math
import random

import pytest

from core.runs.events import Begun, HeldOut, Progress, Stepped, advance
from core.train.watching import Watcher, in_order, warnings, watcher


def stepped(step, loss, **values):
    known = {"learning_rate": 1e-4, "gradient_norm": 1.0, "memory_bytes": 10**9} | values
    return Stepped(step=step, epoch=1, loss=loss, tokens_per_second=1, eta_seconds=0, **known)


def measured(step, loss):
    return HeldOut(step=step, loss=loss, token_accuracy=0.5)


def training(losses, **values):
    return [stepped(step, loss, **values) for step, loss in enumerate(losses, 1)]


def said(events, total=1000, **options):
    made = Watcher(total, **options)
    return [(note.code, note.step) for event in events for note in made.see(event)]


FALLING = [3.0 - 0.02 * step for step in range(100)]


def test_a_loss_that_climbs_back_is_said_once_while_it_climbs():
    (only,) = said(training(FALLING + [1.0 + 0.05 * step for step in range(200)]))
    assert only[0] == "diverging" and 110 < only[1] < 140


def test_a_loss_that_explodes_at_the_beginning_is_said_within_a_few_steps():
    ((code, step),) = said(training([3.0] * 10 + [12.0] * 10))
    assert code == "diverging" and step == 18


def test_a_divergence_that_came_back_and_comes_again_is_said_again():
    wave = (
        FALLING
        + [1.0 + 0.05 * step for step in range(60)]
        + [0.9] * 60
        + [0.9 + 0.05 * at for at in range(60)]
    )
    assert [code for code, _ in said(training(wave))] == ["diverging", "diverging"]


def test_a_curriculum_that_gets_harder_does_not_diverge():
    harder = FALLING + [2.5, 2.4] * 50
    assert said(training(harder), shuffled=False) == []
    assert said(training(harder)) != []


def noise(kind, seed, steps=1500):
    draw = random.Random(seed)
    fall = [1 + 2 * math.exp(-step / 200) for step in range(steps)]
    if kind == "small batches":
        return [loss * math.exp(draw.gauss(-0.25, 0.7)) for loss in fall]
    if kind == "single answers":
        return [loss * draw.expovariate(1) + 0.01 for loss in fall]
    return [max(loss / 3 + draw.gauss(0, 0.3), 0.01) for loss in fall]


@pytest.mark.parametrize("kind", ["small batches", "single answers", "large batches"])
def test_noise_is_no_divergence(kind):
    alarms = [seed for seed in range(25) if said(training(noise(kind, seed)))]
    assert alarms == []


def test_overfitting_names_the_best_step_and_where_its_checkpoint_is():
    events = []
    for at, held_out in enumerate([3.0, 2.0, 2.1, 2.2, 2.3, 2.4]):
        events += [measured(at * 10, held_out)]
        events += training([3.0 - at * 0.4] * 9 + [3.0 - at * 0.4 - 0.01])
    progress = advance(Progress(), [Begun(total_steps=60), *renumbered(events)])
    (note,) = warnings(progress)
    assert (note.code, note.step) == ("overfitting", 10) and note.warning
    assert "since step 10" in note.text and "checkpoint of step 10 is kept" in note.text


def renumbered(events):
    """The steps in a row, each measurement with the step before it."""
    step = 0
    for event in events:
        if isinstance(event, Stepped):
            step += 1
            yield stepped(step, event.loss)
        else:
            yield measured(step, event.loss)


@pytest.mark.parametrize(
    "held_out, trained",
    [
        ([3.0, 2.0, 2.1, 2.05, 1.9, 1.95], [3.0, 2.5, 2.0, 1.5, 1.0]),  # it fell again
        ([3.0, 2.0, 2.1, 2.2, 2.3, 2.4], [2.0, 2.0, 2.1, 2.2, 2.3]),  # the training loss rises as well
        ([2.0, 2.1, 2.2, 2.3, 2.4, 2.5], [2.0, 1.9, 1.8, 1.7, 1.6]),  # the base was best: it never fitted
        ([3.0, 2.0, 2.001, 2.002, 2.003, 2.004], [3.0, 2.5, 2.0, 1.5, 1.0]),  # hardly a rise
    ],
)
def test_what_only_looks_like_overfitting_is_not(held_out, trained):
    events = [measured(0, held_out[0])]
    for at, loss in enumerate(trained, 1):
        events += [stepped(0, loss), stepped(0, loss + 0.1)] * 5 + [measured(0, held_out[at])]
    assert said(renumbered(events)) == []


def test_a_gradient_of_zero_trains_nothing_and_the_reason_is_named():
    assert said(training([0.0] * 30, gradient_norm=0.0)) == [("nothing-trained", 5)]
    made = Watcher(30)
    (note,) = [note for event in training([2.0] * 30, gradient_norm=0.0) for note in made.see(event)]
    assert "method.target_modules" in note.text


def test_a_loss_that_stands_still_far_up_is_said_and_one_that_has_come_down_is_not():
    assert said(training([2.5] * 60)) == [("constant", 20)]
    assert said(training(FALLING + [0.001] * 60)) == []


def test_memory_that_grows_in_every_block_is_said_with_what_it_will_be():
    grows = [stepped(step, 2 + step % 3, memory_bytes=10**9 + step * 10**6) for step in range(1, 400)]
    made = Watcher(1000)
    (note,) = [note for event in grows for note in made.see(event)]
    assert note.code == "memory" and note.step == 300 and "1.98 GB at the end" in note.text
    settles = [
        stepped(step, 2 + step % 3, memory_bytes=10**9 + min(step, 120) * 10**6) for step in range(1, 400)
    ]
    assert said(settles) == []


def test_a_resumed_watcher_says_neither_again_nor_anything_else():
    events = training(FALLING + [1.0 + 0.05 * step for step in range(100)])
    whole = said(events, total=200)
    for cut in (50, 110, 130, 180):
        resumed = watcher(advance(Progress(), [Begun(total_steps=200), *events[:cut]]))
        later = [(note.code, note.step) for event in events[cut:] for note in resumed.see(event)]
        assert later == [each for each in whole if each[1] > cut]


def test_a_run_that_goes_well_is_warned_of_nothing(trained):
    progress = trained.progress()
    assert len(in_order(progress)) == 16 and warnings(progress) == []
    assert progress.warnings == ()
