"""The Runs page: every run, and the chosen one live. Looks once a second and sends only what changed."""

import gradio as gr

from core.runs import jobs
from webui.render import runs as render
from webui.render.charts import curves
from webui.render.parts import heading
from webui.shared import POLL, READ_RUN, WRITE_RUN, Shared, html, nowhere, only_news, spoken

# A click on a name opens the run in place; with a modifier key it is the plain link that it is.
OPEN_IN_PLACE = """
element.addEventListener('click', event => {
  const link = event.target.closest('a[data-run]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  trigger('choose', {run: link.dataset.run});
});
"""


def room(shared: Shared, page: gr.Blocks) -> None:
    html(heading("Runs", "A run goes on by itself: close this page, come back, and it is where it was."))
    listed = html(elem_id="runs", js_on_load=OPEN_IN_PLACE)
    message = html(elem_id="message")
    with gr.Column(visible=False) as opened:
        status = html(elem_id="status")
        with gr.Row(elem_classes="acts"):
            stop = gr.Button("Stop and save", elem_id="stop", visible=False, min_width=120)
            resume = gr.Button("Resume", variant="primary", elem_id="resume", visible=False, min_width=120)
            ways = html(elem_id="ways")
        drawn = html(elem_id="curves")
        noted = html(elem_id="notes")
        with gr.Accordion("What the process printed", open=False, elem_id="console-box"):
            printed = html(elem_id="console")
    name, seen = nowhere(), nowhere()
    views = [opened, listed, status, ways, drawn, noted, printed, stop, resume]

    @spoken(message)
    def open_run(wanted: str | None) -> dict:
        newest = next((run.name for run in shared.store.all()), "")
        return {name: shared.run(wanted).name if wanted else newest}

    def look(chosen: str, before: str) -> list:
        every = {run.name: (run, progress) for run, progress in shared.all()}
        table = render.runs_table(every.values(), chosen)
        if chosen not in every:
            return only_news([False, table, "", "", "", "", "", False, False], before)
        run, progress = every[chosen]
        parts = [
            True,
            table,
            render.status_block(run, progress),
            render.ways_on(run, progress),
            curves(progress),
            render.notes(progress) + render.published(progress),
            render.console(run),
            render.can_stop(run, progress),
            progress.resumable,
        ]
        return only_news(parts, before)

    @spoken(message)
    def ask_to_stop(chosen: str) -> dict:
        shared.run(chosen).request_stop()
        return {}

    @spoken(message)
    def go_on(chosen: str) -> dict:
        jobs.start(shared.run(chosen))
        return {}

    def choose(event: gr.EventData) -> str:
        return event.run

    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, *views], **POLL}
    page.load(open_run, name, [message, name], js=READ_RUN, **POLL).then(**now)
    gr.Timer(1).tick(**now)
    listed.choose(choose, None, name, **POLL).then(None, name, None, js=WRITE_RUN).then(**now)
    stop.click(ask_to_stop, name, message, api_name="stop").then(**now)
    resume.click(go_on, name, message, api_name="resume").then(**now)
