"""The Data page: choose examples, see what was read and what was not, and how the model will see them.

The page reads nothing itself. What is chosen lies in the browser; whenever that changes, one process is asked what
`atelier data check` says of it, and every part of the page shows its piece of the answer.
"""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr

from core.errors import UserError
from webui.chosen import FRESH, chosen_data, chosen_settings, overrides, preset_of
from webui.intake.columns import Columns
from webui.intake.keeping import Keeping
from webui.intake.lengths import Lengths
from webui.intake.mixture import Mixture
from webui.intake.reading import Readings
from webui.intake.sources import Sources
from webui.language import number, t
from webui.render import data as render
from webui.render.parts import alert, heading, hint, waiting
from webui.render.train import arguments
from webui.shared import LAST, Shared, at_once, html, nowhere, spoken

ROWS = "4"  # whose tokens are shown
READERS = 4  # people whose examples are read at the same time
# Said again with every change: a button loses its words to a change that comes while the page is being built.
USE = "Use these examples"
READING = "Reading the examples …"
HIDDEN = {"show_progress": "hidden", "api_visibility": "private"}
LEAD = "Show it examples, in whatever file you have them. They are checked line by line before anything is trained on them."


def room(shared: Shared, page: gr.Blocks) -> None:
    chosen, settings, shown, readings = chosen_data(), chosen_settings(), nowhere(), Readings()
    usable = nowhere()  # "yes" if what is chosen was read without an error
    html(heading(t("What should the model learn?"), t(LEAD)))
    sources = Sources(shared)
    message = html(elem_id="message")
    with gr.Row(elem_classes="acts next"):
        use = gr.Button(t(USE), variant="primary", size="lg", interactive=False, elem_id="use")
        busy = html(waiting(t(READING)), elem_id="busy")
    report = html(elem_id="report")
    mixture, columns = Mixture(), Columns()
    examples = html(elem_id="examples")
    problems = html(elem_id="problems")
    drop = gr.CheckboxGroup([], label=t("Leave out examples with"), visible=False, elem_id="drop")
    lengths = Lengths()
    tokens = html(elem_id="tokens")
    keeping = Keeping(shared)
    html(hint(t(render.HONEST)), elem_classes="honest")

    def show(seen: render.Seen, state: dict[str, Any], kept: dict[str, Any], other_files: bool) -> dict:
        parts = (
            sources.show(state), mixture.show(seen, state), columns.show(seen, state, other_files),
            lengths.show(seen, kept), keeping.show(seen),
        )  # fmt: skip
        codes = render.droppable(seen, state["drop"])
        drawn = {
            report: shared.short(render.report(seen)),
            examples: shared.short(render.examples(seen)),
            problems: shared.short(render.problems(seen)),
            drop: gr.CheckboxGroup(choices=codes, value=state["drop"], visible=bool(codes)),
            tokens: shared.short(render.tokens(seen)),
            use: gr.update(value=t(USE), interactive="error" not in seen),
            usable: "" if "error" in seen else "yes",
            message: shared.short(render.nothing(seen)),
        }
        return {component: value for part in parts for component, value in part.items()} | drawn

    def read(state: dict, kept: dict, before: str | None, request: gr.Request) -> Iterator[dict]:
        state = FRESH | state
        files, now = json.dumps(state["files"]), json.dumps([state, kept])
        # gradio sends what a stream yields first only with what it yields next, and one that yields once empties all.
        yield {busy: waiting(t(READING))}
        if (before or "").endswith(now):
            yield {busy: ""}
            return
        try:
            words = arguments(preset_of(kept), overrides(shared, state, kept["values"]))
            asked = ["data", "check", *words, "--rows", ROWS]
            for answer in readings.answer(request.session_hash, now, asked, **shared.hub()):
                if isinstance(answer, int):
                    yield {busy: waiting(t("Reading the examples … {n} seconds", n=number(answer)))}
                    continue
                other_files = not (before or "").startswith(files)
                yield show(answer, state, kept, other_files) | {busy: "", shown: f"{files} {now}"}
            yield {shown: gr.skip()}
        except UserError as error:
            said = {
                busy: "",
                shown: "",
                message: shared.short(alert(str(error))),
                use: gr.update(value=t(USE), interactive=False),
            }
            yield blank | sources.show(state) | said

    @spoken(message)
    def leave_out(codes: list[str], state: dict) -> dict:
        return {chosen: FRESH | state | {"drop": codes}}

    everything = [shown, usable, busy, message, use, report, examples, problems, drop, tokens]
    for part in (sources, mixture, columns, lengths, keeping):
        everything += part.outputs
    blank = {part: "" for part in (report, examples, problems, tokens, lengths.plot, lengths.costs)} | {
        hidden: gr.update(visible=False)
        for hidden in (mixture.box, columns.box, drop, lengths.row, keeping.box)
    }
    blank |= {usable: ""}
    changed = [chosen.change, settings.change]
    gr.on(changed, None, None, busy, js=at_once(READING), **HIDDEN)
    gr.on(
        changed, read, [chosen, settings, shown], everything,
        trigger_mode="multiple", concurrency_limit=READERS, **HIDDEN,
    )  # fmt: skip
    page.load(sources.restore, chosen, [sources.source, *sources.panels], **HIDDEN)
    sources.listen(chosen, message, use, usable, **HIDDEN)
    mixture.listen(chosen, message, **HIDDEN)
    columns.listen(chosen, message, **HIDDEN)
    lengths.listen(settings, message, **HIDDEN)
    drop.input(leave_out, [drop, chosen], [message, chosen], **LAST, **HIDDEN)
    keeping.listen(chosen, settings, sources.named, sources.none_saved)
    use.click(None, None, None, js="() => { location.href = './train' }")
