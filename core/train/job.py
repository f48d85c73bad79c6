"""The act `train`: from a run's settings to its final/ folder, resuming by itself where an earlier process ended."""

import gc
import json
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from datasets import Dataset
from transformers import EarlyStoppingCallback, GenerationConfig, PreTrainedModel

import core
from core.data.report import as_dict
from core.data.select import Selected, select
from core.evaluate.job import evaluate
from core.runs.events import Noted, Staged, Trained
from core.runs.store import Run
from core.spec import RunSpec
from core.text.encode import Encoding, encode
from core.text.load import Text, load_text
from core.train import checkpoints
from core.train.dataset import as_dataset, packed
from core.train.methods import METHODS
from core.train.model import (
    LARGE,
    bfloat16_is_fast,
    device_for,
    load_base,
    set_threads,
    stored_dtype,
    without_router_logits,
)
from core.train.plan import Plan, plan
from core.train.recorder import Recorder
from core.train.trainer import Trainer, trainer_settings

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors")


def train(run: Run) -> str | None:
    """Train the run to its end and score it; "final" when done, None if it was stopped with a checkpoint."""
    spec = run.spec
    set_threads(spec)
    run.reports.mkdir(exist_ok=True)
    if not run.final.is_dir() and not _train(run, spec):
        return None
    # Before final/ is opened again to be scored, the trained model is let go of: two copies may not fit. The trainer
    # and its callbacks hold each other, so that only the collector frees them.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if spec.evaluate.after_training and evaluate(run) is None:
        return None
    return "final"


@dataclass(frozen=True)
class Prepared:
    """All that is decided before the model is loaded."""

    chosen: Selected
    text: Text
    training: Dataset
    held_out: Dataset | None
    planned: Plan


def _train(run: Run, spec: RunSpec) -> bool:
    """Train to the end and save; false if it was stopped on the way."""
    rows = run.folder / "rows"  # of ids, as the trainer reads them; made anew by a process that goes on
    shutil.rmtree(rows, ignore_errors=True)
    rows.mkdir()
    prepared = _prepare(run, spec, rows)
    run.events.append(Staged(stage=f"Loading {spec.model.base}"))
    trainer, recorder = _trainer(run, spec, prepared)
    checkpoint, damaged = checkpoints.latest(run.checkpoints)
    for name in damaged:
        run.events.append(Noted(text=f"{name} is damaged and was not used.", warning=True))
        shutil.rmtree(run.checkpoints / name)
    if checkpoint is None and prepared.held_out:
        trainer.evaluate()  # where the base stands: the first point of the held-out curve
    if checkpoint and checkpoints.is_last(checkpoint, prepared.planned.total_steps):
        trainer._load_from_checkpoint(str(checkpoints.best(checkpoint)))  # all that is missing is final/
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if not recorder.stopped:
        save_final(run, spec, trainer.model, prepared.text)
        shutil.rmtree(rows, ignore_errors=True)
    return not recorder.stopped


def _prepare(run: Run, spec: RunSpec, folder: Path) -> Prepared:
    """Examples read, chosen and encoded, and the plan; everything worth knowing of them is said."""
    run.events.append(Staged(stage="Reading the examples"))
    chosen = select(spec.data)
    chosen.check(run.manifest)
    write_json(run.reports / "data.json", as_dict(chosen.reports[0]))
    run.events.append(Staged(stage="Encoding the examples"))
    text = load_text(spec)
    rows, measured = (
        encode(part, text.tokenizer, text.template, spec.train.max_length, spec.train.overlong)
        for part in (chosen.training, chosen.held_out)
    )
    for note in notes_on(chosen, rows, measured):
        run.events.append(note)
    if spec.model.tokenizer:
        text_ = f"The tokenizer is {spec.model.tokenizer}, not the base's own: the base must have been trained with it."
        run.events.append(Noted(text=text_, warning=True))
    training, longest = as_dataset(rows, folder / "training.arrow"), rows.longest
    if spec.train.packing and rows.rows:
        training, longest = packed(training, spec.train.max_length), spec.train.max_length
    held_out = as_dataset(measured, folder / "held_out.arrow") if measured.rows else None
    fast = bfloat16_is_fast(device_for(spec))
    planned = plan(spec, len(rows.rows), len(training), len(measured.rows), longest, fast)
    for reason in planned.reasons:
        run.events.append(Noted(text=reason))
    return Prepared(chosen, text, training, held_out, planned)


def _trainer(run: Run, spec: RunSpec, prepared: Prepared) -> tuple[Trainer, Recorder]:
    """The base, loaded, in the hands of a trainer that writes the run's events."""
    planned, text, device = prepared.planned, prepared.text, device_for(spec)
    model = load_base(spec, text, torch.float32)
    write_json(run.manifest, manifest(spec, prepared.chosen, planned, model, text))
    if spec.method.kind != "full" and planned.bfloat16 and model.num_parameters() >= LARGE:
        model = model.to(torch.bfloat16)  # frozen; the added matrices stay in float32
    recorder = Recorder(run)
    callbacks = [recorder]
    if spec.train.early_stopping and planned.held_out:
        callbacks.append(EarlyStoppingCallback(spec.train.early_stopping))
    trainer = Trainer(
        model=model,
        args=trainer_settings(spec, planned, run, cpu=device.type == "cpu"),
        train_dataset=prepared.training,
        eval_dataset=prepared.held_out,
        processing_class=text.tokenizer,
        peft_config=METHODS[spec.method.kind](spec, model, text),
        callbacks=callbacks,
    )
    trainer.in_order = prepared.chosen.in_order
    recorder.trainer = trainer
    return trainer, recorder


def notes_on(chosen: Selected, rows: Encoding, measured: Encoding) -> list[Noted]:
    """What was left out or cut, in words. Nothing is when the list is empty."""
    notes = []
    for report in chosen.reports:
        if report.rejected:
            text = (
                f"{report.rejected:,} of {report.rows:,} rows in {', '.join(report.files)} cannot be used; "
            )
            notes.append(Noted(text=f"{text}`atelier data check` lists them.", warning=True))
    if chosen.in_both:
        text = f"{chosen.in_both} held-out examples are trained on as well, so their scores say nothing: take them out."
        notes.append(Noted(text=text, warning=True))
    for name, part in (("training", rows), ("held-out", measured)):
        by_code = {(problem.severity, problem.code): problem for problem in reversed(part.problems)}
        for code, first in by_code.items():
            text = f"{part.counts[code]:,} {name} examples, the first {first.source}: {first.why} {first.fix}"
            notes.append(Noted(text=text, warning=True))
    if any(share.weight for share in chosen.shares):
        used = "; ".join(
            f"{share.used:,} of {share.name} ({share.times:.2f} times each)" for share in chosen.shares
        )
        notes.append(Noted(text=f"An epoch of the mix holds {used}."))
    return notes


def save_final(run: Run, spec: RunSpec, model: PreTrainedModel, text: Text) -> None:
    """Adapter or model, tokenizer, chat template and generation config; written beside, then renamed."""
    run.events.append(Staged(stage="Saving"))
    beside = run.folder / ".final"
    shutil.rmtree(beside, ignore_errors=True)
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    without_router_logits(inner.config)
    inner.generation_config = generation_config(inner.generation_config, text)
    inner.config.eos_token_id, inner.config.pad_token_id = (
        text.tokenizer.eos_token_id,
        text.tokenizer.pad_token_id,
    )
    if hasattr(model, "peft_config"):
        # The name that the user gave: a path of this machine would be of no use to anybody else.
        model.peft_config["default"].base_model_name_or_path = spec.model.base
        model.save_pretrained(beside, save_embedding_layers=False)
        inner.generation_config.save_pretrained(beside)
    else:
        model.save_pretrained(beside)
    text.tokenizer.save_pretrained(beside)
    (beside / "README.md").unlink(missing_ok=True)  # PEFT's own; ours is written when the run is published
    beside.rename(run.final)
    run.events.append(Trained())


def generation_config(base: GenerationConfig, text: Text) -> GenerationConfig:
    """The base's, ended by the tokens that the template taught."""
    config = GenerationConfig.from_dict(base.to_dict())
    config.eos_token_id = list(text.stop_ids)
    config.pad_token_id = text.tokenizer.pad_token_id
    return config


def manifest(spec: RunSpec, chosen: Selected, planned: Plan, model: PreTrainedModel, text: Text) -> dict:
    """What a repetition would need to know beside the settings."""
    return {
        "atelier": core.__version__,
        "data": chosen.sha256,
        "model": {
            "base": spec.model.base,
            "commit": getattr(model.config, "_commit_hash", None),
            "parameters": model.num_parameters(),
            "bytes_per_parameter": stored_dtype(spec).itemsize,
        },
        "stop_tokens": text.tokenizer.convert_ids_to_tokens(list(text.stop_ids)),
        "plan": {name: getattr(planned, name) for name in planned.__dataclass_fields__ if name != "reasons"},
        "seed": spec.train.seed,
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def write_json(path: Path, value: dict) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
    beside.replace(path)
