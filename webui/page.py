"""The page: assembles one room per address, and serves them.

python app.py                       or    atelier ui
"""

import contextlib
import functools
import io
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from core.commands import how_to_call
from core.errors import UserError
from core.runs import RunStore
from core.runs.jobs import OWNERS_TOKENS
from webui import (
    accounts,
    chat,
    compare,
    data,
    entrance,
    evaluate,
    language,
    programs,
    publish,
    runs,
    theme,
    train,
    visitors,
)
from webui.addresses import Addresses
from webui.language import t
from webui.programs.mcp import welcome_mcp
from webui.render.parts import PAGES, header
from webui.render.visitors import forgetful, signed_in_by_password
from webui.sessions import Sessions
from webui.shared import ON_A_SPACE, POLL, READ_RUN, SIGN_IN, Limits, Shared, html, nowhere
from webui.starting import collect_garbage, no_servers

ROOMS = {
    "": data.room,
    "train": train.room,
    "runs": runs.room,
    "evaluate": evaluate.room,
    "compare": compare.room,
    "chat": chat.room,
    "publish": publish.room,
}
ONE_RUN = ("runs", "evaluate", "chat", "publish")
# A link to a part of the page would lead away from it, to the page's base.
SKIP = """
element.querySelector('.skip').addEventListener('click', event => {
  event.preventDefault();
  const heading = document.querySelector('h1');
  heading.tabIndex = -1;
  heading.focus();
});
"""
DAY = 24 * 60 * 60
SIGN_IN_WORDS = "Sign in with Hugging Face"
# One comes back to where one was. The Hub's page is taller than its frame on a Space, which is told so, as gradio tells it.
LEAVE = """where => {
  const door = new URL(where || 'login/huggingface', document.baseURI);
  door.searchParams.set('_target_url', location.pathname + location.search);
  window.parent?.postMessage({type: 'SET_SCROLLING', enabled: true}, '*');
  setTimeout(() => location.assign(door), 500);
}"""

# Names that gradio gives to its own parts, in English for everybody; only who listens to the page meets them.
NAMES = """
const names = Object.entries({
  'Click to upload or drop files': CLICK, 'Reset to default value': RESET,
  'number input for': NUMBER, 'range slider for': SLIDER,
}).filter(([said, meant]) => said !== meant);
const rename = () => names.forEach(([said, meant]) => {
  for (const name of ['aria-label', 'title'])
    for (const part of document.querySelectorAll(`[${name}^="${said}"]`))
      part.setAttribute(name, part.getAttribute(name).replace(said, meant));
});
if (names.length) {
  rename();
  new MutationObserver(rename).observe(document.body, {childList: true, subtree: true, attributeFilter: ['aria-label']});
}
"""


def build(shared: Shared, signing_in: bool = False) -> gr.Blocks:
    """Every room under its address. A new one is a file with a function `room`, and a line in ROOMS and PAGES."""
    with no_servers():
        with gr.Blocks(title="Atelier", analytics_enabled=False, delete_cache=(DAY, DAY)) as page:
            programs.offer(shared)
            _furnish("", shared, page, signing_in)
        for path in ROOMS:
            if path:
                with page.route(PAGES[path], f"/{path}", show_in_navbar=False):
                    _furnish(path, shared, page, signing_in)
    programs.hide_the_pages(page)
    if shared.space:
        visitors.admit_to(page, shared.space)
    return page


def launch(
    runs: Path,
    *,
    host: str,
    port: int,
    browser: bool,
    passwords: dict[str, str],
    root_path: str,
    share: bool,
    limits: Limits,
    mcp: bool = False,
) -> None:
    """Serve the page until interrupted; UserError if the port is taken."""
    store = RunStore(runs)
    shared = Shared.of_environment(store, passwords, limits)
    if shared.space:  # what answers on a lent GPU does so in a copy of this process
        for name in OWNERS_TOKENS:
            os.environ.pop(name, None)
    if mcp:
        welcome_mcp(signing_in=shared.space is not None or bool(passwords), share=share)
    page = build(shared, signing_in=bool(passwords))
    # In seconds; gradio's thousandth keeps 3 % of a core at work where nobody asks.
    page._queue.sleep_when_free = 0.01
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # gradio's own words on its tunnel
            _, url, public = page.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                prevent_thread_lock=True,
                quiet=True,
                share=share,
                auth=list(passwords.items()) or None,
                root_path=root_path or None,
                theme=theme.theme(),
                css=theme.css(),
                footer_links=[],
                i18n=language.i18n(),
                run_history=False,  # it would keep what people type in the browser, in clear
                max_file_size=limits.upload_bytes,
                mcp_server=mcp,
                app_kwargs={
                    "middleware": [
                        Middleware(Addresses, pages=ROOMS, head=theme.HEAD, entrance=entrance.head()),
                        *_for_visitors(shared),
                    ]
                },
                ssr_mode=False,
            )
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise UserError(f"Port {port} is in use; choose another with --port.") from None
    collect_garbage()
    print(
        f"Atelier is open at {url} and keeps its runs in {os.path.abspath(store.root)}. Ctrl-C closes the page, not the runs.",
        flush=True,
    )
    if not ON_A_SPACE and (sentence := how_to_call()):
        print(sentence, flush=True)
    if share and public:
        print(f"For a week at most, it is at {public}, too.", flush=True)
    for warning in _warnings(host, share, public, bool(passwords)):
        print(warning, file=sys.stderr, flush=True)
    if shared.space:
        visitors.begin_demo(shared.space)
    page.block_thread()


def _warnings(host: str, share: bool, public: str | None, signing_in: bool) -> Iterator[str]:
    if share and not public:
        yield "The page has no public address: gradio's tunnel could not be set up, for which it needs the internet. It is open here alone."
    if ON_A_SPACE or signing_in:
        return
    if public:
        yield "Anybody who knows the public address can use this page, and see what is on it: give it a password with --auth."
    if not _is_loopback(host):
        yield (
            f"Anybody who can reach this machine can use this page, and see what is on it, since it listens on {host}: give it "
            "a password with --auth."
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _for_visitors(shared: Shared) -> list[Middleware]:
    """Where the sessions of a Space's visitors are kept."""
    if shared.space is None:
        return []
    hosts = tuple(host.strip() for host in os.environ.get("SPACE_HOST", "").split(",") if host.strip())
    return [Middleware(Sessions, hosts=hosts, most_uploaded=shared.space.quota.disk_bytes)]


def _furnish(path: str, shared: Shared, page: gr.Blocks, signing_in: bool) -> None:
    html(header(path), js_on_load=SKIP + _names())
    if shared.space:
        _greet(shared.space, page)
    if signing_in:
        name = html(elem_id="greeting")
        page.load(lambda: signed_in_by_password(accounts.asking()), None, name, **POLL)
    if path in ONE_RUN:
        asked, unknown = nowhere(), html(elem_id="unknown")
        is_known = functools.partial(shared.unknown, trained=path != "runs")
        page.load(is_known, asked, unknown, js=READ_RUN, api_name="unknown", **POLL)
    ROOMS[path](shared, page)


def _names() -> str:
    said = {
        "CLICK": language.js("Click to upload or drop files"),
        "RESET": language.js("Reset to default value"),
        "NUMBER": language.js("number input for"),
        "SLIDER": language.js("range slider for"),
    }
    return functools.reduce(lambda script, each: script.replace(*each), said.items(), NAMES)


class SignInButton(gr.LoginButton):
    """For gradio a place where one signs in. Its own one tells in from out by its words, which are not in English for all."""

    def activate(self) -> None:
        pass

    def get_block_name(self) -> str:
        return "button"


def _greet(space: visitors.Space, page: gr.Blocks) -> None:
    """Who one is here, and the button that changes it. Off a Space there is none: gradio's would make the start fail."""
    with gr.Row(elem_id="visitor"):
        shown = [html(elem_id="greeting")]
        if SIGN_IN:
            look = {"size": "sm", "variant": "secondary", "scale": 0}
            button, where = SignInButton(t(SIGN_IN_WORDS), elem_id="sign-in", **look), nowhere()
            button.click(None, where, None, js=LEAVE)
            shown += [button, where]
    if visitors.keeping_place() is None:
        html(forgetful(), elem_id="forgetful")

    def greeting() -> list[Any]:
        visitor = visitors.current()
        words = t("Sign out ({name})", name=visitor.name) if visitor else t(SIGN_IN_WORDS)
        return [space.greeting(), gr.update(value=words), "logout" if visitor else ""][: len(shown)]

    page.load(greeting, None, shown, show_progress="hidden", api_visibility="private", queue=False)
