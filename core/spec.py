"""Every setting of a run, declared once: YAML, flags, web form, help and checks are all made from this file.

python -m core train --help
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from core.errors import SpecError


class Section(BaseModel):
    """Settings that belong together. Frozen; a name that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# One name may stand without brackets in YAML.
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


Numbers = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1e6)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, int | float) else value),
]


def _pairs(value: Any) -> Any:
    """`question=QUESTIONS` for each column, as a form writes them, is a mapping, too."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) and "=" in each for each in value):
        return dict((part.strip() for part in each.split("=", 1)) for each in value)
    return value


class ColumnSettings(Section):
    """What the columns of a table mean, each by its name."""

    question: str | None = Field(None, description="Column of the questions.")
    answer: str | None = Field(None, description="Column of the answers.")
    context: str | None = Field(None, description="Column of a text that belongs to the question.")
    system: str | None = Field(None, description="Column of system prompts.")
    messages: str | None = Field(None, description="Column of whole conversations.")
    text: str | None = Field(None, description="Column of texts that are learned from beginning to end.")
    difficulty: str | None = Field(None, description="Column of numbers that a curriculum goes by.")


class TokenizerContract(Section):
    """What a tokenizer must be; only what is given is held against it."""

    kind: Literal["sentencepiece", "bpe", "unigram"] | None = Field(
        None,
        description="`bpe` or `unigram`, its algorithm; or `sentencepiece`, either of them with spaces written as ▁.",
    )
    vocabulary_size: int | None = Field(
        None, ge=1, description="Pieces in the vocabulary, without tokens that were added to it."
    )
    pad_id: int | None = Field(None, ge=0, description="Id of the padding token.")
    unk_id: int | None = Field(None, ge=0, description="Id of the unknown token.")
    bos_id: int | None = Field(None, ge=0, description="Id of the token that begins a text.")
    eos_id: int | None = Field(None, ge=0, description="Id of the token that ends a text.")


LONGEST_SAID = 200  # characters of a value in a sentence
CONTRACTS = {
    "sp32k": TokenizerContract(
        kind="sentencepiece", vocabulary_size=32_000, pad_id=0, unk_id=1, bos_id=2, eos_id=3
    ),
}


def _contract(value: Any) -> Any:
    """A contract's short name stands for the contract."""
    if isinstance(value, str) and value not in CONTRACTS:
        raise PydanticCustomError(
            "contract", f"must be {' or '.join(CONTRACTS)}, or hold what is wanted by name, such as pad_id"
        )
    return CONTRACTS[value] if isinstance(value, str) else value


class ModelSettings(Section):
    base: str = Field(
        "fable",
        description="The model to start from: `fable` (embedded, 7M parameters, for trying things out), "
        "a short name such as qwen3:0.6b (`atelier models` lists them), a model on the Hugging Face Hub (owner/name) or a "
        "local folder.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a model on the Hub.")
    tokenizer: str | None = Field(
        None,
        description="Another tokenizer than the base's own: a SentencePiece .model file, a folder or a Hub id. "
        "Its size must fit the model's embedding.",
    )
    tokenizer_contract: Annotated[TokenizerContract | None, BeforeValidator(_contract)] = Field(
        None,
        description="What the tokenizer must be, or the run is refused: `sp32k` (SentencePiece, 32,000 pieces, pad 0, "
        "unk 1, bos 2, eos 3), or any of kind, vocabulary_size, pad_id, unk_id, bos_id and eos_id.",
    )


class DataSettings(Section):
    files: Names = Field(
        (),
        description="Examples to learn from: files of any kind, folders, data sets on the Hub (owner/name); "
        "`sample:fables-en` and `sample:fables-fr` are built in.",
    )
    held_out_files: Names = Field(
        (), description="Examples to measure on; when given, nothing is held out of `files`."
    )
    held_out_fraction: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="Share of the examples of each data set kept back to measure the held-out loss on.",
    )
    seed: int = Field(
        42,
        ge=0,
        lt=2**32,
        description="Seed of the split into training and held-out examples, and of the mix.",
    )
    columns: Annotated[ColumnSettings, BeforeValidator(_pairs)] = Field(
        ColumnSettings(),
        description="What columns of your own mean, such as question=QUESTIONS and answer=ANSWERS; also context, system, "
        "messages, text and difficulty.",
    )
    paths: Literal["best", "every"] = Field(
        "best",
        description="Of trees of conversations: the path of the best ranked replies, or every path.",
    )
    drop: Names = Field(
        (),
        description="Codes of warnings, such as duplicate or refusal, whose examples are left out.",
    )
    weights: Numbers = Field(
        (),
        description="How much each of `files` weighs in the mix; some of its examples are then left out or come "
        "several times. As they are unless given.",
    )
    mix: Literal["tiny", "small", "base"] | None = Field(
        None, description="Recommended weights for dolly, oasst1 and alpaca, by the size of the model."
    )
    examples: int | None = Field(
        None, ge=1, description="Examples of the whole mix in an epoch; as many as there are unless given."
    )
    order: Literal["shuffled", "length", "difficulty"] = Field(
        "shuffled",
        description="Order of training: shuffled anew in every epoch, or a curriculum from short to long, or from low "
        "to high values in data.columns.difficulty.",
    )
    stages: int = Field(
        4, ge=1, le=1000, description="Stages of a curriculum, within each of which it is shuffled."
    )
    against: Names = Field(
        (), description="Files whose questions must not be trained on, such as a test set of your own."
    )


class TemplateSettings(Section):
    kind: Literal["auto", "chatml", "instruct", "plain", "own"] = Field(
        "auto",
        description="How a conversation is written as text: chatml, instruct (### Instruction, ### Response), plain "
        "(nothing but the texts), or own, the base's chat template; auto is own where that can be used without doubt, "
        "else chatml.",
    )
    system: str | None = Field(
        None, description="System prompt for examples that have none, in training and in chat."
    )


class MethodSettings(Section):
    kind: Literal["full", "lora", "qlora", "dora", "rslora", "pissa"] = Field(
        "lora",
        description="What is trained: every weight (full), or small matrices beside the frozen ones: lora; qlora, over a "
        "base held in 4 bits; dora, with a trained length for each row; rslora, whose scale suits high ranks; pissa, which "
        "begins at the base's own principal directions.",
    )
    rank: int = Field(16, ge=1, le=512, description="Width of the added matrices; not used by full.")
    alpha: float | None = Field(
        None,
        gt=0,
        le=4096,
        description="Scale of the added matrices; chosen by method and rank unless given.",
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Dropout in the added matrices; not used by full."
    )
    target_modules: Names = Field(
        (),
        description="Layers that get added matrices, by name, or all-linear; all linear ones, those of experts among "
        "them, unless given.",
    )


class TrainSettings(Section):
    epochs: float = Field(3.0, gt=0, le=1000, description="Passes over the training examples.")
    max_steps: int | None = Field(
        None, ge=1, description="Ends the run after this many steps, whatever the epochs say."
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Peak learning rate, after warmup; chosen by method and rank unless given.",
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="How the learning rate falls after warmup."
    )
    warmup_fraction: float = Field(
        0.05, ge=0.0, le=0.5, description="Share of the steps in which it rises from zero."
    )
    weight_decay: float = Field(0.0, ge=0.0, le=1.0, description="AdamW's weight decay.")
    max_gradient_norm: float = Field(
        1.0, gt=0, description="Gradients longer than this are scaled down to it."
    )
    batch_size: int = Field(16, ge=1, le=65536, description="Examples per optimizer step, over all devices.")
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Most examples computed at once; a batch is computed in as many parts as that takes. Chosen by the "
        "plan unless given.",
    )
    max_length: int = Field(1024, ge=16, le=1048576, description="Longest example, in tokens.")
    overlong: Literal["cut", "skip"] = Field(
        "cut",
        description="What happens to longer examples: the end is cut off, or the example is left out. Both are counted.",
    )
    packing: bool | None = Field(
        None,
        description="Lay examples end to end, without padding, each seeing itself alone; a step takes batch_size examples "
        "either way. Done where the model allows it unless given.",
    )
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="Number format of the computation; auto is bfloat16 where the processor has it."
    )
    gradient_checkpointing: bool | None = Field(
        None,
        description="Less memory for activations, about a third more time. Only where memory asks for it unless given.",
    )
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] | None = Field(
        None,
        description="adamw; adamw_8bit, with a quarter of its memory (bitsandbytes); or adafactor, with nearly none. "
        "Chosen by the plan unless given.",
    )
    evaluate_every: int | None = Field(
        None,
        ge=1,
        description="Steps between measurements of the held-out loss, each with a checkpoint; ten a run unless given.",
    )
    early_stopping: int | None = Field(
        None,
        ge=1,
        description="Ends the run when the held-out loss has not fallen for this many measurements.",
    )
    save_total_limit: int = Field(
        2, ge=1, description="Checkpoints kept, the latest and the best among them."
    )
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of the order of examples, dropout and added matrices."
    )

    report_to: Annotated[
        tuple[Literal["tensorboard", "trackio", "wandb"], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    ] = Field(
        (), description="Also send the curves to tensorboard, trackio or wandb, which must be installed."
    )


class EvaluateSettings(Section):
    after_training: bool = Field(
        True, description="Score base and tuned model on the held-out examples when training ends."
    )
    answers: int = Field(
        32,
        ge=0,
        le=10000,
        description="Held-out examples that both models answer, for the scores of texts.",
    )
    max_new_tokens: int = Field(128, ge=1, le=32768, description="Longest answer, in tokens.")
    tasks: Names = Field(
        ("held-out", "general"),
        description="What is scored: tasks by name (see `atelier evaluate --list`), or files: a task's .yaml, examples in "
        ".jsonl.",
    )
    max_samples: int | None = Field(
        None, ge=1, description="Most rows of each task, evenly spread over it; all of them unless given."
    )
    shots: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Solved examples shown before each question; the task's own number unless given.",
    )
    prompts: Names = Field(
        (),
        description="Questions of your own, answered at each measurement of the held-out loss, and by both models after "
        "training.",
    )


class PublishSettings(Section):
    to: str | None = Field(None, description="Repository on the Hub (owner/name) to publish to.")
    what: Literal["adapter", "merged", "gguf"] = Field(
        "adapter",
        description="The small adapter alone, the whole model with the adapter merged in, or that as GGUF files, for llama.cpp "
        "and Ollama.",
    )
    private: bool = Field(True, description="Whether a new repository is private.")
    branch: str | None = Field(None, description="Branch of the repository to publish to; main unless given.")
    pull_request: bool = Field(False, description="Publish as a pull request instead of a commit.")
    quantization: Names = Field(
        ("q8_0",),
        min_length=1,
        description="Number formats of the GGUF files: f16, bf16, q8_0, and what else `atelier export` lists.",
    )
    checkpoints: bool = Field(
        False, description="Also push each checkpoint as it lands, to the repository's branch `checkpoints`."
    )
    license: str | None = Field(
        None,
        description="Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...",
    )


class ComputeSettings(Section):
    where: Literal["here", "hf-jobs"] = Field(
        "here", description="This machine, or the Hub's machines, by HF Jobs, paid by the minute."
    )
    flavor: str | None = Field(
        None,
        description="Machine of HF Jobs: cpu-basic, t4-small, a10g-small, ...; `atelier remote flavors` lists them.",
    )
    timeout: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+)?[smhd]?$",
        description="When HF Jobs ends the work, whatever is done: 90m, 6h; from the estimate unless given.",
    )
    namespace: str | None = Field(
        None, description="User or organization that HF Jobs bills; the token's owner unless given."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU if there is one."
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; all physical cores unless given."
    )
    processes: int = Field(
        1,
        ge=1,
        le=1024,
        description="Processes that share each batch, on all machines together: one for each GPU, or parts of a processor.",
    )
    machines: int = Field(
        1, ge=1, le=256, description="Machines that share the processes, equally many on each."
    )
    strategy: Literal["ddp", "fsdp", "deepspeed"] = Field(
        "ddp",
        description="What several processes share: the batch (ddp), or weights, gradients and optimizer too (fsdp, "
        "deepspeed).",
    )
    workers: int | None = Field(
        None, ge=0, le=64, description="Processes that read examples ahead; chosen by the plan unless given."
    )
    memory_gb: float | None = Field(
        None, gt=0, le=100_000, description="Use no more memory of the device than this, in GB (1e9 bytes)."
    )
    force_cpu: bool = Field(
        False, description="Train without a GPU even if the plan says that it takes more than an hour."
    )


class RunSpec(Section):
    """A run's settings. Two equal specs on equal data and equal software give equal runs."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    template: TemplateSettings = Field(default_factory=TemplateSettings)
    method: MethodSettings = Field(default_factory=MethodSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)
    publish: PublishSettings = Field(default_factory=PublishSettings)
    compute: ComputeSettings = Field(default_factory=ComputeSettings)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunSpec":
        """The spec that nested plain values describe; SpecError in one sentence for each thing that is wrong."""
        try:
            spec = cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(sentences(error, cls)) from None
        spec._check()
        return spec

    @classmethod
    def load(cls, path: Path) -> "RunSpec":
        return cls.from_dict(read_yaml(path))

    def save(self, path: Path) -> None:
        path.write_text(
            yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True), "utf-8"
        )

    def _check(self) -> None:
        """Rules that join two settings; each says which one to change."""
        micro, batch = self.train.micro_batch_size, self.train.batch_size
        if micro and micro > batch:
            raise SpecError(
                f"train.micro_batch_size ({micro}) is more than train.batch_size ({batch}), of which it is a part."
            )
        if batch < self.compute.processes:
            raise SpecError(
                f"train.batch_size ({batch}) holds no example for some of compute.processes ({self.compute.processes}): "
                "raise it, or take fewer processes."
            )
        if self.data.weights and len(self.data.weights) != len(self.data.files):
            raise SpecError(
                f"data.weights has {len(self.data.weights)} numbers for {len(self.data.files)} data.files: give one for each."
            )
        if self.data.weights and self.data.mix:
            raise SpecError(
                "data.weights and data.mix both say how much of each file is used: give one of them."
            )
        if self.publish.what == "adapter" and self.method.kind == "full" and self.publish.to:
            raise SpecError("method.kind full makes no adapter: set publish.what to merged.")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; SpecError if there is none. An empty file is an empty mapping."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SpecError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"The settings file {path} is not YAML: {str(error).splitlines()[0]}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SpecError(
            f"The settings file {path} must hold sections such as `train:`, not {type(values).__name__}."
        )
    return values


def settings(spec: type[Section] = RunSpec) -> dict[str, Any]:
    """Every setting by its path, in order of declaration: {"train.epochs": FieldInfo, ...}."""
    return {
        f"{section}.{name}": info
        for section, outer in spec.model_fields.items()
        for name, info in outer.annotation.model_fields.items()
    }


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested settings, later layers over earlier ones. Values are replaced whole, also lists."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            if isinstance(values, dict) and isinstance(merged.get(section), dict):
                merged[section] = merged[section] | values
            else:
                merged[section] = merged.get(section, {}) if values is None else values
    return merged


def sentences(error: ValidationError, spec: type[Section] = RunSpec) -> str:
    """What pydantic found, said for the person who set the values: one sentence for each."""
    return " ".join(_sentence(each, spec) for each in error.errors())


def _nested(spec: type[Section]) -> list[str]:
    """The settings that are sections themselves, with what they hold: data.columns.question, ..."""
    sections = {
        path: each
        for path, info in settings(spec).items()
        for each in (info.annotation, *get_args(info.annotation))
        if isinstance(each, type) and issubclass(each, Section)
    }
    return [f"{path}.{name}" for path, section in sections.items() for name in section.model_fields]


def _sentence(error: dict[str, Any], spec: type[Section]) -> str:
    path = ".".join(part for part in error["loc"][:3] if isinstance(part, str))
    if error["type"] == "extra_forbidden":
        known = [*spec.model_fields, *settings(spec), *_nested(spec)]
        near = difflib.get_close_matches(path, known, n=1)
        return f"There is no setting {_given(path)}." + (f" Did you mean {near[0]!r}?" if near else "")
    if error["type"] == "model_type":
        return f"{path} must hold settings by name, not {_given(error['input'])}."
    given = error.get("input")
    choices = error.get("ctx", {}).get("expected", "")
    near = difflib.get_close_matches(
        str(given)[:LONGEST_SAID], [c.strip("'") for c in choices.replace(" or ", ", ").split(", ")], n=1
    )
    problem = error["msg"][0].lower() + error["msg"][1:]
    return f"{path} is {_given(given)}: {problem}." + (f" Did you mean {near[0]!r}?" if near else "")


def _given(value: Any) -> str:
    """A value as it was written, as much of it as belongs in a sentence."""
    written = repr(value)
    return written if len(written) <= LONGEST_SAID else f"{written[:LONGEST_SAID]}…"
