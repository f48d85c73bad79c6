"""What a browser keeps between pages and reloads: which examples, which preset, which settings were changed."""

from typing import Any

import gradio as gr

from core.presets import names
from webui import forms
from webui.shared import SAMPLE, Shared

# BrowserState encrypts what it keeps with this; it hides nothing (everyone has the key), it only has to be the same
# on every page and after a restart, or the browser could not read back what it kept.
KEY = "atelier"
PRESET = "tiny"


def chosen_data() -> gr.BrowserState:
    return gr.BrowserState({"files": [SAMPLE], "held_out": []}, storage_key="atelier.data", secret=KEY)


def chosen_settings() -> gr.BrowserState:
    return gr.BrowserState({"preset": PRESET, "values": {}}, storage_key="atelier.train", secret=KEY)


def preset_of(settings: dict[str, Any]) -> str:
    """The kept preset, unless it is no longer there."""
    return settings["preset"] if settings["preset"] in names() else PRESET


def overrides(shared: Shared, data: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the form's values and the chosen files lay over the preset; DataError if a file is not ours to read."""
    files = {"files": shared.files(data["files"])}
    if data["held_out"]:
        files["held_out_files"] = shared.files(data["held_out"])
    read = forms.read(values)
    return read | {"data": read.get("data", {}) | files}
