"""The Compare page: runs side by side, and a run against retrieval."""

from functools import lru_cache
from pathlib import Path

import gradio as gr

from core.compare import plots
from core.compare.page import FILE as PAGE
from core.compare.retrieval import Request, read
from core.compare.runs import compare_runs
from core.errors import RunError, UserError
from core.runs import Run, jobs
from webui import language
from webui.intake.sources import drop_zone
from webui.language import t
from webui.render import compare as render
from webui.render.data import file_name
from webui.render.evaluate import nothing
from webui.render.parts import alert, heading, hint, section
from webui.render.runs import BUSY, status_block
from webui.shared import (
    LAST,
    POLL,
    READ_RUNS,
    WRITE_RUNS,
    Shared,
    at_once,
    html,
    nowhere,
    only_news,
    run_chooser,
    spoken,
)

AT_FIRST = 4  # runs, the newest ones
ACROSS = [("by steps", "step"), ("by tokens", "tokens"), ("by time", "time")]
WHY = (
    "Would handing passages of your documents to the base do as well as training? Both answer the same questions, with "
    "and without passages."
)
KINDS = (
    "Markdown, text, CSV or JSON lines. Passages are found by the words they share with a question (BM25)."
)
USUAL = Request(documents=("-",))


def room(shared: Shared, page: gr.Blocks) -> None:
    html(f"<style>{plots.css()}</style>")  # apart from words, whose translations hold no braces
    html(heading(t("Which is better?"), t("Runs side by side; and tuning against retrieval.")))
    chosen = gr.Dropdown(
        [], multiselect=True, label=t("Runs"), elem_id="runs-compared", allow_custom_value=True
    )
    scores = html(elem_id="scores")
    with gr.Column(visible=False) as drawn:
        across = gr.Radio(
            [(t(label), by) for label, by in ACROSS], value="step", label=t("Loss"), elem_id="across"
        )
        curves = html(elem_id="curves")
        rest = html(elem_id="rest")
    html(section(t("Against retrieval")) + hint(t(WHY)))
    upload = drop_zone(t("Documents to find passages in"), "upload-documents")
    documents = gr.Dropdown(
        [], multiselect=True, filterable=False, label=t("Documents"), visible=False, elem_id="documents"
    )
    html(hint(t(KINDS)))
    with gr.Accordion(t("Questions of your own, and how much is handed over"), open=False):
        upload_questions = gr.File(
            label=t("Questions with answers; what was held out from training unless given"), height=132,
            elem_id="upload-questions",
        )  # fmt: skip
        with gr.Row(elem_classes="settings"):
            most_questions, passages, tokens = (
                gr.Number(value, label=label, precision=0, minimum=1, min_width=180, elem_id=elem_id)
                for value, label, elem_id in (
                    (USUAL.most_questions, t("Most questions"), "most-questions"),
                    (USUAL.passages, t("Most passages for a question"), "most-passages"),
                    (USUAL.passage_tokens, t("Most tokens of passages"), "passage-tokens"),
                )
            )
    with gr.Row(elem_classes="acts"):
        name = run_chooser()
        begin = gr.Button(
            t("Compare with retrieval"), variant="primary", elem_id="compare", scale=1, min_width=180
        )
    message = html(elem_id="message")
    status = html(elem_id="status")
    found = html(elem_id="found")
    download = gr.DownloadButton(
        t("Download the comparison (HTML)"), visible=False, size="md", elem_id="download"
    )
    asked, seen, seen_below = nowhere(), nowhere(), nowhere()

    def choices(wanted: str | None) -> tuple[gr.Dropdown, gr.Dropdown]:
        """The runs, with those that the address asks for or else the newest; and the trained ones to hold against retrieval."""
        every, trained = [run.name for run in shared.store.all()], shared.trained()
        named = [each for each in (wanted or "").split(",") if each in every]
        first = next((each for each in named if each in trained), next(iter(trained), None))
        return (
            gr.Dropdown(choices=every, value=named or trained[:AT_FIRST]),
            gr.Dropdown(choices=trained, value=first),
        )

    def look(names: list[str], by: str, before: str) -> list:
        runs = [run for each in names or [] if (run := shared.find(each))]
        return only_news(
            [*map(_short, side_by_side(tuple(runs), stamp(*runs), by, language.language())), len(runs) > 1],
            before,
        )

    def look_below(named: str | None, before: str) -> list:
        run = shared.find(named)
        if run is None:
            return only_news([nothing(), "", False], before)
        progress = shared.progress(run)
        at_work = progress.act == "compare" and (progress.state in BUSY or progress.message)
        said = _short(against_retrieval(run, stamp(run), language.language()))
        file = run.reports / PAGE
        there = f"{run.name} {file.stat().st_mtime_ns}" if file.is_file() and said else ""
        now, *fresh = only_news([status_block(run, progress) if at_work else "", said, there], before)
        if isinstance(fresh[2], str):
            fresh[2] = offered(file) if there else gr.DownloadButton(visible=False)
        return [now, *fresh]

    def offered(file: Path) -> gr.DownloadButton:
        """The page as a copy that gradio may hand out."""
        return gr.DownloadButton(value=download.move_resource_to_block_cache(file), visible=True)

    def _short(words: str) -> str:
        return shared.short(words)

    @spoken(message)
    def bring(files: list[str], before: list[str]) -> dict:
        every = list(dict.fromkeys([*before, *(shared.keep(file) for file in files)]))
        return {upload: None, documents: chips(every)}

    def keep_only(files: list[str]) -> gr.Dropdown:
        return chips(files)

    @spoken(message)
    def start(named: str, files: list[str], own: str | None, *most: float | None) -> dict:
        run = shared.run(named)
        if not files:
            raise RunError("Drop the documents first in which passages are to be found.")
        amounts = dict(zip(("most_questions", "passages", "passage_tokens"), most, strict=True))
        options = {key: int(value) for key, value in amounts.items() if value is not None}
        if own:
            options["questions"] = shared.keep(own)
        Request(tuple(shared.files(files)), **options)  # what cannot be is said before anything is begun
        jobs.start(run, "compare", documents=files, **options)
        return {}

    now = {
        "fn": look,
        "inputs": [chosen, across, seen],
        "outputs": [seen, scores, curves, rest, drawn],
        **POLL,
    }
    below = {
        "fn": look_below,
        "inputs": [name, seen_below],
        "outputs": [seen_below, status, found, download],
        **POLL,
    }
    page.load(choices, asked, [chosen, name], js=READ_RUNS, **POLL).then(**now).then(**below)
    timer = gr.Timer(1)
    timer.tick(**now)
    timer.tick(**below)
    chosen.change(None, chosen, None, js=WRITE_RUNS).then(**now)
    across.input(**now)
    name.input(**below)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    begin.click(None, None, message, js=at_once("Asking for the comparison …"), **quiet)
    upload.upload(bring, [upload, documents], [message, upload, documents], **quiet)
    documents.input(keep_only, documents, documents, **LAST, **quiet)
    begin.click(
        start,
        [name, documents, upload_questions, most_questions, passages, tokens],
        message,
        show_progress="hidden",
        api_name="compare",
    ).then(**below)


def chips(files: list[str]) -> gr.Dropdown:
    return gr.Dropdown(choices=[(file_name(file), file) for file in files], value=files, visible=bool(files))


def stamp(*runs: Run) -> tuple[tuple[int, int], ...]:
    """Tells what the runs' folders say now from what they said before."""
    return tuple(
        (found.st_mtime_ns, found.st_size)
        for run in runs
        for path in (run.events.path, *sorted(run.reports.glob("*.json")))
        if path.is_file() and (found := path.stat())
    )


@lru_cache(maxsize=32)
def side_by_side(
    runs: tuple[Run, ...], _: tuple, across: str, language: str = language.ENGLISH
) -> tuple[str, str, str]:
    """Scores, curves, and settings with cost, in the asker's language. Looked at once a second by everyone, made anew only
    when it changes."""
    if len(runs) < 2:
        return hint(t(render.FEW)), "", ""
    try:
        compared = compare_runs(runs)
    except UserError as error:
        return alert(str(error)), "", ""
    return render.scores(compared), render.curves(compared, across), render.settings_and_cost(compared)


@lru_cache(maxsize=32)
def against_retrieval(run: Run, _: tuple, language: str = language.ENGLISH) -> str:
    """What the comparison found, in the asker's language; empty if there was none."""
    try:
        found = read(run)
    except UserError as error:
        return alert(str(error))
    return render.retrieval(found) if found else ""
