"""Training on a GPU against plain TRL: the same rows and shapes, each variant in turn.

    python benchmarks/gpu.py                       # 135M in full, 1B in full, 8B with LoRA
    python benchmarks/gpu.py --shape 1b --json

Weights are random. Each variant is a process of its own and goes through a whole trainer, A B A B: TRL's SFTTrainer as
it comes, TRL with what it can switch on (no checkpointing where that fits, Liger's layer kernels where they are
installed), ours, and ours with its blocks compiled. MFU is the operations that a step needs (the head at learnt
positions, attention within rows, no recomputation; under LoRA no gradient of frozen weights) by the speed of a product
of bfloat16 matrices measured in the same run. Without a GPU that is all that happens: a sentence and exit status 2.
"""

import argparse
import importlib.util
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
sys.path.insert(0, str(ROOT))
BATCH, WARM, STEPS = 32, 3, 10  # rows of a step; steps that are not measured, and that are


@dataclass(frozen=True)
class Shape:
    config: dict
    lora: bool


SHAPES = {
    "135m": Shape({"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                   "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True}, False),
    "1b": Shape({"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                 "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True}, False),
    "8b": Shape({"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                 "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False}, True),
}  # fmt: skip
VARIANTS = ("trl", "trl-best", "ours", "ours-compiled")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--child", nargs=2, metavar=("VARIANT", "SHAPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("torch sees no GPU here: nothing was measured.", file=sys.stderr)
        return 2
    if options.child:
        print(json.dumps(run_variant(*options.child)))
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    found = {}
    for shape in SHAPES if options.shape == "all" else [options.shape]:
        made: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
        for _ in range(options.rounds):
            for variant in VARIANTS:
                made[variant].append(child(variant, shape))
        found |= report(shape, made)
    if options.json:
        print(json.dumps(found))
    return 0


def child(variant: str, shape: str) -> dict:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
    made = subprocess.run(
        [sys.executable, __file__, "--child", variant, shape], env=environment, capture_output=True, text=True
    )
    if made.returncode:
        reason = (made.stderr.strip().splitlines() or ["no reason was given"])[-1]
        return {"failed": reason[:150]}
    return json.loads(made.stdout.splitlines()[-1])


def run_variant(variant: str, name: str) -> dict:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback

    from benchmarks.train import make_rows

    shape = SHAPES[name]
    config = LlamaConfig(**shape.config, max_position_embeddings=2048, pad_token_id=0)
    rows = make_rows(BATCH * (WARM + STEPS), config.vocab_size, None)
    data = Dataset.from_dict({"input_ids": rows.ids, "labels": rows.labels})
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    if shape.lora:
        model = model.to(torch.bfloat16)
    best = ceiling()

    class Clock(TrainerCallback):
        marks: list[float] = []
        losses: list[float] = []

        def on_step_end(self, args, state, control, **_):
            torch.cuda.synchronize()
            self.marks.append(time.perf_counter())

        def on_log(self, args, state, control, logs, **_):
            if "loss" in logs:
                self.losses.append(logs["loss"])

    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear") if shape.lora else None
    make_trainer(variant, model, data, adapter, Clock()).train()
    seconds = Clock.marks[-1] - Clock.marks[WARM - 1]
    measured = slice(BATCH * WARM, None)
    flops = sum(
        useful(config, len(row), count, shape.lora)
        for row, count in zip(rows.ids[measured], rows.learnt[measured], strict=True)
    )
    return {
        "tokens_per_second": sum(map(len, rows.ids[measured])) / seconds,
        "mfu": flops / seconds / best,
        "ceiling": best,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        "loss": Clock.losses[-1],
    }


def make_trainer(variant: str, model, data, adapter, clock):
    from trl import SFTConfig, SFTTrainer

    from benchmarks.train import make_tokenizer

    common = {
        "output_dir": tempfile.mkdtemp(),
        "max_steps": WARM + STEPS,
        "learning_rate": 2e-4,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": True,
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "sequential",
        "optim": "adamw_torch_fused",
    }
    handed = {
        "train_dataset": data,
        "processing_class": make_tokenizer(),
        "peft_config": adapter,
        "callbacks": [clock],
    }
    if variant in ("trl", "trl-best"):
        if variant == "trl-best":
            liger = importlib.util.find_spec("liger_kernel") is not None
            common |= {"gradient_checkpointing": False, "use_liger_kernel": liger}
        args = SFTConfig(**common, per_device_train_batch_size=8, gradient_accumulation_steps=BATCH // 8)
        return SFTTrainer(model=model, args=args, **handed)
    from core.train.trainer import Settings, Trainer

    args = Settings(
        **common,
        gradient_checkpointing=False,
        rows_per_step=BATCH,
        tokens_at_once=16384,
        rows_at_once=BATCH,
        end_to_end=True,
    )
    trainer = Trainer(model=model, args=args, **handed)
    trainer.in_order = True
    if variant == "ours-compiled":
        inner = trainer.model.get_base_model() if adapter else trainer.model
        for block in inner.model.layers:
            block.compile(dynamic=True)  # micro-batches differ in their tokens
    return trainer


def useful(config, tokens: int, learnt: int, lora: bool) -> float:
    """Floating point operations of forward and backward that a row of so many tokens needs."""
    width, heads, groups = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
    size = width // heads
    weights = width * size * (2 * heads + 2 * groups) + 3 * width * config.intermediate_size
    products = config.num_hidden_layers * weights * tokens + config.vocab_size * width * learnt
    attention = config.num_hidden_layers * tokens**2 * heads * size  # two products over half a square
    # Forward, gradient of what came in, gradient of the weights; the last not where they are frozen.
    return (4 if lora else 6) * products + 6 * attention


def ceiling() -> float:
    """Operations a second of a product of bfloat16 matrices."""
    import torch

    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(10):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(4):
            left @ right
        torch.cuda.synchronize()
        best = max(best, 4 * 2 * 8192**3 / (time.perf_counter() - begin))
    return best


def report(name: str, made: dict[str, list[dict]]) -> dict[str, float]:
    """A table of medians; ours, the faster one, against the faster one of TRL's."""
    print(f"\n{name}, {'LoRA' if SHAPES[name].lora else 'every weight'}, {BATCH} rows a step")
    print(f"{'':15}{'tokens/s':>11}{'MFU':>8}{'peak GB':>9}  loss")
    speed, mfu = {}, {}
    for variant, runs in made.items():
        whole = [run for run in runs if "failed" not in run]
        if not whole:
            print(f"{variant:15} {runs[0]['failed']}")
            continue
        speed[variant] = statistics.median(run["tokens_per_second"] for run in whole)
        mfu[variant] = statistics.median(run["mfu"] for run in whole)
        peak = max(run["peak_gb"] for run in whole)
        print(f"{variant:15}{speed[variant]:>11.0f}{mfu[variant]:>8.1%}{peak:>9.2f}  {whole[0]['loss']:.4f}")
    ours = max((speed[variant] for variant in speed if variant.startswith("ours")), default=0.0)
    theirs = max((speed[variant] for variant in speed if variant.startswith("trl")), default=0.0)
    best = max((mfu[variant] for variant in mfu if variant.startswith("ours")), default=0.0)
    return {f"speedup_{name}": round(ours / theirs, 2) if theirs else 0.0, f"mfu_{name}": round(best, 3)}


if __name__ == "__main__":
    sys.exit(main())
