"""Trees of messages: the best way down, every way down, and rows of which a tree must be made first."""

import json

import pytest

from core.data.remarks import RowError
from core.data.rows import Read
from core.data.shapes import oasst
from core.data.shapes.formats import Conversation, Reading, detect


def says(text: str, *replies: dict, **more) -> dict:
    role = "prompter" if text[0].isupper() else "assistant"  # questions are in capitals below
    return {"text": text, "role": role, "replies": list(replies)} | more


def told(first: dict, paths: str = "best") -> list[Conversation]:
    row = {"prompt": first}
    return list(detect(row).conversations(row, Reading(paths=paths)))


def paths(first: dict, which: str = "every") -> list[str]:
    return [" ".join(message.content for message in each.messages) for each in told(first, which)]


def refused(first: dict) -> RowError:
    with pytest.raises(RowError) as caught:
        told(first)
    return caught.value


def test_the_best_path_takes_the_best_ranked_reply_at_each_step():
    tree = says(
        "Q",
        says("x"),
        says("b", says("R", says("y", rank=1), says("z", rank=0)), rank=0),
        says("c", says("S", says("w")), rank=1),
    )
    assert paths(tree, "best") == ["Q b R z"]


def test_a_reply_without_a_rank_comes_last_and_the_first_of_equal_ones_is_taken():
    assert paths(says("Q", says("a"), says("b", rank=5)), "best") == ["Q b"]
    assert paths(says("Q", says("a"), says("b", rank=None)), "best") == ["Q a"]
    assert paths(says("Q", says("a", rank="x"), says("b", rank="1")), "best") == ["Q b"]


def test_a_path_ends_with_its_last_answer():
    assert paths(says("Q", says("a", says("R"))), "best") == ["Q a"]
    assert paths(says("Q", says("a", says("R"), says("S"))), "every") == ["Q a"]


def test_every_path_to_a_last_answer_is_a_conversation():
    tree = says("Q", says("a", says("R", says("b"), says("c")), says("S")), says("d"))
    assert paths(tree) == ["Q a R b", "Q a R c", "Q d"]


@pytest.mark.parametrize(
    "bad",
    [{"deleted": True}, {"review_result": False}, {"review_result": None}, {"deleted": "True"}]
    + [{"review_result": "False"}, {"text": None}, {"role": "narrator"}],
)
def test_what_was_deleted_or_failed_its_review_is_left_out_with_its_replies_and_counted(bad):
    tree = says("Q", says("a", says("R", says("b")), rank=0) | bad, says("c", rank=1, review_result=True))
    for which in ("best", "every"):
        (found,) = told(tree, which)
        assert [message.content for message in found.messages] == ["Q", "c"]
        assert [(each.code, "review: 1;" in each.why) for each in found.remarks] == [
            ("replies-left-out", True)
        ]


def test_a_tree_without_an_answer_is_refused():
    assert refused(says("Q")).remark.code == "no-answer"
    assert refused(says("Q", says("a", deleted=True))).remark.code == "no-answer"
    assert refused(says("Q", says("a"), deleted=True)).remark.code == "no-answer"
    assert refused(says("Q") | {"replies": 7}).remark.code == "wrong-type"


def test_a_tree_of_more_messages_after_each_other_than_a_conversation_has_is_refused():
    tree = says("a")
    for _ in range(5_000):
        tree = says("Q", tree)
    assert refused(tree).remark.code == "too-deep"


def test_replies_written_as_python_text_are_read_and_that_is_said():
    row = {"message_id": "1", "parent_id": "None", "text": "Q", "role": "prompter", "deleted": "False"}
    row["replies"] = str([says("it's", deleted=False, rank=None), says("b\\d", deleted=True)])
    (found,) = detect(row).conversations(row, Reading())
    assert [message.content for message in found.messages] == ["Q", "it's"]
    assert [each.code for each in found.remarks] == ["python-text", "replies-left-out"]


@pytest.mark.parametrize(
    "text",
    [
        "[__import__('pathlib').Path('it was run').touch()]",
        "[" * 50_000,
        "-" * 50_000 + "1",
        "[{[]: 1}]",
        "{'text': 'a'}",
        "9" * 10_000,
        "[\x00]",
        "['" + "a" * 300_000 + "']",
        "not a list",
    ],
)
def test_a_text_that_is_no_list_is_refused_and_never_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remark = refused(says("Q") | {"replies": text}).remark
    assert (remark.code, (remark.why + remark.fix).isprintable()) == ("python-text", True)
    assert not list(tmp_path.iterdir())


def flat(name: str, parent: str | None, text: str, **more) -> dict:
    return says(text) | {"message_id": name, "parent_id": parent, "replies": None} | more


def gathered(*rows: dict) -> list[tuple[int, dict]]:
    reads = [Read(line, row) for line, row in enumerate(rows, 1)]
    return [(read.line, read.row) for read in oasst.trees(reads)]


def test_rows_of_one_message_each_become_a_tree_in_whatever_order_they_come():
    rows = [flat("1", None, "Q"), flat("2", "1", "a"), flat("3", "2", "R"), flat("4", "3", "b", rank=0)]
    assert oasst.is_flat(rows)
    for order in (rows, rows[::-1]):
        ((line, tree),) = gathered(*order)
        assert (order[line - 1]["text"], paths(tree["prompt"])) == ("Q", ["Q a R b"])


def test_rows_of_several_trees_stay_apart():
    rows = [flat("1", None, "Q"), flat("3", None, "R"), flat("2", "1", "a"), flat("4", "3", "b")]
    assert [(line, paths(tree["prompt"])) for line, tree in gathered(*rows)] == [(1, ["Q a"]), (2, ["R b"])]
    with_names = [row | {"message_tree_id": row["parent_id"] or row["message_id"]} for row in rows]
    assert [(line, paths(tree["prompt"])) for line, tree in gathered(*with_names)] == [
        (1, ["Q a"]),
        (2, ["R b"]),
    ]


def test_messages_whose_parent_is_missing_or_that_reply_to_each_other_are_said():
    rows = [
        flat("1", None, "Q"),
        flat("2", "1", "a"),
        flat("3", "gone", "b"),
        flat("4", "5", "c"),
        flat("5", "4", "R"),
        flat("6", "6", "d"),
        flat("7", "6", "E"),
    ]
    *others, tree = gathered(*rows, flat("8", "3", "R"))
    assert tree[0] == 1
    assert sorted(line for line, _ in others) == [3, 4, 5, 6, 7, 8]
    for _, row in others:
        with pytest.raises(RowError) as caught:
            detect(row).conversations(row, Reading())
        assert caught.value.remark.code == "orphan-message"


def test_a_message_that_is_there_twice_is_used_once_with_a_warning():
    reads = [Read(1, flat("1", None, "Q")), Read(2, flat("2", "1", "a")), Read(3, flat("2", "1", "b"))]
    said, tree = oasst.trees(reads)
    assert (said.line, said.row, [each.code for each in said.remarks]) == (3, None, ["repeated-message"])
    assert paths(tree.row["prompt"]) == ["Q a"]


def test_rows_that_are_no_messages_pass_through():
    row = {"prompt": "Q", "response": "A"}
    assert gathered(row) == [(1, row)]
    assert not oasst.is_flat([row])


def test_a_tree_is_closed_when_more_wait_than_memory_may_hold(monkeypatch):
    monkeypatch.setattr(oasst, "PENDING_CHARACTERS", 4 * oasst.PER_MESSAGE)
    rows = []
    for number in range(20):
        rows += [
            flat(f"q{number}", None, "Q", message_tree_id=str(number)),
            flat(f"a{number}", f"q{number}", "a", message_tree_id=str(number)),
        ]
    seen = 0

    def reads():
        nonlocal seen
        for line, row in enumerate(rows, 1):
            seen = line
            yield Read(line, row)

    found = [(read.line, seen, paths(read.row["prompt"])) for read in oasst.trees(reads())]
    assert [(line, told) for line, _, told in found] == [(line, ["Q a"]) for line in range(1, 41, 2)]
    assert all(seen - line < 6 for line, seen, _ in found)


def test_a_long_chain_of_rows_ends_in_one_sentence():
    chain = [flat(str(n), str(n - 1) if n else None, "Q" if n % 2 == 0 else "a") for n in range(20_000)]
    ((_, tree),) = gathered(*chain)
    assert refused(tree["prompt"]).remark.code == "too-deep"


def test_a_tree_as_json_is_the_same_tree():
    tree = says("Q", says("a", rank=0), says("b", rank=1))
    assert paths(json.loads(json.dumps(tree)), "best") == ["Q a"]
