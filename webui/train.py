"""The Train page: a preset, the settings, what would happen, and the same thing as a command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from core import children, presets
from core.errors import UserError
from core.runs import jobs
from core.spec import RunSpec
from webui import forms, language, pasting, visitors
from webui.chosen import FRESH, OTHER, chosen_data, chosen_settings, fresh, offered, overrides, preset_of
from webui.language import number, t
from webui.places import Places
from webui.planning import Plans, stamped
from webui.render import plan as card
from webui.render import train as render
from webui.render.parts import address, heading, section, waiting
from webui.shared import LAST, SAMPLE, Shared, at_once, html, nowhere, spoken

ESTIMATING = 300.0  # seconds: the examples are read and their tokens counted
PLANNERS = 2  # plans that are made at the same time
COUNTING = "Working out the plan …"
LEAD = "A preset is enough. An empty field means: as the preset says."
TO_RUN = json.dumps(address("runs", "RUN"))
GO = f"name => {{ if (name) location.href = {TO_RUN}.replace('RUN', encodeURIComponent(name)) }}"
HIDDEN = {"show_progress": "hidden", "api_visibility": "private"}

# Anything drawn with data-setting and data-value, as JSON, puts that value into its field; null is what the preset has.
PUT = """
const put = (where, value) => trigger('put', {setting: where.dataset.setting, value});
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-setting]');
  if (button) put(button, JSON.parse(button.dataset.value));
});
element.addEventListener('change', event => {
  const tick = event.target.closest('input[data-setting]');
  if (tick) put(tick, tick.checked ? JSON.parse(tick.dataset.value) : null);
});
// What is drawn anew keeps its element, and a box that somebody ticked no longer follows its attribute.
watch('value', () => element.querySelectorAll('input[data-setting]').forEach(tick => {
  tick.checked = tick.hasAttribute('checked');
}));
"""
COPY = """
element.addEventListener('click', async event => {
  const button = event.target.closest('button[data-copy]');
  if (!button) return;
  const shown = button.parentElement.querySelector('pre');
  try { await navigator.clipboard.writeText(shown.textContent); }
  catch {  // without https there is no clipboard but by the selection
    getSelection().selectAllChildren(shown);
    document.execCommand('copy');
  }
  const name = button.textContent;
  if (name === button.dataset.done) return;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = name; }, 1500);
});
"""
# Marks are made of what `render.marks` says. Gradio draws a field anew when its accordion opens; then they are made again.
MARK = """
const rules = document.head.appendChild(document.createElement('style'));
const idOf = path => path.replaceAll('.', '-');
const mark = () => {
  const told = element.querySelector('[data-changed]')?.dataset;
  if (!told) return;
  const changed = told.changed.split(' ').filter(Boolean);
  const css = changed.map(path => '#' + CSS.escape(idOf(path))).join(',');
  rules.textContent = css && `:is(${css}) { box-shadow: inset 3px 0 var(--prussian) !important; }`;
  document.querySelectorAll('.differs').forEach(each => changed.includes(each.dataset.of) || each.remove());
  for (const path of changed) {
    const block = document.getElementById(idOf(path));
    const name = block?.querySelector('[data-testid="block-info"]');
    if (!name || block.querySelector('.differs')) continue;
    const word = Object.assign(document.createElement('small'),
      {className: 'differs', textContent: told.differs, id: `differs-${idOf(path)}`});
    const back = Object.assign(document.createElement('button'),
      {type: 'button', className: 'differs', textContent: told.back, title: path});
    back.setAttribute('aria-label', `${name.textContent.trim()}: ${told.back}`);
    const field = block.querySelector('input, textarea');
    field?.setAttribute('aria-describedby', word.id);
    back.onclick = () => {
      trigger('put', {setting: path, value: null});
      field?.focus();
    };
    word.dataset.of = back.dataset.of = path;
    name.append(' ', word);
    block.append(back);
  }
};
watch('value', mark);
new MutationObserver(mark).observe(element.closest('.gradio-container') || document.body, {childList: true, subtree: true});
mark();
"""
# What somebody typed while the page was still being restored is put back over it.
TYPING = """
const typed = window.typedEarly = new Map();
const read = field => field.type !== 'number' ? field.value : field.value ? Number(field.value) : null;
const note = event => {
  const block = event.target.closest('.block[id]');
  if (block && event.target.matches('textarea, input:not([role])')) typed.set(block.id, read(event.target));
};
document.addEventListener('input', note, true);
"""
TYPED = """(...values) => {
  const typed = window.typedEarly;
  return %s.map((id, place) => typed.has(id) ? typed.get(id) : values[place]);
}"""
# Which fields are shown is said by a rule and not at the fields, which gradio draws anew.
FIND = """
const field = element.querySelector('input'), found = element.querySelector('output');
const rules = document.head.appendChild(document.createElement('style'));
const box = document.getElementById('all-settings');
const plain = words => words.normalize('NFD').replace(/[\\u0300-\\u036f]/g, '').toLowerCase();
const find = () => {
  const wanted = plain(field.value).split(/\\s+/).filter(Boolean);
  const blocks = [...box.querySelectorAll('.row.settings .block[id]')];
  const fits = block => {
    const words = plain(`${block.id} ${block.id.replace('-', '.')} ${block.id.replaceAll('_', ' ')} ${block.textContent}`);
    return wanted.every(word => words.includes(word));
  };
  const hidden = wanted.length ? blocks.filter(block => !fits(block)) : [];
  const empty = [...box.querySelectorAll('.row.settings')].filter(row => {
    const inside = [...row.querySelectorAll('.block[id]')];
    return inside.length && inside.every(block => hidden.includes(block));
  });
  const ids = hidden.map(block => '#' + CSS.escape(block.id));
  for (const row of empty) {
    const title = row.previousElementSibling;
    row.id ||= 'row-' + Math.random().toString(36).slice(2);
    title.id ||= 'title-' + Math.random().toString(36).slice(2);
    ids.push('#' + row.id, '#' + title.id);
  }
  rules.textContent = ids.length ? `:is(${ids.join(',')}) { display: none !important; }` : '';
  found.textContent = SHOWN.replace('{n}', blocks.length - hidden.length).replace('{all}', blocks.length);
};
field.addEventListener('input', find);
field.addEventListener('keydown', event => {
  if (event.key !== 'Escape' || !field.value) return;
  event.preventDefault();
  field.value = '';
  find();
});
new MutationObserver(() => requestAnimationFrame(find)).observe(box.querySelector('.column') || box, {childList: true});
setTimeout(find, 0);
"""


def room(shared: Shared, page: gr.Blocks) -> None:
    data, kept = chosen_data(), chosen_settings()
    plans = Plans(Places(PLANNERS, on_a_space=shared.space is not None))
    html(heading(t("How should it learn?"), t(LEAD)))
    with gr.Row(elem_classes="sides"):
        with gr.Column(scale=3, min_width=320):
            examples = gr.Dropdown([], label=t("Examples"), filterable=False, elem_id="data-set")
            html(render.to_data())
            preset = gr.Radio(
                [(t(f"{name}: {forms.explanation(name)}"), name) for name in presets.names()],
                value="tiny", label=t("Preset"), elem_id="preset", elem_classes="choices",
            )  # fmt: skip
            with gr.Row(elem_classes="settings"):
                fields = forms.draw_touched()
            with gr.Row(elem_classes="settings"):
                fields |= forms.draw_place()
            with gr.Row(elem_classes="settings", visible=False) as paid:
                fields |= forms.draw_paid()
            machines = html(elem_id="machines")
            with gr.Accordion(t("All settings"), open=False, elem_id="all-settings"):
                html(
                    render.search(),
                    elem_id="search",
                    js_on_load=FIND.replace("SHOWN", language.js("{n} of {all} settings")),
                )
                fields |= forms.draw_others()
        with gr.Column(scale=2, min_width=320, elem_classes="aside"):
            name = gr.Textbox("", label=t("Name of the run"), max_lines=1, elem_id="run-name")
            start = gr.Button(
                t(render.START), variant="primary", size="lg", interactive=False, elem_id="start"
            )
            message = html(elem_id="message")
            with gr.Column(elem_classes="forecast", elem_id="forecast"):
                html(f"<h2>{t('Before it starts')}</h2>")
                counting = html(elem_id="counting")
                sentence = html(elem_id="what")
                planned = html(card.empty(), elem_id="plan", js_on_load=PUT)
    with gr.Column(elem_classes="as-text"):
        differences = html(elem_id="differences")
        back = gr.Button(t("Back to the preset"), size="sm", visible=False, elem_id="back")
        summary = html(elem_id="summary", js_on_load=COPY)
        html(section(t("Paste a command or YAML"), t("what another run was started with fills the form")))
        with gr.Row(elem_classes="pasting"):
            pasted = gr.Textbox(
                "", show_label=False, label=t("Paste a command or YAML"), lines=3, max_lines=16, elem_id="pasted",
                placeholder=t("atelier train … or train.epochs: 3"), scale=4, min_width=260,
            )  # fmt: skip
            # Not before the form is restored, which would take back what was filled in.
            fill = gr.Button(t("Fill in the form"), interactive=False, elem_id="fill", scale=0, min_width=160)
        taken = html(elem_id="taken")
    marks = html(render.marks(()), elem_id="marks", js_on_load=TYPING + MARK)
    began, agreed = nowhere(), nowhere()
    paths = list(fields)
    labels = {path: forms.label(path) for path in paths}

    def choose(picked: str) -> dict:
        state = fresh([picked])
        return {data: gr.skip() if picked == OTHER else state, name: name_for(state)}

    def name_for(state: dict) -> str:
        return shared.store.free_name(Path((state["files"] or [SAMPLE])[0].removeprefix("sample:")).stem)

    def restore(state: dict, stored: dict) -> dict:
        state = FRESH | state
        chosen, values = preset_of(stored), stored["values"]
        return {
            preset: chosen,
            name: name_for(state),
            examples: offered(shared, state),
            start: gr.update(value=t(render.START), interactive=True),
            fill: gr.update(interactive=True),
        } | fill_in(chosen, values)

    def fill_in(chosen: str, values: dict[str, Any]) -> dict:
        look = forms.as_preset(chosen)
        return {fields[p]: gr.update(value=values.get(p, forms.empty(fields[p])), **look[p]) for p in paths}

    def show_preset(chosen: str) -> dict:
        return {fields[path]: gr.update(**look) for path, look in forms.as_preset(chosen).items()}

    def clear() -> list:
        return [forms.empty(each) for each in fields.values()]

    def put(event: gr.EventData) -> dict:
        field = fields.get(event.setting)
        return {field: forms.empty(field) if event.value is None else event.value} if field else {}

    @spoken(message)
    def offer_machines(where: str) -> dict:
        shown = gr.Row(visible=where == "hf-jobs")
        if where != "hf-jobs":
            return {paid: shown, machines: "", fields["compute.flavor"]: gr.skip()}
        found = children.ask("remote", "flavors", token=shared.token())["flavors"]
        choices = [("", forms.AS_PRESET), *((render.machine(each), each["flavor"]) for each in found)]
        return {
            paid: shown,
            machines: render.machines(found),
            fields["compute.flavor"]: gr.update(choices=choices),
        }

    def filled_in(values: tuple[Any, ...]) -> dict[str, Any]:
        return {path: value for path, value in zip(paths, values, strict=True) if value not in (None, "")}

    def asked(state: dict, chosen: str, values: tuple[Any, ...]) -> tuple[RunSpec, dict[str, Any]]:
        """The settings, and what of them the form lays over the preset; UserError where they cannot be used."""
        changed = overrides(shared, state, filled_in(values))
        return presets.resolve(chosen, overrides=changed), changed

    def question(spec: RunSpec) -> tuple:
        files = [*spec.data.files, *spec.data.held_out_files, *spec.data.against]
        return (str(shared.store.root), spec.model_dump_json(), stamped(files))

    @spoken(message)
    def preview(request: gr.Request, state: dict, chosen: str, *values: Any) -> dict:
        try:
            spec, changed = asked(state, chosen, values)
        except UserError:
            plans.want(request.session_hash, None)
            raise
        plans.want(request.session_hash, question(spec))
        own = render.changes(chosen, forms.read(filled_in(values)))
        return {
            kept: {"preset": chosen, "values": filled_in(values)},
            sentence: render.what(spec),
            differences: shared.short(render.differences(chosen, changed)),
            summary: shared.short(render.summary(chosen, changed)),
            paid: gr.Row(visible=spec.compute.where == "hf-jobs"),
            marks: render.marks(path for path, _, _ in own),
            back: gr.Button(visible=bool(own)),
        }

    def plan(request: gr.Request, state: dict, chosen: str, *values: Any) -> Iterator[dict]:
        try:
            spec, changed = asked(state, chosen, values)
        except UserError:
            yield {counting: "", planned: card.unset()}  # why is said beside the form
            return
        try:
            if shared.space and visitors.current() is None and spec.model.base != "fable":
                raise UserError(visitors.SIGN_IN_FIRST)  # what is on the Hub is fetched for nobody
            token = shared.token() if shared.space is None or visitors.current() else None
            words = [*render.arguments(chosen, changed), "--runs", str(shared.store.root)]
            for seen in plans.answer(request.session_hash, question(spec), words, token, shared.downloads):
                if isinstance(seen, int):
                    yield {
                        counting: waiting(
                            t("Working out the plan … {n} seconds", n=number(seen)) if seen else t(COUNTING)
                        )
                    }
                else:
                    yield {counting: "", planned: shared.short(card.card(seen, spec, labels))}
        except UserError as error:
            yield {counting: "", planned: shared.short(card.none(str(error)))}

    @spoken(message)
    def begin(state: dict, chosen: str, called: str, agreed_to: str, *values: Any) -> dict:
        spec, changed = asked(state, chosen, values)
        jobs.check(spec)
        token = shared.token()
        known = plans.known(question(spec))
        if known and known["refusal"]:
            raise UserError(known["refusal"])
        if spec.compute.where == "hf-jobs" and agreed_to != (wanted := spec.model_dump_json()):
            seen = known["remote"] if known else _estimate(chosen, changed, shared.hub())
            return {message: render.cost(seen), agreed: wanted, start: t(render.AGREE)}
        run = shared.store.create(called.strip(), spec, chosen)
        jobs.start(run, token=token)
        return {began: run.name, start: t(render.START)}

    @spoken(taken)
    def take(words: str, state: dict, chosen: str) -> dict:
        found = pasting.read(words, chosen)
        state = from_files(state, found.settings.get("data", {}))
        values = forms.written(found.settings)
        overrides(shared, state, values)
        named = {name: found.name} if found.name else {}
        return (
            {
                taken: render.filled(len(values), found.remarks),
                pasted: "",
                data: state,
                preset: found.preset,
                examples: offered(shared, state),
                name: name_for(state),
            }
            | named
            | fill_in(found.preset, values)
        )

    def from_files(state: dict, said: dict[str, Any]) -> dict:
        """What is said of the data, where that names files; else the data that is chosen stays."""
        files = said.get("files")
        ours = {name: said[name] for name in ("columns", "drop", "weights") if name in said}
        ours |= {"held_out": shared.files(said["held_out_files"])} if said.get("held_out_files") else {}
        return (fresh(shared.files(files)) if files else FRESH | state) | ours

    every = [data, preset, *fields.values()]
    shown = [message, kept, sentence, differences, summary, paid, marks, back]
    then_plan = {"fn": plan, "inputs": every, "outputs": [counting, planned], "trigger_mode": "multiple"}
    then_plan |= {"concurrency_limit": None, **HIDDEN}

    def look(event: gr.events.Dependency) -> None:
        """What follows when the form has changed."""
        event.then(preview, every, shown, **HIDDEN).then(**then_plan)

    everything = list(fields.values())
    restored = page.load(restore, [data, kept], [examples, preset, name, start, fill, *everything], **HIDDEN)
    typing = [name, *everything]
    look(
        restored.then(
            None, typing, typing, js=TYPED % json.dumps([each.elem_id for each in typing]), **HIDDEN
        )
    )
    look(examples.input(choose, examples, [data, name], **LAST, **HIDDEN))
    look(preset.input(show_preset, preset, everything, **LAST, **HIDDEN))
    typed = [each.input for each in everything]
    gr.on(typed, preview, every, shown, **LAST, **HIDDEN).then(**then_plan)
    look(back.click(clear, None, everything, **HIDDEN))
    look(planned.put(put, None, everything, **HIDDEN))
    look(marks.put(put, None, everything, **HIDDEN))
    filled = [taken, pasted, data, preset, examples, name, *everything]
    look(fill.click(take, [pasted, data, preset], filled, **HIDDEN))
    offering = [message, paid, machines, fields["compute.flavor"]]
    fields["compute.where"].input(offer_machines, fields["compute.where"], offering, **LAST, **HIDDEN)
    given = [data, preset, name, agreed, *everything]
    start.click(None, None, message, js=at_once("Starting …"), **HIDDEN)
    start.click(begin, given, [message, began, agreed, start], api_name="train", show_progress="hidden").then(
        None, began, None, js=GO
    )


def _estimate(preset: str, changed: dict[str, Any], hub: dict[str, Any]) -> dict[str, Any]:
    return children.ask("remote", "estimate", *render.arguments(preset, changed), **hub, timeout=ESTIMATING)
