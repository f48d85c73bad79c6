"""Starting points, and how settings are laid over each other: defaults < preset < YAML < flags or form."""

import os
from pathlib import Path
from typing import Any

from core.errors import SpecError
from core.spec import RunSpec, merge, read_yaml

PRESETS = Path(__file__).resolve().parent.parent / "presets"
FABLE = PRESETS / "fable"
SAMPLES = PRESETS / "samples"


def names() -> list[str]:
    """The presets there are, smallest first."""
    found = {path.stem for path in PRESETS.glob("*.yaml")}
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
    return RunSpec.from_dict(merge(preset(preset_name), read_yaml(file) if file else {}, overrides or {}))


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
    """What transformers should load for `model.base`: `fable` is the embedded model's folder."""
    return str(FABLE) if name == "fable" else _anchored(name)


def anchored(spec: RunSpec) -> RunSpec:
    """The spec with whole paths, so that it means the same from any folder; names on the Hub stay as they are."""
    values = spec.model_dump()
    for name in ("base", "tokenizer"):
        values["model"][name] = values["model"][name] and _anchored(values["model"][name])
    for name in ("files", "held_out_files", "against"):
        values["data"][name] = tuple(map(_anchored_data, values["data"][name]))
    return RunSpec.from_dict(values)


def _anchored_data(name: str) -> str:
    path = Path(name).expanduser()
    on_the_hub = name.startswith("hf:") or not os.path.exists(path)
    return name if on_the_hub or name.startswith("sample:") else str(path.absolute())


def _anchored(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() and name != "fable" else name
