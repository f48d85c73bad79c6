"""The Evaluate page: did training help, by how much, how sure is that, and what did both models say, row by row?"""

from functools import lru_cache

import gradio as gr

from core.errors import RunError
from core.evaluate.report import FILE, Report, TaskReport, read
from core.evaluate.reports import page_of
from core.evaluate.request import options
from core.evaluate.tasks import built_in, names
from core.runs import Run, jobs
from core.spec import RunSpec
from webui import language
from webui.language import t
from webui.render import evaluate as render
from webui.render.parts import alert, heading, section
from webui.render.runs import BUSY, status_block
from webui.shared import (
    POLL,
    READ_RUN,
    WRITE_RUN,
    Shared,
    at_once,
    html,
    nowhere,
    only_news,
    run_chooser,
    spoken,
)

ROWS = 30  # shown at first, and more each time that more are asked for
HIDDEN = {"show_progress": "hidden", "api_visibility": "private"}
DEFAULTS = list(RunSpec().evaluate.tasks)


def room(shared: Shared, page: gr.Blocks) -> None:
    html(
        heading(
            t("Is it better?"),
            t(
                "Base and tuned model on the same rows, none of which was trained on; and on what might have been forgotten."
            ),
        )
    )
    with gr.Row(elem_classes="acts"):
        name = run_chooser()
        again = gr.Button(
            t("Score both models"), variant="primary", elem_id="evaluate", scale=1, min_width=180
        )
        download = gr.DownloadButton(
            t("Download the report"), visible=False, elem_id="download", scale=1, min_width=180
        )
    with gr.Row(elem_classes="asked"):
        tasks = gr.Dropdown(
            catalogue(), value=DEFAULTS, multiselect=True, label=t("Tasks"), scale=3, min_width=260,
            info=t("What is scored; general texts tell what was forgotten."), elem_id="tasks",
        )  # fmt: skip
        most = gr.Number(
            label=t("Most rows of each task"), info=t("Fewer are faster, and less sure."),
            placeholder=t("all of them"), precision=0, scale=1, min_width=180, elem_id="max-samples",
        )  # fmt: skip
        shots = gr.Number(
            label=t("Solved examples first"), info=t("Shown before each question."),
            placeholder=t("as the task says"), precision=0, scale=1, min_width=180, elem_id="shots",
        )  # fmt: skip
    message = html(elem_id="message")
    status = html(elem_id="status")
    scores = html(elem_id="scores")
    with gr.Column(visible=False, elem_id="row-by-row") as box:
        html(section(t("Row by row")))
        with gr.Row(elem_classes="looked-for"):
            task = gr.Dropdown(
                [], label=t("Task"), allow_custom_value=True, scale=1, min_width=220, elem_id="task"
            )
            kind = gr.Radio(
                [(t(label), kind) for label, kind in render.KINDS],
                value="",
                label=t("Rows"),
                scale=3,
                min_width=320,
                elem_id="kind",
            )
        rows = html(elem_id="rows")
        more = gr.Button(t("Show more"), visible=False, elem_id="more")
    asked, seen, shown = nowhere(), nowhere(), nowhere()

    def look(chosen: str | None, looked_at: str | None, wanted: str, so_many: str, before: str) -> dict:
        run = shared.find(chosen)
        try:
            found, said = report_of(run), ""
        except RunError as error:  # the file is not one of ours
            found, said = None, alert(str(error))
        at_work = False
        if run:
            progress = shared.progress(run)
            at_work = progress.act == "evaluate" and (progress.state in BUSY or progress.message)
        choices = [each for each in found.tasks if each.rows] if found else []
        current = next((each for each in choices if each.name == looked_at), first_of(choices))
        limit = int(so_many or ROWS)
        table = render.rows(found, current, wanted or "", limit) if current else ""
        parts = {
            status: status_block(run, progress) if at_work else "",
            scores: said or (shared.short(render.report(found)) if run else render.nothing()),
            rows: table,
            box: bool(choices),
            more: bool(current) and len(render.matching(current, wanted or "")) > limit,
            task: " ".join(f"{each.name}={each.n}" for each in choices) + f" {stamp(run)}",
            download: f"{run.name} {stamp(run)}" if found else "",
        }
        now, *fresh = only_news(list(parts.values()), before)
        updates = dict(zip(parts, fresh, strict=True))
        if isinstance(updates[task], str):
            updates[task] = offered(choices, current)
        if isinstance(updates[download], str):
            updates[download] = file_of(run, found)
        return {seen: now} | updates

    def file_of(run: Run | None, found: Report | None) -> gr.DownloadButton:
        """The page as a copy that gradio may hand out; a report without a page offers none."""
        if found is None or not page_of(run).is_file():
            return gr.DownloadButton(visible=False)
        return gr.DownloadButton(value=download.move_resource_to_block_cache(page_of(run)), visible=True)

    def choose() -> list:
        """The tasks that come with Atelier, and the data sets that were saved here; a number without a value would show 0."""
        own = [(t("Data set: {name}", name=name), path) for name, path in shared.sets.choices()]
        return [gr.Dropdown(choices=catalogue() + own), None, None]

    @spoken(message)
    def begin(chosen: str | None, wanted: list[str], limit: float | None, examples: float | None) -> dict:
        run = shared.run(chosen)
        known = {name for _, name in catalogue()}
        own = [each for each in wanted if each not in known]
        if own:
            shared.files(own)
        asked = options(run, tasks=wanted, max_samples=_whole(limit), shots=_whole(examples))
        jobs.start(run, "evaluate", **asked)
        return {}

    def so_many_more(so_many: str) -> str:
        return str(int(so_many or ROWS) + ROWS)

    everything = [seen, status, scores, rows, box, more, task, download]
    now = {"fn": look, "inputs": [name, task, kind, shown, seen], "outputs": everything, **POLL}
    page.load(choose, None, [tasks, most, shots], **POLL)
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(**now)
    gr.Timer(1).tick(**now)
    name.input(None, name, None, js=WRITE_RUN).then(lambda: "", None, shown, **POLL).then(**now)
    gr.on([task.input, kind.input], lambda: "", None, shown, **POLL).then(**now)
    more.click(so_many_more, shown, shown, **POLL).then(**now)
    again.click(None, None, message, js=at_once("Asking for the scores …"), **HIDDEN)
    again.click(begin, [name, tasks, most, shots], message, show_progress="hidden", api_name="evaluate").then(
        **now
    )


def first_of(tasks: list[TaskReport]) -> TaskReport | None:
    """What is looked at first: a task in which something was said, if there is one."""
    said = (each for each in tasks if any(row.base or row.tuned for row in each.rows))
    return next(said, next(iter(tasks), None))


def offered(tasks: list[TaskReport], current: TaskReport | None) -> gr.Dropdown:
    return gr.Dropdown(
        choices=[(language.said(each.label), each.name) for each in tasks],
        value=current.name if current else None,
    )


def catalogue() -> list[tuple[str, str]]:
    """(label, name) of each task that comes with Atelier and that no other brings along, the default ones first."""
    known = [built_in(name) for name in names()]
    brought = {name for task in known for name in task.brings}
    shown = [task for task in known if task.name not in brought]
    return [(t(each.label), each.name) for each in sorted(shown, key=lambda each: each.name not in DEFAULTS)]


def report_of(run: Run | None) -> Report | None:
    """The run's report. Read anew only when it was written anew: it is asked for each second, and can be large."""
    return _read(run, stamp(run)) if run else None


def stamp(run: Run | None) -> str:
    """Another one for each report that was written; empty if there is none."""
    if run is None:
        return ""
    try:
        about = (run.reports / FILE).stat()
    except FileNotFoundError:
        return ""
    return f"{about.st_ino}-{about.st_mtime_ns}"


@lru_cache(maxsize=8)
def _read(run: Run, written: str) -> Report | None:
    return read(run)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
