"""Every automatic choice, with its reason, from settings and lengths alone."""

import pytest

from core.errors import TrainError
from core.spec import RunSpec
from core.train.plan import plan


def planned(train=None, method=None, **facts):
    spec = RunSpec.from_dict({"train": train or {}, "method": method or {}})
    known = {"examples": 200, "rows": 200, "held_out": 20, "longest": 100, "bfloat16_is_fast": True}
    return plan(spec, **known | facts)


@pytest.mark.parametrize("longest", [10, 500, 2000, 5000])
@pytest.mark.parametrize("batch_size", [1, 6, 16, 30])
def test_the_batch_is_the_users_however_long_the_rows_are(batch_size, longest):
    made = planned({"batch_size": batch_size}, longest=longest)
    assert made.micro_batch_size * made.accumulation == batch_size
    assert made.micro_batch_size == 1 or made.micro_batch_size * longest <= 4096


def test_a_pass_takes_every_example_once():
    assert planned({"batch_size": 16, "epochs": 1}).total_steps == 13  # 200 / 16, rounded up
    assert planned({"batch_size": 16, "epochs": 2.5}).total_steps == 33
    assert planned({"batch_size": 16, "epochs": 100, "max_steps": 7}).total_steps == 7


def test_packed_rows_make_steps_of_as_many_examples_as_unpacked_ones():
    packed = planned({"batch_size": 16, "epochs": 1, "packing": True}, rows=50)
    assert packed.micro_batch_size * packed.accumulation == 4 and packed.total_steps == 13
    assert any("200 examples are packed into 50 rows" in reason for reason in packed.reasons)


def test_a_batch_larger_than_the_data_is_all_of_it_and_says_so():
    made = planned({"batch_size": 64}, examples=3, rows=3)
    assert made.micro_batch_size * made.accumulation == 3
    assert any("there are no more" in reason for reason in made.reasons)


def test_a_learning_rate_nobody_chose_suits_the_method_and_says_so():
    for kind, rate in (("lora", 2e-4), ("full", 2e-5)):
        made = planned(method={"kind": kind})
        assert made.learning_rate == rate and any(f"{rate:g}" in reason for reason in made.reasons)
    assert planned({"learning_rate": 0.5}).learning_rate == 0.5


def test_bfloat16_is_used_where_it_is_fast_and_where_it_was_asked_for():
    assert planned().bfloat16 and not planned(bfloat16_is_fast=False).bfloat16
    assert planned({"precision": "bfloat16"}, bfloat16_is_fast=False).bfloat16
    assert not planned({"precision": "float32"}).bfloat16


def test_early_stopping_with_nothing_to_measure_on_is_said_to_have_no_effect():
    assert any("early_stopping" in reason for reason in planned({"early_stopping": 2}, held_out=0).reasons)
    assert not any("early_stopping" in reason for reason in planned({"early_stopping": 2}).reasons)


def test_nothing_to_train_on_ends_before_anything_is_loaded():
    with pytest.raises(TrainError, match="no example left"):
        planned(examples=0, rows=0)
