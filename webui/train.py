"""The Train page: a preset, the few settings people touch, all the others, and the same thing as a command line."""

from pathlib import Path
from typing import Any

import gradio as gr

from core import children, presets
from core.runs import jobs
from webui import forms
from webui.chosen import FRESH, OTHER, chosen_data, chosen_settings, fresh, offered, overrides, preset_of
from webui.render import train as render
from webui.render.parts import heading
from webui.shared import SAMPLE, Shared, at_once, html, nowhere, spoken

ESTIMATING = 300.0  # seconds: the examples are read and their tokens counted
GO = "name => { if (name) location.href = './runs?run=' + encodeURIComponent(name) }"


def room(shared: Shared, page: gr.Blocks) -> None:
    data, kept = chosen_data(), chosen_settings()
    html(heading("How should it learn?", "A preset is enough. An empty field means: as the preset says."))
    with gr.Row(elem_classes="sides"):
        with gr.Column(scale=3, min_width=320):
            examples = gr.Dropdown([], label="Examples", filterable=False, elem_id="data-set")
            html(render.TO_DATA)
            preset = gr.Radio(
                [(f"{name}: {forms.explanation(name)}", name) for name in presets.names()],
                value="tiny",
                label="Preset",
                elem_id="preset",
                elem_classes="choices",
            )
            with gr.Row(elem_classes="settings"):
                fields = forms.draw_touched()
            with gr.Row(elem_classes="settings"):
                fields |= forms.draw_place()
            machines = html(elem_id="machines")
            with gr.Accordion("All settings", open=False, elem_id="all-settings"):
                fields |= forms.draw_others()
        with gr.Column(scale=2, min_width=320, elem_classes="aside"):
            name = gr.Textbox("", label="Name of the run", max_lines=1, elem_id="run-name")
            start = gr.Button(render.START, variant="primary", size="lg", elem_id="start")
            message = html(elem_id="message")
            summary = html(elem_id="summary")
            back = gr.Button("Back to the preset", size="sm", visible=False, elem_id="back")
    began, agreed = nowhere(), nowhere()
    paths = list(fields)

    def choose(picked: str) -> dict:
        state = fresh([picked])
        return {data: gr.skip() if picked == OTHER else state, name: name_for(state)}

    def name_for(state: dict) -> str:
        return shared.store.free_name(Path((state["files"] or [SAMPLE])[0].removeprefix("sample:")).stem)

    def restore(state: dict, stored: dict) -> dict:
        state = FRESH | state
        chosen, values = preset_of(stored), stored["values"]
        look = forms.as_preset(chosen)
        filled = {fields[p]: gr.update(value=values.get(p, forms.empty(fields[p])), **look[p]) for p in paths}
        return {preset: chosen, name: name_for(state), examples: offered(shared, state)} | filled

    def show_preset(chosen: str) -> dict:
        return {fields[path]: gr.update(**look) for path, look in forms.as_preset(chosen).items()}

    def clear() -> list:
        return [forms.empty(each) for each in fields.values()]

    @spoken(message)
    def offer_machines(where: str) -> dict:
        if where != "hf-jobs":
            return {machines: "", fields["compute.flavor"]: gr.skip()}
        found = children.ask("remote", "flavors", token=shared.token())["flavors"]
        choices = [("", forms.AS_PRESET), *((render.machine(each), each["flavor"]) for each in found)]
        return {machines: render.machines(found), fields["compute.flavor"]: gr.update(choices=choices)}

    def filled_in(values: tuple[Any, ...]) -> dict[str, Any]:
        return {path: value for path, value in zip(paths, values, strict=True) if value not in (None, "")}

    @spoken(message)
    def preview(state: dict, chosen: str, *values: Any) -> dict:
        changed = overrides(shared, state, filled_in(values))
        spec = presets.resolve(chosen, overrides=changed)
        return {
            kept: {"preset": chosen, "values": filled_in(values)},
            summary: render.summary(spec, chosen, changed),
            back: gr.Button(visible=bool(render.changes(chosen, forms.read(filled_in(values))))),
        }

    @spoken(message)
    def begin(state: dict, chosen: str, called: str, agreed_to: str, *values: Any) -> dict:
        changed = overrides(shared, state, filled_in(values))
        spec = presets.resolve(chosen, overrides=changed)
        jobs.check(spec)
        token = shared.token()
        if spec.compute.where == "hf-jobs" and agreed_to != (wanted := spec.model_dump_json()):
            asked = render.arguments(chosen, changed)
            seen = children.ask("remote", "estimate", *asked, token=token, timeout=ESTIMATING)
            return {message: render.cost(seen), agreed: wanted, start: render.AGREE}
        run = shared.store.create(called.strip(), spec)
        jobs.start(run, token=token)
        return {began: run.name, start: render.START}

    hidden = {"show_progress": "hidden", "api_visibility": "private"}
    every = [data, preset, *fields.values()]
    shown = [message, kept, summary, back]
    page.load(restore, [data, kept], [examples, preset, name, *fields.values()], **hidden).then(
        preview, every, shown, **hidden
    )
    examples.input(choose, examples, [data, name], **hidden).then(preview, every, shown, **hidden)
    preset.input(show_preset, preset, list(fields.values()), **hidden).then(preview, every, shown, **hidden)
    gr.on(
        [each.input for each in fields.values()], preview, every, shown, trigger_mode="always_last", **hidden
    )
    back.click(clear, None, list(fields.values()), **hidden).then(preview, every, shown, **hidden)
    fields["compute.where"].input(
        offer_machines, fields["compute.where"], [message, machines, fields["compute.flavor"]], **hidden
    )
    given = [data, preset, name, agreed, *fields.values()]
    start.click(None, None, message, js=at_once("Starting …"), **hidden)
    start.click(begin, given, [message, began, agreed, start], api_name="train", show_progress="hidden").then(
        None, began, None, js=GO
    )
