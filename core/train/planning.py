"""The plan of a run on this machine: shape and facts are looked up, and the pure plan is made from them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.runs.events import Noted
from core.runs.store import Run
from core.spec import RunSpec
from core.train.base import known_shape
from core.train.device import facts
from core.train.disk import write_json
from core.train.distributed import ranks
from core.train.model import device_for
from core.train.plan import DeviceFacts, Lengths, Plan, plan, refusal

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


def _kept(file: Path, spec: RunSpec) -> DeviceFacts | None:
    """What was found out when the run began; None if it did not, or began on another kind of device."""
    try:
        values: dict[str, Any] = json.loads(file.read_text("utf-8"))
        known = DeviceFacts(**values)
    except (OSError, ValueError, TypeError):
        return None
    return known if known.kind == device_for(spec).type else None
