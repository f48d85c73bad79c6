"""The Evaluate page: is the tuned model better than its base, by how much, and how sure is that?"""

import gradio as gr

from core.evaluate.report import read
from core.runs import jobs
from webui.render import evaluate as render
from webui.render.parts import heading
from webui.render.runs import BUSY, status_block
from webui.shared import POLL, READ_RUN, WRITE_RUN, Shared, html, nowhere, only_news, run_chooser, spoken


def room(shared: Shared, page: gr.Blocks) -> None:
    html(
        heading(
            "Is it better?",
            "Both models on the examples that were held out: neither has been trained on them.",
        )
    )
    with gr.Row(elem_classes="acts"):
        name = run_chooser()
        again = gr.Button("Score both models", elem_id="evaluate", scale=1, min_width=180)
    message = html(elem_id="message")
    status = html(elem_id="status")
    scores = html(elem_id="scores")
    asked, seen = nowhere(), nowhere()

    def look(chosen: str | None, before: str) -> list:
        run = shared.find(chosen)
        if run is None:
            return only_news([render.nothing(), ""], before)
        progress = shared.progress(run)
        at_work = progress.act == "evaluate" and (progress.state in BUSY or progress.message)
        return only_news([status_block(run, progress) if at_work else "", render.report(read(run))], before)

    @spoken(message)
    def begin(chosen: str | None) -> dict:
        jobs.start(shared.run(chosen), "evaluate")
        return {}

    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, status, scores], **POLL}
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(**now)
    gr.Timer(1).tick(**now)
    name.input(None, name, None, js=WRITE_RUN).then(**now)
    again.click(begin, name, message, api_name="evaluate").then(**now)
