import json
import subprocess
import sys

import pytest

from core.errors import RunError
from core.evaluate.report import (
    Answer,
    Answered,
    Both,
    Interval,
    Prompted,
    Report,
    Score,
    Settings,
    as_markdown,
    read,
    write,
)
from core.runs.store import RunStore
from core.spec import RunSpec

REPORT = Report(
    held_out=24,
    settings=Settings(answers=1, max_new_tokens=64, decoding="greedy", resamples=2000, confidence=0.95),
    scores=(
        Score(
            name="perplexity",
            label="Perplexity",
            definition="exp of something",
            higher_is_better=False,
            n=24,
            of="rows",
            base=Interval(80.1, 70.0, 91.2),
            tuned=Interval(10.1, 9.0, 12.0),
            difference=Interval(-70.0, -81.0, -60.1),
            verdict="better",
        ),
    ),
    answers=(
        Answered(
            source="poems.jsonl:3",
            question="Qui a vu\nl'été ?",
            reference="Moi.",
            base=Answer("the the the", 64, "length"),
            tuned=Answer("Moi", 1, "turn"),
            exact_match=Both(0, 1),
            rouge_l=Both(0.0, 1.0),
        ),
    ),
    prompts=(Prompted("Who?", Answer("a", 1, "turn"), Answer("b", 1, "turn")),),
)


@pytest.fixture
def run(tmp_path):
    return RunStore(tmp_path).create("poems", RunSpec())


def test_a_report_is_read_as_it_was_written(run):
    write(run, REPORT)
    assert read(run) == REPORT


def test_the_file_says_what_the_other_rooms_read_from_it(run):
    write(run, REPORT)
    seen = json.loads((run.reports / "evaluation.json").read_text("utf-8"))
    assert list(seen) == ["held_out", "settings", "scores", "answers", "prompts", "by_source"]
    assert seen["scores"][0]["tuned"] == {"value": 10.1, "low": 9.0, "high": 12.0}
    assert seen["answers"][0]["base"] == {"text": "the the the", "tokens": 64, "ended": "length"}
    assert seen["answers"][0]["exact_match"] == {"base": 0, "tuned": 1}


def test_a_run_that_was_not_evaluated_has_no_report(run):
    assert read(run) is None


@pytest.mark.parametrize("content", ["", "{}", '{"held_out": 24'])
def test_a_file_that_is_no_report_is_named_in_one_sentence(run, content):
    run.reports.mkdir()
    (run.reports / "evaluation.json").write_text(content)
    with pytest.raises(RunError, match=r"evaluation\.json is not a report.*evaluate the run again"):
        read(run)


def test_a_report_that_fails_halfway_leaves_the_earlier_one(run):
    write(run, REPORT)
    broken = Report(**vars(REPORT) | {"prompts": (object(),)})
    with pytest.raises(TypeError):
        write(run, broken)
    assert read(run) == REPORT


def test_the_table_shows_interval_count_and_definition_with_every_score():
    text = as_markdown(REPORT)
    assert (
        "| Perplexity ↓ | 80.1 [70.0, 91.2] | 10.1 [9.0, 12.0] | -70.0 [-81.0, -60.1] | better (n = 24 rows) |"
        in text
    )
    assert "- Perplexity: exp of something." in text
    assert "95% intervals" in text and "2000 resamples" in text and "greedy decoding, 64 new tokens" in text


def test_held_out_answers_are_quoted_only_when_asked_for():
    assert "l'été" not in as_markdown(REPORT)
    text = as_markdown(REPORT, answers=3)
    assert "**Qui a vu l'été ?**" in text
    assert "- Base: the the the […]" in text and "- Tuned: Moi" in text


def test_reading_a_report_loads_no_torch():
    code = "import core.evaluate.report, core.talk, sys; sys.exit(bool({'torch', 'transformers', 'evaluate'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
