"""The page: assembles one room per address, and serves them.

python app.py                       or    atelier ui
"""

import os
from pathlib import Path

import gradio as gr

from core.errors import UserError
from core.runs import RunStore
from webui import chat, data, evaluate, publish, runs, theme, train
from webui.render.parts import PAGES, header
from webui.shared import Shared, html

ROOMS = {
    "": data.room,
    "train": train.room,
    "runs": runs.room,
    "evaluate": evaluate.room,
    "chat": chat.room,
    "publish": publish.room,
}
MOST_UPLOADED = "1gb"
DAY = 24 * 60 * 60


def build(store: RunStore) -> gr.Blocks:
    """Every room under its address. A new one is a file with a function `room`, and a line in ROOMS and PAGES."""
    shared = Shared(store)
    with gr.Blocks(title="Atelier", analytics_enabled=False, delete_cache=(DAY, DAY)) as page:
        _furnish("", shared, page)
    for path in ROOMS:
        if path:
            with page.route(PAGES[path], f"/{path}", show_in_navbar=False):
                _furnish(path, shared, page)
    return page


def launch(runs: Path, host: str = "127.0.0.1", port: int = 7860, open_browser: bool = False) -> None:
    """Serve the page until interrupted; UserError if the port is taken."""
    store = RunStore(runs)
    page = build(store)
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            theme=theme.theme(),
            css=theme.css(),
            head=theme.ICON,
            footer_links=[],
            run_history=False,  # it would keep what people type in the browser, in clear
            max_file_size=MOST_UPLOADED,
        )
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise UserError(f"Port {port} is in use; choose another with --port.") from None
    print(
        f"Atelier is open at {url} and keeps its runs in {os.path.abspath(store.root)}. Ctrl-C closes the page, not the runs.",
        flush=True,
    )
    page.block_thread()


def _furnish(path: str, shared: Shared, page: gr.Blocks) -> None:
    html(header(path))
    ROOMS[path](shared, page)
