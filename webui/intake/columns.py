"""What the columns of a table mean: seen, guessed, and said by the one who knows."""

from typing import Any

import gradio as gr

from core.spec import ColumnSettings
from webui.chosen import FRESH
from webui.language import t
from webui.render import data as render
from webui.render.parts import hint
from webui.shared import LAST, html, spoken

NOT_NAMED = ""
RIGHT, AS_FOUND = "The guess is right", "As found"
HALF = {
    "question": "Now choose the column of the questions: the examples are read again as soon as there are both.",
    "answer": "Now choose the column of the answers: the examples are read again as soon as there are both.",
}
WHAT_TO_DO = (
    "Nothing here has to be said where the columns have known names. Otherwise name the question and the answer, or one "
    "column of whole conversations, or one of texts."
)


class Columns:
    def __init__(self) -> None:
        with gr.Accordion(t("What the columns mean"), open=False, elem_id="columns") as self.box:
            self.note = html(hint(t(WHAT_TO_DO)))
            self.sample = html(elem_id="sample")
            with gr.Row(elem_classes="settings columns"):
                self.meant = {
                    name: gr.Dropdown(
                        [("–", NOT_NAMED)], value=NOT_NAMED, label=t(name.capitalize()), info=t(info.description),
                        filterable=False, min_width=190, elem_id=f"column-{name}",
                    )
                    for name, info in ColumnSettings.model_fields.items()
                }  # fmt: skip
            with gr.Row(elem_classes="acts"):
                self.confirm = gr.Button(t(RIGHT), visible=False, min_width=160, elem_id="confirm")
                self.forget = gr.Button(t(AS_FOUND), visible=False, min_width=120, elem_id="forget")
        self.outputs = [self.box, self.note, *self.meant.values(), self.confirm, self.forget, self.sample]

    def show(self, seen: render.Seen, state: dict[str, Any], other_files: bool) -> dict:
        """Open where nothing fits or something was guessed; a box that someone opened is not closed on them."""
        said, guess, names = state["columns"], render.guessed(seen), render.columns(seen)
        unclear = bool(guess or said or ("error" in seen and names))
        now = {} if said else guess
        choices = [("–", NOT_NAMED), *((name, name) for name in dict.fromkeys([*names, *said.values()]))]
        return {
            self.box: gr.Accordion(visible=bool(names), open=unclear)
            if other_files or unclear
            else gr.skip(),
            self.note: hint(t(WHAT_TO_DO)),
            self.confirm: gr.Button(t(RIGHT), visible=bool(guess)),
            self.forget: gr.Button(t(AS_FOUND), visible=bool(said)),
            self.sample: render.sample(seen),
        } | {
            box: gr.Dropdown(choices=choices, value=(said or now).get(name, NOT_NAMED))
            for name, box in self.meant.items()
        }

    def listen(self, chosen: gr.BrowserState, message: gr.HTML, **event: Any) -> None:
        @spoken(message)
        def mean(state: dict, *columns: str) -> dict:
            said = {name: column for name, column in zip(self.meant, columns, strict=True) if column}
            other = _other_half(said)
            if other:
                return {self.note: hint(t(HALF[other]))}
            return {chosen: FRESH | state | {"columns": said}}

        @spoken(message)
        def forget(state: dict) -> dict:
            return {chosen: FRESH | state | {"columns": {}}}

        boxes, changed = list(self.meant.values()), [message, chosen, self.note]
        gr.on([box.input for box in boxes], mean, [chosen, *boxes], changed, **LAST, **event)
        self.confirm.click(mean, [chosen, *boxes], changed, **event)
        self.forget.click(forget, chosen, [message, chosen], **event)


def _other_half(said: dict[str, str]) -> str:
    """The half of a pair that is still to be named; empty if the columns can be read as they are."""
    if {"messages", "text"} & set(said) or ("question" in said) == ("answer" in said):
        return ""
    return "answer" if "question" in said else "question"
