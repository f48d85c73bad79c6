import json
import subprocess
import sys
from dataclasses import replace

import pytest

from core.errors import RunError
from core.evaluate.report import Answer, main, outcome, read, unread, write
from core.runs.store import RunStore
from core.spec import RunSpec
from tests.evaluate.reporting import general, held_out, report, score, sums


@pytest.fixture
def run(tmp_path):
    return RunStore(tmp_path).create("poems", RunSpec())


def test_a_report_is_read_as_it_was_written(run):
    write(run, report())
    assert read(run) == report()


def test_a_report_of_one_model_alone_lies_beside_the_other(run):
    alone = report(sums(), sides=("merged",))
    write(run, report())
    write(run, alone, "merged.json")
    assert read(run, "merged.json") == alone and read(run) == report()


def test_the_file_says_what_programs_read_from_it(run):
    write(run, report())
    seen = json.loads((run.reports / "evaluation.json").read_text("utf-8"))
    assert list(seen) == ["run", "base_model", "model", "sides", "made_at", "tasks", "prompts"]
    held, sums_, _ = seen["tasks"]
    assert (held["name"], held["n"], held["scores"][0]["verdict"]) == ("held-out", 24, "helped")
    assert held["scores"][0]["tuned"] == {
        "value": 10.1,
        "low": pytest.approx(1.1),
        "high": pytest.approx(19.1),
        "differ": None,
    }
    assert sums_["rows"][0]["tuned"] == {
        "text": "Cela fait 0.\n#### 0",
        "tokens": 12,
        "ended": "turn",
        "found": "0",
    }
    assert sums_["rows"][0]["marks"] == {"exact_match": {"base": 0.0, "tuned": 1.0}}


def test_a_run_that_was_not_evaluated_has_no_report(run):
    assert read(run) is None


@pytest.mark.parametrize("content", ["", "{}", '{"run": "poems"', '{"held_out": 24, "scores": []}'])
def test_a_file_that_is_no_report_is_named_in_one_sentence(run, content):
    run.reports.mkdir()
    (run.reports / "evaluation.json").write_text(content)
    with pytest.raises(RunError, match=r"evaluation\.json is not a report.*evaluate the run again"):
        read(run)


def test_a_report_that_fails_halfway_leaves_the_earlier_one(run):
    write(run, report())
    with pytest.raises(TypeError):
        write(run, report(prompts=(object(),)))
    assert read(run) == report()


def test_half_a_pair_of_surrogates_in_somebodys_data_costs_no_report(run):
    row = replace(sums().rows[0], question="\ud83d")
    write(run, report(replace(sums(), rows=(row,))))
    assert read(run).task("sums").rows[0].question == "?"


def test_a_row_is_won_by_the_better_mark_and_better_can_be_lower():
    lower, higher = held_out(), sums()
    assert outcome(lower.rows[0], lower) == "win" and outcome(lower.rows[7], lower) == "loss"
    assert [outcome(row, higher) for row in higher.rows[:4]] == ["win", "win", "loss", "tie"]


def test_a_row_that_one_model_alone_was_asked_is_neither_won_nor_lost():
    alone = replace(sums(), rows=(replace(sums().rows[0], marks={}),))
    assert outcome(alone.rows[0], alone) is None
    nothing = replace(sums(), scores=())
    assert main(nothing) is None and outcome(nothing.rows[0], nothing) is None


def test_an_answer_in_which_nothing_was_found_is_named_only_where_something_is_looked_for():
    task = sums()
    assert [unread(row, task) for row in task.rows[4:7]] == [(), ("base",), ()]
    plain = replace(task, settings=replace(task.settings, finds=""))
    assert not any(unread(row, plain) for row in plain.rows)
    both = replace(task.rows[0], base=Answer("?", 1, "turn"), tuned=Answer("?", 1, "turn"))
    assert unread(both, task) == ("base", "tuned")


def test_tasks_are_found_by_name_and_judged_by_their_first_score():
    assert report().task("general") == general() and report().task("gsm8k") is None
    assert main(held_out()) == score("perplexity", 80.1, 10.1, 9.0)


def test_reading_and_drawing_a_report_loads_no_torch():
    code = (
        "import core.evaluate.reports, core.talk, sys; "
        "sys.exit(bool({'torch', 'transformers', 'evaluate'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
