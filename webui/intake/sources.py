"""Where the examples come from: built in, brought along, the Hub, or saved before."""

from typing import Any
from urllib.parse import urlencode

import gradio as gr

from core.errors import DataError
from webui.chosen import BUILT_IN, FRESH, added, fresh
from webui.language import t
from webui.render.data import file_name
from webui.render.parts import hint
from webui.shared import HUB, LAST, SAMPLE, Shared, html, spoken

OWN, ON_THE_HUB, SAVED = "own", "hub", "saved"
CHOICES = BUILT_IN | {
    OWN: "My own files",
    ON_THE_HUB: "A data set on the Hub",
    SAVED: "A saved data set",
}
KINDS = "JSON lines, JSON, CSV, TSV, Parquet, text or Markdown; also packed, as .gz or .zst. Several at once are mixed."
NONE_SAVED = "Nothing is saved yet: read some examples, and save them at the end of this page."

USUALLY = "Otherwise a tenth of the examples is held out, to see how the model does on what it has not seen."


class Sources:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        choices = [(t(label), name) for name, label in CHOICES.items()]
        self.source = gr.Radio(choices, value=SAMPLE, label=t("Examples"), elem_id="source")
        with gr.Column(visible=False) as self.own:
            self.upload = drop_zone(t("To learn from"), "upload")
            html(hint(t(KINDS)) + (shared.limits.said() if shared.limits else ""))
        with gr.Column(visible=False) as self.hub:
            self._draw_hub()
        with gr.Column(visible=False) as self.saved:
            self.named = gr.Dropdown([], label=t("Saved data set"), elem_id="saved")
            self.none_saved = html(hint(t(NONE_SAVED)))
        with gr.Row(elem_classes="mixing"):
            self.mix = gr.Checkbox(
                False, label=t("Add to what is chosen, as a mix"), elem_id="mix", min_width=240, scale=0
            )
            self.files = gr.Dropdown(
                [], multiselect=True, filterable=False, label=t("Chosen"), visible=False, elem_id="files", scale=3, min_width=260
            )  # fmt: skip
        with gr.Accordion(t("Measure on other examples (optional)"), open=False, elem_id="measure"):
            html(hint(t(USUALLY)))
            self.held_out = gr.Dropdown(
                [],
                multiselect=True,
                filterable=False,
                label=t("Measured on"),
                visible=False,
                elem_id="held-out",
            )
            self.upload_held_out = drop_zone(t("To measure on"), "upload-held-out")
        self.panels = [self.own, self.hub, self.saved]
        self.outputs = [self.named, self.none_saved, self.files, self.held_out]

    def _draw_hub(self) -> None:
        with gr.Row(elem_classes="hub"):
            self.repo = gr.Textbox(
                "", label=t("Data set"), placeholder=t("owner/name"), max_lines=1, scale=3, min_width=200, elem_id="repo"
            )  # fmt: skip
            self.subset, self.split, self.revision = (
                gr.Textbox(
                    "", label=label, placeholder=none, max_lines=1, scale=1, min_width=110, elem_id=name
                )
                for name, label, none in (
                    ("subset", t("Subset"), t("if it has any")),
                    ("split", t("Split"), "train"),
                    ("revision", t("Revision"), "main"),
                )
            )
            self.fetch = gr.Button(t("Read it"), scale=0, min_width=110, elem_id="fetch")

    def restore(self, state: dict[str, Any]) -> dict:
        """Where what is chosen came from. Not where it is as it was drawn: whoever was quicker has chosen otherwise by now."""
        files = (FRESH | state)["files"] or [SAMPLE]
        if files == [SAMPLE]:
            return dict.fromkeys([self.source, *self.panels], gr.skip())
        picked = _kind(files[0], [path for _, path in self.shared.sets.choices()])
        return self._panels(picked) | {self.source: picked}

    def show(self, state: dict[str, Any]) -> dict:
        """What is chosen, and what can be."""
        files, saved = state["files"], self.shared.sets.choices()
        here = files[0] if files and files[0] in dict(map(reversed, saved)) else None
        return {
            self.named: gr.Dropdown(choices=saved, value=here, visible=bool(saved)),
            self.none_saved: gr.HTML(visible=not saved),
            self.files: _chips(files, len(files) > 1),
            self.held_out: _chips(state["held_out"], bool(state["held_out"])),
        }

    def _panels(self, picked: str) -> dict:
        which = {OWN: self.own, ON_THE_HUB: self.hub, SAVED: self.saved}.get(picked)
        return {panel: gr.Column(visible=panel is which) for panel in self.panels}

    def listen(
        self, chosen: gr.BrowserState, message: gr.HTML, go_on: gr.Button, usable: gr.Textbox, **event: Any
    ) -> None:
        """`go_on` is for what is chosen, and cannot be pressed while somebody is about to choose something else."""

        def use(files: list[str], mixed: bool, usable: str, state: dict) -> dict:
            state = FRESH | state
            new = added(state, files) if mixed else fresh(files)
            # The same again is not read again, so nobody else sets the button free.
            return {chosen: new} | ({go_on: gr.Button(interactive=bool(usable))} if new == state else {})

        @spoken(message)
        def pick(picked: str, mixed: bool, usable: str, state: dict) -> dict:
            panels = self._panels(picked)
            if picked in BUILT_IN:
                return panels | use([picked], mixed, usable, state)
            files = (FRESH | state)["files"] or [SAMPLE]
            if picked == _kind(files[0], [path for _, path in self.shared.sets.choices()]):
                return panels | {go_on: gr.Button(interactive=bool(usable))}
            return panels | {message: hint(nothing_chosen(files)), go_on: gr.Button(interactive=False)}

        @spoken(message)
        def bring(files: list[str], mixed: bool, usable: str, state: dict) -> dict:
            kept = [self.shared.keep(file) for file in files]
            return {self.upload: None} | use(kept, mixed, usable, state)

        @spoken(message)
        def fetch(mixed: bool, usable: str, state: dict, *named: str) -> dict:
            return use([on_the_hub(*named)], mixed, usable, state)

        @spoken(message)
        def take(path: str | None, mixed: bool, usable: str, state: dict) -> dict:
            return use([path], mixed, usable, state) if path else {}

        @spoken(message)
        def keep_only(files: list[str], state: dict) -> dict:
            return {chosen: FRESH | state | {"files": files or [SAMPLE], "weights": []}}

        @spoken(message)
        def measure(files: list[str], state: dict) -> dict:
            kept = [self.shared.keep(file) for file in files]
            return {chosen: FRESH | state | {"held_out": kept}, self.upload_held_out: None}

        @spoken(message)
        def measure_only(files: list[str], state: dict) -> dict:
            return {chosen: FRESH | state | {"held_out": files}}

        mixing, said = [self.mix, usable, chosen], [message, chosen, go_on]
        self.source.input(pick, [self.source, *mixing], [*said, *self.panels], **LAST, **event)
        self.upload.upload(bring, [self.upload, *mixing], [*said, self.upload], **event)
        words = [self.repo, self.subset, self.split, self.revision]
        asked = [self.fetch.click, *(each.submit for each in words)]
        gr.on(asked, fetch, [*mixing, *words], said, **event)
        self.named.input(take, [self.named, *mixing], said, **LAST, **event)
        self.files.input(keep_only, [self.files, chosen], [message, chosen], **LAST, **event)
        measured = [message, chosen, self.upload_held_out]
        self.upload_held_out.upload(measure, [self.upload_held_out, chosen], measured, **event)
        self.held_out.input(measure_only, [self.held_out, chosen], [message, chosen], **LAST, **event)


def on_the_hub(repo: str, subset: str, split: str, revision: str) -> str:
    """The name of a data set on the Hub as a setting holds it; DataError if it can be none.

    ("owner/name", "fr", "", "") -> "hf:owner/name?subset=fr"
    """
    repo = repo.strip().removeprefix("https://huggingface.co/datasets/").removeprefix("hf:").rstrip("/")
    options = {"subset": subset.strip(), "split": split.strip(), "revision": revision.strip()}
    query = urlencode({name: value for name, value in options.items() if value})
    name = f"hf:{repo}?{query}" if query else f"hf:{repo}"
    if not HUB.fullmatch(name):
        raise DataError(
            f"{repo or 'An empty name'} names no data set on the Hub: write owner/name, as on its page."
        )
    return name


def nothing_chosen(files: list[str]) -> str:
    """What is still in use, for whoever has chosen where other examples shall come from and none of them yet."""
    names = (t(BUILT_IN[file]) if file in BUILT_IN else file_name(file) for file in files)
    return t("Nothing chosen here yet; still in use: {files}.", files=", ".join(names))


def drop_zone(label: str, elem_id: str) -> gr.File:
    """Any file may be dropped: what cannot be read is said in words, by those who know why."""
    return gr.File(label=label, file_count="multiple", height=132, elem_id=elem_id)


def _kind(file: str, saved: list[str]) -> str:
    if file in BUILT_IN:
        return file
    return SAVED if file in saved else ON_THE_HUB if file.startswith("hf:") else OWN


def _chips(files: list[str], visible: bool) -> gr.Dropdown:
    return gr.Dropdown(choices=[(file_name(file), file) for file in files], value=files, visible=visible)
