"""The Runs page: every run, and the chosen one live. A script looks once a second and gets only what changed."""

import base64
import json
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import gradio as gr
from fastapi import Response
from gradio.context import LocalContext
from pydantic import BaseModel, Field, ValidationError

from core.errors import RunError
from core.publish.job import last
from core.runs import jobs, naming, queue
from webui import again
from webui.board import LONGEST_NAME, Asked, Boards
from webui.chosen import chosen_data, chosen_settings
from webui.language import js, t
from webui.render import runs as render
from webui.render.parts import heading, hint, text
from webui.shared import POLL, READ_RUN, WRITE_RUN, Shared, html, nowhere, spoken

DISCARD = "Stop this run and remove all that it has made? Nothing is saved; its settings and curves are kept."
END = "End this run at once? What came after its last checkpoint is lost."
DELETE = "Delete this run with its checkpoints, model and scores? It cannot be brought back."
FILES = {"log": "console.log", "events": "events.jsonl"}  # what can be taken away
PIECE = 3 * 2**20  # bytes of a file that are sent at a time; divisible by 3, so that pieces can be joined
# What the script says by itself. In the browser's language; `{…}` is filled in there.
WORDS = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "gradient_norm": "Gradient norm",
    "tokens_per_second": "Tokens per second",
    "memory_bytes": "Memory",
    "training": "training",
    "held_out": "held out",
    "nothing": "The first step is not done yet.",
    "smoothing": "Smoothing",
    "log": "Log scale",
    "whole": "Whole run",
    "how": "Drag over a span to look closer, double-click to go back. With the keyboard: arrows, + and −.",
    "step": "step {step}",
    "range": "{low} to {high}",
    "falls": "falls from {from} to {to}",
    "rises": "rises from {from} to {to}",
    "level": "stays at about {to}",
    "warning": "Warning at step {step}:",
    "gigabytes": "GB",
    "megabytes": "MB",
    "kilobytes": "kB",
    "search": "Search the runs",
    "compare": "Compare runs",
    "compare_many": "Compare {n} runs",
    "tick": "Compare {name} with others",
    "no_match": "No run is like that.",
    "lines": "{n} of {total} lines",
    "filter": "Filter the log",
    "nothing_printed": "Nothing printed yet.",
    "no_line": "No line has these words.",
    "away": "The page's server does not answer. The run goes on; this page goes on when the server is back.",
    "blocked": "The browser does not allow notices; it will be said here.",
    "close": "Close",
    **{
        head.lstrip("#").lower().replace("-", "_").replace(" ", "_") + "_head": head.lstrip("#")
        for head in render.COLUMNS
    },
}
ACTS = (
    "pause",
    "continue",
    "stop",
    "discard",
    "end",
    "resume",
    "publish-again",
    "again",
    "rename-it",
    "delete",
)


class Wanted(BaseModel):
    """A piece of a file, as runs.js asks for it."""

    run: str = Field(max_length=LONGEST_NAME)
    file: Literal["log", "events"]
    begin: int = Field(ge=0, le=2**53)


def _read(folder: Path, wanted: Wanted) -> bytes:
    try:
        with (folder / FILES[wanted.file]).open("rb") as file:
            file.seek(wanted.begin)
            return file.read(PIECE)
    except FileNotFoundError:
        return b""


def room(shared: Shared, page: gr.Blocks) -> None:
    boards = Boards()
    data, settings = chosen_data(), chosen_settings()
    html(
        heading(t("Runs"), t("A run goes on by itself: close this page, come back, and it is where it was."))
    )

    async def news(asked: dict[str, Any], request: gr.Request) -> Response:
        """What is new, for runs.js."""
        LocalContext.request.set(request)  # so that a Space knows the visitor, as in an event
        try:
            wanted = Asked.model_validate(asked)
        except ValidationError:
            return Response(status_code=400)  # no page of ours asks like that
        board = boards.of(shared.store.root, wanted.run)
        if wanted.fresh:
            board.age()
        if not board.is_fresh():
            await anyio.to_thread.run_sync(board.make, shared.all)
        return Response(board.news(wanted), media_type="application/json")

    async def piece(asked: dict[str, Any], request: gr.Request) -> Response:
        """A piece of a file that the run has written, as {"base64": ...}; empty behind its end."""
        LocalContext.request.set(request)
        try:
            wanted = Wanted.model_validate(asked)
        except ValidationError:
            return Response(status_code=400)
        run = shared.find(wanted.run)
        read = await anyio.to_thread.run_sync(_read, run.folder, wanted) if run else b""
        return Response(
            json.dumps({"base64": base64.b64encode(read).decode()}), media_type="application/json"
        )

    html(_part("line"), elem_id="line")
    watcher = html(
        f'<div data-part="runs"></div><div data-part="none" hidden>{hint(t(render.NONE_YET))}</div>',
        elem_id="runs",
        js_on_load=_script(),
        server_functions=[news, piece],
    )
    message = html(elem_id="message")
    with gr.Column(elem_id="opened"):
        html(_part("status"), elem_id="status")
        with gr.Row(elem_classes="acts"):
            pause = gr.Button(t("Pause"), elem_id="pause", min_width=120)
            go_on = gr.Button(t("Continue"), variant="primary", elem_id="continue", min_width=120)
            stop = gr.Button(t("Stop and save"), elem_id="stop", min_width=120)
            discard = gr.Button(t("Stop and discard"), elem_id="discard", min_width=120)
            end = gr.Button(t("End it now"), elem_id="end", min_width=120)
            resume = gr.Button(t("Resume"), variant="primary", elem_id="resume", min_width=120)
            publish = gr.Button(t("Publish again"), variant="primary", elem_id="publish-again", min_width=140)
            html(_tell(), elem_id="tell-box")
            html(_part("ways"), elem_id="ways")
            clone = gr.Button(t("Run again with changes"), elem_id="again", min_width=120)
            rename = gr.Button(t("Rename"), elem_id="rename-it", min_width=100)
            delete = gr.Button(t("Delete"), elem_id="delete", min_width=100)
        with gr.Row(elem_id="renaming"):
            called = gr.Textbox("", label=t("New name"), max_lines=1, elem_id="new-name")
            rename_now = gr.Button(t("Rename the run"), variant="primary", elem_id="rename", min_width=120)
        html('<div id="charts"></div><p class="toast" role="status" id="told"></p>', elem_id="curves")
        own = gr.Textbox(
            "",
            label=t("Your notes"),
            placeholder=t("What you tried, and what you saw. Kept with the run."),
            lines=2,
            max_lines=12,
            elem_id="note",
        )
        html(_part("samples"), elem_id="samples")
        html(_part("noted"), elem_id="notes")
        html(_log(), elem_id="console")
    name, agreed, moved = nowhere(), nowhere(), nowhere()

    def open_run(event: gr.EventData) -> dict:
        run = shared.find(event.run)
        return {name: run.name if run else "", own: run.note if run else "", called: run.name if run else ""}

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
        return {name: ""}

    @spoken(message)
    def call(chosen: str, new_name: str) -> dict:
        return {moved: naming.rename(shared.run(chosen), new_name.strip()).name}

    @spoken(message)
    def keep_note(chosen: str, words: str) -> dict:
        if chosen:  # while a run is being opened, there is none yet
            naming.note(shared.run(chosen), words or "")
        return {}

    @spoken(message)
    def take_over(chosen: str) -> dict:
        shared.may_work()
        examples, values = again.chosen_of(shared, shared.run(chosen))
        return {data: examples, settings: values}

    @spoken(message)
    def rearrange(event: gr.EventData) -> dict:
        shared.may_work()
        run = shared.run(event.run)
        if event.act == "cancel":
            jobs.cancel(run)
        elif event.act in ("earlier", "later"):
            queue.move(run, event.act)
        else:
            raise RunError(f"A run that waits cannot be moved {event.act!r}.")
        return {}

    at_once: dict[str, Any] = {"fn": None, "inputs": None, "outputs": None, "js": _LOOK}
    opened = {"inputs": name, "outputs": None, "js": _OPEN}
    watcher.open(open_run, None, [name, own, called], **POLL).then(None, name, None, js=_OPENED)
    watcher.rearrange(rearrange, None, message, api_visibility="private").then(**at_once)
    pause.click(ask_to_pause, name, message, api_name="pause").then(**at_once)
    go_on.click(ask_to_go_on, name, message, api_name="continue").then(**at_once)
    stop.click(ask_to_stop, name, message, api_name="stop").then(**at_once)
    discard.click(ask_to_discard, name, message, api_name="discard", js=_if_sure(DISCARD)).then(**at_once)
    end.click(end_now, name, message, api_name="end", js=_if_sure(END)).then(**at_once)
    resume.click(start_again, [name, agreed], [message, agreed], api_name="resume").then(**at_once)
    publish.click(publish_again, name, message, api_name="publish_again").then(**at_once)
    delete.click(remove, name, [message, name], api_name="delete", js=_if_sure(DELETE)).then(None, **opened)
    rename.click(None, None, None, js=_RENAMING)
    gr.on([rename_now.click, called.submit], call, [name, called], [message, moved], api_name="rename").then(
        None, moved, moved, js=_MOVED
    )
    # `multiple`: words that are written while the ones before are being kept are kept, too.
    noting = {"show_progress": "hidden", "trigger_mode": "multiple"}
    own.blur(keep_note, [name, own], message, api_name="note", **noting).then(**at_once)
    clone.click(take_over, name, [message, data, settings], api_visibility="private").then(
        None, message, None, js=_TO_TRAIN
    )


_LOOK = "() => { window.dispatchEvent(new CustomEvent('atelier-look')) }"
_OPEN = "run => { window.dispatchEvent(new CustomEvent('atelier-look', {detail: run})) }"
_OPENED = "run => { window.dispatchEvent(new CustomEvent('atelier-opened', {detail: run})) }"
# Not from where the buttons' run is kept: a look made meanwhile may have said there that the run is gone.
_MOVED = "run => { if (run) window.dispatchEvent(new CustomEvent('atelier-look', {detail: run})); return '' }"
_RENAMING = """() => {
  const open = document.getElementById('renaming').toggleAttribute('data-on');
  if (open) document.querySelector('#new-name :is(input, textarea)').select();
}"""
# The browser keeps what it is told with the next frame.
_TO_TRAIN = (
    "said => { if (!said) setTimeout(() => { location.href = new URL('./train', document.baseURI) }, 200) }"
)


def _part(name: str) -> str:
    """A place that runs.js fills in."""
    return f'<div data-part="{name}"></div>'


def _tell() -> str:
    return (
        f'<label class="tell"><input type="checkbox" id="tell"> {text(t("Tell me when it is done"))}</label>'
    )


def _log() -> str:
    """What the process printed, to be filtered and taken away."""
    buttons = "".join(
        f'<button type="button" data-file="{name}">{text(t(words))}</button>'
        for name, words in (("log", "Download the log"), ("events", "Download the events"))
    )
    return (
        f'<details id="console-box"><summary>{text(t("What the process printed"))}</summary>'
        f'<div class="tools"><input type="search" id="filter-log"><small id="lines" role="status"></small>{buttons}</div>'
        '<div class="console" tabindex="0"><pre></pre></div></details>'
    )


def _script() -> str:
    """charts.js and runs.js with their words, the same function for both."""
    here = Path(__file__).parent
    words = ",".join(f"{json.dumps(name)}:{js(sentence)}" for name, sentence in WORDS.items())
    heads = json.dumps(
        [
            [h.lstrip("#").lower().replace("-", "_").replace(" ", "_"), h.startswith("#")]
            for h in render.COLUMNS
        ]
    )
    return (
        f"const words = {{{words}}}, heads = {heads}, acts = {json.dumps(ACTS)}, files = {json.dumps(FILES)};\n"
        f"const readRun = {READ_RUN}, writeRun = {WRITE_RUN};\n"
        f"{(here / 'charts.js').read_text('utf-8')}\n{(here / 'runs.js').read_text('utf-8')}"
    )


def _if_sure(question: str) -> str:
    """For `js=`: the run, if whoever clicked says yes to the question; else nothing."""
    return f"run => confirm({js(question)}) ? run : null"
