"""What an evaluation can be asked for is the same for the shell, the page and programs, and is said before it begins."""

import pytest

from core.errors import DataError, RunError, SpecError, UserError
from core.evaluate.request import options
from core.runs.store import Run
from tests.conftest import quick


@pytest.fixture
def run(store) -> Run:
    return store.create("poems", quick())


def test_only_what_was_given_is_handed_on(run):
    assert options(run) == {}
    assert options(run, tasks=("held-out",), side="both", shots=0) == {"tasks": ["held-out"], "shots": 0}


def test_the_number_of_answers_counts_for_the_held_out_examples_and_for_tasks(run):
    assert options(run, num_samples=3, side="base") == {"answers": 3, "num_samples": 3, "side": "base"}


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"tasks": []}, DataError, "Choose a task first"),
        ({"tasks": ["held-uot"]}, SpecError, "Did you mean 'held-out'"),
        ({"tasks": ["mine.jsonl"]}, SpecError, "no file mine.jsonl to score"),
        ({"tasks": ["general"], "gen_only": True}, UserError, "No task in which the models write answers is left"),
        ({"max_samples": 0}, SpecError, "evaluate.max_samples is 0"),
        ({"side": "merged"}, RunError, "atelier merge poems"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(run, asked, kind, said):
    with pytest.raises(kind, match=said):
        options(run, **asked)


def test_tasks_of_the_runs_own_settings_count_where_none_are_named(store):
    run = store.create("other", quick({"evaluate": {"tasks": ["general"]}}))
    with pytest.raises(UserError, match="is left of general"):
        options(run, gen_only=True)


def test_a_merged_model_that_is_there_can_be_asked_for(run):
    (run.folder / "merged").mkdir()
    (run.folder / "merged" / "config.json").write_text("{}")
    assert options(run, side="merged") == {"side": "merged"}
