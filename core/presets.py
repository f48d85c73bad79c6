"""Starting points, and how settings are laid over each other: defaults < preset < YAML < flags or form."""

import os
from pathlib import Path
from typing import Any

from core.errors import SpecError
from core.flat import Translated, nested
from core.models import on_the_hub
from core.spec import RunSpec, merge, read_yaml

PRESETS = Path(__file__).resolve().parent.parent / "presets"
FABLE = PRESETS / "fable"
SAMPLES = PRESETS / "samples"


def names() -> list[str]:
    """The presets there are, smallest first."""
    found = {path.stem for path in PRESETS.glob("*.yaml")} - {"models"}
    return [name for name in ("tiny", "small", "3090") if name in found] + sorted(
        found - {"tiny", "small", "3090"}
    )


def preset(name: str) -> dict[str, Any]:
    """What a preset sets, as nested plain values; SpecError if there is no such preset."""
    if name not in names():
        raise SpecError(f"There is no preset {name!r}; there are {', '.join(names())}.")
    return read_yaml(PRESETS / f"{name}.yaml")


def resolve(
    preset_name: str = "tiny", file: Path | None = None, overrides: dict[str, Any] | None = None
) -> RunSpec:
    """The spec that a preset, a YAML file and flags or a form make together."""
    return resolve_and_tell(preset_name, file, overrides)[0]


def resolve_and_tell(
    preset_name: str = "tiny", file: Path | None = None, overrides: dict[str, Any] | None = None
) -> tuple[RunSpec, tuple[str, ...]]:
    """The same, and what the file's flat keys were taken for, a line for each."""
    settings = nested(read_yaml(file), str(file)) if file else Translated({}, ())
    values = merge(preset(preset_name), settings.values, overrides or {})
    spec = RunSpec.from_dict(values)
    if spec.model.base != (named := on_the_hub(spec.model.base)):
        spec = RunSpec.from_dict(merge(values, {"model": {"base": named}}))
    return spec, settings.remarks


def data_file(name: str) -> Path:
    """The path that a data setting stands for: `sample:fables-en` is one of the built-in sets."""
    if not name.startswith("sample:"):
        try:
            return Path(name).expanduser()
        except RuntimeError:  # ~somebody who is not known here
            return Path(name)
    samples = {f"sample:{path.stem}": path for path in sorted(SAMPLES.glob("*.jsonl"))}
    if name not in samples:
        raise SpecError(f"There is no built-in data set {name!r}; there are {', '.join(samples)}.")
    return samples[name]


def base_model(name: str) -> str:
    """What transformers should load for `model.base`: `fable` is the embedded model's folder, a short name the Hub's."""
    return str(FABLE) if name == "fable" else _anchored(on_the_hub(name))


def anchored(spec: RunSpec) -> RunSpec:
    """The spec with whole paths, so that it means the same from any folder; names on the Hub stay as they are, and
    short ones are written out."""
    values = spec.model_dump()
    for name in ("base", "tokenizer"):
        values["model"][name] = values["model"][name] and _anchored(on_the_hub(values["model"][name]))
    for name in ("files", "held_out_files", "against"):
        values["data"][name] = tuple(map(_anchored_data, values["data"][name]))
    tasks = values["evaluate"]["tasks"]
    values["evaluate"]["tasks"] = tuple(_anchored(name) if Path(name).suffix else name for name in tasks)
    return RunSpec.from_dict(values)


def _anchored_data(name: str) -> str:
    path = Path(name).expanduser()
    on_the_hub = name.startswith("hf:") or not os.path.exists(path)
    return name if on_the_hub or name.startswith("sample:") else str(path.absolute())


def _anchored(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() and name != "fable" else name
