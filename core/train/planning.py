"""The plan of a run on this machine: shape and facts are looked up, and the pure plan is made from them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.errors import TrainError
from core.models import by_hub_id
from core.presets import base_model
from core.runs.events import Noted
from core.runs.store import Run
from core.spec import RunSpec
from core.text.reach import hub_answers, is_local, means_a_path
from core.train.attention import can_pack
from core.train.device import facts
from core.train.disk import write_json
from core.train.distributed import ranks
from core.train.methods import targets
from core.train.model import device_for
from core.train.plan import DeviceFacts, Lengths, ModelShape, Plan, plan, refusal, shape_of

if TYPE_CHECKING:
    from core.text.encode import Encoding
    from core.train.rehearsal import Measured


def plan_run(run: Run, spec: RunSpec, training: "Encoding", held_out: "Encoding", added_tokens: int) -> Plan:
    """The run's plan, said as events. TrainError if nothing is left to train on, or if it should not begin.

    What the device could do when the run began is kept in its folder: a process that goes on splits the steps as the
    first one did, however much memory is free by then, and so comes to the same numbers.
    """
    shape, why_padded = known_shape(spec)
    lengths = Lengths(training.rows.lengths, held_out.rows.lengths, training.trained_tokens)
    known = _kept(run.device_facts, spec)
    device = known or facts(spec, run.folder, training=True)
    planned = plan(spec, shape, lengths, device, why_padded, added_tokens)
    if known is None:
        if stops := refusal(planned, spec):
            raise stops
        write_json(run.device_facts, asdict(device))
    for reason in planned.reasons:
        run.events.append(Noted(text=reason))
    for warning in planned.warnings:
        run.events.append(Noted(text=warning, warning=True))
    return planned


def say_measured(run: Run, found: "Measured") -> None:
    """What the dry step found, as an event, and for good in the manifest."""
    if not ranks.is_main():
        return
    run.events.append(Noted(text=found.text))
    kept = json.loads(run.manifest.read_text("utf-8"))
    write_json(run.manifest, kept | {"measured": found.as_dict()})


def known_shape(spec: RunSpec) -> tuple[ModelShape, str | None]:
    """The model's shape, and why its rows must be padded, if they must; TrainError if nothing is known of it, or if it
    has no layer that method.target_modules names."""
    name = base_model(spec.model.base)
    if not is_local(name) and means_a_path(name):
        raise TrainError(f"There is no folder {spec.model.base}: check the path in model.base.")
    only_here = is_local(name) or not hub_answers()
    try:
        config = AutoConfig.from_pretrained(name, revision=spec.model.revision, local_files_only=only_here)
    except (OSError, ValueError) as error:
        if shape := listed_shape(spec.model.base):
            return shape, "its attention has sinks" if shape.sinks else None
        first = str(error).strip().splitlines()[0]
        raise TrainError(f"The base model {spec.model.base!r} cannot be looked at: {first}") from error
    shape = shape_of(config.to_dict())
    if shape is None:
        raise TrainError(
            f"The config of {spec.model.base!r} does not say how many layers, heads and tokens the model has, so that "
            "nothing can be planned for it."
        )
    if spec.method.target_modules and spec.method.kind != "full":
        with torch.device("meta"):
            targets(spec.method.target_modules, AutoModelForCausalLM.from_config(config))
    return shape, can_pack(config)


def listed_shape(base: str) -> ModelShape | None:
    """From the list of known models, for one that cannot be reached."""
    model = by_hub_id(base)
    return shape_of(model.shape) if model else None


def _kept(file: Path, spec: RunSpec) -> DeviceFacts | None:
    """What was found out when the run began; None if it did not, or began on another kind of device."""
    try:
        values: dict[str, Any] = json.loads(file.read_text("utf-8"))
        known = DeviceFacts(**values)
    except (OSError, ValueError, TypeError):
        return None
    return known if known.kind == device_for(spec).type else None
