"""The Chat page: the base and the tuned model answer the same question, side by side."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from webui import sampling
from webui import turns as conversation
from webui.chosen import KEY
from webui.language import js, t
from webui.render import chat as render
from webui.render.parts import heading
from webui.sets import MOST_LETTERS
from webui.shared import POLL, READ_RUN, WRITE_RUN, Shared, html, nowhere, only_news, run_chooser, spoken
from webui.talks import Turn
from webui.turns import kept, recalled

# The words of a turn in the template are escaped, so none of them can hold this mark of one that grows.
TEMPLATE = """<div class="talk" role="log" aria-live="polite"
  aria-busy="${[].concat(value).some(turn => turn.includes('class="turn growing"'))}">${[].concat(value).join('')}</div>"""
# What grows is followed, unless its reader has scrolled up.
FOLLOW = """
let following = false, before = window.scrollY;
const beyond = () => element.getBoundingClientRect().bottom
  - document.querySelector('#asking').getBoundingClientRect().top;
const follow = () => following && beyond() > 0 && window.scrollBy({top: beyond() + 4, behavior: 'instant'});
window.addEventListener('scroll', () => {
  following = window.scrollY < before ? false : following || beyond() < 8;
  before = window.scrollY;
}, {passive: true});
new MutationObserver(follow).observe(element, {childList: true, subtree: true, characterData: true});
const talk = element.closest('#talk');
talk.newest = () => { following = true; follow(); };
"""
# A question or an answer becomes a form in its place. It stays there, with what was typed, while the conversation is drawn
# again: gradio then takes away whatever the server did not draw, and it is put back before anybody sees that.
FORMS = """
const forms = new Map();
const put = (where, form) => {
  const home = element.querySelector(where);
  if (!home || form.sent) return forms.delete(where);
  home.dataset.editing = '';
  home.append(form);
  form.last?.focus({preventScroll: true});
};
const close = (where, form) => {
  forms.delete(where);
  form.remove();
  const home = element.querySelector(where);
  home?.removeAttribute('data-editing');
  home?.querySelector('button[data-act]')?.focus();
};
const send = (act, turn, more) => {
  talk.asked = {turn: Number(turn), ...more};
  if (act !== 'correct') for (const [where, form] of [...forms]) if (form.turn >= Number(turn)) close(where, form);
  trigger(act);
};
const edit = ({act, turn, side}) => {
  const where = `article[data-turn="${turn}"] ` + (act === 'edit' ? '.asked' : `section.${side}`);
  const form = document.createElement('form'), area = document.createElement('textarea');
  const row = document.createElement('div'), done = document.createElement('button'), cancel = document.createElement('button');
  const into = act === 'correct' && document.querySelector('#sets select')?.cloneNode(true);
  form.className = 'editing';
  form.turn = Number(turn);
  area.value = element.querySelector(where + ' > p').textContent;
  area.setAttribute('aria-label', act === 'edit' ? QUESTION : CORRECTED);
  done.textContent = act === 'edit' ? FROM_HERE : ADD;
  done.className = 'primary';
  cancel.type = 'button';
  cancel.textContent = CANCEL;
  cancel.onclick = () => close(where, form);
  row.append(done, ...(into ? [into] : []), cancel);
  form.append(area, row);
  form.onsubmit = event => {
    event.preventDefault();
    if (!area.value.trim()) return area.focus();
    form.sent = true;
    send(act, turn, {side, words: area.value, into: into ? into.value : ''});
  };
  form.onkeydown = event => {
    if (event.isComposing) return;
    if (event.key === 'Escape') { event.stopPropagation(); close(where, form); }
    const sends = act === 'edit' ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (event.key === 'Enter' && event.target === area && sends) { event.preventDefault(); form.requestSubmit(); }
  };
  form.addEventListener('focusin', event => { form.last = event.target; });
  form.addEventListener('focusout', () => setTimeout(() => {
    if (!form.contains(document.activeElement)) form.last = null;
  }));
  forms.set(where, form);
  put(where, form);
  area.focus();
};
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  button.dataset.act === 'again' ? send('again', button.dataset.turn) : edit(button.dataset);
});
watch('value', () => { for (const [where, form] of [...forms]) put(where, form); });
talk.settled = () => { for (const form of forms.values()) form.sent = false; };
window.addEventListener('keydown', event => {
  if (event.key === 'Escape' && !event.isComposing) document.querySelector('#stop:enabled')?.click();
});
"""
SAVE = """(lines, run, side) => {
  if (!lines) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([lines], {type: 'application/x-ndjson'}));
  link.download = `${run}-${side}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""
ASKED = "document.querySelector('#talk').asked"


def room(shared: Shared, page: gr.Blocks) -> None:
    talks = shared.talks
    html(heading(t("Talk to it"), t("The same question to the tuned model and to its base, side by side.")))
    with gr.Row(elem_classes="acts"):
        name = run_chooser()
        load = gr.Button(t("Load"), elem_id="load", scale=1, min_width=110)
        unload = gr.Button(t("Unload"), elem_id="unload", scale=1, min_width=110, interactive=False)
    memory = html(elem_id="memory")
    talk = _talk()
    with gr.Column(elem_id="asking"):
        message = html(elem_id="message")
        with gr.Row(elem_classes="ask"):
            question = _question()
            ask = gr.Button(t("Ask"), variant="primary", elem_id="ask", scale=1, min_width=100)
            stop = gr.Button(t("Stop"), elem_id="stop", scale=1, min_width=100, interactive=False)
            clear = gr.Button(t("Clear"), elem_id="clear", scale=1, min_width=100)
    with gr.Accordion(t("How they answer"), open=False):
        settings = sampling.draw()
    with gr.Accordion(t("The conversation as a file"), open=False):
        download, which, upload = _file()
    sets = html(elem_id="sets", visible="hidden")
    turns, asked, seen, lines = gr.State([]), nowhere(), nowhere(), nowhere()
    at, words, side, into = gr.Number(visible=False, precision=0), nowhere(), nowhere(), nowhere()
    browser = gr.BrowserState(kept(None, []), storage_key="atelier.chat", secret=KEY)
    remembered = gr.BrowserState({}, storage_key="atelier.answering", secret=KEY)
    *_, alone, system = settings

    def look(chosen: str | None, before: str) -> list:
        held = talks.state != "closed"
        said = render.memory(chosen, talks.run_name, talks.state, talks.loaded, talks.served)
        offered = render.sets(shared.sets.names(), corrections(chosen))
        now, said, offered, news = only_news([said, offered, str(held)], before)
        return [now, said, offered, gr.Button(interactive=held) if isinstance(news, str) else news]

    @spoken(message)
    def open_run(chosen: str | None) -> dict:
        talks.open(shared.run(chosen))
        return {}

    def answers(
        chosen: str | None, before: list[Turn], asked: str, settings: tuple, asker: str | None
    ) -> Iterator[dict]:
        sides, how = sampling.sides_and_sampling(settings)
        for grown in talks.converse(shared.run(chosen), before, asked, sides, how, asker or ""):
            yield {turns: grown, talk: render.parts(grown, chosen)}

    @spoken(message)
    def reply(chosen: str | None, asked: str, before: list[Turn], request: gr.Request, *settings: Any):
        emptied = {question: ""}
        for news in answers(chosen, before, asked, settings, request.session_hash):
            yield news | emptied
            emptied = {}  # once: the next question may be typed while this one is answered

    @spoken(message)
    def edit(
        chosen: str | None, at: float, asked: str, before: list[Turn], request: gr.Request, *settings: Any
    ):
        earlier = conversation.until(before, int(at))
        yield from answers(chosen, earlier, asked, settings, request.session_hash)

    @spoken(message)
    def again(chosen: str | None, at: float, before: list[Turn], request: gr.Request, *settings: Any):
        earlier = conversation.until(before, int(at))
        turn = before[int(at)]
        another = sampling.another_seed(settings, turn.seed)  # with the same one it would be the same answer
        yield from answers(chosen, earlier, turn.question, another, request.session_hash)

    def stop_answer(request: gr.Request) -> None:
        talks.stop(request.session_hash)

    @spoken(message)
    def correct(
        chosen: str | None, at: float, side: str, words: str, into: str, told: str, before: list[Turn]
    ) -> dict:
        messages = conversation.corrected(before, int(at), side, words, told)
        into = into or corrections(chosen)
        rows = shared.sets.append(into, conversation.as_line(messages))
        turn = before[int(at)]
        mended = replace(turn.answers[side], text=words, corrected=into)
        now = [*before]
        now[int(at)] = replace(turn, answers=turn.answers | {side: mended})
        return {turns: now, talk: render.parts(now, chosen), message: render.added(into, rows)}

    @spoken(message)
    def as_file(side: str, told: str, before: list[Turn]) -> dict:
        return {lines: conversation.as_lines(before, side, told)}

    @spoken(message)
    def open_file(file: str, chosen: str | None) -> dict:
        name = Path(file).name
        told, found, many = conversation.read(Path(file), name)
        drawn = {turns: found, talk: render.parts(found, chosen), browser: kept(chosen, found)}
        return drawn | {system: told, message: render.opened(name, many)}

    def begin_anew() -> tuple:
        return [], render.parts([], None), kept(None, []), ""

    def recall(chosen: str | None, conversation: dict, answering: dict) -> tuple:
        before = recalled(conversation, chosen)
        return before, render.parts(before, chosen), *sampling.recalled(answering, shared.find(chosen))

    def as_it_learnt(chosen: str | None) -> bool:
        return sampling.alone(shared.find(chosen))

    quiet = {"show_progress": "hidden", "concurrency_limit": None}
    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, memory, sets, unload], **POLL}
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(
        recall, [name, browser, remembered], [turns, talk, *settings], **POLL
    ).then(None, None, None, js=sampling.RECALLED, **POLL).then(**now)
    gr.Timer(1).tick(**now)
    fresh = {"fn": begin_anew, "inputs": None, "outputs": [turns, talk, browser, message], **POLL}
    keep = {"fn": None, "inputs": [name, *settings], "outputs": remembered, "js": sampling.KEEP, **POLL}
    name.input(None, name, None, js=WRITE_RUN).then(**fresh).then(as_it_learnt, name, alone, **POLL).then(
        **keep
    ).then(**now)
    for each in settings:
        each.change(**keep)
    clear.click(**fresh)
    load.click(open_run, name, message, api_name="load", **quiet).then(**now)
    unload.click(talks.close, None, None, api_name="unload", **quiet).then(**now)
    stop.click(stop_answer, None, None, api_name="stop_answer", queue=False, **quiet)

    busy = [ask, stop, name, clear, upload]
    asking = [ask.click, question.submit]
    gr.on(asking, None, None, busy, js=_answering(), **POLL)
    for act in (talk.edit, talk.again):
        act(None, None, busy, js=_answering(), **POLL)
    told, drawn = [turns, *settings], [message, turns, talk]
    # Asked sooner, it would go to an empty conversation, over which the one that the browser kept is then drawn.
    once_recalled = gr.on(asking, None, None, None, js=sampling.WHEN_RECALLED, **POLL)
    for event in (
        once_recalled.then(reply, [name, question, *told], [*drawn, question], api_name="ask", **quiet),
        talk.edit(
            edit, [name, at, words, *told], drawn, js=_from_page("turn", "words"), api_name="edit", **quiet
        ),
        talk.again(again, [name, at, *told], drawn, js=_from_page("turn"), api_name="again", **quiet),
    ):
        event.then(None, None, busy, js=_at_rest(), **POLL).then(kept, [name, turns], browser, **POLL)
    chosen = [name, at, side, words, into, system, turns]
    picked = _from_page("turn", "side", "words", "into")
    talk.correct(correct, chosen, drawn, js=picked, api_name="correct", **quiet).then(
        None, None, None, js="() => document.querySelector('#talk').settled()", **POLL
    ).then(kept, [name, turns], browser, **POLL)
    download.click(None, None, lines, js="() => ''", **POLL).then(
        as_file, [which, system, turns], [message, lines], api_name="conversation", **quiet
    ).then(None, [lines, name, which], None, js=SAVE, **POLL)
    upload.upload(open_file, [upload, name], [*drawn, browser, system], api_name="open_conversation", **quiet)


def corrections(run: str | None) -> str:
    """The data set that a run's corrections go to, unless another one is chosen."""
    ending = "-corrections"
    return f"{(run or 'my')[: MOST_LETTERS - len(ending)]}{ending}"


def _talk() -> gr.HTML:
    words = {
        "QUESTION": "Question",
        "CORRECTED": "Corrected answer",
        "FROM_HERE": "Ask again from here",
        "ADD": "Add to",
        "CANCEL": "Cancel",
    }
    said = "".join(f"const {name} = {js(sentence)};\n" for name, sentence in words.items())
    return gr.HTML(
        [],
        html_template=TEMPLATE,
        js_on_load=said + FOLLOW + FORMS,
        apply_default_css=False,
        elem_classes="bare",
        elem_id="talk",
    )


def _question() -> gr.Textbox:
    return gr.Textbox(
        "",
        placeholder=t("Ask both of them something"),
        show_label=False,
        label=t("Question"),
        lines=1,
        container=False,
        max_lines=6,
        scale=5,
        elem_id="question",
    )


def _file() -> tuple[gr.Button, gr.Radio, gr.UploadButton]:
    html(render.about_files())
    choices = [(t("Tuned"), "tuned"), (t("Base"), "base")]
    with gr.Row(elem_classes="acts"):
        which = gr.Radio(choices, value="tuned", label=t("Whose answers"), elem_id="which", min_width=200)
        download = gr.Button(t("Download"), elem_id="download", min_width=120)
        upload = gr.UploadButton(t("Open a file"), elem_id="open", min_width=120)
    return download, which, upload


def _from_page(*names: str) -> str:
    """For `js=`: the inputs, of which those after the run are what was clicked or written in the conversation."""
    picked = ", ".join(f"{ASKED}.{name}" for name in names)
    return f"(run, ...rest) => [run, {picked}, ...rest.slice({len(names)})]"


def _answering() -> str:
    """For `js=`, of whatever is answered: at once, or a second question could be asked that nobody would hear."""
    return f"""() => {{
      document.querySelector('#talk').newest();
      const update = more => ({{__type__: 'update', ...more}});
      return [update({{value: {js("Answering …")}, interactive: false}}), update({{interactive: true}}),
        update({{interactive: false}}), update({{interactive: false}}), update({{interactive: false}})];
    }}"""


def _at_rest() -> str:
    return f"""() => {{
      const update = more => ({{__type__: 'update', ...more}});
      return [update({{value: {js("Ask")}, interactive: true}}), update({{interactive: false}}),
        update({{interactive: true}}), update({{interactive: true}}), update({{interactive: true}})];
    }}"""
