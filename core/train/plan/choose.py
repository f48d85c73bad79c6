"""What will be done and why, decided before anything is loaded: a pure function of settings, shape, lengths and device."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.errors import TrainError
from core.spec import RunSpec, merge
from core.train.limits import LARGE
from core.train.plan import memory, speed
from core.train.plan.facts import GB, DeviceFacts, Lengths
from core.train.plan.memory import Memory, Way
from core.train.plan.shape import ModelShape
from core.train.rates import learning_rate

# Beyond these nothing is learnt, or everything is lost. A model of a few million parameters bears 3e-3 in full.
USUAL_RATES = {"full": (1e-7, 5e-3), "adapter": (1e-6, 1e-2)}
# Tokens of a micro-batch. Beyond the most nothing is faster; below the least the products become small and slow, and
# not keeping the activations costs less.
MOST = {"cpu": 4096, "cuda": 16384}
LEAST = {"cpu": 1024, "cuda": 4096}
MEASUREMENTS = 10  # of the held-out loss in a run, unless the settings say otherwise
TIGHT = 0.92  # of the memory
HOUR = 3600
FAR = 4  # times an hour, or a part of it: where even a bad estimate of time decides without a dry step
SURE = 1.15  # times the limit: what a prediction that is 15 % too high would still not fit

Verdict = Literal["fits", "tight", "does not fit"]


@dataclass(frozen=True)
class Choice:
    """A setting that nobody gave, or that has an effect worth saying."""

    setting: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Change:
    """A setting that would make the run need less memory, and what it costs."""

    setting: str
    value: Any
    saves: int  # bytes
    fits: bool  # by itself
    cost: str


@dataclass(frozen=True)
class Plan:
    """Every automatic choice. A step takes batch_size examples, in however many micro-batches it is computed."""

    examples: int
    held_out: int
    batch_size: int  # examples of a step, over all processes
    packing: bool  # rows are laid end to end without padding, each seeing itself alone
    tokens_at_once: int  # most tokens of a micro-batch, padding counted; a longer row is one by itself
    micro_batch_size: int  # most rows of a micro-batch
    accumulation: int  # micro-batches of a step, about
    total_steps: int
    warmup_steps: int
    evaluate_every: int
    learning_rate: float
    bfloat16: bool  # how products are computed
    weights: str  # how the base is held: float32, bfloat16 or 4bit
    quantization: str  # nf4, or nothing
    attention: str  # per_document, sdpa or eager
    gradient_checkpointing: bool
    optimizer: str  # adamw, adamw_8bit or adafactor
    workers: int
    threads: int
    device: str  # cpu or cuda
    largest: int  # tokens of the largest micro-batch there will be
    memory: Memory  # of training
    evaluation_memory: Memory
    memory_limit: int
    disk_bytes: int
    disk_free: int
    seconds_per_step: float
    seconds_of_largest: float  # the largest micro-batch alone, without the optimizer's part
    seconds: float  # of training with its measurements; the scoring afterwards is not counted
    time_is_open: bool  # whether it takes more than an hour is for the dry step to say, and matters
    verdict: Verdict
    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]
    changes: tuple[Change, ...] = ()  # from the least harmful on; empty if it fits

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(choice.reason for choice in self.choices)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: the parts of memory for training and evaluation under `memory`, the rest by name."""
        values = dataclasses.asdict(self)
        values["choices"], values["warnings"] = list(values["choices"]), list(values["warnings"])
        values["changes"] = list(values["changes"])
        del values["evaluation_memory"], values["memory_limit"]
        sides = {"training": self.memory, "evaluation": self.evaluation_memory}
        by_side = {
            name: side.parts() | {"peak": side.peak, "needed": side.needed} for name, side in sides.items()
        }
        return values | {"memory": by_side | {"limit": self.memory_limit}}


def plan(
    spec: RunSpec,
    shape: ModelShape,
    lengths: Lengths,
    device: DeviceFacts,
    why_padded: str | None = None,
    added_tokens: int = 0,
) -> Plan:
    """The plan for a model of this shape and rows of these lengths on this device.

    `why_padded` says, to follow "because", why the model's rows cannot be laid end to end; None if they can.
    TrainError if there is nothing to train on. Whether to go on where memory or time do not suffice is for
    `refusal` to say.
    """
    if not len(lengths.training):
        raise TrainError(
            "There is no example left to train on: lower data.held_out_fraction or add examples."
        )

    def make(spec: RunSpec, lengths: Lengths) -> Plan:
        return _Making(spec, shape, lengths, device, why_padded, added_tokens).plan()

    made = make(spec, lengths)
    if made.verdict == "fits":
        return made
    return dataclasses.replace(made, changes=tuple(_changes(spec, lengths, device, made, make)))


def refusal(planned: Plan, spec: RunSpec) -> TrainError | None:
    """Why the run should not begin: it will not fit, by any doubt, or takes hours on a processor that nobody asked for.

    Where the estimate of time is too near an hour to decide, the plan's `time_is_open` leaves it to the dry step.
    """
    limit = planned.memory_limit
    if planned.memory.peak > SURE * limit:
        helps = "; ".join(f"{each.setting} {_plain(each.value)}" for each in planned.changes if each.fits)
        helps = f"What would make it fit: {helps}" if helps else "Take a smaller model.base"
        return TrainError(
            f"Training needs about {planned.memory.needed / GB:.1f} GB of memory, and {limit / GB:.1f} GB are there. "
            f"{helps}. A higher compute.memory_gb would have it tried all the same."
        )
    if planned.device == "cpu" and planned.seconds > FAR * HOUR and not spec.compute.force_cpu:
        return takes_hours(planned, planned.seconds, "")
    return None


def takes_hours(planned: Plan, seconds: float, how_known: str) -> TrainError:
    """`how_known`, where it is more than an estimate, follows the time."""
    step = planned.seconds_per_step * seconds / planned.seconds
    return TrainError(
        f"Without a GPU this training takes about {spoken(seconds)}{how_known} ({planned.total_steps:,} steps of "
        f"{step:.1f} s). Allow it with --force-cpu (compute.force_cpu), or take a smaller "
        "model.base, fewer steps (train.max_steps, train.epochs), or a computer with a GPU."
    )


def spoken(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 05`, `4 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f}"
    return f"{seconds / 86400:.0f} days"


@dataclass(frozen=True)
class _Fit:
    """One way to compute the steps, and what it takes."""

    way: Way
    tokens_at_once: int
    micro_batch_size: int
    steps: speed.Steps
    memory: Memory


class _Making:
    """The choices of one plan, each with its reason as it is made."""

    def __init__(
        self,
        spec: RunSpec,
        shape: ModelShape,
        lengths: Lengths,
        device: DeviceFacts,
        why_padded: str | None,
        added_tokens: int,
    ) -> None:
        self.spec, self.shape, self.lengths, self.device = spec, shape, lengths, device
        self.why_padded, self.added_tokens = why_padded, added_tokens
        self.choices: list[Choice] = []
        self.warnings: list[str] = []
        self.limit = device.free
        if spec.compute.memory_gb:
            self.limit = int(spec.compute.memory_gb * GB)
        beside = spec.compute.processes // spec.compute.machines
        if device.kind == "cpu" and beside > 1:
            self._share_the_processor(beside)
        self.adapter = spec.method.kind != "full"

    def _share_the_processor(self, processes: int) -> None:
        """Memory and cores are there once, however many processes there are; all else is planned for one of them."""
        device = self.device
        self.limit //= processes
        share = min(1.0, device.cores / (device.threads * processes))
        self.device = dataclasses.replace(
            device,
            flops={name: speed * share for name, speed in device.flops.items()},
            bandwidth=device.bandwidth / processes,
            threads=max(1, int(device.threads * share)),
        )
        self._choose(
            "compute.processes",
            processes,
            f"{processes} processes share the processor: each has {self.limit / GB:.1f} GB of memory.",
        )

    def plan(self) -> Plan:
        train = self.spec.train
        batch = self._batch()
        total = self._total(batch)
        bfloat16 = self._bfloat16()
        packing = self._packing()
        fit = self._fit(batch, total, packing, bfloat16)
        rate = self._learning_rate()
        evaluate_every = train.evaluate_every or max(1, total // MEASUREMENTS)
        evaluation = self._evaluation()
        verdict = self._verdict(fit.memory, evaluation)
        step = speed.seconds_of_step(self.shape, fit.way, fit.steps, self.device)
        looks = 1 + total // evaluate_every if len(self.lengths.held_out) else 0
        reading = speed.seconds_of_reading(self.shape, fit.way, self.lengths.held_out, self.device)
        seconds = float(total * step + looks * reading)
        time_is_open = self._time_is_open(seconds)
        if train.early_stopping and not len(self.lengths.held_out):
            self._choose(
                "train.early_stopping",
                train.early_stopping,
                "train.early_stopping has no effect: no example is held out to measure on.",
            )
        disk = memory.disk(self.shape, fit.way, train.save_total_limit)
        if disk > self.device.disk_free:
            self.warnings.append(
                f"Checkpoints and the final model take {disk / GB:.1f} GB, and {self.device.disk_free / GB:.1f} GB are "
                "free there: make room, or lower train.save_total_limit."
            )
        return Plan(
            examples=len(self.lengths.training),
            held_out=len(self.lengths.held_out),
            batch_size=batch,
            packing=packing,
            tokens_at_once=fit.tokens_at_once,
            micro_batch_size=fit.micro_batch_size,
            accumulation=math.ceil(fit.steps.micro_batches),
            total_steps=total,
            warmup_steps=round(total * train.warmup_fraction),
            evaluate_every=evaluate_every,
            learning_rate=rate,
            bfloat16=bfloat16,
            weights=fit.way.weights,
            quantization="nf4" if fit.way.weights == "4bit" else "",
            attention="per_document" if packing else "eager" if self.shape.sinks else "sdpa",
            gradient_checkpointing=fit.way.checkpointing,
            optimizer=fit.way.optimizer,
            workers=self.spec.compute.workers or 0,
            threads=self._threads(),
            device=self.device.kind,
            largest=fit.steps.largest,
            memory=fit.memory,
            evaluation_memory=evaluation,
            memory_limit=self.limit,
            disk_bytes=disk,
            disk_free=self.device.disk_free,
            seconds_per_step=float(step),
            seconds_of_largest=float(speed.seconds_of_largest(self.shape, fit.way, fit.steps, self.device)),
            seconds=seconds,
            time_is_open=time_is_open,
            verdict=verdict,
            choices=tuple(self.choices),
            warnings=tuple(self.warnings),
        )

    def _choose(self, setting: str, value: Any, reason: str) -> None:
        self.choices.append(Choice(setting, value, reason))

    def _batch(self) -> int:
        asked, examples = self.spec.train.batch_size, len(self.lengths.training)
        if asked > examples:
            self._choose(
                "train.batch_size",
                examples,
                f"A step takes {examples} examples, not {asked}: there are no more of them.",
            )
        return min(asked, examples)

    def _total(self, batch: int) -> int:
        train = self.spec.train
        of_epoch = math.ceil(len(self.lengths.training) / batch)
        return train.max_steps or max(1, math.ceil(train.epochs * of_epoch))

    def _bfloat16(self) -> bool:
        asked, fast = self.spec.train.precision, self.device.bfloat16_is_fast
        if asked != "auto":
            return asked == "bfloat16"
        what = "GPU" if self.device.kind == "cuda" else "processor"
        self._choose(
            "train.precision",
            "bfloat16" if fast else "float32",
            f"Products are computed in bfloat16, which this {what} has."
            if fast
            else f"Products are computed in float32: this {what} has no fast bfloat16.",
        )
        return fast

    def _packing(self) -> bool:
        asked = self.spec.train.packing
        if asked is False:
            return False
        if self.why_padded:
            self._choose("train.packing", False, f"Rows are padded because {self.why_padded}.")
            return False
        if asked is None:
            self._choose(
                "train.packing", True, "Rows are laid end to end, each seeing itself alone: no padding."
            )
        return True

    def _learning_rate(self) -> float:
        kind, rate = self.spec.method.kind, self.spec.train.learning_rate
        if rate is None:
            rate, reason = learning_rate(self.spec.method, self.shape.parameters)
            self._choose("train.learning_rate", rate, reason)
            return rate
        low, high = USUAL_RATES["adapter" if self.adapter else "full"]
        if not low <= rate <= high:
            what = (
                "nothing would be left of what the model knows"
                if rate > high
                else "next to nothing would be learnt"
            )
            self.warnings.append(
                f"train.learning_rate {rate:g} is far from what is usual for {kind} ({low:g} to {high:g}): {what}."
            )
        return rate

    def _weights(self, bfloat16: bool) -> str:
        """The format in which the base is held: as core.train.model.training_dtype has it."""
        if self.spec.method.kind == "qlora":
            return "4bit"
        large = self.shape.parameters >= LARGE
        return "bfloat16" if self.adapter and bfloat16 and large else "float32"

    def _fit(self, batch: int, total: int, packing: bool, bfloat16: bool) -> _Fit:
        """The first that fits with room to spare of the ways to compute the steps, from the fastest on; else the first
        that fits, else the smallest."""
        tight = last = None
        for fit in self._ways(batch, total, packing, bfloat16):
            last = fit
            if fit.memory.needed <= TIGHT * self.limit:
                tight = fit
                break
            if tight is None and fit.memory.needed <= self.limit:
                tight = fit
        found = tight or last
        assert found  # there is always a way
        self._explain(found, batch)
        return found

    def _ways(self, batch: int, total: int, packing: bool, bfloat16: bool) -> Iterator[_Fit]:
        train = self.spec.train
        asked = train.gradient_checkpointing
        optimizers = (train.optimizer,) if train.optimizer else ("adamw",)
        if not train.optimizer and self.device.eight_bit and not self.adapter:
            optimizers = ("adamw", "adamw_8bit")
        least = LEAST[self.device.kind]
        tries = [
            (False, least, optimizers[0]),
            (True, least, optimizers[0]),
            (True, 1, optimizers[0]),
            (True, 1, optimizers[-1]),
        ]
        if asked is not None:
            tries = [(asked, least, optimizers[0]), (asked, 1, optimizers[0]), (asked, 1, optimizers[-1])]
        for checkpointing, fewest, optimizer in tries:
            way = Way(
                method=self.spec.method.kind,
                rank=self.spec.method.rank,
                targets=self.spec.method.target_modules,
                weights=self._weights(bfloat16),
                compute="bfloat16" if bfloat16 else "float32",
                optimizer=optimizer,
                checkpointing=checkpointing,
                packing=packing,
                fused_attention=packing or not self.shape.sinks,
                added_tokens=self.added_tokens,
                sharded=1 if self.spec.compute.strategy == "ddp" else self.spec.compute.processes,
            )
            yield from self._sizes(way, batch, total, fewest)

    def _sizes(self, way: Way, batch: int, total: int, least: int) -> Iterator[_Fit]:
        """From the largest micro-batches to the smallest that are worth while."""
        longest = self.lengths.longest
        at_once = max(MOST[self.device.kind], longest)
        seen = None
        while True:
            micro = min(self.spec.train.micro_batch_size or batch, batch)
            found = speed.steps(
                self.lengths.training,
                self.lengths.share_trained,
                batch,
                total,
                way.packing,
                at_once,
                micro,
                self.spec.train.seed,
                self.spec.data.order != "shuffled",
                self.spec.compute.processes,
            )
            if found.largest != seen:
                yield _Fit(way, at_once, micro, found, self._memory(way, found))
                seen = found.largest
            if at_once <= max(least, longest):
                return
            at_once = max(at_once // 2, least, longest)

    def _memory(self, way: Way, found: speed.Steps) -> Memory:
        return memory.training(
            self.shape,
            way,
            found.largest,
            self.lengths.longest,
            math.ceil(found.largest * self.lengths.share_trained),
            found.micro_batches > 1,
            self.device.process,
            self.device.kind,
            found.sizes,
            found.lengths,
        )

    def _evaluation(self) -> Memory:
        way = Way(method=self.spec.method.kind)
        longest = int(max(self.lengths.held_out.max(initial=1), 1))
        tokens = max(2048, longest)
        trained = math.ceil(tokens * self.lengths.share_trained)
        kind, process = self.device.kind, self.device.process
        made = memory.evaluation(self.shape, way, tokens, trained, process, kind)
        if way.method == "qlora" and 1.25 * made.weights > self.limit:  # as core.train.model.open_pair has it
            way = dataclasses.replace(way, weights="4bit")
            made = memory.evaluation(self.shape, way, tokens, trained, process, kind)
        return made

    def _explain(self, fit: _Fit, batch: int) -> None:
        train, way = self.spec.train, fit.way
        parts = math.ceil(fit.steps.micro_batches)
        if parts > 1 and train.micro_batch_size is None:
            self._choose(
                "train.micro_batch_size",
                fit.micro_batch_size,
                f"Each step of {batch} examples is computed in about {parts} parts of at most {fit.tokens_at_once:,} "
                "tokens; it is the same step.",
            )
        if way.checkpointing and train.gradient_checkpointing is None:
            self._choose(
                "train.gradient_checkpointing",
                True,
                "Activations are computed again on the way back, since they do not fit: about a third more time.",
            )
        if way.weights == "bfloat16":
            self._choose(
                "model",
                "bfloat16",
                "The frozen weights are held in bfloat16: half the memory, same products.",
            )
        if way.weights == "4bit":
            self._choose("model", "nf4", "The frozen weights are held in 4 bits (NF4).")
        if way.optimizer == "adamw_8bit" and train.optimizer is None:
            self._choose(
                "train.optimizer", "adamw_8bit", "AdamW keeps its state in 8 bits, since 32 do not fit."
            )

    def _threads(self) -> int:
        asked = self.spec.compute.threads
        if not asked and self.device.kind == "cpu":
            self._choose(
                "compute.threads",
                self.device.threads,
                f"{self.device.threads} threads compute, one for each physical core that is ours."
                if self.device.threads > 1
                else "One thread computes.",
            )
        return asked or self.device.threads

    def _time_is_open(self, seconds: float) -> bool:
        if self.device.kind != "cpu" or self.spec.compute.force_cpu or not HOUR / FAR < seconds <= FAR * HOUR:
            return False
        if seconds > HOUR:
            self.warnings.append(
                f"Without a GPU this training takes about {spoken(seconds)} by an estimate. One part of a step is tried "
                "before it begins; if that says more than an hour too, it begins only with --force-cpu (compute.force_cpu)."
            )
        return True

    def _verdict(self, training: Memory, evaluation: Memory) -> Verdict:
        peak = max(training.peak, evaluation.peak)
        needed = max(training.needed, evaluation.needed)
        if needed <= TIGHT * self.limit:
            return "fits"
        if peak <= self.limit:
            return "tight"
        if training.peak <= SURE * self.limit:  # beyond that it is refused in a sentence of its own
            self.warnings.append(
                f"About {needed / GB:.1f} GB of memory are needed, and {self.limit / GB:.1f} GB are there."
            )
        return "does not fit"


def _changes(
    spec: RunSpec,
    lengths: Lengths,
    device: DeviceFacts,
    made: Plan,
    make: Callable[[RunSpec, Lengths], Plan],
) -> Iterator[Change]:
    """What would make it need less than what was `made`, from the least harmful on; each by itself."""
    before = max(made.memory.needed, made.evaluation_memory.needed)
    for setting, value, cost in _ideas(spec, lengths, device, made):
        section, name = setting.split(".")
        other = RunSpec.from_dict(merge(spec.model_dump(mode="json"), {section: {name: value}}))
        short = lengths
        if setting == "train.max_length":
            short = Lengths(
                np.minimum(lengths.training, value), np.minimum(lengths.held_out, value), lengths.trained
            )
        then = make(other, short)
        needed = max(then.memory.needed, then.evaluation_memory.needed)
        if needed < before * 0.99:
            yield Change(setting, value, before - needed, then.verdict == "fits", cost)


def _ideas(
    spec: RunSpec, lengths: Lengths, device: DeviceFacts, made: Plan
) -> Iterator[tuple[str, Any, str]]:
    train, kind = spec.train, spec.method.kind
    if train.micro_batch_size and train.micro_batch_size > 1:
        yield "train.micro_batch_size", 1, "a little slower, the same steps"
    if not made.gradient_checkpointing:
        yield "train.gradient_checkpointing", True, "about a third more time"
    if train.precision == "float32" and device.bfloat16_is_fast:
        yield "train.precision", "bfloat16", "coarser products, usually without effect"
    if made.optimizer == "adamw" and kind == "full":
        if device.eight_bit:
            yield "train.optimizer", "adamw_8bit", "usually the same result"
        yield "train.optimizer", "adafactor", "another optimizer: the learning rate may have to change"
    if kind == "full":
        yield "method.kind", "lora", "only matrices beside the frozen weights are trained"
    if kind != "qlora" and device.kind == "cuda":
        yield "method.kind", "qlora", "the frozen weights are held in 4 bits: a little less exact, slower"
    length = 2 ** int(math.log2(max(lengths.longest - 1, 16)))
    while length >= 256:
        cut = int((lengths.training > length).sum())
        yield "train.max_length", length, f"{cut:,} of {len(lengths.training):,} examples are cut"
        length //= 2


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
