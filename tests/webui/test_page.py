"""The whole page as it is assembled: its addresses, and what programs may call."""

import subprocess
import sys
import urllib.request

import pytest
from gradio.routes import App

from core.runs import RunStore
from core.runs.jobs import child_environment
from webui.addresses import _asked
from webui.page import ROOMS, build
from webui.render.parts import PAGES, header
from webui.shared import Shared


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build(Shared(RunStore(tmp_path_factory.mktemp("page") / "runs")))


def test_every_room_has_an_address_and_a_link(page):
    assert [path for path, *_ in page.pages] == list(ROOMS) == list(PAGES)
    for path in ROOMS:
        assert f'href="./{path}"' in header("")


def test_no_server_is_made_before_the_one_that_serves_and_that_one_is(store, monkeypatch):
    made, make = [], App.create_app
    monkeypatch.setattr(
        App, "create_app", lambda *given, **more: made.append(make(*given, **more)) or made[-1]
    )
    built = build(Shared(store))
    assert made == []
    _, url, _ = built.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, mcp_server=False)
    try:
        assert made == [built.app] and urllib.request.urlopen(f"{url}runs").status == 200
    finally:
        built.close()


def test_the_header_says_where_one_is():
    assert 'href="./runs" aria-current=page>Runs' in header("runs")
    assert header("runs").count("aria-current") == 1


def test_looking_waits_for_nobody(page):
    looks = [event for event in page.fns.values() if event.api_name.startswith("look")]
    assert looks and all(not event.queue and event.concurrency_limit is None for event in looks)


@pytest.mark.parametrize(
    "query, runs",
    [
        ("run=full&run=lora", ["full", "lora"]),
        ("run=..&run=logout", ["logout"]),
        ("run=.&x=1", None),
        ("x=1", None),
    ],
)
def test_an_earlier_address_of_a_run_leads_to_no_other_page(query, runs):
    found = _asked({"query_string": query.encode()})
    assert (found[0] if found else None) == runs


def test_no_type_stub_is_written_beside_the_code_whoever_imports_gradio_first(tmp_path):
    made = "import gradio, inspect, webui, sys\nsys.path.insert(0, sys.argv[1])\nimport own"
    (tmp_path / "own.py").write_text("import gradio as gr\n\nclass Own(gr.Button):\n    EVENTS = ['click']\n")
    subprocess.run([sys.executable, "-c", made, tmp_path], check=True, env=child_environment(None))
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".pyi"] == []
