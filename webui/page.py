"""The page: assembles one room per address, and serves them.

python app.py                       or    atelier ui
"""

import os
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import UserError
from core.runs import RunStore
from core.runs.jobs import OWNERS_TOKENS
from webui import chat, compare, data, evaluate, publish, runs, theme, train, visitors
from webui.render.parts import PAGES, header
from webui.render.visitors import forgetful
from webui.shared import SIGN_IN, Shared, html

ROOMS = {
    "": data.room,
    "train": train.room,
    "runs": runs.room,
    "evaluate": evaluate.room,
    "compare": compare.room,
    "chat": chat.room,
    "publish": publish.room,
}
MOST_UPLOADED = "1gb"
DAY = 24 * 60 * 60
SIGN_IN_WORDS = "Sign in with Hugging Face"


def build(shared: Shared) -> gr.Blocks:
    """Every room under its address. A new one is a file with a function `room`, and a line in ROOMS and PAGES."""
    with gr.Blocks(title="Atelier", analytics_enabled=False, delete_cache=(DAY, DAY)) as page:
        _furnish("", shared, page)
    for path in ROOMS:
        if path:
            with page.route(PAGES[path], f"/{path}", show_in_navbar=False):
                _furnish(path, shared, page)
    if shared.space:
        visitors.admit_to(page, shared.space)
    return page


def launch(runs: Path, host: str = "127.0.0.1", port: int = 7860, open_browser: bool = False) -> None:
    """Serve the page until interrupted; UserError if the port is taken."""
    store = RunStore(runs)
    shared = Shared.of_environment(store)
    if shared.space:  # what answers on a lent GPU does so in a copy of this process
        for name in OWNERS_TOKENS:
            os.environ.pop(name, None)
    page = build(shared)
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
            **_for_visitors(shared),
        )
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise UserError(f"Port {port} is in use; choose another with --port.") from None
    print(
        f"Atelier is open at {url} and keeps its runs in {os.path.abspath(store.root)}. Ctrl-C closes the page, not the runs.",
        flush=True,
    )
    if shared.space:
        visitors.begin_demo(shared.space)
    page.block_thread()


def _for_visitors(shared: Shared) -> dict[str, Any]:
    """What `launch` is told where there are any: where their sessions are kept, and that every page is made here."""
    if shared.space is None:
        return {}
    from starlette.middleware import Middleware

    from webui.sessions import Sessions

    hosts = tuple(host.strip() for host in os.environ.get("SPACE_HOST", "").split(",") if host.strip())
    sessions = Middleware(Sessions, hosts=hosts, most_uploaded=shared.space.quota.disk_bytes)
    return {"app_kwargs": {"middleware": [sessions]}, "ssr_mode": False}


def _furnish(path: str, shared: Shared, page: gr.Blocks) -> None:
    html(header(path))
    if shared.space:
        _greet(shared.space, page)
    ROOMS[path](shared, page)


def _greet(space: visitors.Space, page: gr.Blocks) -> None:
    """Who one is here, and the button that changes it. Off a Space there is none: gradio's would make the start fail."""
    with gr.Row(elem_id="visitor"):
        shown = [html(elem_id="greeting")]
        if SIGN_IN:
            look = {"size": "sm", "variant": "secondary", "scale": 0}
            button = gr.LoginButton(SIGN_IN_WORDS, elem_id="sign-in", **look)
            button.load_event_to_attach = None  # gradio would attach it anew with every page, to all of them
            shown.append(button)
    if visitors.keeping_place() is None:
        html(forgetful(), elem_id="forgetful")

    def greeting() -> list[Any]:
        visitor = visitors.current()
        words = f"Sign out ({visitor.name})" if visitor else SIGN_IN_WORDS
        return [space.greeting(), gr.update(value=words)][: len(shown)]

    page.load(greeting, None, shown, show_progress="hidden", api_visibility="private", queue=False)
