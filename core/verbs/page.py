"""Verbs that open the page, and show the whole road."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.verbs.common import Runs, app


@app.command
def ui(
    *,
    port: int = 7860,
    host: str = "127.0.0.1",
    runs: Runs = Path("runs"),
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
) -> None:
    """Open the page."""
    from webui.page import launch

    launch(runs, host, port, browser)


@app.command
def demo(*, runs: Runs = Path("runs")) -> int:
    """The whole road in a few minutes: sample data, report, training, scores, three questions, a folder to publish."""
    from core.demo import demo

    return demo(runs)
