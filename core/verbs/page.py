"""Verbs that open the page, and show the whole road."""

import gc
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.verbs.common import Runs, app


@app.command
def ui(
    *,
    port: Annotated[int, Parameter(env_var="GRADIO_SERVER_PORT")] = 7860,
    host: Annotated[
        str | None, Parameter(help="The address to listen on; 0.0.0.0 for all that this machine has.")
    ] = None,
    runs: Annotated[
        Path | None, Parameter(env_var="ATELIER_RUNS", help="The folder in which runs are kept.")
    ] = None,
    browser: Annotated[
        bool, Parameter(name=("--browser", "--open"), help="Open the page in a browser.")
    ] = True,
    auth: Annotated[
        tuple[str, ...],
        Parameter(
            consume_multiple=False,
            help="NAME:PASSWORD of who may open the page; once for each. Of several, each has runs of their own. Whoever "
            "lists the processes of this machine sees it; not so in ATELIER_AUTH (separated by spaces), or --auth-file.",
        ),
    ] = (),
    auth_file: Annotated[Path | None, Parameter(help="A file with a line NAME:PASSWORD for each.")] = None,
    root_path: Annotated[
        str, Parameter(help="The path under which a proxy serves the page, such as /atelier.")
    ] = "",
    share: Annotated[
        bool,
        Parameter(
            negative="", help="Give the page a public address, by gradio's tunnel, for at most a week."
        ),
    ] = False,
    max_upload: Annotated[str, Parameter(help="The largest file that may be uploaded.")] = "1gb",
    max_uploads: Annotated[int, Parameter(help="How many uploaded files are kept, of each account.")] = 1000,
    mcp: Annotated[
        bool, Parameter(negative="", help="Offer what can be done here to MCP clients, too, as tools.")
    ] = False,
) -> None:
    """Open the page."""
    gc.disable()  # until it is built, where nothing is garbage
    from webui import accounts, visitors
    from webui.page import launch
    from webui.shared import ON_A_SPACE, Limits

    # A Space shows what listens on all of its container's addresses; anywhere else that is the user's decision.
    launch(
        runs or (visitors.keeping_place() if ON_A_SPACE else None) or Path("runs"),
        host=host or ("0.0.0.0" if ON_A_SPACE else "127.0.0.1"),
        port=port,
        browser=browser,
        passwords=accounts.read(auth, auth_file),
        root_path=root_path,
        share=share,
        limits=Limits(visitors.amount("--max-upload", max_upload), max_uploads),
        mcp=mcp,
    )


@app.command
def demo(*, runs: Runs = Path("runs")) -> int:
    """The whole road in a few minutes: sample data, report, training, scores, three questions, a folder to publish."""
    from core.demo import demo

    return demo(runs)
