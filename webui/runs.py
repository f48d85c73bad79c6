"""The Runs page: every run, and the chosen one live. Looks once a second and sends only what changed."""

import json

import gradio as gr

from core.publish.job import last
from core.runs import jobs, queue
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
# The line is drawn anew when it changes. Whoever moves a run with the keyboard is kept at its button, where it now is.
REARRANGE = """
let pressed = null;
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  pressed = {...button.dataset, until: Date.now() + 5000};
  trigger('rearrange', {run: pressed.run, act: pressed.act});
});
new MutationObserver(() => {
  const here = document.activeElement;
  if (!pressed || Date.now() > pressed.until || !(here === document.body || element.contains(here))) return;
  const mine = [...element.querySelectorAll('button[data-act]:enabled')].filter(each => each.dataset.run === pressed.run);
  (mine.find(each => each.dataset.act === pressed.act) || mine[0])?.focus();
}).observe(element, {childList: true, subtree: true, attributes: true});
"""
DISCARD = "Stop this run and remove all that it has made? Nothing is saved; its settings and curves are kept."
END = "End this run at once? What came after its last checkpoint is lost."
DELETE = "Delete this run with its checkpoints, model and scores? It cannot be brought back."


def room(shared: Shared, page: gr.Blocks) -> None:
    html(heading("Runs", "A run goes on by itself: close this page, come back, and it is where it was."))
    line = html(elem_id="line", js_on_load=OPEN_IN_PLACE + REARRANGE)
    listed = html(elem_id="runs", js_on_load=OPEN_IN_PLACE)
    message = html(elem_id="message")
    with gr.Column(visible=False) as opened:
        status = html(elem_id="status")
        with gr.Row(elem_classes="acts"):
            pause = gr.Button("Pause", elem_id="pause", visible=False, min_width=120)
            go_on = gr.Button("Continue", variant="primary", elem_id="continue", visible=False, min_width=120)
            stop = gr.Button("Stop and save", elem_id="stop", visible=False, min_width=120)
            discard = gr.Button("Stop and discard", elem_id="discard", visible=False, min_width=120)
            end = gr.Button("End it now", elem_id="end", visible=False, min_width=120)
            resume = gr.Button("Resume", variant="primary", elem_id="resume", visible=False, min_width=120)
            publish = gr.Button(
                "Publish again", variant="primary", elem_id="publish-again", visible=False, min_width=140
            )
            ways = html(elem_id="ways")
            delete = gr.Button("Delete", elem_id="delete", visible=False, min_width=100)
        drawn = html(elem_id="curves")
        answered = html(elem_id="samples")
        noted = html(elem_id="notes")
        with gr.Accordion("What the process printed", open=False, elem_id="console-box"):
            printed = html(elem_id="console")
    name, seen, agreed = nowhere(), nowhere(), nowhere()
    buttons = [pause, go_on, stop, discard, end, resume, publish, delete]
    views = [opened, line, listed, status, ways, drawn, answered, noted, printed, *buttons]

    @spoken(message)
    def open_run(wanted: str | None) -> dict:
        newest = next((run.name for run in shared.store.all()), "")
        return {name: shared.run(wanted).name if wanted else newest}

    def look(chosen: str, before: str) -> list:
        every = {run.name: (run, progress) for run, progress in shared.all()}
        above = [render.line(queue.waiting(every.values())), render.runs_table(every.values(), chosen)]
        if chosen not in every:
            return only_news([False, *above, *[""] * 6, *[False] * len(buttons)], before)
        run, progress = every[chosen]
        parts = [
            True,
            *above,
            render.status_block(run, progress),
            render.ways_on(run, progress),
            curves(progress),
            render.samples(progress),
            render.notes(progress) + render.published(progress),
            render.console(run),
            render.can_pause(run, progress),
            render.can_go_on(run, progress),
            render.can_stop(run, progress),
            render.can_discard(run, progress),
            render.can_end(run, progress),
            progress.resumable,
            render.can_publish_again(progress),
            render.can_delete(progress),
        ]
        return only_news(parts, before)

    @spoken(message)
    def ask_to_pause(chosen: str) -> dict:
        jobs.pause(shared.run(chosen))
        return {}

    @spoken(message)
    def ask_to_go_on(chosen: str) -> dict:
        jobs.go_on(shared.run(chosen))
        return {}

    @spoken(message)
    def ask_to_stop(chosen: str) -> dict:
        jobs.stop(shared.run(chosen))
        return {}

    @spoken(message)
    def ask_to_discard(chosen: str | None) -> dict:
        if chosen:
            jobs.stop(shared.run(chosen), discard=True)
        return {}

    @spoken(message)
    def end_now(chosen: str | None) -> dict:
        if chosen:
            jobs.stop(shared.run(chosen), now=True)
        return {}

    @spoken(message)
    def start_again(chosen: str, agreed_to: str) -> dict:
        run = shared.run(chosen)
        asked = render.another_machine(run)
        if asked and agreed_to != asked:
            return {message: asked, agreed: asked}
        jobs.start(run, token=shared.token())
        return {agreed: ""}

    @spoken(message)
    def publish_again(chosen: str) -> dict:
        run = shared.run(chosen)
        jobs.start(run, "push", shared.token(), **last(run))
        return {}

    @spoken(message)
    def remove(chosen: str | None) -> dict:
        if not chosen:
            return {}
        jobs.delete(shared.run(chosen))
        return open_run(None)

    @spoken(message)
    def rearrange(event: gr.EventData) -> dict:
        shared.may_work()
        run = shared.run(event.run)
        jobs.cancel(run) if event.act == "cancel" else queue.move(run, event.act)
        return {}

    def choose(event: gr.EventData) -> str:
        return event.run

    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, *views], **POLL}
    page.load(open_run, name, [message, name], js=READ_RUN, **POLL).then(**now)
    gr.Timer(1).tick(**now)
    for place in (line, listed):
        place.choose(choose, None, name, **POLL).then(None, name, None, js=WRITE_RUN).then(**now)
    line.rearrange(rearrange, None, message, api_visibility="private").then(**now)
    pause.click(ask_to_pause, name, message, api_name="pause").then(**now)
    go_on.click(ask_to_go_on, name, message, api_name="continue").then(**now)
    stop.click(ask_to_stop, name, message, api_name="stop").then(**now)
    discard.click(ask_to_discard, name, message, api_name="discard", js=_if_sure(DISCARD)).then(**now)
    end.click(end_now, name, message, api_name="end", js=_if_sure(END)).then(**now)
    resume.click(start_again, [name, agreed], [message, agreed], api_name="resume").then(**now)
    publish.click(publish_again, name, message, api_name="publish_again").then(**now)
    delete.click(remove, name, [message, name], api_name="delete", js=_if_sure(DELETE)).then(**now)


def _if_sure(question: str) -> str:
    """For `js=`: the run, if whoever clicked says yes to the question; else nothing."""
    return f"run => confirm({json.dumps(question)}) ? run : null"
