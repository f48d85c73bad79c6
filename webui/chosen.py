"""What a browser keeps between pages and reloads: which examples and how they are read, which preset and settings."""

from typing import Any

import gradio as gr

from core.presets import names
from webui import forms
from webui.language import t
from webui.render.data import file_name
from webui.render.train import BUILT_IN
from webui.shared import SAMPLE, Shared

# BrowserState encrypts what it keeps with this; it hides nothing (everyone has the key), it only has to be the same
# on every page and after a restart, or the browser could not read back what it kept.
KEY = "atelier"
PRESET = "tiny"
OTHER = "other"  # what is chosen, where it is neither built in nor saved
# The settings of `data` that are chosen on the Data page, by name.
FRESH: dict[str, Any] = {"files": [SAMPLE], "held_out": [], "columns": {}, "drop": [], "weights": []}


def chosen_data() -> gr.BrowserState:
    return gr.BrowserState(FRESH, storage_key="atelier.data", secret=KEY)


def chosen_settings() -> gr.BrowserState:
    return gr.BrowserState({"preset": PRESET, "values": {}}, storage_key="atelier.train", secret=KEY)


def fresh(files: list[str]) -> dict[str, Any]:
    """Other examples: what was said of the columns and warnings of earlier ones means nothing to them."""
    return FRESH | {"files": files}


def added(state: dict[str, Any], files: list[str]) -> dict[str, Any]:
    """More examples beside those chosen; each once."""
    every = list(dict.fromkeys([*state["files"], *files]))
    return FRESH | state | {"files": every, "weights": []}


def offered(shared: Shared, state: dict[str, Any]) -> gr.Dropdown:
    """What is chosen, among the data sets that can be chosen by name."""
    files = state["files"] or [SAMPLE]
    choices = [*((t(label), name) for name, label in BUILT_IN.items()), *shared.sets.choices()]
    named = len(files) == 1 and files[0] in dict(map(reversed, choices))
    first = file_name(files[0])
    several = t("{file} and {n} more", file=first, n=len(files) - 1) if len(files) > 1 else first
    other = [] if named else [(several, OTHER)]
    return gr.Dropdown(choices=[*other, *choices], value=files[0] if named else OTHER)


def preset_of(settings: dict[str, Any]) -> str:
    """The kept preset, unless it is no longer there."""
    return settings["preset"] if settings["preset"] in names() else PRESET


def overrides(shared: Shared, data: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the form's values and the chosen files lay over the preset; UserError if a file is not ours to read."""
    data = FRESH | data
    chosen = {"files": shared.files(data["files"])}
    if data["held_out"]:
        chosen["held_out_files"] = shared.files(data["held_out"])
    chosen |= {name: data[name] for name in ("columns", "drop", "weights") if data[name]}
    read = forms.read(values)
    if "against" in read.get("data", {}):
        chosen["against"] = shared.files(read["data"]["against"])
    shared.tasks(read.get("evaluate", {}).get("tasks", ()))
    return shared.own(read | {"data": read.get("data", {}) | chosen})
