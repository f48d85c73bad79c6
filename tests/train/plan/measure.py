"""A process of its own that trains a random model for some steps, and prints what was planned and what it took.

python -m tests.train.plan.measure '{"model": {...}, "method": {...}, "train": {...}, "lengths": [20, 60, 100]}'
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback

from core.runs.store import Run
from core.spec import RunSpec, merge
from core.text.load import load_text
from core.train import device
from core.train.methods import adapt, keep_in_float32
from core.train.plan import Lengths, plan, shape_of
from core.train.rehearsal import peak_memory
from core.train.trainer import Trainer, trainer_settings

STEPS = 4


class Watch(TrainerCallback):
    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_begin(self, *_, **__) -> None:
        self.marks.append(time.perf_counter())

    def on_step_end(self, *_, **__) -> None:
        self.marks.append(time.perf_counter())


def main(case: dict) -> dict:
    steps = case.get("steps", STEPS)
    values = {"train": {"max_steps": steps, "seed": 1}, "method": {"kind": "full"}}
    spec = RunSpec.from_dict(
        merge(values, {"train": case.get("train", {}), "method": case.get("method", {})})
    )
    torch.set_num_threads(case.get("threads", 2))
    random = np.random.default_rng(0)
    low, high, count = case["lengths"]
    lengths = random.integers(low, high, count)
    if "base" in case:
        config = AutoConfig.from_pretrained(case["base"])
    else:
        config = AutoConfig.for_model(**case["model"])
    shape = shape_of(config.to_dict())
    share = case.get("share", 0.6)
    rows = []
    for length in lengths.tolist():
        ids = random.integers(0, shape.vocabulary, length).astype(np.int32)
        labels = np.where(np.arange(length) >= length * (1 - share), ids, -100)
        rows.append({"input_ids": ids, "labels": labels})
    trained = int(sum((row["labels"][1:] != -100).sum() for row in rows))
    data = Dataset.from_list(rows)
    facts = device.facts(spec)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    text = load_text(RunSpec())
    bare = SimpleNamespace(added=(), added_ids=[])
    before = psutil.Process().memory_info().rss - 4 * shape.parameters
    facts = replace(facts, process=before)
    planned = plan(spec, shape, Lengths.of(lengths, (), trained), facts)
    if planned.weights == "bfloat16":
        model = model.to(torch.bfloat16)
    folder = Path(tempfile.mkdtemp())
    watch = Watch()
    trainer = Trainer(
        model=adapt(spec, model, bare),
        args=trainer_settings(spec, planned, Run(folder), cpu=True),
        train_dataset=data,
        processing_class=text.tokenizer,
        callbacks=[watch],
    )
    trainer.args.save_strategy = "no"
    keep_in_float32(trainer.model)
    with peak_memory(torch.device("cpu")) as peak:
        trainer.train()
    taken = sorted(end - begin for begin, end in zip(watch.marks[::2], watch.marks[1::2], strict=True))
    return {
        "predicted": planned.memory.peak,
        "measured": peak.most,
        "process": before,
        "seconds": taken[0],
        "predicted_seconds": planned.seconds_per_step,
        "memory": planned.memory.parts(),
        "largest": planned.largest,
        "parts": planned.accumulation,
        "flops": facts.flops,
        "bandwidth": facts.bandwidth,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
