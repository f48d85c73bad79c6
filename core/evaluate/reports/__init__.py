"""A report as files: for programs, for notes, and as a page for people."""

from pathlib import Path

from core.evaluate.report import FILE, Report, whole, write
from core.evaluate.reports.markdown import as_markdown
from core.evaluate.reports.page import as_html
from core.runs.store import Run

QUOTED = 20  # rows of each task that the Markdown quotes; the page has all of them


def write_all(run: Run, report: Report, name: str = FILE) -> None:
    """evaluation.json, and beside it evaluation.md and evaluation.html; each is whole, and the first is written first."""
    write(run, report, name)
    path = run.reports / name
    whole(path.with_suffix(".md"), as_markdown(report, QUOTED))
    whole(path.with_suffix(".html"), as_html(report, run.progress()))


def page_of(run: Run, name: str = FILE) -> Path:
    """Where `write_all` puts the page."""
    return (run.reports / name).with_suffix(".html")
