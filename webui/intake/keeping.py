"""Keeping what was read and cleaned: as a data set with a name, or as files."""

from typing import Any

import gradio as gr

from webui.chosen import FRESH, overrides, preset_of
from webui.language import t
from webui.render import keeping as render
from webui.render.parts import hint, section
from webui.render.train import arguments
from webui.sets import cleaned
from webui.shared import Shared, at_once, html, spoken

SAVED_FOR = "Without what cannot be used or was left out, and with what could be mended; offered above and on the Train page."
FILES = "The cleaned examples, the rows that were rejected with the reason, and the report as JSON and as Markdown."


class Keeping:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        with gr.Column(visible=False, elem_id="keeping") as self.box:
            html(section(t("Keep it")))
            with gr.Row(elem_classes="keeps"):
                with gr.Column(min_width=300, elem_classes="keep"):
                    self._draw_saving()
                with gr.Column(min_width=300, elem_classes="keep"):
                    self._draw_making()
        self.outputs = [self.box, self.files, self.saved, self.made]

    def _draw_saving(self) -> None:
        html(f"<h3>{t('As a data set')}</h3>" + hint(t(SAVED_FOR)))
        with gr.Row(elem_classes="acts"):
            self.name = gr.Textbox(
                "", label=t("Name"), show_label=False, placeholder=t("Name of the data set"), max_lines=1, min_width=160, scale=3,
                elem_id="set-name",
            )  # fmt: skip
            self.save = gr.Button(t("Save"), min_width=100, elem_id="save")
        self.saved = html(elem_id="saved-as")

    def _draw_making(self) -> None:
        html(f"<h3>{t('As files')}</h3>" + hint(t(FILES)))
        self.make = gr.Button(t("Make the files"), min_width=160, elem_id="make")
        self.made = html(elem_id="made")
        self.files = gr.File(
            label=t("To download"),
            interactive=False,
            visible=False,
            file_count="multiple",
            elem_id="downloads",
        )

    def show(self, seen: dict[str, Any]) -> dict:
        """What was made of other examples is no longer offered."""
        shown = {self.files: gr.File(value=None, visible=False), self.saved: "", self.made: ""}
        return {self.box: gr.Column(visible="error" not in seen)} | shown

    def listen(
        self, chosen: gr.BrowserState, kept: gr.BrowserState, sets: gr.Dropdown, none: gr.HTML
    ) -> None:
        def words(state: dict, stored: dict) -> list[str]:
            state = FRESH | state
            return arguments(preset_of(stored), overrides(self.shared, state, stored["values"]))

        @spoken(self.saved)
        def save(name: str, state: dict, stored: dict) -> dict:
            made = self.shared.sets.save(name.strip(), words(state, stored), **self.shared.hub())
            names = gr.Dropdown(choices=self.shared.sets.choices(), visible=True)
            return {self.saved: render.saved(name.strip(), made), sets: names, none: gr.HTML(visible=False)}

        @spoken(self.made)
        def make(state: dict, stored: dict) -> dict:
            with cleaned(words(state, stored), **self.shared.hub()) as made:
                paths = [self.files.move_resource_to_block_cache(path) for path in render.files(made)]
            return {self.made: render.mended(made), self.files: gr.File(value=paths, visible=True)}

        hidden = {"show_progress": "hidden", "api_visibility": "private"}
        asked = [self.save.click, self.name.submit]
        gr.on(asked, None, None, self.saved, js=at_once("Cleaning and saving …"), **hidden)
        gr.on(asked, save, [self.name, chosen, kept], [self.saved, sets, none], concurrency_limit=2, **hidden)
        self.make.click(None, None, self.made, js=at_once("Writing the files …"), **hidden)
        self.make.click(make, [chosen, kept], [self.made, self.files], concurrency_limit=2, **hidden)
