"""Every setting of a run, declared once: YAML, flags, web form, help and checks are all made from this file.

python -m core train --help
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.errors import SpecError


class Section(BaseModel):
    """Settings that belong together. Frozen; a name that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# One name may stand without brackets in YAML.
Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


class ModelSettings(Section):
    base: str = Field(
        "fable",
        description="The model to start from: `fable` (embedded, 7M parameters, for trying things out), "
        "a model on the Hugging Face Hub (owner/name) or a local folder.",
    )
    revision: str | None = Field(None, description="Branch, tag or commit of a model on the Hub.")
    tokenizer: str | None = Field(
        None,
        description="Another tokenizer than the base's own: a SentencePiece .model file, a folder or a Hub id. "
        "Its size must fit the model's embedding.",
    )


class DataSettings(Section):
    files: Names = Field(
        (),
        description="Examples to learn from, as .jsonl; `sample:fables-en` and `sample:fables-fr` are built in.",
    )
    held_out_files: Names = Field(
        (), description="Examples to measure on; when given, nothing is held out of `files`."
    )
    held_out_fraction: float = Field(
        0.1, ge=0.0, le=0.5, description="Share of the examples kept back to measure the held-out loss on."
    )
    seed: int = Field(
        42, ge=0, lt=2**32, description="Seed of the split into training and held-out examples."
    )


class TemplateSettings(Section):
    kind: Literal["chatml"] = Field("chatml", description="How a conversation is written as text.")
    system: str | None = Field(
        None, description="System prompt for examples that have none, in training and in chat."
    )


class MethodSettings(Section):
    kind: Literal["lora", "full"] = Field(
        "lora", description="What is trained: small added matrices (lora) or every weight (full)."
    )
    rank: int = Field(16, ge=1, le=512, description="Width of the added matrices; not used by full.")
    alpha: float | None = Field(
        None, gt=0, le=4096, description="Scale of the added matrices; twice the rank unless given."
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Dropout in the added matrices; not used by full."
    )
    target_modules: Names = Field(
        (), description="Layers that get added matrices, by name; all linear ones unless given."
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
        description="Peak learning rate, after warmup; 2e-4 for lora and 2e-5 for full unless given.",
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
        description="Examples computed at once; must divide the batch size. Chosen by the plan unless given.",
    )
    max_length: int = Field(1024, ge=16, le=1048576, description="Longest example, in tokens.")
    overlong: Literal["cut", "skip"] = Field(
        "cut",
        description="What happens to longer examples: the end is cut off, or the example is left out. Both are counted.",
    )
    packing: bool = Field(False, description="Fill each row of a batch with several short examples.")
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="Number format of the computation; auto is bfloat16 where the processor has it."
    )
    gradient_checkpointing: bool = Field(
        False, description="Less memory for activations, about a third more time."
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


class EvaluateSettings(Section):
    after_training: bool = Field(
        True, description="Score base and tuned model on the held-out examples when training ends."
    )
    answers: int = Field(
        32,
        ge=0,
        le=10000,
        description="Held-out examples that both models answer, for exact match and ROUGE-L.",
    )
    max_new_tokens: int = Field(128, ge=1, le=32768, description="Longest answer, in tokens.")
    prompts: Names = Field((), description="Questions of your own that both models answer after training.")


class PublishSettings(Section):
    to: str | None = Field(None, description="Repository on the Hub (owner/name) to publish to.")
    what: Literal["adapter", "merged"] = Field(
        "adapter", description="The small adapter alone, or the whole model with the adapter merged in."
    )
    private: bool = Field(True, description="Whether a new repository is private.")


class ComputeSettings(Section):
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU if there is one."
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; all physical cores unless given."
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
        if micro and batch % micro:
            raise SpecError(
                f"train.micro_batch_size ({micro}) does not divide train.batch_size ({batch}); "
                f"try {max(d for d in range(1, micro + 1) if batch % d == 0)}."
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


def _sentence(error: dict[str, Any], spec: type[Section]) -> str:
    path = ".".join(str(part) for part in error["loc"][:2])
    if error["type"] == "extra_forbidden":
        known = [*spec.model_fields, *settings(spec)]
        near = difflib.get_close_matches(path, known, n=1)
        return f"There is no setting {path!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    if error["type"] == "model_type":
        return f"{path} must hold settings by name, not {error['input']!r}."
    given = error.get("input")
    choices = error.get("ctx", {}).get("expected", "")
    near = difflib.get_close_matches(
        str(given), [c.strip("'") for c in choices.replace(" or ", ", ").split(", ")], n=1
    )
    problem = error["msg"][0].lower() + error["msg"][1:]
    return f"{path} is {given!r}: {problem}." + (f" Did you mean {near[0]!r}?" if near else "")
