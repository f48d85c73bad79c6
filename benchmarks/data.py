"""How long data take from a file to packed tokens, here and with `datasets` and TRL, in one run.

    python benchmarks/data.py alpaca.json --rows 100000

The rows of FILE, in the shape of alpaca, are repeated to the number asked for; once as they are, and once with each
made different, so that nothing is gained by knowing a row already. Both sides use the embedded model's tokenizer and
chat template, and pack rows of 512 tokens. Each measurement is a process of its own with empty caches; importing
libraries is not counted. `again` is the same once more, with what was kept from the first time.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
LENGTH = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="rows with instruction, input and output: JSON or JSON lines")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind, write in (("repeated", as_they_are), ("each different", made_different)):
            file = Path(folder) / f"{kind.replace(' ', '-')}.jsonl"
            rows = write(itertools.islice(itertools.cycle(rows_of(arguments.file)), arguments.rows))
            file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
            print_table(
                f"{arguments.rows:,} rows, {kind}",
                arguments.rows,
                {side: measured(side, file) for side in SIDES},
            )


def rows_of(file: Path) -> list[dict[str, str]]:
    text = file.read_text("utf-8")
    return (
        json.loads(text)
        if text.lstrip().startswith("[")
        else [json.loads(line) for line in text.splitlines()]
    )


def as_they_are(rows):
    return rows


def made_different(rows):
    return (row | {"instruction": f"{number}. {row['instruction']}"} for number, row in enumerate(rows, 1))


def measured(side: str, file: Path) -> dict[str, float]:
    """Seconds of each stage of one side, in a process with caches of its own."""
    with tempfile.TemporaryDirectory() as caches:
        environment = os.environ | {
            "ATELIER_CACHE": f"{caches}/atelier",
            "HF_HOME": f"{caches}/hub",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, __file__, str(file), "--side", side]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=caches)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def print_table(title: str, rows: int, found: dict[str, dict[str, float]]) -> None:
    ours = sum(seconds for stage, seconds in found["atelier"].items() if stage != "again")
    print(f"\n{title}\n{'':24} {'seconds':>8} {'rows/s':>9} {'Atelier is':>14}")
    for side, stages in found.items():
        total = sum(seconds for stage, seconds in stages.items() if stage != "again")
        print(
            f"{side:24} {total:8.1f} {rows / total:9,.0f} {total / ours:8.1f} times faster"
            if side != "atelier"
            else f"{side:24} {total:8.1f} {rows / total:9,.0f}"
        )
        for stage, seconds in stages.items():
            print(f"    {stage:20} {seconds:8.2f}")


class Stages:
    """Seconds by the name of a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable):
        begin = time.perf_counter()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0) + time.perf_counter() - begin
        return result


def of_atelier(file: Path) -> dict[str, float]:
    from core.data.select import select
    from core.presets import resolve
    from core.text.encode import encode
    from core.text.load import load_text
    from core.train.dataset import as_dataset, packed

    flags = {
        "data": {"files": (str(file),), "held_out_fraction": 0.0},
        "train": {"packing": True, "max_length": LENGTH},
    }
    spec, stages = resolve("tiny", overrides=flags), Stages()

    def prepare(stages: Stages) -> None:
        chosen = stages.time("read and check", lambda: select(spec.data))
        text = load_text(spec)
        rows = stages.time("tokenize", lambda: encode(chosen.training, text.tokenizer, text.template, LENGTH))
        stages.time("pack", lambda: packed(as_dataset(rows, Path(f"{time.time_ns()}.arrow")), LENGTH))

    prepare(stages)
    stages.time("again", lambda: prepare(Stages()))
    return stages.seconds


def of_trl(file: Path, processes: int | None = None) -> dict[str, float]:
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from core.presets import FABLE, resolve
    from core.text.load import load_text

    disable_progress_bars()
    text, stages = load_text(resolve("tiny")), Stages()
    text.tokenizer.chat_template = text.template.jinja
    model = AutoModelForCausalLM.from_pretrained(FABLE)
    model.resize_token_embeddings(len(text.tokenizer), mean_resizing=False)
    settings = SFTConfig(
        "out",
        max_length=LENGTH,
        packing=True,
        dataset_num_proc=processes,
        report_to="none",
        use_cpu=True,
        bf16=False,
    )
    rows = stages.time("load_dataset", lambda: load_dataset("json", data_files=str(file), split="train"))
    rows = stages.time(
        "to prompt/completion",
        lambda: rows.map(as_conversation, remove_columns=rows.column_names, num_proc=processes),
    )
    stages.time(
        "SFTTrainer",
        lambda: SFTTrainer(model=model, args=settings, train_dataset=rows, processing_class=text.tokenizer),
    )
    return stages.seconds


def as_conversation(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    question = row["instruction"] + ("\n\n" + row["input"] if row["input"] else "")
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": row["output"]}],
    }


SIDES = {
    "atelier": of_atelier,
    "TRL": of_trl,
    "TRL, 2 processes": lambda file: of_trl(file, 2),
}

if __name__ == "__main__":
    main()
