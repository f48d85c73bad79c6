import json

import pytest

from core.cli import main
from core.evaluate.report import read
from core.evaluate.tasks import names
from tests.evaluate.inside import work_inside
from tests.evaluate.making import tuned_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    quick = {"evaluate": {"answers": 2, "max_new_tokens": 4, "prompts": []}}
    return tuned_run(tmp_path_factory.mktemp("verb"), quick)


def test_the_tasks_are_listed_without_a_run(capsys):
    assert main(["evaluate", "--list"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name}\n" in text for name in names()) and "MIT" in text
    assert main(["evaluate", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["tasks"]
    assert [each["name"] for each in listed] == names() and "folder" not in listed[0]


def test_a_task_is_scored_and_its_report_is_shown_and_written(run, tmp_path, capsys):
    page = tmp_path / "out.html"
    runs = str(run.folder.parent)
    arguments = ["evaluate", "tiny", "--runs", runs, "--task", "general-choices", "--max-samples", "8"]
    assert main([*arguments, "--report", str(page)]) == 0
    assert "General questions" in capsys.readouterr().out
    assert page.read_text().lower().startswith("<!doctype html>")
    assert [(task.name, task.n) for task in read(run).tasks] == [("general-choices", 8)]


def test_only_what_was_scored_now_is_shown_with_the_place_of_the_whole_report(run, capsys, monkeypatch):
    work_inside(monkeypatch)
    begin = ["evaluate", "tiny", "--runs", str(run.folder.parent), "--max-samples", "2", "--task"]
    assert main([*begin, "general"]) == 0
    capsys.readouterr()
    assert main([*begin, "held-out"]) == 0
    shown = capsys.readouterr().out
    assert "\nHeld-out examples" in shown and "General" not in shown
    assert f"every row and how to repeat it: {run.reports / 'evaluation.html'}" in shown
    assert {"general", "held-out"} <= {task.name for task in read(run).tasks}


def test_no_lora_scores_the_base_alone_and_gen_only_asks_for_few_answers(run, capsys, monkeypatch):
    work_inside(monkeypatch)
    arguments = ["evaluate", "tiny", "--runs", str(run.folder.parent), "--no-lora", "--gen-only"]
    assert main([*arguments, "--num-samples", "1", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["sides"] == ["base"]
    assert [(task["name"], task["n"]) for task in seen["tasks"]] == [("held-out-answers", 1)]
    assert read(run, "base.json").tasks[0].rows[0].tuned is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a run"),
        (["tiny", "--no-lora", "--side", "tuned"], "give one of them"),
        (["tiny", "--report", "out.pdf"], "must end in .html"),
        (["tiny", "--report", "out.html", "--no-follow"], "leave --no-follow out"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(run, arguments, said, capsys):
    assert main(["evaluate", *arguments, "--runs", str(run.folder.parent)]) == 2
    assert said in capsys.readouterr().err
