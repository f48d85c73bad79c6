"""How much of each file is in an epoch, where there are several."""

from typing import Any

import gradio as gr

from webui.chosen import FRESH
from webui.language import t
from webui.render import data as render
from webui.render.parts import hint, section
from webui.shared import html, spoken

MOST = 12  # files that can be weighed here; more, in a YAML file
EXPLAINED = "Empty everywhere: every example of every file once. A file of weight 2 gives twice as many as one of weight 1."


class Mixture:
    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="weights") as self.box:
            html(section(t("The mix")) + hint(t(EXPLAINED)))
            with gr.Row(elem_classes="settings weights"):
                self.weights = [
                    gr.Number(None, label="", info=" ", visible=False, min_width=240, elem_id=f"weight-{at}")
                    for at in range(MOST)
                ]
        self.outputs = [self.box, *self.weights]

    def show(self, seen: render.Seen, state: dict[str, Any]) -> dict:
        shares = seen.get("shares", ())
        several = 1 < len(shares) <= MOST
        given = [*state["weights"], *[None] * MOST]
        return {self.box: gr.Column(visible=several)} | {
            box: gr.Number(
                label=render.file_name(shares[at]["name"]),
                info=render.share(shares[at]),
                value=given[at],
                visible=True,
            )
            if several and at < len(shares)
            else gr.Number(value=None, visible=False)
            for at, box in enumerate(self.weights)
        }

    def listen(self, chosen: gr.BrowserState, message: gr.HTML, **event: Any) -> None:
        @spoken(message)
        def weigh(state: dict, *given: float | None) -> dict:
            state = FRESH | state
            weights = as_weights(given[: len(state["files"])])
            return {chosen: state | {"weights": weights}} if weights != state["weights"] else {}

        typed = [event_of for box in self.weights for event_of in (box.submit, box.blur)]
        gr.on(typed, weigh, [chosen, *self.weights], [message, chosen], **event)


def as_weights(given: tuple[float | None, ...]) -> list[float]:
    """One for each file; an empty field beside filled ones weighs 1. Nothing if all are empty."""
    return (
        [1.0 if each is None else float(each) for each in given]
        if any(each is not None for each in given)
        else []
    )
