"""The Chat page: the base and the tuned model answer the same question, side by side."""

import gradio as gr

from webui.chosen import KEY
from webui.render import chat as render
from webui.render.parts import heading
from webui.shared import POLL, READ_RUN, WRITE_RUN, Shared, html, nowhere, only_news, run_chooser, spoken
from webui.talks import Sampling, Turn, kept, recalled

SIDES = {"both": ("tuned", "base"), "tuned": ("tuned",), "base": ("base",)}
# For `js=`, of Ask and Stop: at once, or a second question could be asked that nobody would hear.
ANSWERING = """() => [{__type__: 'update', value: 'Answering …', interactive: false},
  {__type__: 'update', interactive: true}]"""
AT_REST = """() => [{__type__: 'update', value: 'Ask', interactive: true},
  {__type__: 'update', interactive: false}]"""


def room(shared: Shared, page: gr.Blocks) -> None:
    talks = shared.talks
    html(heading("Talk to it", "The same question to the tuned model and to its base, side by side."))
    with gr.Row(elem_classes="acts"):
        name = run_chooser()
        load = gr.Button("Load", elem_id="load", scale=1, min_width=110)
        unload = gr.Button("Unload", elem_id="unload", scale=1, min_width=110, interactive=False)
    memory = html(elem_id="memory")
    talk = html(render.conversation([], ""), elem_id="talk")
    message = html(elem_id="message")
    with gr.Row(elem_classes="ask"):
        question = gr.Textbox(
            "",
            placeholder="Ask both of them something",
            show_label=False,
            label="Question",
            lines=1,
            container=False,
            max_lines=6,
            scale=5,
            elem_id="question",
        )
        ask = gr.Button("Ask", variant="primary", elem_id="ask", scale=1, min_width=100)
        stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=100, interactive=False)
        clear = gr.Button("Clear", elem_id="clear", scale=1, min_width=100)
    with gr.Accordion("How they answer", open=False):
        with gr.Row(elem_classes="settings"):
            side = gr.Radio(list(SIDES), value="both", label="Who answers", elem_id="side")
            temperature = gr.Slider(
                0, 2, value=0.7, step=0.1, label="Temperature", info="0 always takes the likeliest token."
            )
            longest = gr.Slider(16, 1024, value=128, step=16, label="Longest answer", info="In tokens.")
        system = gr.Textbox(
            "",
            label="System prompt",
            info="Read before the conversation; empty for none.",
            lines=2,
            elem_id="system",
        )
    turns, asked, seen = gr.State([]), nowhere(), nowhere()
    browser = gr.BrowserState(kept(None, []), storage_key="atelier.chat", secret=KEY)

    def look(chosen: str | None, before: str) -> list:
        held = talks.state != "closed"
        said = render.memory(chosen, talks.run_name, talks.state, talks.loaded, talks.served)
        now, said, news = only_news([said, str(held)], before)
        return [now, said, gr.Button(interactive=held) if isinstance(news, str) else news]

    @spoken(message)
    def open_run(chosen: str | None) -> dict:
        talks.open(shared.run(chosen))
        return {}

    @spoken(message)
    def reply(
        chosen: str | None, asked: str, who: str, warmth: float, most: int, told: str, before: list[Turn]
    ):
        sampling, emptied = Sampling(warmth, most, told), {question: ""}
        for grown in talks.converse(shared.run(chosen), before, asked, SIDES[who], sampling):
            yield {turns: grown, talk: render.conversation(grown, chosen), **emptied}
            emptied = {}  # once: the next question may be typed while this one is answered

    def begin_anew() -> tuple:
        return [], render.conversation([], ""), kept(None, [])

    def recall(chosen: str | None, remembered: dict) -> tuple:
        before = recalled(remembered, chosen)
        return before, render.conversation(before, chosen or "")

    quiet = {"show_progress": "hidden", "concurrency_limit": None}
    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, memory, unload], **POLL}
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(
        recall, [name, browser], [turns, talk], **POLL
    ).then(**now)
    gr.Timer(1).tick(**now)
    name.input(None, name, None, js=WRITE_RUN).then(begin_anew, None, [turns, talk, browser], **POLL).then(
        **now
    )
    load.click(open_run, name, message, api_name="load", **quiet).then(**now)
    unload.click(talks.close, None, None, api_name="unload", **quiet).then(**now)
    asking = [ask.click, question.submit]
    gr.on(asking, None, None, [ask, stop], js=ANSWERING, **POLL)
    gr.on(
        asking,
        reply,
        [name, question, side, temperature, longest, system, turns],
        [message, turns, talk, question],
        api_name="ask",
        **quiet,
    ).then(None, None, [ask, stop], js=AT_REST, **POLL).then(kept, [name, turns], browser, **POLL)
    stop.click(talks.stop, None, None, api_name="stop_answer", queue=False, **quiet)
    clear.click(begin_anew, None, [turns, talk, browser], **POLL)
