import json

import pytest

from core.data.examples import Message
from core.errors import DataError, SpecError
from core.evaluate.items import items, spread, with_shots
from core.evaluate.tasks import built_in, names, read, tasks

TASK = """
label: Riddles
about: Riddles of my own.
kind: generation
examples: {file: riddles.jsonl}
fields: {question: riddle, reference: solution}
prompt: "{riddle} ({language}) \\\\boxed{}"
grading: [exact_match]
"""
ROWS = [{"riddle": f"What is {n}?", "solution": f"It <<x>>is {n}.", "language": "en"} for n in range(5)]


@pytest.fixture
def task_file(tmp_path):
    def make(text: str = TASK, rows=ROWS):
        (tmp_path / "riddles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        path = tmp_path / "riddles.yaml"
        path.write_text(text)
        return path

    return make


def test_every_task_of_the_project_can_be_read_and_says_where_its_rows_are_from():
    for name in names():
        task = built_in(name)
        assert task.name == name and task.label and task.about.endswith(".")
        assert task.examples.held_out or task.licence, name
    assert {"held-out", "general", "gsm8k", "math", "arc-easy"} <= {*names()}


def test_held_out_and_general_each_bring_their_second_half_once():
    found = [task.name for task in tasks(["held-out", "general", "held-out"])]
    assert found == ["held-out", "held-out-answers", "general", "general-choices"]


def test_the_general_set_is_read_whole_with_its_right_answers_in_every_place():
    texts, choices = (items(built_in(name), 0).rows for name in ("general", "general-choices"))
    assert len(texts) == len({item.question for item in texts}) == 50
    assert len(choices) == len({item.question for item in choices}) == 50
    assert all(len(item.choices) == 4 and item.reference == item.choices[item.right] for item in choices)
    places = [sum(item.right == place for item in choices) for place in range(4)]
    assert max(places) - min(places) <= 1
    assert choices[0].asked[0].content == "Question: What is the capital of Italy?\nAnswer:"


def test_a_tasks_own_file_is_read_from_beside_it_and_its_columns_are_filled_in(task_file):
    (task,) = tasks([str(task_file())])
    first, *_ = items(task, 0).rows
    assert first.asked == (Message("user", "What is 0? (en) \\boxed{}"),)
    assert (first.reference, first.source) == ("It <<x>>is 0.", "riddles.jsonl:1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("grade: exact_match", r"unknown key 'grade': did you mean 'grading'"),
        ("examples: {files: a.jsonl}", r"unknown key 'examples\.files': did you mean 'file'"),
        ("shots: {count: -1}", r"wrong 'shots\.count': Input should be greater"),
        ("kind: essay", r"wrong 'kind'"),
        ("grading: [rouge_9]", r"grading 'rouge_9', but a generation task has exact_match"),
        ("examples: {file: a.jsonl, hub: a/b}", r"wrong 'examples': must be held-out, or name one"),
        (
            "examples: {file: ../secret.jsonl}",
            r"wrong 'examples': must name a file beside the task's, without a folder",
        ),
        ("examples: {file: ..}", r"without a folder"),
        ("examples: {file: /etc/passwd}", r"without a folder"),
        ("shots: {examples: {file: rows/secret.jsonl}}", r"wrong 'shots\.examples': must name a file beside"),
        ("name: other", r"unknown key 'name'"),
        ("kind: choice", r"no fields\.choices|grading 'exact_match'"),
    ],
)
def test_a_task_that_cannot_be_understood_is_one_sentence(task_file, line, said):
    key = line.partition(":")[0]
    kept = [each for each in TASK.splitlines() if not each.startswith(f"{key}:")]
    with pytest.raises(SpecError, match=said) as refused:
        read(task_file("\n".join([*kept, line])))
    assert "\n" not in str(refused.value) and "riddles.yaml" in str(refused.value)


@pytest.mark.parametrize("text", ["[", "only words", ""])
def test_a_file_that_is_no_task_is_one_sentence(task_file, text):
    with pytest.raises(SpecError, match=r"The task .*riddles\.yaml"):
        read(task_file(text))


def test_an_unknown_task_is_answered_with_the_one_that_was_meant():
    with pytest.raises(SpecError, match="no task 'gsm9k'.*Did you mean 'gsm8k'"):
        list(tasks(["gsm9k"]))
    with pytest.raises(SpecError, match="no file nothing.jsonl"):
        list(tasks(["nothing.jsonl"]))


def test_a_file_of_examples_is_two_tasks(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"question": "Who?", "answer": "I."}) + "\n")
    likely, answers = tasks([str(file)])
    assert (likely.name, likely.kind, answers.name, answers.kind) == (
        "mine",
        "likelihood",
        "mine-answers",
        "generation",
    )
    assert likely.given == answers.given == str(file)
    assert items(answers, 0).rows[0].reference == "I."


def test_own_files_of_one_name_are_tasks_of_their_own_and_none_is_called_like_one_of_the_project(tmp_path):
    paths = []
    for folder, stem in (("a", "q"), ("b", "q"), ("a", "gsm8k"), ("a", "held-out"), ("a", "q-answers")):
        (tmp_path / folder).mkdir(exist_ok=True)
        paths.append(tmp_path / folder / f"{stem}.jsonl")
        paths[-1].write_text(json.dumps({"question": "Who?", "answer": "I."}) + "\n")
    wanted = [str(path) for path in paths]
    names_of = [task.name for task in tasks([*wanted, "gsm8k", wanted[0]])]
    assert names_of == [
        "q", "q-answers", "q-2", "q-2-answers", "gsm8k-own", "gsm8k-own-answers",
        "held-out-own", "held-out-own-answers", "q-answers-2", "q-answers-2-answers", "gsm8k",
    ]  # fmt: skip
    known = {"q": wanted[1], "q-answers": wanted[1]}
    assert [(task.name, task.label) for task in tasks(wanted[:2], known)] == [
        ("q-2", "q-2"), ("q-2-answers", "q-2: answers"), ("q", "q"), ("q-answers", "q: answers"),
    ]  # fmt: skip


def test_the_key_that_was_probably_meant_ends_the_sentence(task_file):
    with pytest.raises(SpecError, match=r"did you mean 'grading'\?$"):
        read(task_file(f"{TASK}grade: exact_match"))


def test_the_first_rows_are_shown_and_not_asked_where_a_task_has_no_others(task_file):
    (task,) = tasks([str(task_file())])
    found = items(task, 2)
    assert [item.question for item in found.shown] == ["What is 0?", "What is 1?"]
    assert len(found.rows) == 3
    asked = with_shots(found.rows[0], found.shown, "chat").asked
    assert [turn.role for turn in asked] == ["user", "assistant"] * 2 + ["user"]
    plain = with_shots(found.rows[0], found.shown[:1], "text").asked[0].content
    assert plain.startswith("What is 0? (en) \\boxed{} It <<x>>is 0.\n\nWhat is 2?")


def test_a_local_copy_stands_for_a_set_on_the_hub(tmp_path):
    for split, start in (("train", 100), ("test", 0)):
        rows = [
            {"question": f"{n} + 1?", "answer": f"{n} + 1 = <<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"}
            for n in range(start, start + 4)
        ]
        (tmp_path / f"gsm8k_{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = items(built_in("gsm8k"), 2, tmp_path)
    assert [item.question for item in found.rows] == [f"{n} + 1?" for n in range(4)]
    assert [item.question for item in found.shown] == ["100 + 1?", "102 + 1?"]
    assert found.rows[0].reference == "0 + 1 = 1\n#### 1"  # without the calculator's notes
    alone = items(built_in("gsm8k"), 1, tmp_path / "gsm8k_test.jsonl")
    assert (len(alone.shown), len(alone.rows)) == (1, 3)


def test_without_network_or_copy_one_sentence_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"openai/gsm8k.* nothing is downloaded .*--from FILE\.$"):
        items(built_in("gsm8k"), 0)
    with pytest.raises(DataError, match="There is no .*away.*--from"):
        items(built_in("gsm8k"), 0, tmp_path / "away")
    (tmp_path / "train.jsonl").write_text("{}")
    with pytest.raises(DataError, match="No file in .* after the split 'test'"):
        items(built_in("gsm8k"), 0, tmp_path)


def test_a_choice_is_found_by_label_number_letter_or_text(tmp_path):
    rows = [
        {"question": "a?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        {"question": "b?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
    ]
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [item.right for item in items(built_in("arc-easy"), 0, file).rows] == [1, 1]
    file.write_text(json.dumps({"question": "c?", "choices": ["x", "y", "z", "w"], "answer": 3}) + "\n")
    (item,) = items(built_in("mmlu"), 0, file).rows
    assert item.choices == ("A", "B", "C", "D") and item.reference == "D"
    assert item.asked[0].content == "c?\nA. x\nB. y\nC. z\nD. w\nAnswer:"
    file.write_text(json.dumps({"question": "c?", "choices": ["x", "y"], "answer": 3}) + "\n")
    with pytest.raises(DataError, match=r"test\.jsonl:1: the right choice .*3.* none of its 2"):
        items(built_in("mmlu"), 0, file)


def test_a_column_that_is_not_there_is_named_with_its_row(task_file):
    (task,) = tasks([str(task_file(rows=[{"riddle": "Who?", "language": "en"}]))])
    with pytest.raises(DataError, match=r"riddles\.jsonl:1 has no 'solution'"):
        items(task, 0)


def test_some_of_the_rows_are_spread_over_all():
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(3, 10) == spread(3, None) == [0, 1, 2]
    assert spread(0, 5) == []
