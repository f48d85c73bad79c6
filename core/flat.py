"""Settings in the field's flat keys, as people bring them from TRL's scripts, LLaMA-Factory, Axolotl and Unsloth, taken
for ours: each is translated, left out for a reason that is said, or refused with what to do instead.

    lora_r: 8                                        lora_r: 8 -> method.rank: 8
    batch_size: 4                                    batch_size: 4 x gradient_accumulation_steps: 8
    gradient_accumulation_steps: 8                       -> train.batch_size: 32
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import SpecError
from core.spec import RunSpec, settings

Value = Any


@dataclass(frozen=True)
class Translated:
    """Nested settings, and a line for each flat key: what it was taken for."""

    values: dict[str, Any]
    remarks: tuple[str, ...]


class RefusedError(Exception):
    """A value that has no place here; the message is the second half of the sentence."""


@dataclass(frozen=True)
class To:
    """A key that stands for one setting; `convert` gives its value, None for nothing, or raises RefusedError."""

    path: str
    convert: Callable[[Value], Value] = lambda value: value


@dataclass(frozen=True)
class Unused:
    """A key that changes nothing here, and why. Unless it has one of the values in `wanted`, it is refused."""

    why: str
    wanted: tuple[Value, ...] | None = None


def nested(values: dict[str, Any], source: str) -> Translated:
    """The same settings by our names; `source` names the file in errors.

    SpecError if a key is nobody's, if one cannot be followed, or if two say different things.
    """
    flat = {
        key: value
        for key, value in values.items()
        if key not in RunSpec.model_fields or (_plain(key) in KEYS and isinstance(value, str))
    }
    if not flat:
        return Translated(values, ())
    taken = _Taken(source, {key: value for key, value in values.items() if key not in flat})
    given: dict[str, tuple[str, Value]] = {}
    unknown: list[str] = []
    for key, value in flat.items():
        name = _plain(key)
        if name not in KEYS and name not in TOGETHER and name not in settings():
            if isinstance(value, dict):
                taken.values[key] = value  # a section misspelt: the spec says so, with the nearest
                continue
            if value is None:
                continue  # says nothing, whatever it is
            unknown.append(f"there is no setting {key!r}.{_nearest(name)}")
            continue
        if name in given:
            raise SpecError(f"{source}: {given[name][0]} and {key} are the same setting: keep one of them.")
        if value is not None:
            given[name] = (key, value)
    if unknown:
        raise SpecError(f"{source}: {' '.join(unknown)}")
    _batch(taken, given)
    _method(taken, given)
    _measurements(taken, given)
    _warmup(taken, given)
    _precision(taken, given)
    for name, (key, value) in given.items():
        if name not in TOGETHER:
            taken.one(key, value, KEYS.get(name) or To(name))
    return Translated(taken.values, tuple(taken.remarks))


class _Taken:
    """What has been taken so far, and from which keys."""

    def __init__(self, source: str, values: dict[str, Any]) -> None:
        self.source = source
        self.values = {key: dict(each) if isinstance(each, dict) else each for key, each in values.items()}
        self.remarks: list[str] = []
        self._from: dict[str, str] = {}

    def get(self, path: str) -> Value:
        section = self.values
        for part in path.split("."):
            section = section.get(part) if isinstance(section, dict) else None
        return section

    def put(self, path: str, value: Value, said: str) -> None:
        """Set it; SpecError if something else was said of it before."""
        before = self.get(path)
        if before is not None and not _same(before, value):
            other = self._from.get(path, f"{path}: {_shown(before)}")
            raise SpecError(
                f"{self.source} says both {other} and {said}, which would be {path}: {_shown(value)}; keep one of them."
            )
        *sections, name = path.split(".")
        section = self.values
        for part in sections:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section[name] = value
        self._from[path] = said
        self.remarks.append(f"{said} -> {path}: {_shown(value)}")

    def unused(self, said: str, why: str) -> None:
        self.remarks.append(f"{said} -> not used: {why}")

    def one(self, key: str, value: Value, rule: To | Unused) -> None:
        said = f"{key}: {_shown(value)}"
        if isinstance(rule, To):
            try:
                converted = rule.convert(value)
            except RefusedError as refused:
                raise SpecError(f"{self.source}: {said} {refused}") from None
            if converted is None:
                self.unused(said, "it asks for nothing.")
            else:
                self.put(rule.path, converted, said)
        elif rule.wanted is None or _plain_value(value) in rule.wanted:
            self.unused(said, rule.why)
        else:
            raise SpecError(f"{self.source}: {said} cannot be followed: {rule.why} Leave it out.")


# Keys that mean something only together.


def _batch(taken: _Taken, given: dict[str, tuple[str, Value]]) -> None:
    """Examples of a step: those of one part, times its parts, times the processes if it is counted for each."""
    whole = given.get("batch_size")
    part = given.get("per_device_train_batch_size") or given.get("micro_batch_size")
    times = given.get("gradient_accumulation_steps")
    if not whole and not part:
        if times:
            why = "a step takes train.batch_size examples, in as many parts as memory asks for."
            taken.unused(f"{times[0]}: {times[1]}", why)
        return
    if whole and part:  # as Axolotl once had it: both the whole step and its parts
        count = _whole(taken, *part) * (_whole(taken, *times) if times else 1)
        if times and count != _whole(taken, *whole):
            raise SpecError(
                f"{taken.source}: {whole[0]}: {whole[1]} is not {part[0]}: {part[1]} x {times[0]}: {times[1]}; keep two "
                "of the three."
            )
        taken.put("train.batch_size", _whole(taken, *whole), f"{whole[0]}: {whole[1]}")
        taken.put("train.micro_batch_size", _whole(taken, *part), f"{part[0]}: {part[1]}")
        return
    count, said = 1, []
    for each in filter(None, (whole or part, times)):
        count *= _whole(taken, *each)
        said.append(f"{each[0]}: {each[1]}")
    processes = given["num_processes"][1] if "num_processes" in given else taken.get("compute.processes")
    if part and isinstance(processes, int) and processes > 1:
        count *= processes
        said.append(f"compute.processes: {processes}")
    taken.put("train.batch_size", count, " x ".join(said))


def _method(taken: _Taken, given: dict[str, tuple[str, Value]]) -> None:
    """method.kind, from all the keys that say something of it."""
    said: dict[str, str] = {}  # kind -> what says so
    for name, kinds in KINDS.items():
        if name in given:
            key, value = given[name]
            kind = kinds.get(_plain_value(value))
            if kind is None:
                raise SpecError(
                    f"{taken.source}: {key}: {_shown(value)} cannot be followed; method.kind is "
                    "full, lora, qlora, dora, rslora or pissa."
                )
            if kind:
                said.setdefault(kind, f"{key}: {_shown(value)}")
    special = [kind for kind in said if kind not in ("lora", "full")]
    if "full" in said and len(said) > 1:
        other = next(said[kind] for kind in said if kind != "full")
        raise SpecError(f"{taken.source} says both {said['full']} and {other}: keep one of them.")
    if len(special) > 1:
        raise SpecError(
            f"{taken.source} says both {said[special[0]]} and {said[special[1]]}, but there is one method.kind: "
            f"{special[0]} or {special[1]}; keep one of them."
        )
    implied = next((given[name] for name in ("lora_r", "lora_rank", "lora_alpha") if name in given), None)
    if special:
        taken.put(
            "method.kind", special[0], " and ".join(said[kind] for kind in ("lora", *special) if kind in said)
        )
    elif said:
        kind = next(iter(said))
        taken.put("method.kind", kind, said[kind])
    elif implied and taken.get("method.kind") is None:
        taken.put("method.kind", "lora", f"{implied[0]}: {_shown(implied[1])}")


def _measurements(taken: _Taken, given: dict[str, tuple[str, Value]]) -> None:
    """A measurement of the held-out loss and a checkpoint come together."""
    look, save = given.get("eval_steps"), given.get("save_steps")
    for each in filter(None, (look or save,)):
        taken.put("train.evaluate_every", _whole(taken, *each), f"{each[0]}: {each[1]}")
    if look and save:
        taken.unused(
            f"{save[0]}: {save[1]}", "a checkpoint is written at each measurement, train.evaluate_every."
        )


def _warmup(taken: _Taken, given: dict[str, tuple[str, Value]]) -> None:
    """Warmup is a share of the steps here; a number of steps is one where it is known of how many."""
    if "warmup_steps" not in given:
        return
    key, value = given["warmup_steps"]
    number = _number(value)
    if number is None or number < 0:
        raise SpecError(f"{taken.source}: {key} is {value!r}: it must be a number of steps.")
    total = _number(given["max_steps"][1]) if "max_steps" in given else _number(taken.get("train.max_steps"))
    if number < 1:
        taken.put("train.warmup_fraction", number, f"{key}: {value}")
    elif total and total > 0:
        said = f"{key}: {value} of max_steps: {total:g}"
        taken.put("train.warmup_fraction", round(number / total, 6), said)
    else:
        raise SpecError(
            f"{taken.source}: {key}: {value} is a number of steps, of how many is not known yet: say "
            "train.warmup_fraction, such as 0.05, instead."
        )


def _precision(taken: _Taken, given: dict[str, tuple[str, Value]]) -> None:
    """Whoever asks for fp16 has no bf16, and does not ask for float32."""
    if "bf16" in given and _plain_value(given.get("fp16", ("", False))[1]) is True:
        key, value = given["bf16"]
        if _plain_value(value) is False:
            taken.unused(f"{key}: false", KEYS["fp16"].why)
            return
    if "bf16" in given:
        taken.one(*given["bf16"], To("train.precision", _bfloat16))


# Conversions.


def _listed(value: Value) -> Value:
    """`a, b` and [a, b]; Axolotl's [{path: a}]."""
    each = value.split(",") if isinstance(value, str) else value
    if not isinstance(each, list | tuple):
        raise RefusedError("must be names.")
    names = []
    for one in each:
        if isinstance(one, dict) and isinstance(one.get("path"), str):
            names.append(one["path"])
        elif isinstance(one, str):
            names.append(one.strip())
        else:
            raise RefusedError("must be names, or have a `path` each.")
    return [name for name in names if name]


def _targets(value: Value) -> Value:
    """`all` is LLaMA-Factory's word; Axolotl has a key of its own for it."""
    if value is True or value is False:
        return ["all-linear"] if value else None
    names = _listed(value)
    return ["all-linear" if name.lower() in ("all", "all-linear") else name for name in names]


def _share(value: Value) -> Value:
    number = _number(value)
    if number is None or number >= 1:
        raise RefusedError("is a number of examples; data.held_out_fraction is a share of them, such as 0.1.")
    return number


def _steps(value: Value) -> Value:
    """-1 is transformers' word for no bound."""
    number = _number(value)
    return None if number is not None and number < 0 else value


def _bfloat16(value: Value) -> Value:
    words = {
        True: "bfloat16",
        False: "float32",
        "auto": "auto",
        "true": "bfloat16",
        "false": "float32",
        "full": None,
    }
    return _chosen(value, words, "is true, false or auto.")


def _dtype(value: Value) -> Value:
    words = {
        "bfloat16": "bfloat16",
        "bf16": "bfloat16",
        "float32": "float32",
        "fp32": "float32",
        "auto": "auto",
    }
    words |= {"float16": "auto", "fp16": "auto", "half": "auto"}  # needs a scaled loss, and is nowhere better
    return _chosen(value, words, "is bfloat16, float32 or auto.")


def _schedule(value: Value) -> Value:
    words = {
        "cosine": "cosine",
        "linear": "linear",
        "constant": "constant",
        "constant_with_warmup": "constant",
    }
    return _chosen(value, words, "cannot be followed: train.schedule is cosine, linear or constant.")


def _optimizer(value: Value) -> Value:
    words = dict.fromkeys(
        ("adamw", "adamw_torch", "adamw_torch_fused", "adamw_hf", "paged_adamw_32bit"), "adamw"
    )
    words |= dict.fromkeys(("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"), "adamw_8bit")
    words["adafactor"] = "adafactor"
    return _chosen(value, words, "cannot be followed: train.optimizer is adamw, adamw_8bit or adafactor.")


def _template(value: Value) -> Value:
    """Their names of templates are of models, whose own template is taken anyway."""
    words = {
        "chatml": "chatml",
        "alpaca": "instruct",
        "tokenizer_default": "own",
        "default": "auto",
        "auto": "auto",
    }
    return words.get(_plain_value(value), "auto")


def _curves(value: Value) -> Value:
    names = [name.lower() for name in _listed(value)]
    if "all" in names:
        raise RefusedError("must name them: tensorboard, trackio or wandb.")
    return [name for name in names if name != "none"]


def _yes(value: Value) -> Value:
    """Unsloth writes its own kind of checkpointing where others write true."""
    return True if _plain_value(value) == "unsloth" else value


def _processor(value: Value) -> Value:
    return "cpu" if value in (True, "true") else None


def _sharded(strategy: str) -> Callable[[Value], Value]:
    """A strategy's own configuration file is made from the settings here."""
    return lambda value: strategy if value else None


def _chosen(value: Value, words: dict[Value, Value], otherwise: str) -> Value:
    plain = _plain_value(value)
    if plain not in words:
        raise RefusedError(otherwise)
    return words[plain]


def _told(*keys: str, to: To | Unused) -> dict[str, To | Unused]:
    return dict.fromkeys(keys, to)


PLANNED = Unused("the plan chooses it, and says why.")
OURS = Unused("it changes nothing that is trained.")
NOT_DONE = "it is not done here."

KINDS: dict[str, dict[Value, str]] = {  # of each value, the method; "" says nothing of it
    "peft_enable": {True: "lora", False: "full"},
    "use_peft": {True: "lora", False: "full"},
    "use_lora": {True: "lora", False: "full"},
    "full_finetuning": {True: "full", False: ""},
    "finetuning_type": {"lora": "lora", "full": "full"},
    "adapter": {"lora": "lora", "qlora": "qlora", "none": "full"},
    "peft_type": {"lora": "lora"},
    "load_in_4bit": {True: "qlora", False: ""},
    "quantization_bit": {4: "qlora"},
    "use_dora": {True: "dora", False: ""},
    "peft_use_dora": {True: "dora", False: ""},
    "use_rslora": {True: "rslora", False: ""},
    "peft_use_rslora": {True: "rslora", False: ""},
    "pissa_init": {True: "pissa", False: ""},
    "init_lora_weights": {"pissa": "pissa", True: ""},
}
TOGETHER = {
    *("batch_size", "per_device_train_batch_size", "micro_batch_size", "gradient_accumulation_steps"),
    *("eval_steps", "save_steps", "warmup_steps", "bf16"),
    *KINDS,
}
KEYS: dict[str, To | Unused] = {
    **_told("model_name", "model_name_or_path", "base_model", to=To("model.base")),
    **_told("tokenizer_name", "tokenizer_name_or_path", "tokenizer_config", to=To("model.tokenizer")),
    **_told("model_revision", "revision", to=To("model.revision")),
    **_told("dataset", "datasets", "dataset_name", "data_path", "dataset_path", to=To("data.files", _listed)),
    **_told("train_file", "train_files", "data_files", "training_file", to=To("data.files", _listed)),
    **_told(
        "validation_file", "eval_file", "eval_dataset", "val_file", to=To("data.held_out_files", _listed)
    ),
    **_told("test_datasets", to=To("data.held_out_files", _listed)),
    **_told(
        "val_size", "val_set_size", "test_size", "validation_split", to=To("data.held_out_fraction", _share)
    ),
    **_told("dataset_text_field", "text_column", to=To("data.columns.text")),
    **_told("data_seed", "dataset_shuffle_seed", to=To("data.seed")),
    **_told("template", "chat_template", to=To("template.kind", _template)),
    **_told("system_prompt", "default_system", to=To("template.system")),
    **_told("lora_r", "lora_rank", "r", to=To("method.rank")),
    **_told("lora_alpha", to=To("method.alpha")),
    **_told("lora_dropout", to=To("method.dropout")),
    **_told("lora_target_modules", "lora_target", "target_modules", to=To("method.target_modules", _targets)),
    **_told("lora_target_linear", to=To("method.target_modules", _targets)),
    **_told("epochs", "num_epochs", "num_train_epochs", to=To("train.epochs")),
    **_told("max_steps", to=To("train.max_steps", _steps)),
    **_told("learning_rate", "lr", to=To("train.learning_rate")),
    **_told("lr_scheduler_type", "lr_scheduler", to=To("train.schedule", _schedule)),
    **_told("warmup_ratio", to=To("train.warmup_fraction")),
    **_told("weight_decay", to=To("train.weight_decay")),
    **_told("max_grad_norm", "gradient_clipping", to=To("train.max_gradient_norm")),
    **_told("max_length", "max_seq_length", "max_seq_len", "cutoff_len", to=To("train.max_length")),
    **_told("sequence_len", "model_max_length", to=To("train.max_length")),
    **_told("packing", "sample_packing", to=To("train.packing")),
    **_told("torch_dtype", "dtype", to=To("train.precision", _dtype)),
    **_told("gradient_checkpointing", to=To("train.gradient_checkpointing", _yes)),
    **_told("use_gradient_checkpointing", to=To("train.gradient_checkpointing", _yes)),
    **_told("optim", "optimizer", to=To("train.optimizer", _optimizer)),
    **_told("early_stopping_patience", to=To("train.early_stopping")),
    **_told("save_total_limit", to=To("train.save_total_limit")),
    **_told("seed", "random_state", to=To("train.seed")),
    **_told("report_to", to=To("train.report_to", _curves)),
    **_told("hub_model_id", to=To("publish.to")),
    **_told("hub_private_repo", to=To("publish.private")),
    **_told("dataloader_num_workers", to=To("compute.workers")),
    **_told("num_processes", to=To("compute.processes")),
    **_told("use_cpu", "no_cuda", to=To("compute.device", _processor)),
    **_told("deepspeed", to=To("compute.strategy", _sharded("deepspeed"))),
    **_told("fsdp", to=To("compute.strategy", _sharded("fsdp"))),
    # What changes nothing here.
    **_told(
        "output_dir", to=Unused("a run's folder is runs/NAME, or that of --runs; its model is in final/.")
    ),
    **_told("run_name", "wandb_name", to=Unused("a run's name is given by --name.")),
    **_told("wandb_project", to=Unused("it is read from WANDB_PROJECT; report_to: wandb sends the curves.")),
    **_told("logging_steps", "logging_strategy", "logging_first_step", to=Unused("every step is recorded.")),
    **_told("logging_dir", "plot_loss", "disable_tqdm", to=Unused("the curve is in the run's record.")),
    **_told(
        "eval_strategy", "evaluation_strategy", to=Unused("train.evaluate_every says when it is measured.")
    ),
    **_told("save_strategy", to=Unused("a checkpoint is written at each measurement, train.evaluate_every.")),
    **_told("load_best_model_at_end", to=Unused("the best checkpoint is always what is kept.", (True,))),
    **_told(
        "metric_for_best_model",
        to=Unused("the best is that of the lowest held-out loss.", ("eval_loss", "loss")),
    ),
    **_told("greater_is_better", to=Unused("the best is that of the lowest held-out loss.", (False,))),
    **_told("per_device_eval_batch_size", "eval_batch_size", "auto_find_batch_size", to=PLANNED),
    **_told(
        "attn_implementation",
        "flash_attn",
        "flash_attention",
        "sdp_attention",
        "xformers_attention",
        to=PLANNED,
    ),
    **_told("use_liger_kernel", "enable_liger_kernel", "use_unsloth", "torch_compile", "tf32", to=PLANNED),
    **_told(
        "gradient_checkpointing_kwargs", "pad_to_sequence_len", "eval_packing", "padding_free", to=PLANNED
    ),
    **_told("group_by_length", to=Unused("no padding is computed, or rows are sorted within each step.")),
    **_told("fp16", to=Unused("train.precision auto is bfloat16 where the processor has it, else float32.")),
    **_told("bnb_4bit_quant_type", to=Unused("4 bits are nf4.", ("nf4",))),
    **_told("bnb_4bit_compute_dtype", to=Unused("4 bits compute in bfloat16 where there is it.")),
    **_told(
        "bnb_4bit_use_double_quant", "use_bnb_nested_quant", to=Unused("scales are always quantized too.")
    ),
    **_told("push_to_hub", to=Unused("`atelier push RUN` publishes, once you have seen the scores.")),
    **_told("hub_strategy", "hub_always_push", to=Unused("`atelier push RUN` publishes in one commit.")),
    **_told("assistant_only_loss", "completion_only_loss", to=Unused("answers alone are learned.", (True,))),
    **_told("train_on_inputs", "train_on_prompt", to=Unused("answers alone are learned.", (False,))),
    **_told("do_train", to=Unused("that is what `atelier train` does.", (True,))),
    **_told("do_eval", to=Unused("the held-out loss is measured wherever there are held-out examples.")),
    **_told(
        "stage", "task", "task_type", to=Unused("a run is supervised fine-tuning.", ("sft", "causal_lm"))
    ),
    **_told("dataset_split", "split", to=Unused("all that a file holds is read.", ("train",))),
    **_told(
        "modules_to_save",
        "lora_modules_to_save",
        to=Unused("rows of added tokens alone are trained with them."),
    ),
    **_told(
        "overwrite_output_dir", "overwrite_cache", "preprocessing_num_workers", "dataset_num_proc", to=OURS
    ),
    **_told(
        "dataset_dir", "dataset_prepared_path", "cache_dir", "dataloader_pin_memory", "ddp_timeout", to=OURS
    ),
    **_told(
        "remove_unused_columns", "ddp_find_unused_parameters", "strict", "save_safetensors", "debug", to=OURS
    ),
    **_told(
        "save_only_model", "include_num_input_tokens_seen", "dataset_processes", "base_model_config", to=OURS
    ),
    # What would train something else than was asked for.
    **_told("trust_remote_code", to=Unused("code from the Hub is not run.", (False,))),
    **_told("load_in_8bit", to=Unused("a base is held in 16 bits or, by load_in_4bit, in 4.", (False,))),
    **_told("resume_from_checkpoint", to=Unused("`atelier resume RUN` goes on with a run.", (False,))),
    **_told(
        "hub_token",
        "token",
        "use_auth_token",
        to=Unused("a token stands in HF_TOKEN, never in a file.", (False,)),
    ),
    **_told("neftune_noise_alpha", "noisy_embedding_alpha", to=Unused(NOT_DONE, (0, False))),
    **_told("label_smoothing_factor", "label_smoothing", to=Unused(NOT_DONE, (0,))),
    **_told(
        "loraplus_lr_ratio", "rope_scaling", "lora_layers_to_transform", to=Unused(NOT_DONE, (False, "none"))
    ),
    **_told("bias", "lora_bias", to=Unused("biases are not trained.", ("none", False))),
    **_told("max_samples", "max_train_samples", to=Unused("data.examples is how many an epoch takes.", ())),
    **_told("adam_beta1", to=Unused("it is 0.9.", (0.9,))),
    **_told("adam_beta2", to=Unused("it is 0.999.", (0.999,))),
    **_told("adam_epsilon", to=Unused("it is 1e-8.", (1e-8,))),
}


def _plain(key: Any) -> str:
    return str(key).strip().lower().replace("-", "_")


def _plain_value(value: Value) -> Value:
    """Words in small letters, numbers in words as numbers, {"true": True}; what cannot be compared as text."""
    if not isinstance(value, str | int | float | bool):
        return str(value)
    word = value.strip().lower() if isinstance(value, str) else value
    number = _number(word)
    return {"true": True, "false": False}.get(word, number if number is not None else word)


def _number(value: Value) -> float | None:
    """YAML reads 2e-4 as a word."""
    try:
        return None if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        return None


def _whole(taken: _Taken, key: str, value: Value) -> int:
    number = _number(value)
    if number is None or number < 1 or number != int(number):
        raise SpecError(f"{taken.source}: {key} is {value!r}: it must be a whole number of at least 1.")
    return int(number)


def _same(one: Value, other: Value) -> bool:
    if _number(one) is not None:
        return _number(one) == _number(other)
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        return _as_list(one) == _as_list(other)
    return one == other


def _as_list(value: Value) -> list[Value]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _nearest(name: str) -> str:
    """The nearest key of either kind, in a sentence."""
    ours = {path.rsplit(".", 1)[-1]: path for path in reversed(settings())}
    known = [*KEYS, *TOGETHER, *ours, *settings(), *RunSpec.model_fields]
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {ours.get(near[0], near[0])!r}?" if near else ""
