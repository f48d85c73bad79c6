"""Every automatic choice, with its reason, from settings, shape, lengths and device alone."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from core import presets
from core.errors import TrainError
from core.models import known
from core.spec import RunSpec, merge
from core.train.plan import GPU_24GB, DeviceFacts, Lengths, plan, refusal, shape_of, speed

LLAMA = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
SHAPE = shape_of(LLAMA)
LAPTOP = DeviceFacts(
    kind="cpu",
    name="a laptop",
    memory=16 * 10**9,
    free=12 * 10**9,
    cores=4,
    threads=4,
    flops={"float32": 200e9, "bfloat16": 800e9},
    bandwidth=20e9,
)


def lengths(rows=200, tokens=100, held_out=20):
    return Lengths.of([tokens] * rows, [tokens] * held_out, rows * tokens // 2)


def planned(train=None, method=None, compute=None, shape=SHAPE, of=None, device=LAPTOP, **facts):
    spec = RunSpec.from_dict({"train": train or {}, "method": method or {}, "compute": compute or {}})
    return plan(spec, shape, of or lengths(), device, **facts)


def reasons(made, word):
    return [reason for reason in made.reasons if word in reason]


@pytest.mark.parametrize("tokens", [10, 500, 2000, 5000])
@pytest.mark.parametrize("batch_size", [1, 6, 16, 30])
def test_the_batch_is_the_users_however_long_the_rows_are(batch_size, tokens):
    made = planned({"batch_size": batch_size}, of=lengths(tokens=tokens))
    assert made.batch_size == batch_size
    assert made.largest <= max(made.tokens_at_once, tokens)


def test_a_pass_takes_every_example_once():
    assert planned({"batch_size": 16, "epochs": 1}).total_steps == 13  # 200 / 16, rounded up
    assert planned({"batch_size": 16, "epochs": 2.5}).total_steps == 33
    assert planned({"batch_size": 16, "epochs": 100, "max_steps": 7}).total_steps == 7


def test_a_batch_larger_than_the_data_is_all_of_it_and_says_so():
    made = planned({"batch_size": 64}, of=lengths(3))
    assert made.batch_size == 3 and reasons(made, "there are no more")


def test_bfloat16_is_used_where_it_is_fast_and_where_it_was_asked_for():
    slow = replace(LAPTOP, bfloat16_is_fast=False)
    assert planned().bfloat16 and not planned(device=slow).bfloat16
    assert planned({"precision": "bfloat16"}, device=slow).bfloat16
    assert not planned({"precision": "float32"}).bfloat16


def test_early_stopping_with_nothing_to_measure_on_is_said_to_have_no_effect():
    assert reasons(planned({"early_stopping": 2}, of=lengths(held_out=0)), "early_stopping")
    assert not reasons(planned({"early_stopping": 2}), "early_stopping")


def test_nothing_to_train_on_ends_before_anything_is_loaded():
    with pytest.raises(TrainError, match="no example left"):
        planned(of=lengths(0))


def test_rows_that_cannot_be_packed_are_padded_and_the_reason_is_said():
    made = planned(why_padded="its attention has sinks")
    assert not made.packing and reasons(made, "because its attention has sinks")
    assert planned().packing and not planned({"packing": False}).packing


@pytest.mark.parametrize(
    "method, rate, warned",
    [
        ("full", 1.0, True),
        ("lora", 1.0, True),
        ("lora", 1e-9, True),
        ("full", 1e-3, False),
        ("lora", 5e-3, False),
    ],
)
def test_a_learning_rate_outside_the_usual_is_warned_of(method, rate, warned):
    made = planned({"learning_rate": rate}, {"kind": method})
    assert made.learning_rate == rate
    assert any("train.learning_rate" in warning for warning in made.warnings) is warned


def test_processes_on_a_processor_share_its_memory_and_its_cores():
    one, four = planned(), planned(compute={"processes": 4})
    assert four.memory_limit * 4 == one.memory_limit
    assert four.seconds_per_step > 0.7 * one.seconds_per_step and four.threads == 1


def test_what_is_scored_after_qlora_is_held_in_4_bits_where_it_does_not_fit_otherwise():
    large = shape_of(known()["deepseek-r1-qwen:14b"].shape)
    made = planned(method={"kind": "qlora"}, shape=large, device=GPU_24GB)
    assert made.verdict == "fits" and made.evaluation_memory.weights < 12e9


def test_checkpointing_comes_only_where_memory_asks_for_it_and_the_step_stays_the_same():
    rich = planned(method={"kind": "full"}, of=lengths(tokens=1000))
    poor = planned(method={"kind": "full"}, of=lengths(tokens=1000), compute={"memory_gb": 4})
    assert not rich.gradient_checkpointing and rich.verdict == "fits"
    assert poor.gradient_checkpointing and reasons(poor, "computed again")
    assert poor.memory.needed <= 4e9 < rich.memory.needed
    assert (poor.batch_size, poor.total_steps) == (rich.batch_size, rich.total_steps)


def test_smaller_parts_are_tried_before_activations_are_computed_again():
    made = planned(method={"kind": "full"}, of=lengths(tokens=300), compute={"memory_gb": 5.5})
    assert made.tokens_at_once < 4096 and not made.gradient_checkpointing and made.verdict != "does not fit"


def test_what_does_not_fit_names_the_changes_that_would_make_it_fit():
    eight = shape_of(known()["llama3.1:8b"].shape)
    made = planned(method={"kind": "full"}, shape=eight, device=GPU_24GB)
    assert made.verdict == "does not fit"
    fitting = [(change.setting, change.value) for change in made.changes if change.fits]
    assert ("method.kind", "qlora") in fitting and all(change.saves > 0 for change in made.changes)
    stopped = refusal(made, RunSpec.from_dict({"method": {"kind": "full"}}))
    assert "method.kind qlora" in str(stopped) and "GB" in str(stopped)


def test_a_change_that_is_said_to_fit_does_when_it_is_made():
    eight = shape_of(known()["llama3.1:8b"].shape)
    made = planned(method={"kind": "full"}, shape=eight, device=GPU_24GB)
    for change in (each for each in made.changes if each.fits):
        section, name = change.setting.split(".")
        values = merge({"method": {"kind": "full"}}, {section: {name: change.value}})
        then = plan(RunSpec.from_dict(values), eight, lengths(), GPU_24GB)
        assert then.verdict == "fits"


def test_hours_on_a_processor_are_begun_only_if_they_are_forced():
    long = {"epochs": 1000}
    made = planned(long)
    assert made.seconds > 4 * 3600
    assert "--force-cpu" in str(refusal(made, RunSpec.from_dict({"train": long})))
    assert refusal(made, RunSpec.from_dict({"train": long, "compute": {"force_cpu": True}})) is None
    assert refusal(planned({"max_steps": 3}), RunSpec()) is None
    gpu = planned(long, device=replace(GPU_24GB, flops={"bfloat16": 1e12}))
    assert gpu.seconds > 3600 and refusal(gpu, RunSpec.from_dict({"train": long})) is None


FITTING = [
    ("llama3.1:8b", {"kind": "qlora", "rank": 32}),
    ("qwen3:8b", {"kind": "qlora", "rank": 32}),
    ("llama3.2:1b", {"kind": "lora", "rank": 32}),
    ("qwen3:1.7b", {"kind": "lora", "rank": 32}),
    ("llama3.2:3b", {"kind": "lora", "rank": 32}),
    ("qwen2.5:3b", {"kind": "lora", "rank": 32}),
    ("qwen2.5:0.5b", {"kind": "full"}),
    ("qwen3:0.6b", {"kind": "full"}),
    ("smollm2:360m", {"kind": "full"}),
]


@pytest.mark.parametrize("name, method", FITTING)
def test_the_preset_3090_fits_24_gb(name, method):
    spec = presets.resolve("3090", overrides={"method": method})
    longest = Lengths.of([spec.train.max_length] * 300, [spec.train.max_length] * 30)
    made = plan(spec, shape_of(known()[name].shape), longest, GPU_24GB)
    assert made.verdict == "fits", (made.memory, made.evaluation_memory)
    assert made.optimizer == "adamw" and made.batch_size == spec.train.batch_size


def test_the_preset_small_fits_a_laptop_with_8_gb():
    spec = presets.resolve("small")
    made = plan(
        spec,
        SHAPE,
        Lengths.of([spec.train.max_length] * 300, [spec.train.max_length] * 30),
        replace(LAPTOP, memory=8 * 10**9, free=6 * 10**9),
    )
    assert made.verdict == "fits"


def test_padded_parts_are_of_neighbours_in_length_and_within_the_limits():
    rows = np.asarray([10, 90, 50, 100, 20])
    found = speed.steps(rows, 1.0, 5, 1, packing=False, tokens_at_once=200, micro_batch_size=16)
    assert (found.largest, found.tokens, found.micro_batches) == (2 * 100, 2 * 100 + 3 * 50, 2)


def test_a_plan_needs_no_torch():
    code = "import sys, core.train.plan, core.forecast; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
