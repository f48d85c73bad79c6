"""What a start can do without, while gradio builds the page."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import gradio as gr
from gradio.routes import App


@contextmanager
def no_servers() -> Iterator[None]:
    """gradio makes a server at the end of each address, and throws it away at the next: four fifths of the time that the page
    takes to build. `launch` makes the one that serves."""
    with (
        patch.object(App, "create_app", lambda *_, **__: None),
        patch.object(gr.Blocks, "get_config_file", lambda _: {}),
    ):
        yield


def collect_garbage() -> None:
    """From now on, and only what is made from now on: the page stays as long as its server. Until here there was none, and to
    look for it would have been a fifth of the start; so `atelier ui` begins without."""
    gc.freeze()
    gc.enable()
