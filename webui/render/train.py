"""What a filled-in form amounts to: in words, as a command line, as YAML."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from core.presets import resolve
from core.remote.estimate import as_text
from core.spec import RunSpec, settings
from webui.language import number, t
from webui.render.data import file_name
from webui.render.parts import address, count, hint, plain, said, section, size, table, text

BUILT_IN = {"sample:fables-en": "Tales in English, built in", "sample:fables-fr": "Tales in French, built in"}
# Named apart from the other settings.
FILES = ("data.files", "data.held_out_files")
# Chosen on the Data page: these settings have no field in the form.
CHOSEN = (*FILES, "data.columns", "data.drop", "data.weights")

START, AGREE = "Start training", "Agree and start"


def to_data() -> str:
    """The way to where examples are chosen."""
    link = f'<a href="{address("")}">{t("On the Data page:")}</a>'
    return f'<p class="hint">{link} {t("what is in them, and what else can be chosen.")}</p>'


def search() -> str:
    """The field that narrows all settings, and how many it leaves."""
    return (
        f'<label for="find-setting">{t("Search the settings")}</label>'
        f'<input id="find-setting" type="search" autocomplete="off" spellcheck="false" placeholder="{t("by name or explanation")}">'
        '<output for="find-setting"></output>'
    )


def machine(flavor: dict[str, Any]) -> str:
    """One of HF Jobs, in a list of choices."""
    words = (
        "{flavor}: {n} x {gpu}, {memory} each, ${price} an hour"
        if flavor["gpus"]
        else "{flavor}: no GPU, ${price} an hour"
    )
    return t(
        words, flavor=flavor["flavor"], n=number(flavor["gpus"]), gpu=flavor["gpu"], memory=size(flavor["gpu_memory"]),
        price=number(flavor["usd_per_hour"], ".2f"),
    )  # fmt: skip


def machines(flavors: Sequence[dict[str, Any]]) -> str:
    """What HF Jobs has, the cheapest first."""
    rows = (
        (
            f"<code>{text(each['flavor'])}</code>",
            text(f"{each['gpus']} x {each['gpu']}") if each["gpus"] else t("none"),
            size(each["gpu_memory"]) if each["gpus"] else "",
            size(each["memory"]),
            f"${number(each['usd_per_hour'], '.2f')}",
        )
        for each in sorted(flavors, key=lambda each: each["usd_per_hour"])
    )
    heads = (t("Machine"), t("GPUs"), "#" + t("Memory of each"), "#" + t("Memory"), "#" + t("An hour"))
    paid = t("paid by the minute, from your account at the Hub")
    return section(t("Machines of HF Jobs"), paid) + table(heads, rows, "machines")


def cost(estimate: dict[str, Any]) -> str:
    """What a run on HF Jobs would cost, before anybody pays."""
    again = t("Press again to agree and start.")
    return f'<p class="alert" role="alert">{said(as_text(estimate))} {again}</p>'


def what(spec: RunSpec) -> str:
    """What would be trained on what, in a sentence."""
    sentence = {
        "full": "Trains {every} of {base} on {files}, {times}.",
        "adapter": "Trains small matrices of {rank} beside {base} on {files}, {times}.",
    }["full" if spec.method.kind == "full" else "adapter"]
    times = count(spec.train.max_steps, "step") if spec.train.max_steps else _epochs(spec.train.epochs)
    names = ", ".join(
        t(BUILT_IN[file]) if file in BUILT_IN else text(file_name(file)) for file in spec.data.files
    )
    words = t(
        sentence, every=f"<b>{t('every weight')}</b>", rank=f"<b>{t('rank {n}', n=number(spec.method.rank))}</b>",
        base=f"<b>{text(spec.model.base)}</b>", files=f"<b>{names}</b>", times=times,
    )  # fmt: skip
    if spec.compute.where != "here":
        words += " " + t(
            "On HF Jobs, on {flavor}.", flavor=f"<b>{text(spec.compute.flavor or t('a machine'))}</b>"
        )
    return f'<p class="plan">{words}</p>'


def _epochs(epochs: float) -> str:
    return t("1 epoch") if epochs == 1 else t("{n} epochs", n=number(epochs, "g"))


def summary(preset: str, overrides: dict[str, Any]) -> str:
    """How to say the same in a shell and a file."""
    own = _without_files(overrides)
    line = command(preset, overrides)
    return (
        '<div class="said"><div>'
        + section(t("The same in a shell"))
        + f'<div class="copied"><pre class="command">{unbroken(line)}</pre>{_copy(t("Copy the command"))}</div></div><div>'
        + section(t("As YAML"), t("for --config"))
        + f'<div class="copied"><pre class="command">{text(as_yaml(own, preset))}</pre>{_copy(t("Copy the YAML"))}</div></div></div>'
    )


def _copy(label: str) -> str:
    return (
        f'<button type="button" data-copy aria-label="{label}" data-done="{t("Copied")}">{t("Copy")}</button>'
    )


def unbroken(line: str) -> str:
    """A command whose words are not torn apart at their hyphens."""
    return " ".join(f"<span>{text(word)}</span>" for word in line.split(" "))


def differences(preset: str, overrides: dict[str, Any]) -> str:
    changed = changes(preset, overrides)
    if not changed:
        return hint(t("Everything as the preset {name} says.", name=preset))
    rows = (
        (f"<code>{text(path)}</code>", text(before), f"<b>{text(after)}</b>")
        for path, before, after in changed
    )
    return section(t("Differs from the preset")) + table(
        (t("Setting"), preset, t("Here")), rows, "differences"
    )


def marks(changed: Iterable[str]) -> str:
    """For the form's own script: the fields to mark, and the words to mark them with."""
    return (
        f'<span hidden data-changed="{text(" ".join(changed))}" data-differs="{t("differs from the preset")}" '
        f'data-back="{t("As the preset")}"></span>'
    )


def filled(settings: int, remarks: Iterable[str]) -> str:
    """What was taken from a pasted text."""
    words = t("The form is filled in: {settings}.", settings=count(settings, "setting"))
    listed = "".join(f"<li><code>{text(each)}</code></li>" for each in remarks)
    return f'<p class="done" role="status">{words}</p>' + (
        f'<ul class="notes">{listed}</ul>' if listed else ""
    )


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
    none = t("automatic")
    return [
        (path, plain(before[section][name]) or none, plain(after[section][name]) or none)
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
    shown = yaml.safe_dump(overrides, sort_keys=False, allow_unicode=True) if overrides else ""
    return f"# Laid over --preset {preset_name}\n{shown}"


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
