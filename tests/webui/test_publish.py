"""What the Publish page asks of the job: as the form says, and again as it was asked for the last time."""

import json

import gradio as gr
import pytest

from core.publish.job import LAST
from core.runs import jobs
from tests.conftest import quick
from webui.publish import room
from webui.shared import Shared

FORM = ("ada/tales ", "gguf", ["f16"], "mit", " draft", False, True)
ASKED = {
    "to": "ada/tales",
    "what": "gguf",
    "quantization": ["f16"],
    "license": "mit",
    "branch": "draft",
    "private": False,
    "pull_request": True,
}


@pytest.fixture
def page(store):
    """Its events by name, with the fields that each takes."""
    store.create("poems", quick())
    with gr.Blocks() as page:
        room(Shared(store), page)
    return {each.api_name: each for each in page.fns.values()}


@pytest.fixture
def started(monkeypatch):
    acts = []
    monkeypatch.setattr(jobs, "start", lambda run, act, *_, **options: acts.append((run.name, act, options)))
    return acts


def test_a_publication_is_told_what_the_form_says(page, started):
    fields = ["to", "what", "quantization", "license", "branch", "private", "pull-request"]
    for act in ("plan", "publish"):
        assert [each.elem_id for each in page[act].inputs[1:]] == fields
    page["publish"].fn("poems", *FORM)
    assert started == [("poems", "push", ASKED)]
    page["publish"].fn("poems", "", "adapter", [], None, "", True, False)
    empty = dict.fromkeys(("quantization", "license", "branch")) | {"to": "", "what": "adapter"}
    assert started[1:] == [("poems", "push", empty | {"private": True, "pull_request": False})]


def test_it_is_tried_again_as_it_was_asked_for_the_last_time(page, started, store):
    kept = store.get("poems").reports / LAST
    kept.parent.mkdir()
    kept.write_text(json.dumps(ASKED))
    page["retry_publishing"].fn("poems")
    assert started == [("poems", "push", ASKED)]
