"""The Data page: choose examples, see what was read and what was not, and how the model will see them."""

import gradio as gr

from core import children, data, presets
from core.errors import DataError
from webui.chosen import chosen_data, chosen_settings, overrides, preset_of
from webui.render import data as render
from webui.render.parts import alert, heading, hint, waiting
from webui.render.train import arguments
from webui.shared import SAMPLE, Shared, html, spoken

OWN = "own"
SOURCES = [
    ("Tales in English, built in", "sample:fables-en"),
    ("Tales in French, built in", "sample:fables-fr"),
    ("My own files", OWN),
]
ROWS = "4"  # whose tokens are shown


def room(shared: Shared, page: gr.Blocks) -> None:
    chosen, settings = chosen_data(), chosen_settings()
    html(
        heading(
            "What should the model learn?",
            "Show it examples: one question and its answer, or one conversation, on each line of a .jsonl file.",
        )
    )
    source = gr.Radio(SOURCES, value=SAMPLE, label="Examples", elem_id="source")
    with gr.Row(visible=False) as own:
        upload = _drop_zone("Examples to learn from", "upload")
        upload_held_out = _drop_zone("Examples to measure on (optional)", "upload-held-out")
    message = html(elem_id="message")
    use = gr.Button("Use these examples", variant="primary", size="lg", elem_id="use")
    html(hint(render.HONEST), elem_classes="honest")
    report = html(waiting("Reading the examples …"), elem_id="report")
    tokens = html(elem_id="tokens")

    def show_choice(state: dict) -> dict:
        files = state["files"] or [SAMPLE]
        if files == [SAMPLE]:
            # As it was drawn; whoever was quicker than this answer has chosen otherwise by now.
            return {source: gr.skip(), own: gr.skip()}
        picked = files[0] if files[0] in dict(map(reversed, SOURCES)) else OWN
        return {source: picked, own: gr.Row(visible=picked == OWN)}

    @spoken(message)
    def choose(picked: str, state: dict) -> dict:
        if picked == OWN:
            return {own: gr.Row(visible=True)}
        return {own: gr.Row(visible=False), chosen: {"files": [picked], "held_out": []}}

    @spoken(message)
    def bring(files: list[str]) -> dict:
        return {chosen: {"files": [shared.keep(file) for file in files], "held_out": []}, upload: None}

    @spoken(message)
    def bring_held_out(files: list[str], state: dict) -> dict:
        return {chosen: state | {"held_out": [shared.keep(file) for file in files]}, upload_held_out: None}

    def read(state: dict) -> dict:
        try:
            seen = render.report(data.read(shared.files(state["files"])))
            if state["held_out"]:
                seen += render.report(data.read(shared.files(state["held_out"])), "To measure on")
        except DataError as error:
            seen = render.report(error.report) if error.report else ""
            return {
                report: shared.short(alert(str(error)) + seen),
                tokens: "",
                use: gr.Button(interactive=False),
            }
        cutting = waiting("Cutting them into tokens …")
        return {report: shared.short(seen), tokens: cutting, use: gr.Button(interactive=True)}

    @spoken(tokens)
    def show_tokens(state: dict, kept: dict) -> dict:
        changed, preset = overrides(shared, state, kept["values"]), preset_of(kept)
        spec = presets.resolve(preset, overrides=changed)
        seen = children.ask("data", "show", *arguments(preset, changed), "--rows", ROWS)
        return {tokens: render.tokens(seen, spec.model.base, spec.train.max_length)}

    hidden = {"show_progress": "hidden", "api_visibility": "private"}

    def then_read(event) -> None:
        seen = event.then(read, chosen, [report, tokens, use], **hidden)
        seen.then(show_tokens, [chosen, settings], tokens, **hidden)

    then_read(page.load(show_choice, chosen, [source, own], **hidden))
    then_read(source.input(choose, [source, chosen], [message, chosen, own], **hidden))
    then_read(upload.upload(bring, upload, [message, chosen, upload], **hidden))
    measured = [message, chosen, upload_held_out]
    then_read(upload_held_out.upload(bring_held_out, [upload_held_out, chosen], measured, **hidden))
    use.click(None, None, None, js="() => { location.href = './train' }")


def _drop_zone(label: str, elem_id: str) -> gr.File:
    return gr.File(
        label=label, file_count="multiple", file_types=[".jsonl"], height=150, min_width=280, elem_id=elem_id
    )
