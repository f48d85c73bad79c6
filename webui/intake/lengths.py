"""How long the examples are, and the longest that the model is to see."""

from typing import Any

import gradio as gr

from core import presets
from core.spec import settings
from webui.chosen import preset_of
from webui.language import number, t
from webui.render import lengths as render
from webui.shared import html, spoken

SETTING = "train.max_length"


class Lengths:
    def __init__(self) -> None:
        self.plot = html(elem_id="lengths")
        with gr.Row(elem_classes="limits", visible=False) as self.row:
            self.longest = gr.Number(
                None,
                label=t("Maximum length"),
                info=t(settings()[SETTING].description),
                elem_id="max-length",
                min_width=200,
            )
            self.costs = html(elem_id="costs")
        self.outputs = [self.plot, self.row, self.longest, self.costs]

    def show(self, seen: dict[str, Any], kept: dict[str, Any]) -> dict:
        usual = presets.resolve(preset_of(kept)).train.max_length
        return {
            self.plot: render.lengths(seen),
            self.costs: render.costs(seen),
            self.row: gr.Row(visible=bool(seen.get("lengths"))),
            self.longest: gr.Number(
                value=kept["values"].get(SETTING), placeholder=t("{n} (preset)", n=number(usual))
            ),
        }

    def listen(self, kept: gr.BrowserState, message: gr.HTML, **event: Any) -> None:
        @spoken(message)
        def limit(longest: float | None, stored: dict) -> dict:
            others = {path: value for path, value in stored["values"].items() if path != SETTING}
            values = others if longest is None else others | {SETTING: longest}
            return {kept: stored | {"values": values}} if values != stored["values"] else {}

        gr.on([self.longest.submit, self.longest.blur], limit, [self.longest, kept], [message, kept], **event)
