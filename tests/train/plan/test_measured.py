"""What was planned, held against what a training really takes, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SMALL = {
    "model_type": "llama",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 8000,
    "tie_word_embeddings": True,
    "max_position_embeddings": 2048,
}
WITHIN = 0.15


def measured(**case):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.train.plan.measure", json.dumps(case)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, case",
    [
        ("full in float32", {"train": {"precision": "float32"}}),
        ("full in bfloat16", {}),
        ("lora in bfloat16", {"method": {"kind": "lora"}}),
    ],
)
def test_planned_memory_is_within_15_percent_of_what_a_training_takes(name, case):
    found = measured(model=SMALL, lengths=[200, 201, 60], threads=1, steps=3, **case)
    assert abs(found["predicted"] / found["measured"] - 1) < WITHIN, found
