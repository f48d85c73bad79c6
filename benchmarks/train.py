"""Training on a processor against TRL's trainer: the same rows in the same order, each variant in turn.

    python benchmarks/train.py                          # both shapes, about twelve minutes
    python benchmarks/train.py --shape 15m --threads 1 --json

A step takes 16 rows of 64 to 512 tokens, of which the answer is learnt. A variant runs in a process of its own, A B A B,
and goes through a whole trainer: TRL's SFTTrainer as it comes (checkpointing, 8 rows at once), with the settings that
suit a processor best; transformers' own with rows laid into sequences of 2,048 tokens under a mask that keeps them apart,
which is how LLaMA-Factory packs without flash attention, and no checkpointing; and ours. All have the environment that our own runs have. The share of the ceiling, which is a
product of bfloat16 matrices measured in the same run, counts the head at learnt positions only, attention within rows
and no recomputation.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {
    # 14.5M parameters
    "15m": {"vocab_size": 32000, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 8,
            "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True},
    # SmolLM2-135M's
    "135m": {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
             "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True},
}  # fmt: skip
STEPS = {"15m": 3, "135m": 1}  # that are measured, after one that is not
VARIANTS = ("trl", "trl-best", "packed", "ours")
BATCH = 16
CUTOFF = 2048  # tokens of a packed sequence


@dataclass(frozen=True)
class Rows:
    ids: list[list[int]]
    labels: list[list[int]]

    @property
    def learnt(self) -> list[int]:
        return [sum(label != -100 for label in row[1:]) for row in self.labels]


def make_rows(count: int, vocabulary: int, file: Path | None) -> Rows:
    """From a file of {"input_ids": [...], "labels": [...]} lines, else random: lengths are log-uniform, and a tenth to
    nine tenths of a row is its answer."""
    import numpy as np

    if file:
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()[:count]]
        return Rows([row["input_ids"] for row in rows], [row["labels"] for row in rows])
    random = np.random.default_rng(7)
    ids, labels = [], []
    for _ in range(count):
        length = int(np.exp(random.uniform(np.log(64), np.log(512))))
        row = (random.zipf(1.2, length) * 2654435761 % vocabulary).tolist()
        asked = int(length * random.uniform(0.1, 0.9))
        ids.append(row)
        labels.append([-100] * asked + row[asked:])
    return Rows(ids, labels)


def run_variant(variant: str, shape: str, steps: int, file: Path | None, profile: bool) -> dict:
    """One variant in this process: seconds of each step, losses, memory."""
    import psutil
    import torch
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback

    torch.manual_seed(0)
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=2048, pad_token_id=0)
    model = LlamaForCausalLM(config)
    rows = make_rows(BATCH * (steps + 1), config.vocab_size, file)
    data = Dataset.from_dict({"input_ids": rows.ids, "labels": rows.labels})

    class Clock(TrainerCallback):
        marks: list[float] = []
        losses: list[float] = []

        def on_step_end(self, args, state, control, **_):
            self.marks.append(time.perf_counter())

        def on_log(self, args, state, control, logs, **_):
            if "loss" in logs:
                self.losses.append(logs["loss"])

    clock = Clock()
    trainer = make_trainer(variant, model, data, steps + 1, [clock])
    if profile:
        from torch.profiler import profile as profiler

        with profiler() as seen:
            trainer.train()
        print(
            seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=40, max_name_column_width=60)
        )
    else:
        trainer.train()
    tokens = [sum(map(len, rows.ids[begin : begin + BATCH])) for begin in range(0, len(rows.ids), BATCH)]
    learnt = [sum(rows.learnt[begin : begin + BATCH]) for begin in range(0, len(rows.ids), BATCH)]
    seconds = clock.marks[-1] - clock.marks[0]
    flops = sum(
        useful(config, row, count) for row, count in zip(rows.ids[BATCH:], rows.learnt[BATCH:], strict=True)
    )
    return {
        "variant": variant,
        "shape": shape,
        "parameters": model.num_parameters(),
        "tokens_per_second": sum(tokens[1:]) / seconds,
        "learnt_tokens_per_second": sum(learnt[1:]) / seconds,
        "useful_gflops": flops / seconds / 1e9,
        "peak_gb": peak_bytes(psutil) / 1e9,
        "losses": clock.losses,
    }


def peak_bytes(psutil) -> int:
    if sys.platform == "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return psutil.Process().memory_info().rss


def useful(config, row: list[int], learnt: int) -> float:
    """Floating point operations of forward and backward that a row needs."""
    width, size = config.hidden_size, config.hidden_size // config.num_attention_heads
    heads, kv = config.num_attention_heads, config.num_key_value_heads
    per_token = width * size * (2 * heads + 2 * kv) + 3 * width * config.intermediate_size
    attention = len(row) ** 2 * heads * size  # two products over half a square
    return 6 * (
        config.num_hidden_layers * (per_token * len(row) + attention) + config.vocab_size * width * learnt
    )


def make_tokenizer():
    """One that pads; rows are of tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, "<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")


def make_trainer(variant: str, model, data, steps: int, callbacks: list):
    from trl import SFTConfig, SFTTrainer

    tokenizer = make_tokenizer()
    common = {
        "output_dir": tempfile.mkdtemp(),
        "max_steps": steps,
        "learning_rate": 5e-4,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "sequential",
    }
    if variant == "ours":
        from core.train.trainer import Settings, Trainer

        settings = Settings(
            **common,
            bf16=True,
            gradient_checkpointing=False,
            max_length=None,
            dataloader_pin_memory=False,
            rows_per_step=BATCH,
            tokens_at_once=4096,
            rows_at_once=BATCH,
            end_to_end=True,
        )
        trainer = Trainer(
            model=model, args=settings, train_dataset=data, processing_class=tokenizer, callbacks=callbacks
        )
        trainer.in_order = True
        return trainer
    if variant == "packed":
        from transformers import Trainer, TrainingArguments

        common.pop("dataset_kwargs")
        settings = TrainingArguments(
            **common, bf16=True, per_device_train_batch_size=BATCH, dataloader_pin_memory=False
        )
        return Trainer(
            model=model, args=settings, train_dataset=data, data_collator=packed, callbacks=callbacks
        )
    if variant == "trl-best":
        # Rows one by one need no padding: 573 tokens/s where eight at once, without checkpointing too, make 288.
        rows, best = 1, {"gradient_checkpointing": False, "dataloader_pin_memory": False}
    else:
        rows, best = 8, {}
    settings = SFTConfig(
        **common, **best, per_device_train_batch_size=rows, gradient_accumulation_steps=BATCH // rows
    )
    return SFTTrainer(
        model=model, args=settings, train_dataset=data, processing_class=tokenizer, callbacks=callbacks
    )


def packed(rows: list[dict]) -> dict:
    """The rows in as few sequences as first fit finds, the longest first; each row sees itself alone."""
    import torch

    sequences: list[list[dict]] = []
    for row in sorted(rows, key=lambda row: -len(row["input_ids"])):
        size = len(row["input_ids"])
        for sequence in sequences:
            if sum(len(each["input_ids"]) for each in sequence) + size <= CUTOFF:
                sequence.append(row)
                break
        else:
            sequences.append([row])
    longest = max(sum(len(row["input_ids"]) for row in sequence) for sequence in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    labels, places, owner = torch.full_like(ids, -100), torch.zeros_like(ids), torch.zeros_like(ids)
    for number, sequence in enumerate(sequences):
        begin = 0
        for at, row in enumerate(sequence, start=1):
            here = slice(begin, begin := begin + len(row["input_ids"]))
            ids[number, here] = torch.tensor(row["input_ids"])
            labels[number, here] = torch.tensor(
                [-100, *row["labels"][1:]]
            )  # no row learns from the one before
            places[number, here] = torch.arange(len(row["input_ids"]))
            owner[number, here] = at
    same = owner[:, None, :, None] == owner[:, None, None, :]
    return {
        "input_ids": ids,
        "labels": labels,
        "position_ids": places,
        "attention_mask": same & torch.ones(longest, longest, dtype=torch.bool).tril(),
    }


def ceiling() -> float:
    """GFLOP/s of a product of bfloat16 matrices."""
    import torch

    left, right = (torch.randn(2048, 2048).bfloat16() for _ in range(2))
    best = 0.0
    for _ in range(100):
        begin = time.perf_counter()
        left @ right
        best = max(best, 2 * 2048**3 / (time.perf_counter() - begin) / 1e9)
    return best


def child(arguments: list[str], threads: int) -> dict:
    from core.runs.jobs import child_environment

    environment = child_environment() | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, *arguments]
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    if made.returncode:
        sys.exit(made.stderr[-3000:])
    return json.loads(made.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--rows", type=Path, help="JSON lines with input_ids and labels, instead of random ones"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--child", nargs=3, metavar=("VARIANT", "SHAPE", "STEPS"), help=argparse.SUPPRESS)
    parser.add_argument("--ceiling", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="with --child: where the time goes")
    options = parser.parse_args()
    if options.ceiling:
        print(json.dumps({"gflops": ceiling()}))
        return
    if options.child:
        variant, shape, steps = options.child
        print(json.dumps(run_variant(variant, shape, int(steps), options.rows, options.profile)))
        return
    best = child(["--ceiling"], options.threads)["gflops"]
    print(f"{options.threads} threads; a product of bfloat16 matrices makes {best:.0f} GFLOP/s")
    found = {}
    rows = ["--rows", str(options.rows)] if options.rows else []
    for shape in SHAPES if options.shape == "both" else [options.shape]:
        made: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
        for _ in range(options.rounds):
            for variant in VARIANTS:
                made[variant].append(
                    child([*rows, "--child", variant, shape, str(STEPS[shape])], options.threads)
                )
        found[f"speedup_{shape}"] = report(shape, made, best)
    if options.json:
        print(json.dumps(found))


def report(shape: str, made: dict[str, list[dict]], best: float) -> float:
    def middle(variant: str, name: str) -> float:
        return statistics.median(run[name] for run in made[variant])

    print(f"\n{shape}: {made['ours'][0]['parameters'] / 1e6:.1f}M parameters, {BATCH} rows a step")
    print(f"{'':10}{'tokens/s':>10}{'learnt/s':>10}{'of ceiling':>12}{'peak GB':>9}{'times':>7}  losses")
    for variant in made:
        speed = middle(variant, "tokens_per_second")
        times = speed / middle("trl", "tokens_per_second")
        losses = " ".join(f"{loss:.4f}" for loss in made[variant][0]["losses"][-3:])
        share = middle(variant, "useful_gflops") / best
        print(
            f"{variant:10}{speed:>10.0f}{middle(variant, 'learnt_tokens_per_second'):>10.0f}{share:>11.1%} "
            f"{middle(variant, 'peak_gb'):>9.2f}{times:>7.2f}  {losses}"
        )
    return round(middle("ours", "tokens_per_second") / middle("trl", "tokens_per_second"), 2)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
