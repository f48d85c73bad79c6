"""A request that a thread is answering, as gradio tells it."""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.context import LocalContext


@contextmanager
def answering(request: gr.Request) -> Iterator[None]:
    """As if what happens within were done for this request."""
    before = LocalContext.request.set(request)
    try:
        yield
    finally:
        LocalContext.request.reset(before)
