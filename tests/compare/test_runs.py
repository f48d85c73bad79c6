"""Runs side by side: what may be compared is, what may not is said, and a best one is marked only if it is clear."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from core.compare.page import runs_page
from core.compare.runs import compare_runs, worked
from core.compare.words import as_text
from core.errors import RunError
from core.evaluate.report import Answer, Both, Interval, Report, Row, Score, Settings, TaskReport, write
from core.runs.events import (
    Begun,
    Continued,
    HeldOut,
    Paused,
    Queued,
    Remote,
    Started,
    Stepped,
    Trained,
)  # fmt: skip
from core.spec import RunSpec

SETTINGS = Settings("", 0, "greedy", 40, "text", 2000, 0.95)
HOSTILE = "<img src=x onerror=alert(1)>"


def step(number: int, at: float, loss: float = 1.0, tokens: int = 0, **more) -> Stepped:
    return Stepped(
        at=at, step=number, epoch=1, loss=loss, learning_rate=1e-3, gradient_norm=1, tokens_per_second=100,
        memory_bytes=more.get("memory", 10**9), eta_seconds=0, tokens=tokens,
    )  # fmt: skip


def scored(
    marks: list[float], questions: str = "q", settings: Settings = SETTINGS, kind="generation"
) -> TaskReport:
    mean = sum(marks) / len(marks)
    rows = tuple(
        Row("f.jsonl:1", f"{questions}{n}", "yes", Answer("no", 1, "turn"), Answer("yes", 1, "turn"), {"f1": Both(0, mark)})
        for n, mark in enumerate(marks)
    )  # fmt: skip
    score = Score(
        "f1", "F1", "words in common", True, len(marks), "answers", Interval(0.1, 0.05, 0.15), Interval(mean, mean - 0.2, mean + 0.2),
        Interval(mean - 0.1, 0, 1), "helped",
    )  # fmt: skip
    return TaskReport("qa", "Questions", "", kind, len(marks), 30, settings, (score,), rows)


@pytest.fixture
def make(store):
    def made(name: str, *tasks: TaskReport, **settings):
        run = store.create(name, RunSpec.from_dict({"data": {"files": ["sample:fables-en"]}} | settings))
        run.final.mkdir()
        if tasks:
            write(run, Report(name, "fable", "x", ("base", "tuned"), 0.0, tasks))
        return run

    return made


def test_the_best_is_marked_where_rows_decide_though_intervals_overlap(make):
    hard = [0.1 * (n % 10) for n in range(20)]
    runs = [make("a", scored(hard)), make("b", scored([mark + 0.05 for mark in hard]))]
    line = compare_runs(runs).lines[0]
    assert line.cells["a"].tuned.high > line.cells["b"].tuned.low
    assert line.cells["b"].best and not line.cells["a"].best


def test_no_best_is_marked_where_chance_could_have_made_it(make):
    runs = [make("a", scored([0, 1] * 10)), make("b", scored([1, 0] * 9 + [1, 1]))]
    assert not any(cell.best for cell in compare_runs(runs).lines[0].cells.values())


def test_no_best_is_marked_by_rows_of_which_few_differ(make):
    few, enough = ([1.0] * wins + [0.0] * (20 - wins) for wins in (5, 6))
    lines = [
        compare_runs([make(f"a{at}", scored([0.0] * 20)), make(f"b{at}", scored(marks))]).lines[0]
        for at, marks in enumerate((few, enough))
    ]
    assert [line.cells[f"b{at}"].best for at, line in enumerate(lines)] == [False, True]


def test_the_best_must_be_better_than_every_other(make):
    marks = [0.1 * (n % 5) for n in range(20)]
    runs = [make("a", scored(marks)), make("b", scored([each + 0.5 for each in marks])),
            make("c", scored([each + 0.5 for each in marks]))]  # fmt: skip
    assert not any(cell.best for cell in compare_runs(runs).lines[0].cells.values())


def test_runs_are_sorted_by_their_main_score_and_it_is_said(make):
    runs = [make("worse", scored([0.1] * 10)), make("better", scored([0.9] * 10))]
    compared = compare_runs(runs)
    assert compared.runs == ("better", "worse")
    assert compared.order == "Sorted by F1 on Questions, the best first."


@pytest.mark.parametrize(
    "other, words",
    [
        (scored([0.9] * 12, "other"), "other rows (a: 12, b: 12)"),
        (scored([0.9] * 14), "other rows (a: 12, b: 14)"),
        (scored([0.9] * 12, settings=Settings("", 0, "greedy", 128, "text", 2000, 0.95)),
         "other lengths of answers (a: 40, b: 128)"),
        (scored([0.9] * 12, settings=Settings("", 5, "greedy", 40, "text", 2000, 0.95)), "solved examples before it (a: 0, b: 5)"),
        (scored([0.9] * 12, settings=Settings("Q: {question}", 0, "greedy", 40, "text", 2000, 0.95)), "another prompt"),
    ],
)  # fmt: skip
def test_scores_that_were_not_made_alike_are_not_held_against_each_other(make, other, words):
    compared = compare_runs([make("a", scored([0.1] * 12)), make("b", other)])
    assert words in compared.lines[0].unlike
    assert not any(cell.best for cell in compared.lines[0].cells.values())
    assert any("cannot be compared" in remark and words in remark for remark in compared.remarks)
    assert compared.runs == ("a", "b") and "order in which they were named" in compared.order
    assert "cannot be compared" in as_text(compared)


def test_how_to_score_them_alike_is_said_once_and_only_where_that_would_do(make):
    a, b = make("a", scored([0.1] * 12)), make("b", scored([0.9] * 14))
    assert sum("can be scored alike" in remark for remark in compare_runs([a, b]).remarks) == 1
    plain = {"kind": "plain"}
    c, d = (
        make(name, scored([0.1] * 12, kind="likelihood"), **more)
        for name, more in (("c", {}), ("d", {"template": plain}))
    )
    assert compare_runs([c, d]).remarks[0].startswith("F1 on Questions cannot be compared")
    assert not any("can be scored alike" in remark for remark in compare_runs([c, d]).remarks)


def test_a_table_that_is_wider_than_the_terminal_becomes_several_and_no_figure_is_torn_apart(
    make, monkeypatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    task = scored([0.5] * 12)
    scores = tuple(replace(task.scores[0], name=f"f{n}", label=f"Measure {n}") for n in range(7))
    many = replace(task, scores=scores)
    shown = as_text(compare_runs([make("a", many), make("b", many)]))
    assert all(len(re.sub(r"\x1b\[[\d;]*m", "", line)) <= 100 for line in shown.splitlines())
    assert shown.count("0.500 [0.300, 0.700]") == 14 and all(f"Measure {n} ↑" in shown for n in range(7))


def test_perplexity_is_not_compared_where_rows_are_cut_into_other_tokens(make):
    runs = [
        make("a", scored([0.1] * 12, kind="likelihood")),
        make("b", scored([0.9] * 12, kind="likelihood"), template={"kind": "plain"}),
    ]
    assert "counted in other tokens (template)" in compare_runs(runs).lines[0].unlike


def test_the_same_rows_in_another_order_are_the_same_rows(make):
    task = scored([0.1 * n for n in range(10)])
    turned = TaskReport(**vars(task) | {"rows": task.rows[::-1]})
    assert not compare_runs([make("a", task), make("b", turned)]).lines[0].unlike


def test_only_settings_that_differ_are_shown(make):
    runs = [make("a"), make("b", train={"epochs": 5.0}), make("c", method={"rank": 8})]
    assert compare_runs(runs).differing == {
        "method.rank": {"a": 16, "b": 16, "c": 8},
        "train.epochs": {"a": 3.0, "b": 5.0, "c": 3.0},
    }


def test_settings_of_an_adapter_do_not_differ_where_every_weight_is_trained(make):
    full = [make(name, method={"kind": "full", "rank": rank}) for name, rank in (("a", 8), ("b", 16))]
    assert compare_runs(full).differing == {}
    assert compare_runs([full[0], make("c", method={"rank": 8})]).differing == {
        "method.kind": {"a": "full", "c": "lora"},
        "method.rank": {"a": None, "c": 8},
        "method.dropout": {"a": None, "c": 0.0},
    }


def test_one_run_is_nothing_to_compare(make):
    run = make("a")
    with pytest.raises(RunError, match="two runs or more"):
        compare_runs([run, run])


def test_a_run_without_scores_or_with_a_broken_report_is_named_and_the_others_are_compared(make):
    runs = [make("a", scored([0.1] * 8)), make("b"), make("c", scored([0.2] * 8))]
    (runs[2].reports / "evaluation.json").write_text("{}")
    compared = compare_runs(runs)
    assert set(compared.lines[0].cells) == {"a"}
    assert "not a report of an evaluation" in compared.remarks[0]
    assert [remark[:32] for remark in compared.remarks[1:]] == [
        "b: not scored; `atelier evaluate",
        "c: not scored; `atelier evaluate",
    ]


def test_of_a_run_that_is_not_trained_it_is_not_said_that_it_can_be_scored(make):
    runs = [make("a", scored([0.1] * 8)), make("b"), make("c")]
    runs[1].final.rmdir()
    assert compare_runs(runs).remarks == (
        "c: not scored; `atelier evaluate c` scores it.",
        "b: not trained to the end, so there is nothing to score.",
    )


def test_data_that_changed_between_runs_is_said(make):
    runs = [make("a"), make("b")]
    for run, digest in zip(runs, ("1", "2"), strict=True):
        run.manifest.write_text(json.dumps({"data": {"poems.jsonl": digest}}))
    assert "poems.jsonl was not the same when the runs were trained." in compare_runs(runs).remarks


def test_time_stands_still_in_pauses_and_between_two_starts_and_work_done_again_is_paid_again():
    events = [
        HeldOut(at=90, step=0, loss=4, token_accuracy=0), Begun(at=100, total_steps=4),
        step(1, 110, 3.0, 50), Paused(at=110, step=1), Continued(at=500, step=1), step(2, 510, 2.5, 100),
        # Killed after step 2, of which only step 1 was saved.
        Begun(at=1000, total_steps=4, resumed_from=1), step(2, 1010, 2.4, 60), HeldOut(at=1012, step=2, loss=2.2, token_accuracy=0),
        step(3, 1022, 2.0, 120), Trained(at=1030), HeldOut(at=1100, step=3, loss=1, token_accuracy=0),
    ]  # fmt: skip
    work = worked(events)
    assert [(each.step, each.tokens, each.seconds) for each in work.curve.training] == [
        (1, 50, 10), (2, 110, 30), (3, 170, 42),
    ]  # fmt: skip
    assert [each.step for each in work.curve.held_out] == [0, 2, 3]
    assert work.tokens == 100 + 120
    assert work.seconds == 50


def test_a_run_on_a_paid_machine_costs_money_and_others_show_none(make):
    runs = [make("a"), make("b")]
    runs[0].events.append(Started(act="train", pid=1, device="cpu"))
    runs[0].events.append(Begun(at=0, total_steps=1))
    runs[0].events.append(step(1, 5))
    runs[1].events.append(Remote(job="me/1", url="", flavor="a10g-small", usd_per_hour=1.5, seconds=1200))
    costs = compare_runs(runs).costs
    assert costs["a"].usd is None and costs["a"].device == "cpu" and costs["a"].memory_bytes == 10**9
    assert costs["b"].usd == pytest.approx(0.5)
    assert "$0.50" in as_text(compare_runs(runs))


def test_a_run_that_was_published_still_says_where_it_was_trained(make):
    a, b = make("a"), make("b")
    for event in (Started(act="train", pid=1, device="cpu"), Queued(act="push"), Started(act="push", pid=2)):
        a.events.append(event)
    assert compare_runs([a, b]).costs["a"].device == "cpu"


def test_the_page_asks_nobody_for_anything_and_keeps_words_as_words(make):
    task = scored([0.1] * 8)
    runs = [make("a", TaskReport(**vars(task) | {"label": HOSTILE})), make("b", task)]
    runs[0].events.append(Begun(at=0, total_steps=1))
    runs[0].events.append(step(1, 5))
    page = runs_page(compare_runs(runs))
    assert HOSTILE not in page and "&lt;img src=x" in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert page.count('<figure class="overlaid">') == 3


def test_real_runs_are_compared_by_the_verb_and_written_as_a_page(trained_runs, tmp_path):
    words = [sys.executable, "-m", "core", "compare", "full", "lora", "--runs", str(trained_runs.root)]
    found = subprocess.run(
        [*words, "--json", "--report", str(tmp_path / "out.html")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    compared = json.loads(found.stdout)
    assert sorted(compared["runs"]) == ["full", "lora"]
    assert len(compared["curves"]["full"]["training"]) == 12
    assert (
        compared["curves"]["full"]["training"][-1]["tokens"]
        == compared["curves"]["lora"]["training"][-1]["tokens"]
    )
    assert {"method.kind", "train.learning_rate"} <= set(compared["differing"])
    assert compared["costs"]["full"]["seconds"] > 0
    assert "Loss by tokens trained on" in (tmp_path / "out.html").read_text()


def test_comparing_runs_loads_no_torch():
    code = (
        "import sys, core.compare.runs, core.compare.page, core.compare.words; print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=os.environ).strip() == "False"
