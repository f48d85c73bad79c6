"""The act `train`: from a run's settings to its final/ folder, resuming by itself where an earlier process ended."""

import pickle
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import Dataset
from safetensors import SafetensorError
from torch import Tensor
from transformers import EarlyStoppingCallback, GenerationConfig, PreTrainedModel

import core
from core.data.report import as_dict, is_single_turn
from core.data.select import Selected, select
from core.errors import TrainError
from core.evaluate.job import evaluate
from core.publish.checkpoints import landing
from core.runs.events import Noted, Staged, Trained
from core.runs.store import Run
from core.spec import RunSpec
from core.text.encode import Encoding, encode
from core.text.load import Text, load_text
from core.train import checkpoints, disk, memory, processes
from core.train.dataset import as_dataset
from core.train.device import limit_memory
from core.train.distributed import ranks, sharing
from core.train.installed import check_installed
from core.train.methods import adapt, keep_in_float32
from core.train.model import (
    beyond_context,
    device_for,
    load_for_training,
    require_bitsandbytes,
    set_threads,
    stored_dtype,
    without_router_logits,
)
from core.train.plan import Plan
from core.train.planning import plan_run, say_measured
from core.train.recorder import Recorder
from core.train.rehearsal import Rehearsal
from core.train.reproduce import surroundings
from core.train.trainer import Trainer, balance_of_experts, trainer_settings

Touch = Callable[[Trainer], None]


def train(run: Run, touch: Touch | None = None) -> str | None:
    """Train the run to its end and score it; "final" when done, None if it was stopped with a checkpoint.

    `touch` gets every trainer before it begins: for who wants to see more than the events tell.
    """
    with landing(run):
        return _train(run, touch)


def _train(run: Run, touch: Touch | None) -> str | None:
    spec = run.spec
    set_threads(spec)
    check_installed(spec)
    if spec.method.kind == "qlora":
        require_bitsandbytes(device_for(spec))
    try:
        run.reports.mkdir(exist_ok=True)
        if not run.final.is_dir():
            if not (train_here(run, spec, touch) if spec.compute.processes == 1 else _train_apart(run)):
                return None
        elif not run.progress().trained:
            run.events.append(Trained())  # killed between final/ and the word of it
    except (OSError, RuntimeError, SafetensorError) as error:
        refused = disk.refusal(error, run.folder)
        if not refused:
            raise
        shutil.rmtree(_rows(run), ignore_errors=True)  # room to say it in; they are made anew
        raise refused from error
    shutil.rmtree(_rows(run), ignore_errors=True)
    # Before final/ is opened again to be scored, the trained model is let go of: two copies may not fit.
    memory.free()
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
    longest: int  # tokens of the longest row, held out or not
    planned: Plan


def _train_apart(run: Run) -> bool:
    """Train in several processes, anew with less at once if memory runs out in one; false if it was stopped."""
    while True:
        before = memory.found_out(run)
        try:
            return processes.train(run)
        except (MemoryError, RuntimeError) as error:
            # The one that had too little wrote down what to try before it ended, or was at the end of what can be tried.
            if not memory.ran_out(error) or memory.found_out(run) == before:
                raise
            memory.say(run)


def train_here(run: Run, spec: RunSpec, touch: Touch | None = None) -> bool:
    """Train in this process to the end and save, in as many attempts as memory needs; false if it was stopped on the way.

    Where others train beside it, an attempt that fails is the last: they wait for what will not come.
    """
    limit_memory(spec)
    rows = _rows(run) / str(ranks.rank())  # of ids, as the trainer reads them
    if ranks.is_main():
        checkpoints.tidy(run.checkpoints)
        disk.check_writable(run.checkpoints)
        shutil.rmtree(_rows(run), ignore_errors=True)
    ranks.barrier()
    rows.mkdir(parents=True)
    if not ranks.is_main():
        ranks.barrier()  # the main one encodes, and the others find the tokens where it kept them
    prepared = _prepare(run, spec, rows)
    if ranks.is_main():
        ranks.barrier()
    there = disk.size_of(run.checkpoints)
    disk.check_room(run.folder, prepared.planned.disk_bytes, there, "The checkpoints and the final model")
    planned = ranks.from_main(lambda: memory.as_found_out(run, prepared.planned, prepared.longest))
    while True:
        try:
            return _attempt(run, spec, replace(prepared, planned=planned), touch)
        except (MemoryError, OSError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            smaller = memory.halved(planned, prepared.longest)
            if not smaller:
                raise memory.too_little(spec, planned, prepared.longest) from error
            memory.keep(run, smaller)
            if ranks.together():
                raise
            traceback.print_exc()
        memory.say(run)
        planned = smaller
        memory.free()  # here, where the error with its frames, and all that they held, is gone


def _attempt(run: Run, spec: RunSpec, prepared: Prepared, touch: Touch | None) -> bool:
    """Train from the last whole checkpoint, or from the beginning, and save; false if it was stopped on the way."""
    run.events.append(Staged(stage=f"Loading {spec.model.base}"))
    with memory.enough_to_open(spec):
        trainer, recorder = _trainer(run, spec, prepared)
    if touch:
        touch(trainer)
    _fit(run, trainer, prepared, ranks.from_main(lambda: _checkpoint(run)))
    if recorder.stopped:
        return False
    weights = sharing.whole(trainer)
    if ranks.is_main():
        save_final(run, spec, trainer.model, prepared.text, weights)
    ranks.barrier()
    return True


def _fit(run: Run, trainer: Trainer, prepared: Prepared, checkpoint: Path | None) -> None:
    """Bring the trainer's model to where the training ends, or is stopped."""
    if checkpoint is None and prepared.held_out:
        run.events.append(Staged(stage="Measuring the base"))  # the first point of the held-out curve
        if ranks.together():
            # One that is measured before it is trained counts as prepared: its gradients would never be shared.
            trainer.args.eval_on_start = True
        else:
            trainer.evaluate()
    if checkpoint and checkpoints.is_last(checkpoint, prepared.planned.total_steps):
        trainer._load_from_checkpoint(str(checkpoints.best(checkpoint)))  # all that is missing is final/
        return
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except pickle.UnpicklingError as error:
        raise TrainError(
            f"{checkpoint} holds more than numbers and was not read, since what it holds could be a program: it was not "
            "written by a training. Delete it, and resume the run from the one before."
        ) from error


def _checkpoint(run: Run) -> Path | None:
    """The last checkpoint that is whole. Later ones are removed, and that is said."""
    checkpoint, damaged = checkpoints.latest(run.checkpoints)
    whence = f"checkpoint {checkpoints.step_of(checkpoint)}" if checkpoint else "the beginning"
    for name in damaged:
        text = f"{name} is damaged and was not used; the run goes on from {whence}."
        run.events.append(Noted(text=text, warning=True))
        shutil.rmtree(run.checkpoints / name)
    return checkpoint


def _rows(run: Run) -> Path:
    """What the trainers read, made anew by every process that goes on."""
    return run.folder / "rows"


def _prepare(run: Run, spec: RunSpec, folder: Path) -> Prepared:
    """Examples read, chosen and encoded, and the plan; everything worth knowing of them is said."""
    run.events.append(Staged(stage="Reading the examples"))
    chosen = select(spec.data)
    chosen.check(run.manifest)
    if ranks.is_main():
        read = as_dict(chosen.reports[0]) | {"single_turn": is_single_turn(chosen.training)}
        disk.write_json(run.reports / "data.json", read)
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
    held_out = as_dataset(measured, folder / "held_out.arrow") if measured.rows else None
    run.events.append(Staged(stage="Planning"))
    planned = plan_run(run, spec, rows, measured, len(text.added))
    return Prepared(chosen, text, training, held_out, max(longest, measured.longest), planned)


def _trainer(run: Run, spec: RunSpec, prepared: Prepared) -> tuple[Trainer, Recorder]:
    """The base, loaded, in the hands of a trainer that writes the run's events."""
    planned, text, device = prepared.planned, prepared.text, device_for(spec)
    model = load_for_training(spec, text, planned.bfloat16)
    if ranks.is_main():
        disk.write_json(run.manifest, manifest(spec, prepared.chosen, planned, model, text))
    shared = sharing.settings(spec, planned, model, len(text.added)) | balance_of_experts(spec, model.config)
    run.events.append(Staged(stage="Making the trainer"))
    recorder = Recorder(run, text)
    rehearsal = Rehearsal(planned, lambda found: say_measured(run, found))
    callbacks = [recorder, rehearsal]
    if spec.train.early_stopping and planned.held_out:
        callbacks.append(EarlyStoppingCallback(spec.train.early_stopping))
    trainer = Trainer(
        model=adapt(spec, model, text),
        args=trainer_settings(spec, planned, run, cpu=device.type == "cpu", shared=shared),
        train_dataset=prepared.training,
        eval_dataset=prepared.held_out,
        processing_class=text.tokenizer,
        callbacks=callbacks,
    )
    keep_in_float32(trainer.model)
    trainer.in_order = prepared.chosen.in_order
    recorder.trainer = rehearsal.trainer = trainer
    if warning := beyond_context(model.config, prepared.longest):
        run.events.append(Noted(text=warning, warning=True))
    if planned.packing and not trainer.packing:
        text_ = "Rows are padded after all: laid end to end, this model would see one example from within another."
        run.events.append(Noted(text=text_, warning=True))
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


def save_final(
    run: Run, spec: RunSpec, model: PreTrainedModel, text: Text, weights: dict[str, Tensor] | None = None
) -> None:
    """Written beside, and renamed when it is whole and on the disk: final/ is never half-made.

    `weights` are the model's where it holds only its share of them.
    """
    run.events.append(Staged(stage="Saving"))
    beside = run.folder / ".final"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _write_final(beside, spec, model, text, weights)
        disk.synced(beside)
        disk.place(beside, run.final)
    except (OSError, RuntimeError, SafetensorError) as error:
        refused = disk.refusal(error, run.folder)
        shutil.rmtree(beside, ignore_errors=True)
        if refused:
            raise refused from error
        raise
    run.events.append(Trained())


def _write_final(
    beside: Path, spec: RunSpec, model: PreTrainedModel, text: Text, weights: dict[str, Tensor] | None
) -> None:
    """Adapter or model, tokenizer, chat template and generation config."""
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
        model.save_pretrained(beside, state_dict=weights, save_embedding_layers=False)
        inner.generation_config.save_pretrained(beside)
    else:
        model.save_pretrained(beside, state_dict=weights)
    text.tokenizer.save_pretrained(beside)
    (beside / "README.md").unlink(missing_ok=True)  # PEFT's own; ours is written when the run is published


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
        "plan": planned.as_dict(),
        "seed": spec.train.seed,
        **surroundings(),
    }
