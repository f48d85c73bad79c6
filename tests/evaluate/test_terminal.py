"""The report on a terminal: the verdict first, the scores in one table, on one screen, whatever words are in it."""

import re
from dataclasses import replace

import pytest

from core.evaluate.reports import words
from core.evaluate.reports.terminal import as_text
from tests.evaluate.reporting import choices, general, held_out, hostile, report, score, sums

MEASURES = ("rouge_l", "exact_match", "perplexity", "token_accuracy")


@pytest.fixture
def terminal(monkeypatch):
    """Text as a terminal of so many columns shows it."""

    def shown(found, columns: int) -> list[str]:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
        return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in as_text(found).splitlines()]

    return shown


def full(of: int = 4):
    """A report of four tasks with as many scores as those that come with the project."""
    many = replace(sums(), scores=tuple(score(name, 0.1, 0.5, 0.1) for name in MEASURES[:of] * 2))
    return report(held_out(), many, general(), choices())


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_it_is_one_screen_with_the_verdict_first_and_no_figure_torn_apart(terminal, columns):
    lines = terminal(full(), columns)
    assert lines[0] == words.summary(full()).headline
    assert len(lines) <= 40 and all(len(line) <= columns for line in lines)
    perplexity = next(line for line in lines if line.startswith("  Perplexity"))
    assert "−70.0 [−79.0, −61.0]" in perplexity and perplexity.endswith("helped")
    assert ("80.1 [71.1, 89.1]" in perplexity) == (columns > 100)


def test_piped_a_line_holds_a_score_with_all_its_intervals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = as_text(report())
    assert words.forgetting(report()).advice in text.splitlines()
    assert re.search(r"Perplexity ↓ +80.1 \[71.1, 89.1\] +10.1 \[.*\] +−70.0 \[−79.0, −61.0\] +helped", text)
    assert "Held-out examples, 24 rows" in text


def test_of_many_scores_the_main_ones_are_shown_and_the_others_counted(terminal):
    found = report(*(replace(held_out(), name=f"t{n}", label=f"Task {n}") for n in range(9)))
    lines = terminal(found, 100)
    assert sum("Perplexity" in line for line in lines) == 9
    assert not any("Token accuracy" in line for line in lines)
    assert lines[-1] == "Each task's main score is shown; 9 others are in the report."


def test_what_must_be_known_of_a_task_is_said_and_much_of_it_counted(terminal):
    task = replace(held_out(), notes=tuple(f"Note {n}." for n in range(9)))
    lines = terminal(report(task), 100)
    assert [line[-2] for line in lines if ": Note" in line] == list("012345")
    assert lines[-1] == "! 3 notes more in the report."


def test_one_model_alone_has_its_scores_and_no_verdict(terminal):
    alone = replace(score("perplexity", 80.0, 10.0, 9.0), base=None, difference=None, verdict=None)
    found = report(replace(held_out(), scores=(alone,)), sides=("tuned",))
    text = "\n".join(terminal(found, 80))
    assert "10.0 [1.0, 19.0]" in text and "difference" not in text and words.ONE_SIDE in text


def test_words_from_outside_command_no_terminal(terminal):
    text = "\n".join(terminal(hostile("\x1b[31mred[/bold]\u202e"), 200))
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b[31mred[/bold]" in text
