"""What a filled-in form amounts to: in words, as a command line, as YAML."""

import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from core.presets import resolve
from core.remote.estimate import as_text
from core.spec import RunSpec, settings
from webui.render.data import file_name
from webui.render.parts import hint, plain, section, size, table, text

# Named apart from the other settings.
FILES = ("data.files", "data.held_out_files")
# Chosen on the Data page: these settings have no field in the form.
CHOSEN = (*FILES, "data.columns", "data.drop", "data.weights")

TO_DATA = (
    '<p class="hint">What is in them, and what else can be chosen: on the <a href="./">Data page</a>.</p>'
)


START, AGREE = "Start training", "Agree and start"


def machine(flavor: dict[str, Any]) -> str:
    """One of HF Jobs, in a list of choices."""
    gpus = (
        f"{flavor['gpus']} x {flavor['gpu']}, {size(flavor['gpu_memory'])} each"
        if flavor["gpus"]
        else "no GPU"
    )
    return f"{flavor['flavor']}: {gpus}, ${flavor['usd_per_hour']:.2f} an hour"


def machines(flavors: Sequence[dict[str, Any]]) -> str:
    """What HF Jobs has, the cheapest first."""
    rows = (
        (
            f"<code>{text(each['flavor'])}</code>",
            text(f"{each['gpus']} x {each['gpu']}") if each["gpus"] else "none",
            size(each["gpu_memory"]) if each["gpus"] else "",
            size(each["memory"]),
            f"${each['usd_per_hour']:.2f}",
        )
        for each in sorted(flavors, key=lambda each: each["usd_per_hour"])
    )
    return section("Machines of HF Jobs", "paid by the minute, from your account at the Hub") + table(
        ("Machine", "GPUs", "#Memory of each", "#Memory", "#An hour"), rows, "machines"
    )


def cost(estimate: dict[str, Any]) -> str:
    """What a run on HF Jobs would cost, before anybody pays."""
    return f'<p class="alert" role="alert">{text(as_text(estimate))} Press again to agree and start.</p>'


def summary(spec: RunSpec, preset: str, overrides: dict[str, Any]) -> str:
    """What would be trained on what, what differs from the preset, and how to say it in a shell."""
    names = ", ".join(file_name(file) for file in spec.data.files)
    passes = f"{spec.train.max_steps:,} steps" if spec.train.max_steps else f"{spec.train.epochs:g} passes"
    how = "every weight" if spec.method.kind == "full" else f"small added matrices of rank {spec.method.rank}"
    own = _without_files(overrides)
    return (
        f'<p class="plan">Trains <b>{text(how)}</b> of <b>{text(spec.model.base)}</b> on <b>{text(names)}</b>, '
        f"{text(passes)}{_elsewhere(spec)}.</p>"
        + differences(preset, overrides)
        + section("The same in a shell")
        + f'<pre class="command">{unbroken(command(preset, overrides))}</pre>'
        + section("As YAML", "for --config")
        + f'<pre class="command">{text(as_yaml(own, preset))}</pre>'
    )


def _elsewhere(spec: RunSpec) -> str:
    compute = spec.compute
    return f", on <b>{text(compute.flavor or 'a machine')}</b> of HF Jobs" if compute.where != "here" else ""


def unbroken(line: str) -> str:
    """A command whose words are not torn apart at their hyphens."""
    return " ".join(f"<span>{text(word)}</span>" for word in line.split(" "))


def differences(preset: str, overrides: dict[str, Any]) -> str:
    changed = changes(preset, overrides)
    if not changed:
        return hint(f"Everything as the preset {preset} says.")
    rows = (
        (f"<code>{text(path)}</code>", text(before), f"<b>{text(after)}</b>")
        for path, before, after in changed
    )
    return section("Differs from the preset") + table(("Setting", preset, "Here"), rows, "differences")


def _without_files(overrides: dict[str, Any]) -> dict[str, Any]:
    kept = {
        part: {name: value for name, value in values.items() if f"{part}.{name}" not in FILES}
        for part, values in overrides.items()
    }
    return {part: values for part, values in kept.items() if values}


def changes(preset_name: str, overrides: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(path, what the preset would use, what is used) of each setting that differs from the preset."""
    before = resolve(preset_name).model_dump(mode="json")
    after = resolve(preset_name, overrides=overrides).model_dump(mode="json")
    return [
        (path, plain(before[section][name]) or "automatic", plain(after[section][name]) or "automatic")
        for path in settings()
        for section, _, name in [path.partition(".")]
        if path not in FILES and before[section][name] != after[section][name]
    ]


def arguments(preset_name: str, overrides: dict[str, Any]) -> list[str]:
    """The files and settings as `atelier train` and `atelier data show` take them."""
    words = [*overrides.get("data", {}).get("files", ()), "--preset", preset_name]
    for part, values in overrides.items():
        for setting, value in values.items():
            words += _flag(f"{part}.{setting}", value) if f"{part}.{setting}" != "data.files" else []
    return words


def command(preset_name: str, overrides: dict[str, Any]) -> str:
    """The line that does the same in a shell."""
    return shlex.join(["atelier", "train", *arguments(preset_name, overrides)])


def as_yaml(overrides: dict[str, Any], preset_name: str) -> str:
    """The file that, with --config, stands for the same settings."""
    if not overrides:
        return f"# Nothing differs from the preset {preset_name}.\n"
    return yaml.safe_dump(overrides, sort_keys=False, allow_unicode=True)


def _flag(path: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        section, _, name = path.partition(".")
        return [f"--{path.replace('_', '-')}" if value else f"--{section}.no-{name.replace('_', '-')}"]
    if isinstance(value, dict):
        return [
            word for name, each in value.items() if each is not None for word in _flag(f"{path}.{name}", each)
        ]
    if isinstance(value, list | tuple):
        return [word for each in value for word in _flag(path, each)]
    word = plain(value) if isinstance(value, float) else str(value)
    # A word that begins with a dash would be taken for another flag.
    return [f"--{path}={word}"] if word.startswith("-") else [f"--{path}", word]
