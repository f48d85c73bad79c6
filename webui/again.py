"""A run as the starting point of another: what the Train page's form would hold had it been filled in like this run."""

from pathlib import Path
from typing import Any

from core import presets
from core.runs import Run
from core.spec import RunSpec
from webui import forms
from webui.chosen import FRESH
from webui.shared import Shared


def chosen_of(shared: Shared, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """The examples and the settings of the run, as the browser keeps what is chosen for the next one."""
    spec = run.spec.model_dump(mode="json")
    data = FRESH | {name: spec["data"][name] for name in ("columns", "drop", "weights") if spec["data"][name]}
    data["files"] = [_kept(shared, file) for file in spec["data"]["files"]]
    data["held_out"] = [_kept(shared, file) for file in spec["data"]["held_out_files"]]
    preset = run.preset if run.preset in presets.names() else nearest(run.spec)
    return data, {"preset": preset, "values": values(run.spec, preset)}


def _kept(shared: Shared, file: str) -> str:
    """A file that a run of the shell's was made from is brought to the page, where whoever asks could read it anyway."""
    if shared.space or not Path(file).is_file() or Path(file).resolve().is_relative_to(shared.uploads):
        return file
    return shared.keep(file)


def nearest(spec: RunSpec) -> str:
    """The preset that differs from the settings in the fewest fields, for runs of older versions, which name none."""
    return min(presets.names(), key=lambda name: len(values(spec, name)))


def values(spec: RunSpec, preset: str) -> dict[str, Any]:
    """What the form would hold, by path, for these settings on top of this preset."""
    wanted, usual = spec.model_dump(mode="json"), presets.resolve(preset).model_dump(mode="json")
    filled = {}
    for path in forms.form_settings():
        section, _, name = path.partition(".")
        if wanted[section][name] != usual[section][name]:
            filled[path] = written(wanted[section][name])
    return filled


def written(value: Any) -> Any:
    """A setting's value as its field holds it; `forms.parse` is the way back."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return "\n".join(f"{name}={each}" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else value
