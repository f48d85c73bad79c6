"""What will be done and why, decided before anything is loaded: a pure function of settings, lengths and device."""

import math
from dataclasses import dataclass

from core.errors import TrainError
from core.spec import RunSpec

LEARNING_RATE = {
    # LoRA wants about ten times the rate of full fine-tuning, whatever the model:
    # "LoRA Without Regret", Thinking Machines Lab, 2025.
    "lora": 2e-4,
    "full": 2e-5,
}
TOKENS_AT_ONCE = (
    4096  # in one micro-batch; beyond it a processor gains nothing and the activations cost memory
)
MEASUREMENTS = 10  # of the held-out loss in a run, unless the settings say otherwise


@dataclass(frozen=True)
class Plan:
    """Every automatic choice. micro_batch_size x accumulation rows make a step: the batch size that was asked for."""

    examples: int
    rows: int  # what a batch consists of; fewer than the examples if they are packed
    held_out: int
    batch_size: int  # rows of a step, over all processes
    packing: bool  # rows are laid end to end without padding, each seeing itself alone
    tokens_at_once: int  # most tokens of a micro-batch, padding counted; a longer row is one by itself
    micro_batch_size: int  # most rows of a micro-batch
    accumulation: int  # micro-batches of a step, about
    total_steps: int
    warmup_steps: int
    evaluate_every: int
    learning_rate: float
    bfloat16: bool  # how products are computed
    gradient_checkpointing: bool
    optimizer: str  # adamw, adamw_8bit or adafactor
    workers: int
    reasons: tuple[str, ...]


def plan(
    spec: RunSpec, examples: int, rows: int, held_out: int, longest: int, bfloat16_is_fast: bool
) -> Plan:
    """The plan for `examples` in `rows` whose longest has `longest` tokens; with packing, rows hold several examples.

    TrainError if there is nothing to train on.
    """
    if not examples:
        raise TrainError(
            "There is no example left to train on: lower data.held_out_fraction or add examples."
        )
    train = spec.train
    reasons = []
    batch = train.batch_size
    if batch > examples:
        batch = examples
        reasons.append(
            f"A step takes {examples} examples, not {train.batch_size}: there are no more of them."
        )
    if rows < examples:
        of_examples, batch = batch, max(1, round(batch * rows / examples))
        reasons.append(
            f"{examples} examples are packed into {rows} rows, so a step of about {of_examples} takes {batch} rows."
        )
    micro = min(train.micro_batch_size or _micro_batch(batch, longest), batch)
    if batch % micro:
        micro = max(divisor for divisor in range(1, micro + 1) if batch % divisor == 0)
    accumulation = batch // micro
    if accumulation > 1 and train.micro_batch_size is None:
        reasons.append(
            f"Each step of {batch} rows is computed in {accumulation} parts of {micro}, since the longest has {longest} tokens."
        )
    if train.early_stopping and not held_out:
        reasons.append("train.early_stopping has no effect: no example is held out to measure on.")
    steps_per_epoch = math.ceil(rows / batch)
    total = train.max_steps or max(1, math.ceil(train.epochs * steps_per_epoch))
    learning_rate = train.learning_rate
    if learning_rate is None:
        learning_rate = LEARNING_RATE["full" if spec.method.kind == "full" else "lora"]
        reasons.append(f"The learning rate is {learning_rate:g}, usual for {spec.method.kind}.")
    bfloat16 = train.precision == "bfloat16" or (train.precision == "auto" and bfloat16_is_fast)
    if train.precision == "auto":
        reasons.append(
            "Products are computed in bfloat16, which this processor has."
            if bfloat16
            else "Products are computed in float32: this processor has no fast bfloat16."
        )
    return Plan(
        examples=examples,
        rows=rows,
        held_out=held_out,
        batch_size=batch,
        packing=bool(train.packing),
        tokens_at_once=TOKENS_AT_ONCE,
        micro_batch_size=micro,
        accumulation=accumulation,
        total_steps=total,
        warmup_steps=round(total * train.warmup_fraction),
        evaluate_every=train.evaluate_every or max(1, total // MEASUREMENTS),
        learning_rate=learning_rate,
        bfloat16=bfloat16,
        gradient_checkpointing=bool(train.gradient_checkpointing),
        optimizer=train.optimizer or "adamw",
        workers=spec.compute.workers or 0,
        reasons=tuple(reasons),
    )


def _micro_batch(batch: int, longest: int) -> int:
    """The largest divisor of the batch whose padded size stays within TOKENS_AT_ONCE."""
    fits = [size for size in range(1, batch + 1) if batch % size == 0 and size * longest <= TOKENS_AT_ONCE]
    return max(fits, default=1)
