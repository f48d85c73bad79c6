"""What the Evaluate page asks of the job, and that it opens no file that a browser merely names."""

import gradio as gr
import pytest

from core.evaluate.report import FILE, write
from core.runs import jobs
from tests.conftest import quick
from tests.evaluate.reporting import held_out, report
from webui.evaluate import catalogue, report_of, room
from webui.shared import Shared


@pytest.fixture
def score(store, monkeypatch):
    """What the button does, and the options that the job was then started with."""
    store.create("poems", quick())
    started = []
    monkeypatch.setattr(
        jobs, "start", lambda run, act, *_, **options: started.append((run.name, act, options))
    )
    with gr.Blocks() as page:
        room(Shared(store), page)
    (button,) = (each.fn for each in page.fns.values() if each.api_name == "evaluate")

    def press(*values):
        said = "".join(each for each in button(*values).values() if isinstance(each, str))
        return said, started

    return press


def test_only_what_was_filled_in_is_asked_for(score):
    assert score("poems", ["held-out"], None, None) == ("", [("poems", "evaluate", {"tasks": ["held-out"]})])
    _, started = score("poems", ["held-out", "gsm8k"], 20.0, 0.0)
    assert started[-1][2] == {"tasks": ["held-out", "gsm8k"], "max_samples": 20, "shots": 0}


@pytest.mark.parametrize("name", ["/etc/passwd", "../secrets.jsonl", "task.yaml"])
def test_a_file_of_the_servers_own_is_not_scored(score, name):
    said, started = score("poems", ["held-out", name], None, None)
    assert "is not among the files brought to this page" in said and not started


def test_a_saved_data_set_is_a_task(score, store):
    own = store.root.resolve() / ".data" / "sets" / "jars.jsonl"
    own.parent.mkdir(parents=True)
    own.write_text('{"question": "Who?", "answer": "I."}\n')
    assert score("poems", [str(own)], None, None)[1][0][2] == {"tasks": [str(own)]}


def test_a_number_out_of_bounds_is_refused_beside_the_form(score):
    said, started = score("poems", ["held-out"], 0.0, None)
    assert "evaluate.max_samples is 0" in said and not started


def test_no_task_is_a_sentence(score):
    said, started = score("poems", [], None, None)
    assert "Choose a task first" in said and not started


def test_the_default_tasks_are_offered_first_and_what_they_bring_is_not_offered_again():
    names = [name for _, name in catalogue()]
    assert names[:2] == ["held-out", "general"] or names[:2] == ["general", "held-out"]
    assert "gsm8k" in names and "held-out-answers" not in names


def test_a_report_is_read_again_only_when_it_was_written_again(store):
    run = store.create("poems", quick())
    assert report_of(run) is None and report_of(None) is None
    write(run, report())
    first = report_of(run)
    assert report_of(run) is first
    write(run, report(held_out()))
    assert report_of(run) == report(held_out())
    (run.reports / FILE).unlink()
    assert report_of(run) is None
